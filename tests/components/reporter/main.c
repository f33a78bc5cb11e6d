/* SPDX-License-Identifier: ISC */
/*
 * Reports texts with numbers, <config label="..." texts="200" milliseconds="5"/>, of 1 to 50 lines that all hold the
 * number, and then once a text that is longer than may be.
 */
#include "base/include/config.h"
#include "base/include/log.h"
#include "lib/report/report.h"

#define LINES  50u
#define LINE   24u
#define MOST   0x4000u /* that report_rom keeps */
#define BEYOND 0x4001u

static const char *const config_attributes[] = {"label!", "texts!", "milliseconds!", NULL};
static const struct xml_schema config_schema = {.name = "config", .attributes = config_attributes};

static struct {
    char label[64];
    uint64_t texts, milliseconds;
} config;

static struct report report;
static struct event turn;
static uint64_t number, ticks;

static bool read_config(void *context, char *text, size_t bytes, struct xml_error *error)
{
    static const struct xml_range range = {.min = 1, .max = 1000000};
    const struct xml_node *root = config_parse(text, bytes, &config_schema, error);

    (void)context;
    if (!root)
        return false;
    format_text(config.label, sizeof(config.label), "%s", xml_get_string_or(root, "label", ""));
    return xml_get_unsigned(root, "texts", &range, &config.texts, error) &&
           xml_get_unsigned(root, "milliseconds", &range, &config.milliseconds, error);
}

static void turned(void *context, uint64_t bits)
{
    static char text[BEYOND];
    size_t length = 0;

    (void)context, (void)bits;
    if (++number > config.texts) {
        report_put(&report, text, BEYOND);
        return;
    }
    for (uint64_t i = 0; i <= number % LINES; i++)
        length += format_text(text + length, LINE, "number %lu\n", number);
    report_put(&report, text, length);
    turn.deadline = tsc_read() + ticks;
}

int component_main(void)
{
    struct pd_info info;

    if (!config_load(read_config, NULL) || pd_info(&info) != ERROR_OK)
        return 1;
    ticks = info.tsc_hz / 1000 * config.milliseconds;
    report_start(&report, config.label, MOST, CAP_FREE, 1);
    turn = (struct event){.handle = turned};
    event_add(&turn);
    event_loop();
}
