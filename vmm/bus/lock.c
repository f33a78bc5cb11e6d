/* SPDX-License-Identifier: ISC */
/*
 * The contended paths of the lock; see lock.h.
 */
#include "vmm/bus/lock.h"

/* In this order after the releasing thread, so no thread is passed over for ever. */
static unsigned next_waiter(uint32_t word, unsigned cpu)
{
    for (unsigned i = 1; i <= LOCK_THREADS; i++)
        if (word >> (cpu + i) % LOCK_THREADS & 1)
            return (cpu + i) % LOCK_THREADS;
    return cpu;
}

void lock_take_slowly(struct lock *lock, unsigned cpu)
{
    uint32_t own = 1u << cpu % LOCK_THREADS;
    uint32_t word = __atomic_or_fetch(&lock->word, own, __ATOMIC_RELAXED);

    for (;;) {
        if (word & LOCK_HELD) {
            lock->wait(lock->context, cpu);
            word = __atomic_load_n(&lock->word, __ATOMIC_RELAXED);
        } else if (__atomic_compare_exchange_n(&lock->word, &word, (word | LOCK_HELD) & ~own, false,
                                               __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
            return;
        }
    }
}

void lock_release_slowly(struct lock *lock, unsigned cpu)
{
    uint32_t word = __atomic_and_fetch(&lock->word, ~LOCK_HELD, __ATOMIC_RELEASE);

    if (word)
        lock->wake(lock->context, next_waiter(word, cpu));
}
