/* SPDX-License-Identifier: ISC */
/*
 * Clock: the time of day, each second anew. The session's dataspace is a page with one word, which the server
 * writes and the client reads: the number of the tick in the upper half, seconds since midnight in the lower.
 * The server signals each tick; the client signals nothing. (The header of a session that is no example
 * belongs to base/include/session/.)
 */
#pragma once

#include <stdint.h>

#define CLOCK_SERVICE  "Clock"
#define CLOCK_DONATION 0x1000u /* bytes that a client donates */

static inline void clock_write(void *page, uint64_t word)
{
    __atomic_store_n((uint64_t *)page, word, __ATOMIC_RELAXED);
}

static inline uint64_t clock_read(const void *page)
{
    return __atomic_load_n((const uint64_t *)page, __ATOMIC_RELAXED);
}
