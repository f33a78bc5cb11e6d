/* SPDX-License-Identifier: ISC */
/*
 * A component that wants what it was not given. It has a portal to its parent, one to core, a notification
 * and a session to LOG, and tries everything with everything else. It proves half: that each attempt is
 * refused. That nobody is disturbed, the components beside it prove.
 */
#include "tests/components/evil/evil.h"

#include "base/include/component.h"
#include "base/include/log.h"

#define SEED         0x446f6e6a6f6eu
#define CALLS_IN_ALL 250000u
#define REQUESTS     20000u

/* What is ours still works. */
static bool own_notification(void)
{
    uint64_t bits;
    return nt_signal(CAP_NT) == STATUS_OK && nt_wait(CAP_NT, 0, &bits) == STATUS_OK && bits != 0;
}

int component_main(void)
{
    struct evil evil = {.random = SEED};
    struct pd_info info;
    log_line("evil: begins");
    evil_kernel(&evil, CALLS_IN_ALL);
    log_line("evil: %u kernel calls tried, %u not refused", evil.calls, evil.failures);
    evil_requests(&evil, REQUESTS);
    if (!own_notification() || pd_info(&info) != ERROR_OK) {
        log_line("evil: what is ours works no longer");
        evil.failures++;
    }
    if (evil.failures != 0) {
        log_line("evil: failed: %u of %u calls and %u requests went through or came to grief", evil.failures,
                 evil.calls, evil.requests);
        return 1;
    }
    log_line("evil: done: %u calls and %u requests, all refused", evil.calls, evil.requests);
    return 0;
}
