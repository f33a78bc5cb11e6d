/* SPDX-License-Identifier: ISC */
/*
 * Notifications: a word of 64 bits that signals set and a wait takes. One EC waits at a time.
 *
 * There is no lock. The word is atomic; `waiter` is set by the EC that comes to wait and cleared by its own
 * CPU; `home` is the CPU that last came to take the word. Who takes it says so before looking at the word,
 * who signals looks for the home after setting it: so one of the two sees the other, and no signal is missed.
 * One signal interrupts the home, and no other one until somebody has come again or waits: who signals in a
 * loop does not have the other CPU.
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

/* Wake who waits, on this CPU or another. */
void nt_wake(struct nt *nt);

/* This CPU is about to look at the word. */
static inline void nt_claim(struct nt *nt, uint32_t cpu)
{
    if (__atomic_load_n(&nt->home, __ATOMIC_RELAXED) != cpu)
        __atomic_exchange_n(&nt->home, cpu, __ATOMIC_SEQ_CST);
}

/* Take the bits; 0: there are none. */
static inline uint64_t nt_take(struct nt *nt)
{
    return __atomic_load_n(&nt->word, __ATOMIC_ACQUIRE) ? __atomic_exchange_n(&nt->word, 0, __ATOMIC_ACQ_REL)
                                                        : 0;
}

/* Become the one who waits. False: somebody else does. */
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
static inline bool nt_is_quiet(struct nt *nt)
{
    if (!__atomic_load_n(&nt->word, __ATOMIC_ACQUIRE) && !nt->object.dead)
        return true;
    nt_leave(nt);
    return false;
}
