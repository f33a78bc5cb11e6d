/* SPDX-License-Identifier: ISC */
/* The local APIC, in xAPIC mode. See lapic.h. */
#include "kernel/lapic.h"

#include "abi/syscall.h"
#include "kernel/arch.h"
#include "kernel/cpu.h"
#include "kernel/layout.h"
#include "kernel/memory.h"

enum {
    APIC_ID = 0x20,
    APIC_TPR = 0x80,
    APIC_EOI = 0xb0,
    APIC_SVR = 0xf0,
    APIC_LVT_TIMER = 0x320,
    APIC_LVT_LINT0 = 0x350,
    APIC_LVT_LINT1 = 0x360,
    APIC_LVT_ERROR = 0x370,
    APIC_TIMER_INITIAL = 0x380,
    APIC_TIMER_CURRENT = 0x390,
    APIC_TIMER_DIVIDE = 0x3e0,
};

#define SVR_ENABLE       0x100u
#define LVT_MASKED       0x10000u
#define LVT_NMI          0x400u
#define LVT_TSC_DEADLINE 0x40000u
#define DIVIDE_BY_1      0xbu
#define APIC_BASE_EXTD   (1ul << 10)
#define APIC_BASE_EN     (1ul << 11)
#define APIC_BASE_MASK   0xffffffffff000ul
#define CALIBRATION_HZ   1000u /* a millisecond */
#define FACTOR_SHIFT     32

static volatile char *registers;
static uint64_t ticks_factor; /* timer ticks per TSC tick, 32.32 */
static uint64_t programmed;   /* what the timer is set to */

static void write(unsigned offset, uint32_t value)
{
    *(volatile uint32_t *)(registers + offset) = value;
}

static uint32_t read(unsigned offset)
{
    return *(volatile uint32_t *)(registers + offset);
}

static void calibrate(void)
{
    uint64_t start = rdtsc(), ticks = cpu_features.tsc_hz / CALIBRATION_HZ, elapsed;
    uint32_t counted;

    write(APIC_TIMER_INITIAL, UINT32_MAX);
    do
        elapsed = rdtsc() - start;
    while (elapsed < ticks);
    counted = UINT32_MAX - read(APIC_TIMER_CURRENT);
    elapsed = rdtsc() - start;
    write(APIC_TIMER_INITIAL, 0);
    ticks_factor = ((uint64_t)counted << FACTOR_SHIFT) / elapsed;
    if (!ticks_factor)
        ticks_factor = 1;
}

void lapic_init(void)
{
    uint64_t base = rdmsr(MSR_APIC_BASE);

    if (base & APIC_BASE_EXTD) { /* some firmware leaves x2APIC mode behind; out of it by way of disabled */
        wrmsr(MSR_APIC_BASE, base & ~(APIC_BASE_EXTD | APIC_BASE_EN));
        wrmsr(MSR_APIC_BASE, (base & ~APIC_BASE_EXTD) | APIC_BASE_EN);
    }
    registers = memory_map_device(base & APIC_BASE_MASK);
    write(APIC_SVR, SVR_ENABLE | VECTOR_SPURIOUS);
    write(APIC_TPR, 0);
    write(APIC_LVT_LINT0, LVT_MASKED);
    write(APIC_LVT_LINT1, LVT_NMI);
    write(APIC_LVT_ERROR, LVT_MASKED);
    write(APIC_TIMER_DIVIDE, DIVIDE_BY_1);
    write(APIC_LVT_TIMER, LVT_MASKED);
    if (!cpu_features.tsc_deadline)
        calibrate();
    write(APIC_LVT_TIMER, VECTOR_TIMER | (cpu_features.tsc_deadline ? LVT_TSC_DEADLINE : 0));
    programmed = DEADLINE_NEVER;
}

uint32_t lapic_id(void)
{
    return read(APIC_ID) >> 24;
}

void lapic_end_of_interrupt(void)
{
    write(APIC_EOI, 0);
}

void lapic_timer_fired(void)
{
    programmed = DEADLINE_NEVER;
}

void lapic_set_timer(uint64_t when)
{
    uint64_t now, ticks;

    if (when == programmed)
        return;
    programmed = when;
    if (cpu_features.tsc_deadline) {
        wrmsr(MSR_TSC_DEADLINE, when == DEADLINE_NEVER ? 0 : when);
        return;
    }
    if (when == DEADLINE_NEVER) {
        write(APIC_TIMER_INITIAL, 0);
        return;
    }
    now = rdtsc();
    if (when <= now) {
        ticks = 1;
    } else if (when - now >= (uint64_t)UINT32_MAX << 16) {
        ticks = UINT32_MAX;
    } else {
        ticks = (uint64_t)((unsigned __int128)(when - now) * ticks_factor >> FACTOR_SHIFT) + 1;
        if (ticks > UINT32_MAX)
            ticks = UINT32_MAX;
    }
    write(APIC_TIMER_INITIAL, (uint32_t)ticks);
}
