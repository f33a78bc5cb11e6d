/* SPDX-License-Identifier: ISC */
/*
 * Scheduling contexts, and the choice of the next one. Priorities with round robin inside; an SC is in the ready queue
 * unless it is the current one or its EC waits. Time flows along calls: the EC to run is found by following
 * the chain of calls from the SC's own EC.
 */
#pragma once

#include "kernel/ec.h"
#include "kernel/object.h"

struct cpu;
struct nt;

struct sc {
    struct object object;
    struct ec *ec; /* referenced; global */
    uint8_t priority;
    bool queued;
    uint64_t budget, left; /* TSC ticks; left: when its turn began */
    struct sc *next, *previous;
};

struct scheduler {
    uint64_t ready; /* bit a priority */
    struct sc *head[SC_PRIORITIES], *tail[SC_PRIORITIES];
    struct sc *current; /* NULL: none, or it was destroyed */
    uint64_t turn;      /* number of the turn; it goes on when the SC is destroyed */
    uint64_t slice_end; /* TSC when the budget of the current SC is used up */
};

struct sc *sc_create(struct account *account, struct ec *ec, unsigned priority, uint64_t budget) must_check;
extern const struct object_operations sc_operations;

/* The SC's EC can run again: queue it, and preempt if it is better than the current one. */
void sc_wake(struct sc *sc);

/* The current EC, which has entered `nt` (nt_enter), waits for it or `deadline`; restart must have been
 * arranged. Schedules. */
void ec_wait(struct ec *ec, struct nt *nt, uint64_t deadline);

/* Make a WAITING EC runnable. */
void ec_wake(struct ec *ec);

/* Check the EC again when `deadline` comes. */
void ec_change_deadline(struct ec *ec, uint64_t deadline);

static inline void ec_set_deadline(struct ec *ec, uint64_t deadline)
{
    if (ec->timer.deadline != deadline) /* one that has fired has passed */
        ec_change_deadline(ec, deadline);
}

/* Leave the current EC (it waits, died, or has to give way) and choose the next: sets the current EC, or
 * idles until there is one. Returns on the same kernel stack, ready for `resume`. */
void schedule(void);

/* Begin at the top of this CPU's stack with a function, and leave the kernel to the EC that it has made
 * current. */
_Noreturn void stack_restart(void (*function)(void));

/* Set the timer to the earliest of the first deadline and the end of the current budget. */
void sched_set_timer(struct cpu *cpu);

/* The timer has fired. */
void sched_timer_interrupt(void);

/* Work off the hazards: called on the way out to user mode when cpu->hazard is set. */
void hazard_handle(void);
