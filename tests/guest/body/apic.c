/* SPDX-License-Identifier: ISC */
/* The local APIC as the tests use it; see apic.h. */
#include "tests/guest/body/apic.h"

#define SVR_ENABLED 0x100u

void apic_enable(void)
{
    lapic_set(APIC_SVR, SVR_ENABLED | 0xff);
    lapic_set(APIC_LVT_TIMER, APIC_MASKED);
    lapic_set(APIC_LVT_LINT0, APIC_MASKED);
    lapic_set(APIC_LVT_LINT1, APIC_MASKED);
    lapic_set(APIC_LVT_ERROR, APIC_MASKED);
    lapic_set(APIC_TPR, 0);
    lapic_set(APIC_TIMER_INITIAL, 0);
    lapic_set(APIC_TIMER_DIVIDE, 0xb);
}

void apic_send_self(uint8_t vector)
{
    lapic_set(APIC_ICR, 0x44000u | vector);
}

uint32_t apic_ticks_of_us(uint32_t us)
{
    static uint32_t per_ms;
    uint32_t rest;

    if (!per_ms) {
        lapic_set(APIC_LVT_TIMER, APIC_MASKED);
        lapic_set(APIC_TIMER_DIVIDE, 0xb);
        lapic_set(APIC_TIMER_INITIAL, 0xffffffffu);
        wait_us(20000);
        per_ms = (0xffffffffu - lapic_get(APIC_TIMER_CURRENT)) / 20;
        lapic_set(APIC_TIMER_INITIAL, 0);
    }
    return (uint32_t)divide((uint64_t)per_ms * us, 1000, &rest);
}
