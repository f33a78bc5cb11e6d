/* SPDX-License-Identifier: ISC */
/*
 * A component with a deadline every 10 ms. It says how late the worst of them was, in steps and at the end:
 * whatever else the machine does (a guest that spins, a component that attacks), it must not be late by a
 * period. <config><run periods="1000"/></config> says how long; 0 is for ever.
 */
#include "base/include/config.h"
#include "base/include/event.h"
#include "base/include/log.h"

#define PERIODS_MAX  1000000u
#define STEP         100u /* periods between two lines */
#define MILLISECONDS 10u

static const char *const run_attributes[] = {"periods!", NULL};
static const struct xml_schema run_schema = {.name = "run", .attributes = run_attributes};
static const struct xml_child_rule config_children[] = {{&run_schema, 1, 1}, {NULL, 0, 0}};
static const struct xml_schema config_schema = {.name = "config", .children = config_children};

static uint64_t periods, tsc_hz, period, worst;
static unsigned done, missed;

static bool read_run(void *config, char *text, size_t bytes, struct xml_error *error)
{
    static const struct xml_range range = {.min = 0, .max = PERIODS_MAX};
    const struct xml_node *root = config_parse(text, bytes, &config_schema, error);

    return root && xml_get_unsigned(xml_child(root, "run"), "periods", &range, config, error);
}

static void passed(uint64_t deadline)
{
    uint64_t late = tsc_read() - deadline;

    done++;
    worst = late > worst ? late : worst;
    missed += late >= period;
    if (done % STEP == 0)
        log_line("deadline: %u periods of %u ms: worst latency %lu us, missed %u", done, MILLISECONDS,
                 worst / (tsc_hz / 1000000), missed);
}

int component_main(void)
{
    struct pd_info info;
    uint64_t next;

    if (!config_load(read_run, &periods))
        return 1;
    if (pd_info(&info) != ERROR_OK || info.tsc_hz == 0) {
        log_line("deadline: no clock");
        return 1;
    }
    tsc_hz = info.tsc_hz;
    period = tsc_hz / 1000 * MILLISECONDS;
    for (next = tsc_read() + period; periods == 0 || done < periods; next += period) {
        while (tsc_read() < next)
            event_turn(next);
        passed(next);
    }
    log_line("deadline: done: worst latency %lu us, missed %u", worst / (tsc_hz / 1000000), missed);
    return 0;
}
