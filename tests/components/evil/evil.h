/* SPDX-License-Identifier: ISC */
/*
 * What the attacks share: random numbers that are the same in every run, and the count of what went wrong.
 */
#pragma once

#include <stdint.h>

#define EVIL_LINES 10u /* failures that are named */

struct evil {
    uint64_t random;
    unsigned calls, requests;
    unsigned failures;
};

/* xorshift64*: any sequence will do that hits every bit and comes again. */
static inline uint64_t evil_random(struct evil *evil)
{
    uint64_t value = evil->random;
    value ^= value >> 12;
    value ^= value << 25;
    value ^= value >> 27;
    evil->random = value;
    return value * 0x2545f4914f6cdd1du;
}

static inline uint64_t evil_pick(struct evil *evil, const uint64_t *values, uint64_t count)
{
    return values[evil_random(evil) % count];
}

/* kernel.c: every call with capabilities that this component does not have. */
void evil_kernel(struct evil *evil, unsigned calls);
/* requests.c: requests to parent and core that must be denied, and random ones that must do no harm. */
void evil_requests(struct evil *evil, unsigned count);
