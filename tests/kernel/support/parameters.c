/* SPDX-License-Identifier: ISC */
/*
 * How much is tested: attributes of the element <ktest> in the configuration, the second boot module. What is
 * not named there, or when there is no such element, has the value that `make test` uses.
 */
#include "tests/kernel/support/test.h"

#include <string.h>

#define CONFIG_WINDOW 0x10210000ul
#define CONFIG_PAGES  16u
#define TEXT_BYTES    128u

static const char *config;
static uint64_t config_bytes;

void parameters_begin(void)
{
    const struct boot_module *module = &BOOT->module[1];

    if (BOOT->modules < 2 || !module->length || module->length > CONFIG_PAGES * PAGE ||
        space_copy(ROOT_MEM, module->base / PAGE, ROOT_HST, CONFIG_WINDOW / PAGE,
                   (module->length + PAGE - 1) / PAGE, MEM_READ) != STATUS_OK)
        return;
    config = (const char *)CONFIG_WINDOW;
    config_bytes = module->length;
}

/* The first place from `at` on where the text stands, or the end. */
static uint64_t find(uint64_t at, const char *text)
{
    uint64_t bytes = strlen(text);

    for (; at + bytes <= config_bytes; at++) {
        if (!memcmp(config + at, text, bytes))
            return at;
    }
    return config_bytes;
}

const char *parameter_text(const char *name)
{
    static char text[TEXT_BYTES];
    uint64_t at = find(0, "<ktest "), end = find(at, ">"), bytes = strlen(name);
    unsigned i = 0;

    text[0] = 0;
    for (; at + bytes + 3 < end; at++) {
        if (config[at] == ' ' && !memcmp(config + at + 1, name, bytes) && config[at + bytes + 1] == '=' &&
            config[at + bytes + 2] == '"')
            break;
    }
    for (at += bytes + 3; at < end && config[at] != '"' && i < TEXT_BYTES - 1; at++)
        text[i++] = config[at];
    text[i] = 0;
    return text;
}

uint64_t parameter(const char *name, uint64_t otherwise)
{
    const char *digit = parameter_text(name);
    uint64_t value = 0;

    if (!*digit)
        return otherwise;
    for (; *digit >= '0' && *digit <= '9'; digit++)
        value = value * 10 + (uint64_t)(*digit - '0');
    return value;
}
