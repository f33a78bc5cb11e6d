/* SPDX-License-Identifier: ISC */
/*
 * Spinning locks. Interrupts are off whenever the kernel runs, so a holder is never interrupted. The paths
 * that run often (IPC, notifications, running a vCPU) take none: what they touch belongs to their CPU, or is
 * one word. All other calls take the kernel's lock; the small locks below may be taken inside it, never the
 * other way round.
 */
#pragma once

#include <stdint.h>

#include "kernel/arch.h"

struct lock {
    uint32_t taken;
};

static inline void lock_take(struct lock *lock)
{
    unsigned looks = 0;

    while (__atomic_exchange_n(&lock->taken, 1, __ATOMIC_ACQUIRE))
        while (__atomic_load_n(&lock->taken, __ATOMIC_RELAXED))
            spin(&looks);
}

static inline void lock_release(struct lock *lock)
{
    __atomic_store_n(&lock->taken, 0, __ATOMIC_RELEASE);
}

/* The lock of all state that does not belong to a CPU: accounts, the contents of spaces, the life and death of
 * objects. First come, first served. A CPU that waits for it still answers the others' shootdowns, since the
 * holder may wait for these answers. */
struct ticket_lock {
    uint32_t next, owner;
};
extern struct ticket_lock kernel_lock_word;

void kernel_lock_wait(uint32_t ticket);

static inline void kernel_lock(void)
{
    uint32_t mine = __atomic_fetch_add(&kernel_lock_word.next, 1, __ATOMIC_RELAXED);

    if (__atomic_load_n(&kernel_lock_word.owner, __ATOMIC_ACQUIRE) != mine)
        kernel_lock_wait(mine);
}

static inline void kernel_unlock(void)
{
    __atomic_store_n(&kernel_lock_word.owner, kernel_lock_word.owner + 1, __ATOMIC_RELEASE);
}
