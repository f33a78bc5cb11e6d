/* SPDX-License-Identifier: ISC */
/*
 * Deadlines of waiting ECs, in a pairing heap: the earliest is found at once, insertion and removal are cheap
 * however many there are. The kernel is tickless: the LAPIC's timer is set to the earliest of deadline and
 * end of budget.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct timer {
    uint64_t deadline; /* TSC */
    bool queued;
    struct timer *child, *sibling;
    struct timer *previous; /* sibling to the left, or the parent of a first child */
};

struct timer_queue {
    struct timer *root;
};

void timer_insert(struct timer_queue *queue, struct timer *timer);
void timer_remove(struct timer_queue *queue, struct timer *timer);

static inline struct timer *timer_first(const struct timer_queue *queue)
{
    return queue->root;
}
