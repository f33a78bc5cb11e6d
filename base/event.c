/* SPDX-License-Identifier: ISC */
/*
 * The loop of a component. It also bounds what the peers of a component cost it: the loop does not wait for the
 * bits of an event with a period until the period is over. So all signals in that time, from whichever CPU,
 * cost one turn. The list is state of the runtime because the kernel enters the entry EC with nothing but
 * bits.
 */
#include "base/include/event.h"

#include "base/runtime.h"

static struct event *first, **last = &first;
static bool on_entry; /* handlers run on the entry EC */

void event_add(struct event *event)
{
    event->next = NULL;
    *last = event;
    last = &event->next;
}

void event_use_entry(void)
{
    on_entry = true;
}

void event_handle(uint64_t bits)
{
    uint64_t now = tsc_read();

    for (struct event *event = first; event; event = event->next) {
        uint64_t own = bits & event->bits;

        if (!own && now < event->deadline)
            continue;
        event->deadline = DEADLINE_NEVER;
        event->handle(event->context, own);
        if (event->period)
            event->held = tsc_read() + event->period;
    }
}

void event_turn(uint64_t until)
{
    uint64_t now = tsc_read(), held = 0, bits;
    enum status status;
    unsigned words;

    for (const struct event *event = first; event; event = event->next) {
        if (event->deadline < until)
            until = event->deadline;
        if (event->held <= now)
            continue;
        held |= event->bits;
        if (event->held < until)
            until = event->held;
    }
    status = nt_wait_for(CAP_NT, ~held, until, &bits);
    if (status != STATUS_OK && status != STATUS_TIMEOUT)
        __builtin_trap();
    if (!on_entry) {
        event_handle(bits);
        return;
    }
    utcb()[0] = bits;
    if (ipc_call(CAP_SELF, 1, &words) != STATUS_OK)
        __builtin_trap();
}

void event_loop(void)
{
    for (;;)
        event_turn(DEADLINE_NEVER);
}
