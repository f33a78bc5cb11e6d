/* SPDX-License-Identifier: ISC */
/* The local APIC as the tests use it. */
#pragma once

#include "tests/guest/guest.h"

#define APIC_ID            0x20u
#define APIC_VERSION       0x30u
#define APIC_TPR           0x80u
#define APIC_PPR           0xa0u
#define APIC_EOI           0xb0u
#define APIC_LDR           0xd0u
#define APIC_DFR           0xe0u
#define APIC_SVR           0xf0u
#define APIC_ISR           0x100u
#define APIC_TMR           0x180u
#define APIC_IRR           0x200u
#define APIC_ESR           0x280u
#define APIC_ICR           0x300u
#define APIC_ICR_HIGH      0x310u
#define APIC_LVT_TIMER     0x320u
#define APIC_LVT_LINT0     0x350u
#define APIC_LVT_LINT1     0x360u
#define APIC_LVT_ERROR     0x370u
#define APIC_TIMER_INITIAL 0x380u
#define APIC_TIMER_CURRENT 0x390u
#define APIC_TIMER_DIVIDE  0x3e0u
#define APIC_MASKED        0x10000u
#define APIC_PERIODIC      0x20000u
#define APIC_DEADLINE      0x40000u
#define APIC_EXTINT        0x700u
#define MSR_APIC_BASE      0x1bu

/* By software; spurious vector 0xff; everything masked, TPR 0, the timer divided by 1. */
void apic_enable(void);
void apic_send_self(uint8_t vector);
/* Ticks of the timer undivided; measured once against the PM timer. */
uint32_t apic_ticks_of_us(uint32_t us);

static inline void apic_eoi(void)
{
    lapic_set(APIC_EOI, 0);
}

/* A bit of IRR, ISR or TMR. */
static inline uint32_t apic_bit(uint32_t registers, uint8_t vector)
{
    return lapic_get(registers + vector / 32 * 16u) >> vector % 32 & 1;
}
