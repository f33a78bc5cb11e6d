/* SPDX-License-Identifier: ISC */
/*
 * How much a component may log: a burst, and then so many bytes a second. All components share the log's
 * serial line, which carries 11,520 bytes a second at 115200 baud. One component gets at most half of the
 * queue for the line, and a quarter of the line.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RATE_BURST  32768u /* bytes */
#define RATE_SECOND 2880u  /* bytes that are allowed anew in a second */
#define RATE_AGAIN  4096u  /* so many at once, after some were dropped */

/* All zero: nothing was logged yet. */
struct rate {
    uint64_t spent;   /* in parts of a byte: tsc_hz of them are one */
    uint64_t since;   /* TSC value up to which `spent` has been paid back */
    uint64_t dropped; /* lines since the last that was let through */
};

/*
 * Whether a line of so many bytes, at most RATE_AGAIN, may be logged at this TSC value; if not, it is counted.
 * *dropped: how many lines were dropped before this one, 0 unless the result is true.
 */
bool rate_take(struct rate *rate, uint64_t now, uint64_t tsc_hz, size_t bytes, uint64_t *dropped)
    __attribute__((warn_unused_result));
