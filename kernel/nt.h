/* SPDX-License-Identifier: ISC */
/*
 * Notifications: a word of 64 bits that signals set and a wait takes. One EC waits at a time.
 *
 * There is no lock. The word is atomic; `waiter` is set by the EC that comes to wait and cleared by its own
 * CPU; `home` is the CPU that last came to take the word. A taker sets `home` and then reads the word; a
 * signaller sets the word and then reads `home`. So one of the two sees the other, and no signal is missed. One
 * signal interrupts the home, and no other one does until an EC has come to the word again or waits. So a CPU
 * that signals in a loop does not keep the other one busy.
 *
 * A wait may leave bits alone. They stay set and wake no EC: a signaller on any CPU compares the word, which it
 * has changed, with the `leaves` of the waiter that it finds. If that EC has begun another wait meanwhile, it
 * did so after the word was changed, and has read the word itself.
 */
#pragma once

#include <stddef.h>

#include "kernel/object.h"

struct ec;

struct nt {
    struct object object;
    uint64_t word;
    struct ec *waiter; /* not referenced: cleared when it wakes or dies */
    uint32_t home;     /* number of a CPU; NT_TOLD: interrupted since an EC has come there */
};

#define NT_TOLD (1u << 31)

struct nt *nt_create(struct account *account) must_check;
extern const struct object_operations nt_operations;

/* Set bits; wakes the EC that waits. */
void nt_signal(struct nt *nt, uint64_t bits);

/* Wake the EC that waits, on this CPU or another, if a bit that it does not leave is set or the notification
 * is dead. */
void nt_wake(struct nt *nt);

/* This CPU is about to read the word. */
static inline void nt_claim(struct nt *nt, uint32_t cpu)
{
    if (__atomic_load_n(&nt->home, __ATOMIC_RELAXED) != cpu)
        __atomic_exchange_n(&nt->home, cpu, __ATOMIC_SEQ_CST);
}

/* Take the bits but for those in `leaves`; 0: there are none. */
static inline uint64_t nt_take(struct nt *nt, uint64_t leaves)
{
    if (!(__atomic_load_n(&nt->word, __ATOMIC_ACQUIRE) & ~leaves))
        return 0;
    if (!leaves)
        return __atomic_exchange_n(&nt->word, 0, __ATOMIC_ACQ_REL);
    return __atomic_fetch_and(&nt->word, leaves, __ATOMIC_ACQ_REL) & ~leaves;
}

/* Become the waiter, for all bits but those in ec->leaves. False: another EC waits. */
static inline bool nt_enter(struct nt *nt, struct ec *ec)
{
    struct ec *nobody = NULL;

    return __atomic_compare_exchange_n(&nt->waiter, &nobody, ec, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

static inline void nt_leave(struct nt *nt)
{
    __atomic_store_n(&nt->waiter, NULL, __ATOMIC_RELEASE);
}

/* After entering. True: there are no bits, and every signaller from now on sees the waiter. False: the EC has
 * left again and must read the word once more. */
static inline bool nt_is_quiet(struct nt *nt, uint64_t leaves)
{
    if (!(__atomic_load_n(&nt->word, __ATOMIC_ACQUIRE) & ~leaves) && !nt->object.dead)
        return true;
    nt_leave(nt);
    return false;
}
