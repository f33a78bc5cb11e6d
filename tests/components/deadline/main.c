/* SPDX-License-Identifier: ISC */
/*
 * A component with a deadline every 10 ms. It says how late the worst of them was, in steps and at the end:
 * whatever else the machine does (a guest that spins, a component that attacks), it must not be late by a
 * period.
 */
#include "base/include/component.h"
#include "base/include/log.h"

#define PERIODS      500u
#define STEP         100u /* periods between two lines */
#define MILLISECONDS 10u

int component_main(void)
{
    struct pd_info info;
    if (pd_info(&info) != ERROR_OK || info.tsc_hz == 0) {
        log_line("deadline: no clock");
        return 1;
    }
    uint64_t period = info.tsc_hz / 1000 * MILLISECONDS, next = tsc_read() + period, worst = 0;
    unsigned missed = 0;
    for (unsigned i = 1; i <= PERIODS; i++) {
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
