/* SPDX-License-Identifier: ISC */
/*
 * A request to all CPUs, and their answers: the one who asks raises a number and interrupts the others; each
 * of them does what is asked and then says up to which number it has got. It says so with the number that
 * stood there *before* it acted: what was raised in between has to be done again. Used for shootdowns of
 * translations and for grace periods.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The number that an answer has to reach. What is asked for has to be in memory before. */
static inline uint64_t generation_raise(uint64_t *wanted)
{
    return __atomic_add_fetch(wanted, 1, __ATOMIC_SEQ_CST);
}

/* Before acting ... */
static inline uint64_t generation_begin(const uint64_t *wanted)
{
    return __atomic_load_n(wanted, __ATOMIC_SEQ_CST);
}

/* ... and after it. */
static inline void generation_answer(uint64_t *seen, uint64_t begun)
{
    __atomic_store_n(seen, begun, __ATOMIC_RELEASE);
}

static inline bool generation_reached(const uint64_t *seen, uint64_t wanted)
{
    return __atomic_load_n(seen, __ATOMIC_ACQUIRE) >= wanted;
}
