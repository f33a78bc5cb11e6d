/* SPDX-License-Identifier: ISC */
/*
 * Mutual exclusion between the threads of the vCPUs. A thread that finds the lock held sleeps until it is
 * released: several vCPUs may share one host CPU, where a thread that spun would only keep the holder from
 * running. How a thread sleeps and is woken is the owner's affair, so that a test can do it with POSIX
 * threads and the monitor with notifications.
 *
 * The word: who waits, a bit a vCPU, and whether the lock is held. Who waits keeps its bit until it has the
 * lock; so a wake-up that comes to nothing, since another thread was quicker, is followed by one when that
 * thread releases it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define LOCK_THREADS 8u /* vCPUs have the numbers 0 to LOCK_THREADS - 1 */

struct lock {
    uint32_t word;  /* atomic */
    uint8_t holder; /* while it is held */
    /* Sleeps until wake() was called for this vCPU after the last return of wait(), or for no reason. */
    void (*wait)(void *context, unsigned cpu);
    void (*wake)(void *context, unsigned cpu);
    void *context;
};

#define LOCK_HELD (1u << 31)

void lock_take_slowly(struct lock *lock, unsigned cpu);
void lock_release_slowly(struct lock *lock, unsigned cpu);

/* A lock that is NULL is none: a machine with one vCPU needs none. Not recursive. */
static inline void lock_take(struct lock *lock, unsigned cpu)
{
    uint32_t expected = 0;

    if (!lock)
        return;
    if (!__atomic_compare_exchange_n(&lock->word, &expected, LOCK_HELD, false, __ATOMIC_ACQUIRE,
                                     __ATOMIC_RELAXED))
        lock_take_slowly(lock, cpu);
    lock->holder = (uint8_t)cpu;
}

static inline void lock_release(struct lock *lock, unsigned cpu)
{
    uint32_t expected = LOCK_HELD;

    if (lock &&
        !__atomic_compare_exchange_n(&lock->word, &expected, 0, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        lock_release_slowly(lock, cpu);
}
