/* SPDX-License-Identifier: ISC */
/*
 * The frame of a component: how it starts, serves portals and ends.
 *
 * A component defines component_main(), which runs on its main thread. A monitor runs its own loop there,
 * since it waits in vcpu_run(); every other component adds events (event.h) and enters event_loop().
 */
#pragma once

#include "base/include/caps.h"
#include "base/include/session/error.h"

#include <stdbool.h>
#include <stddef.h>

/* The component's own code; returns its exit code (PARENT_EXIT). */
int component_main(void);

/* Tells the parent and waits to be destroyed. */
void component_exit(int code) __attribute__((noreturn));

/* The UTCB of the running thread: UTCB_WORDS words. Written over by every call. */
static inline uint64_t *utcb(void)
{
    uint64_t stack;
    __asm__("mov %%rsp, %0" : "=r"(stack));
    return (uint64_t *)((stack | (THREAD_SLOT - 1)) - 0xfff); /* NOLINT: an address */
}

/* The running thread's CPU, and its portal to core, which core leaves above the stack. */
static inline unsigned thread_cpu(void)
{
    return (unsigned)utcb()[-2];
}

static inline selector core_portal(void)
{
    return utcb()[-1];
}

/*
 * A request through a portal of this component: id of the portal, `count` words in `words` (the entry EC's
 * UTCB: copy what is needed before making a call). Writes the reply there and returns its number of words, at
 * most UTCB_WORDS.
 */
typedef unsigned (*request_handler)(uint64_t id, uint64_t *words, unsigned count);

/*
 * For a component that others call: makes the entry EC and CAP_SELF. From then on the handlers of events
 * (event.h) run on the entry EC, too, so handlers and requests run one at a time. Call it once.
 */
MUST_CHECK enum error component_serve(request_handler request);

static inline uint64_t tsc_read(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

struct pd_info {
    uint64_t tsc_hz;
    uint64_t wall_seconds, wall_tsc;   /* seconds since 1970-01-01 UTC, at this TSC value */
    uint64_t features;                 /* enum boot_feature */
    uint64_t cpus;                     /* bit a CPU, for threads beside the main one, which is on CPU 0 */
    uint64_t ram_free, ram_used;       /* bytes */
    uint64_t kernel_free, kernel_used; /* pages */
    uint64_t priority;                 /* highest of its threads, and the main thread's */
    uint64_t time; /* TSC ticks that its threads have run, without turns that are not over */
};

MUST_CHECK enum error pd_info(struct pd_info *info);
/* The machine's, by PLATFORM, where the scenario routes that. It returns when it could not be. */
MUST_CHECK enum error platform_off(void);

/*
 * A thread with time of its own on a CPU, in the lowest free slot. priority: at most the component's; stack:
 * bytes, at most THREAD_STACK_MAX, charged. It must not return. On another CPU than the main thread's it cannot call the
 * parent, nor log the component's first line, which opens the session.
 */
MUST_CHECK enum error thread_create(void (*function)(void *), void *argument, unsigned priority, size_t stack,
                                    unsigned cpu);

/* The number of the running thread's slot; 0: the main thread. */
static inline unsigned thread_number(void)
{
    uint64_t stack;
    __asm__("mov %%rsp, %0" : "=r"(stack));
    return (unsigned)((stack - THREAD_BASE) / THREAD_SLOT);
}

/*
 * Another notification of the component's own at a free selector; nt_narrow() derives signallers from it.
 * *handle (may be NULL) is for PD_CLOSE.
 */
MUST_CHECK enum error notification_create(selector free, uint64_t *handle);
