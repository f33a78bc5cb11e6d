/* SPDX-License-Identifier: ISC */
/* The local APIC, in xAPIC mode. See lapic.h. */
#include "kernel/lapic.h"

#include "abi/syscall.h"
#include "kernel/arch.h"
#include "kernel/cpu.h"
#include "kernel/layout.h"
#include "kernel/memory.h"
#include "kernel/print.h"

enum {
    APIC_ID = 0x20,
    APIC_TPR = 0x80,
    APIC_EOI = 0xb0,
    APIC_SVR = 0xf0,
    APIC_ICR_LOW = 0x300,
    APIC_ICR_HIGH = 0x310,
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
#define ICR_NMI          0x400u
#define ICR_INIT         0x500u
#define ICR_STARTUP      0x600u
#define ICR_PENDING      0x1000u
#define ICR_ASSERT       0x4000u
#define ICR_OTHERS       0xc0000u
#define ICR_ID           24
#define APIC_BASE_EXTD   (1ul << 10)
#define APIC_BASE_EN     (1ul << 11)
#define APIC_BASE_MASK   0xffffffffff000ul
#define CALIBRATION_HZ   1000u /* a millisecond */
#define FACTOR_SHIFT     32

static volatile char *registers;
static uint64_t registers_physical;
static uint64_t ticks_factor; /* timer ticks per TSC tick, 32.32 */

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

static void send(uint32_t apic_id, uint32_t command)
{
    while (read(APIC_ICR_LOW) & ICR_PENDING)
        pause();
    write(APIC_ICR_HIGH, apic_id << ICR_ID);
    write(APIC_ICR_LOW, command | ICR_ASSERT);
}

static void interrupt_others_by_nmi(void)
{
    send(0, ICR_NMI | ICR_OTHERS);
}

void lapic_init(void)
{
    uint64_t base = rdmsr(MSR_APIC_BASE);
    struct cpu *cpu = this_cpu();

    if (base & APIC_BASE_EXTD) { /* some firmware leaves x2APIC mode behind; out of it by way of disabled */
        wrmsr(MSR_APIC_BASE, base & ~(APIC_BASE_EXTD | APIC_BASE_EN));
        wrmsr(MSR_APIC_BASE, (base & ~APIC_BASE_EXTD) | APIC_BASE_EN);
    }
    if (!registers) {
        registers_physical = base & APIC_BASE_MASK;
        registers = memory_map_device(registers_physical);
        panic_interrupts_others = interrupt_others_by_nmi;
    } else { /* all stand at the same address, wherever firmware has left this one */
        wrmsr(MSR_APIC_BASE, (rdmsr(MSR_APIC_BASE) & ~APIC_BASE_MASK) | registers_physical);
    }
    write(APIC_SVR, SVR_ENABLE | VECTOR_SPURIOUS);
    write(APIC_TPR, 0);
    write(APIC_LVT_LINT0, LVT_MASKED);
    write(APIC_LVT_LINT1, LVT_NMI);
    write(APIC_LVT_ERROR, LVT_MASKED);
    write(APIC_TIMER_DIVIDE, DIVIDE_BY_1);
    write(APIC_LVT_TIMER, LVT_MASKED);
    if (!cpu_features.tsc_deadline && !ticks_factor)
        calibrate();
    write(APIC_LVT_TIMER, VECTOR_TIMER | (cpu_features.tsc_deadline ? LVT_TSC_DEADLINE : 0));
    cpu->timer_set = DEADLINE_NEVER;
    cpu->apic_id = lapic_id();
}

void lapic_interrupt(uint32_t apic_id)
{
    send(apic_id, VECTOR_IPI);
}

static void wait_microseconds(uint64_t count)
{
    uint64_t end = rdtsc() + cpu_features.tsc_hz / 1000000 * count;

    while (rdtsc() < end)
        pause();
}

/* Intel SDM vol. 3, 9.4.4.1: INIT, ten milliseconds, start-up twice. */
void lapic_start_processor(uint32_t apic_id, uint32_t page)
{
    send(apic_id, ICR_INIT);
    wait_microseconds(10000);
    for (unsigned i = 0; i < 2; i++) {
        send(apic_id, ICR_STARTUP | page);
        wait_microseconds(200);
    }
}

void lapic_stop_processor(uint32_t apic_id)
{
    send(apic_id, ICR_INIT);
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
    this_cpu()->timer_set = DEADLINE_NEVER;
}

void lapic_set_timer(uint64_t when)
{
    struct cpu *cpu = this_cpu();
    uint64_t now, ticks;

    if (when == cpu->timer_set)
        return;
    cpu->timer_set = when;
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
