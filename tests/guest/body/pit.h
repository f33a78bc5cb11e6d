/* SPDX-License-Identifier: ISC */
/* The 8254 as the tests use it. */
#pragma once

#include "tests/guest/guest.h"

#define PIT_HZ      1193182u
#define PIT(n)      (0x40u + (n))
#define PIT_CONTROL 0x43u

static inline void pit_load(unsigned channel, unsigned mode, uint32_t value)
{
    out8(PIT_CONTROL, (uint8_t)(channel << 6 | 0x30 | mode << 1));
    out8((uint16_t)PIT(channel), (uint8_t)value);
    out8((uint16_t)PIT(channel), (uint8_t)(value >> 8));
}

static inline uint32_t pit_ticks(uint32_t us)
{
    return (uint32_t)(((uint64_t)us * 1222) >> 10);
}

/* Channel 0: a pulse each so many us; a rising edge after so many; its output low. */
static inline void pit_periodic(uint32_t us)
{
    pit_load(0, 2, pit_ticks(us));
}

static inline void pit_once(uint32_t us)
{
    pit_load(0, 0, pit_ticks(us));
}

static inline void pit_stop(void)
{
    out8(PIT_CONTROL, 0x30); /* mode 0 without a count: the output is low and stays so */
}

/* Low for 50 ms, where the above does not suffice (QEMU looks at the mode only with the count). */
static inline void pit_low(void)
{
    pit_load(0, 0, 0);
}
