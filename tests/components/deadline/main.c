/* SPDX-License-Identifier: ISC */
/*
 * A component with a deadline every 10 ms. It says how late the worst of them was, in steps and at the end:
 * whatever else the machine does (a guest that spins, a component that attacks), it must not be late by a
 * period. <config><run periods="1000"/></config> says how long; 0 is for ever.
 */
#include "base/include/component.h"
#include "base/include/dataspace.h"
#include "base/include/log.h"
#include "lib/xml/xml.h"

#include <string.h>

#define PERIODS      500u
#define PERIODS_MAX  1000000u
#define TEXT_BYTES   16384u /* the configuration's, with the empty lines before it */
#define NODES        4u
#define ATTRIBUTES   4u
#define STEP         100u /* periods between two lines */
#define MILLISECONDS 10u

static const char *const run_attributes[] = {"periods!", NULL};
static const struct xml_schema run_schema = {.name = "run", .attributes = run_attributes};
static const struct xml_child_rule config_children[] = {{&run_schema, 1, 1}, {NULL, 0, 0}};
static const struct xml_schema config_schema = {.name = "config", .children = config_children};

/* False: there is a configuration, and it is wrong. */
static bool read_periods(uint64_t *periods)
{
    static const struct xml_range range = {.min = 0, .max = PERIODS_MAX};
    static char text[TEXT_BYTES];
    static struct xml_node nodes[NODES];
    static struct xml_attribute attributes[ATTRIBUTES];
    struct xml_document document = {
        .nodes = nodes, .attributes = attributes, .node_limit = NODES, .attribute_limit = ATTRIBUTES};
    struct xml_error wrong;
    struct rom rom;
    enum error error = rom_open("config", &rom);
    *periods = PERIODS;
    if (error == ERROR_NOT_FOUND) {
        return true;
    }
    if (error != ERROR_OK || rom.bytes == 0 || rom.bytes > sizeof text) {
        log_line("deadline: no configuration: %s", error_text(error));
        return false;
    }
    memcpy(text, rom.data, rom.bytes);
    if (xml_parse(&document, text, rom.bytes, &wrong) && xml_check(document.root, &config_schema, &wrong) &&
        xml_get_unsigned(xml_child(document.root, "run"), "periods", &range, periods, &wrong)) {
        return true;
    }
    log_line("config:%u: %s", wrong.line, wrong.reason);
    return false;
}

int component_main(void)
{
    uint64_t periods;
    struct pd_info info;
    if (!read_periods(&periods)) {
        return 1;
    }
    if (pd_info(&info) != ERROR_OK || info.tsc_hz == 0) {
        log_line("deadline: no clock");
        return 1;
    }
    uint64_t period = info.tsc_hz / 1000 * MILLISECONDS, next = tsc_read() + period, worst = 0;
    unsigned missed = 0;
    for (unsigned i = 1; periods == 0 || i <= periods; i++) {
        uint64_t bits;
        enum status status;
        do {
            status = nt_wait(CAP_NT, next, &bits); /* the parent may have news; they are nothing to us */
        } while (status == STATUS_OK);
        uint64_t now = tsc_read();
        if (status != STATUS_TIMEOUT || now < next) {
            log_line("deadline: failed: status %u, %ld ticks after the deadline", status,
                     (int64_t)(now - next));
            return 1;
        }
        uint64_t late = now - next;
        worst = late > worst ? late : worst;
        missed += late >= period;
        next += period;
        if (i % STEP == 0) {
            log_line("deadline: %u periods of %u ms: worst latency %lu us, missed %u", i, MILLISECONDS,
                     worst / (info.tsc_hz / 1000000), missed);
        }
    }
    log_line("deadline: done: worst latency %lu us, missed %u", worst / (info.tsc_hz / 1000000), missed);
    return 0;
}
