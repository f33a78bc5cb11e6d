/* SPDX-License-Identifier: ISC */
/*
 * The events of a component. Each part of a component adds its own; one loop waits for all of them and calls
 * their handlers one after the other, so handlers need no locks. They run on the main thread, or on the entry
 * EC once component_serve() has made it. On the entry EC they must not wait: the kernel refuses it.
 */
#pragma once

#include "base/include/component.h"

struct event {
    uint64_t bits; /* of CAP_NT; 0: a deadline only */
    uint64_t
        deadline; /* TSC value: 0 is at once, DEADLINE_NEVER none. It is used up when the handler is called */
    uint64_t
        period; /* TSC ticks: after a call the bits are left alone for so long; 0: they are served at once */
    /* bits: those of the event that were signalled, 0 when only the deadline has passed. */
    void (*handle)(void *context, uint64_t bits);
    void *context;
    uint64_t held; /* the loop's own: until this TSC value the bits are left alone */
    struct event *next;
};

/* The event is the caller's and must live as long as the component. Events are handled in the order of
 * adding. */
void event_add(struct event *event);

/*
 * Waits until an event happens, or until the TSC value `until`, and calls the handlers. It may also return
 * early. For components whose main thread has other work as well; not to be called in a handler.
 */
void event_turn(uint64_t until);

/* For all other components: takes turns for ever. */
void event_loop(void) __attribute__((noreturn));
