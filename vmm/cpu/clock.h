/* SPDX-License-Identifier: ISC */
/*
 * Virtual time: nanoseconds since the VM started, as a function of the processor's TSC and of nothing else.
 *
 * Every conversion starts from the TSC at the VM's start, never from the conversion before it, so that errors
 * do not add up; the factor has 64 significant bits, which keeps the error below a nanosecond for centuries.
 * The frequency is rounded to kHz once, here, because the local APIC counts in kHz: whoever tells the guest
 * about time must use the same one.
 */
#pragma once

#include <stdint.h>

#define CLOCK_NS_PER_S 1000000000u
#define CLOCK_NEVER    UINT64_MAX

struct clock {
    uint64_t start;  /* TSC at virtual time 0 */
    uint64_t hz;     /* a multiple of 1000, at most CLOCK_MAX_HZ */
    uint64_t factor; /* ns = ticks * factor >> shift */
    unsigned shift;
};

/* Largest frequency for which no intermediate product of clock_tsc exceeds 64 bits. */
#define CLOCK_MAX_HZ 18000000000u

static inline uint64_t clock_read_tsc(void)
{
    uint32_t low, high;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

/* floor(NS_PER_S << shift / hz) with the largest shift for which it fits 64 bits; by long division, for the
 * compiler's 128-bit division needs a library that is not there. */
static inline void clock_init(struct clock *clock, uint64_t start, uint64_t tsc_hz)
{
    uint64_t khz = (tsc_hz + 500) / 1000;
    uint64_t hz = khz == 0 ? 1000 : khz > CLOCK_MAX_HZ / 1000 ? CLOCK_MAX_HZ : khz * 1000;
    uint64_t factor = CLOCK_NS_PER_S / hz;
    uint64_t rest = CLOCK_NS_PER_S % hz;
    unsigned shift = 0;

    while (!(factor >> 63) && shift < 100) {
        rest <<= 1;
        factor <<= 1;
        if (rest >= hz) {
            rest -= hz;
            factor |= 1;
        }
        shift++;
    }
    *clock = (struct clock){.start = start, .hz = hz, .factor = factor, .shift = shift};
}

/* Virtual time at a TSC value; 0 for values before the start. */
static inline uint64_t clock_ns(const struct clock *clock, uint64_t tsc)
{
    if (tsc <= clock->start)
        return 0;
    return (uint64_t)((unsigned __int128)(tsc - clock->start) * clock->factor >> clock->shift);
}

static inline uint64_t clock_now(const struct clock *clock)
{
    return clock_ns(clock, clock_read_tsc());
}

/* The first TSC value at which clock_ns is ns or more; CLOCK_NEVER stays CLOCK_NEVER, and so does what is
 * beyond the counter's width. */
static inline uint64_t clock_tsc(const struct clock *clock, uint64_t ns)
{
    uint64_t seconds = ns / CLOCK_NS_PER_S;
    uint64_t ticks = (ns % CLOCK_NS_PER_S * clock->hz + CLOCK_NS_PER_S - 1) / CLOCK_NS_PER_S;
    uint64_t whole, tsc;

    if (ns == CLOCK_NEVER || __builtin_mul_overflow(seconds, clock->hz, &whole) ||
        __builtin_add_overflow(whole, ticks, &whole) || __builtin_add_overflow(whole, clock->start, &tsc))
        return CLOCK_NEVER;
    /* The factor is rounded down, so the product may still be short of a whole nanosecond here. */
    while (tsc != CLOCK_NEVER && clock_ns(clock, tsc) < ns)
        tsc++;
    return tsc;
}
