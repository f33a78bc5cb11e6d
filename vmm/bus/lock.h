/* SPDX-License-Identifier: ISC */
/*
 * Mutual exclusion between the threads of the vCPUs. A thread that finds the lock held sleeps until it is
 * released: several vCPUs may share one host CPU, where a thread that spun would only keep the holder from
 * running. The owner supplies the functions to sleep and to wake: a test uses POSIX threads, the monitor
 * notifications.
 *
 * The word has a bit for each vCPU that waits, and one that is set while the lock is held. A waiting thread keeps
 * its bit until it has the lock. So if another thread is quicker than a woken one, that thread wakes it again
 * when it releases the lock.
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

/* NULL is allowed and locks nothing: a machine with one vCPU needs no lock. Not recursive. */
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
