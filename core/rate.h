/* SPDX-License-Identifier: ISC */
/*
 * How much a component may say on the log: a burst, and then so many lines a second. The log is the slowest
 * thing there is, everybody's, and kept by somebody; a guest that floods its console must not be able to fill
 * it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define RATE_BURST  2000u /* lines */
#define RATE_SECOND 400u  /* lines that are allowed anew in a second */
#define RATE_AGAIN  100u  /* so many at once, after some were dropped */

/* All zero: nothing was said yet. */
struct rate {
    uint64_t spent;   /* in parts of a line: tsc_hz of them are one */
    uint64_t since;   /* TSC value up to which `spent` has been paid back */
    uint64_t dropped; /* lines since the last that was let through */
};

/*
 * Whether a line may be said at this TSC value; if not, it is counted. *dropped: how many were not said
 * before this one, 0 unless the result is true.
 */
bool rate_take(struct rate *rate, uint64_t now, uint64_t tsc_hz, uint64_t *dropped)
    __attribute__((warn_unused_result));
