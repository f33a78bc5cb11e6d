/* SPDX-License-Identifier: ISC */
/*
 * Reads what tests/components/reporter reports, <config label="..." texts="200"/>, until it has seen the last text. Each
 * has to be whole and none older than the one before. Then it opens the ROM "secret", which it may not have.
 */
#include "base/include/config.h"
#include "base/include/log.h"
#include "base/include/rom.h"
#include "lib/report/report.h"

#include <string.h>

#define LINES 50u
#define LINE  24u
#define SIZE  0x5000u

static const char *const config_attributes[] = {"label!", "texts!", NULL};
static const struct xml_schema config_schema = {.name = "config", .attributes = config_attributes};

static struct {
    char label[64];
    uint64_t texts;
} config;

static struct follower follower, secret;
static uint64_t last, contents, faults;

static bool read_config(void *context, char *text, size_t bytes, struct xml_error *error)
{
    static const struct xml_range range = {.min = 1, .max = 1000000};
    const struct xml_node *root = config_parse(text, bytes, &config_schema, error);

    (void)context;
    if (!root)
        return false;
    format_text(config.label, sizeof(config.label), "%s", xml_get_string_or(root, "label", ""));
    return xml_get_unsigned(root, "texts", &range, &config.texts, error);
}

static uint64_t number_of(const char *text, size_t bytes)
{
    uint64_t number = 0;

    for (size_t i = strlen("number "); i < bytes && text[i] >= '0' && text[i] <= '9'; i++)
        number = number * 10 + (uint64_t)(text[i] - '0');
    return number;
}

static void changed(void *context, char *text, size_t bytes)
{
    static char expected[LINES * LINE];
    uint64_t number = number_of(text, bytes);
    size_t length = 0;

    (void)context;
    for (uint64_t i = 0; i <= number % LINES; i++)
        length += format_text(expected + length, LINE, "number %lu\n", number);
    contents++;
    if (number < last || length != bytes || memcmp(text, expected, length) != 0) {
        faults++;
        log_line("follower: expected a whole text of %lu or later, found %zu bytes of %lu", last, bytes,
                 number);
    }
    last = number;
    if (number != config.texts)
        return;
    log_line("follower: %lu contents, %lu faults", contents, faults);
    static char room[0x1000];
    secret = (struct follower){.text = room, .size = sizeof(room), .changed = changed};
    follower_start(&secret, "secret", CAP_FREE + 1, 2);
}

int component_main(void)
{
    static char text[SIZE];

    if (!config_load(read_config, NULL))
        return 1;
    follower = (struct follower){.text = text, .size = sizeof(text), .changed = changed};
    follower_start(&follower, config.label, CAP_FREE, 1);
    event_loop();
}
