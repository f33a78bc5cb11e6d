/* SPDX-License-Identifier: ISC */
/*
 * Notifications: a word of 64 bits that signals set and a wait takes. One EC waits at a time.
 *
 * There is no lock. The word is atomic; `waiter` is set by the EC that comes to wait and cleared by its own
 * CPU; `home` is the CPU that last came to take the word. Who takes it says so before looking at the word,
 * who signals looks for the home after setting it: so one of the two sees the other, and no signal is missed.
 * One signal interrupts the home, and no other one until somebody has come again or waits: who signals in a
 * loop does not have the other CPU.
 *
 * A wait may leave bits alone. They stay set and wake nobody: a signaller on any CPU compares the word, which
 * it has changed, with the `leaves` of the waiter that it finds. If that EC has begun another wait meanwhile,
 * it did so after the word was changed, and has looked at the word itself.
 */
#pragma once

#include <stddef.h>

#include "kernel/object.h"

struct ec;

struct nt {
    struct object object;
    uint64_t word;
    struct ec *waiter; /* not referenced: cleared when it wakes or dies */
    uint32_t home;     /* number of a CPU; NT_TOLD: interrupted since somebody has come there */
};

#define NT_TOLD (1u << 31)

struct nt *nt_create(struct account *account) must_check;
extern const struct object_operations nt_operations;

/* Set bits; wakes who waits. */
void nt_signal(struct nt *nt, uint64_t bits);

/* Wake the EC that waits, on this CPU or another, if a bit that it does not leave is set or the notification
 * is dead. */
void nt_wake(struct nt *nt);

/* This CPU is about to look at the word. */
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

/* Become the one who waits, for all bits but those in ec->leaves. False: somebody else does. */
static inline bool nt_enter(struct nt *nt, struct ec *ec)
{
    struct ec *nobody = NULL;

    return __atomic_compare_exchange_n(&nt->waiter, &nobody, ec, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

static inline void nt_leave(struct nt *nt)
{
    __atomic_store_n(&nt->waiter, NULL, __ATOMIC_RELEASE);
}

/* Having entered: there is nothing to see, and whoever signals from now on sees the waiter. False: it has
 * left again, and looks once more. */
static inline bool nt_is_quiet(struct nt *nt, uint64_t leaves)
{
    if (!(__atomic_load_n(&nt->word, __ATOMIC_ACQUIRE) & ~leaves) && !nt->object.dead)
        return true;
    nt_leave(nt);
    return false;
}
