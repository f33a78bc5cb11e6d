/* SPDX-License-Identifier: ISC */
/*
 * Nanoseconds to periods of a chip's crystal and back.
 *
 * Timers count from the absolute time, never by adding intervals, so that nothing drifts. Whole seconds and
 * the rest are converted apart: all products stay below 2^62, and no 128-bit division is needed.
 */
#pragma once

#include <stdint.h>

#define NS_PER_SECOND UINT64_C(1000000000)

/* The number of periods of a clock of `hz` (1 to 10^9) that are complete at `ns`. Never overflows. */
static inline uint64_t ticks_from_ns(uint64_t ns, uint32_t hz)
{
    return ns / NS_PER_SECOND * hz + ns % NS_PER_SECOND * hz / NS_PER_SECOND;
}

/* The first nanosecond at which `ticks` periods are complete: ticks_from_ns(result, hz) >= ticks, and not one
 * nanosecond before. UINT64_MAX if that lies beyond what 64 bits hold. */
static inline uint64_t ns_from_ticks(uint64_t ticks, uint32_t hz)
{
    uint64_t seconds = ticks / hz;

    if (seconds >= UINT64_MAX / NS_PER_SECOND - 1)
        return UINT64_MAX;
    return seconds * NS_PER_SECOND + (ticks % hz * NS_PER_SECOND + hz - 1) / hz;
}
