/* SPDX-License-Identifier: ISC */
/* The local APIC's modes, the I/O APIC and the 8259s; the 8254's channel 0 is the line that they look at. */
#include "tests/guest/body/apic.h"
#include "tests/guest/body/pit.h"
#include "tests/guest/body/suites.h"

#define VECTOR       0x44u
#define BASE_ENABLED 0x800ull
#define BASE_X2APIC  0x400ull
#define X2(offset)   (0x800u + (offset) / 16)
#define X2_SELF_IPI  0x83fu
#define CPUID_X2APIC (1u << 21)
#define CPUID_TSC_DL (1u << 24)
#define CPUID_APIC   (1u << 9)
#define MSR_DEADLINE 0x6e0u
#define PIC1         0x20u
#define READ_IRR     0x0au
#define READ_ISR     0x0bu
#define PIN          2u /* the 8254's, at the I/O APIC */
#define LEVEL        0x8000u
#define REMOTE_IRR   0x4000u
#define LOGICAL      0x800u

static volatile uint32_t count;
static volatile uint32_t line_eoi; /* 1: to the APIC, 2: to the 8259, 0: none */

static void counted(struct frame *frame)
{
    (void)frame;
    count++;
    if (line_eoi == 1)
        apic_eoi();
    if (line_eoi == 2)
        pic_eoi(0);
}

/* Interrupts on for so long. */
static uint32_t count_for(uint32_t us)
{
    count = 0;
    irq_on();
    wait_us(us);
    irq_off();
    return count;
}

static void prepare(unsigned vector, uint32_t eoi)
{
    apic_enable();
    trap_handlers[vector] = counted;
    line_eoi = eoi;
    count = 0;
}

static void timer_once(void)
{
    uint32_t ticks = apic_ticks_of_us(2000);

    prepare(VECTOR, 1);
    lapic_set(APIC_LVT_TIMER, VECTOR);
    lapic_set(APIC_TIMER_INITIAL, ticks);
    (void)expect("before its time", 0, count_for(1000));
    (void)expect("in its time", 1, count_for(8000));
    (void)expect("current count at the end", 0, lapic_get(APIC_TIMER_CURRENT));
    lapic_set(APIC_LVT_TIMER, VECTOR | APIC_MASKED);
    lapic_set(APIC_TIMER_INITIAL, ticks);
    (void)expect("masked", 0, count_for(4000));
    lapic_set(APIC_LVT_TIMER, VECTOR);
    lapic_set(APIC_TIMER_INITIAL, ticks);
    lapic_set(APIC_TIMER_INITIAL, 0);
    (void)expect("stopped", 0, count_for(4000));
    lapic_set(APIC_TIMER_DIVIDE, 0);
    lapic_set(APIC_TIMER_INITIAL, ticks);
    (void)expect("divided by 2, before", 0, count_for(3000));
    (void)expect("divided by 2, after", 1, count_for(9000));
}

static void timer_periodic(void)
{
    uint32_t ticks = apic_ticks_of_us(1000);

    prepare(VECTOR, 1);
    lapic_set(APIC_LVT_TIMER, VECTOR | APIC_PERIODIC);
    lapic_set(APIC_TIMER_INITIAL, ticks);
    (void)expect_between("interrupts in 20 ms", 12, 22, count_for(20000));
    (void)expect("initial count", ticks, lapic_get(APIC_TIMER_INITIAL));
    lapic_set(APIC_LVT_TIMER, VECTOR);
    (void)expect_between("one-shot from now on, and one that waited", 0, 2, count_for(3000));
    (void)expect("no more after it", 0, count_for(4000));
}

static void timer_deadline(void)
{
    uint64_t start;

    if (!(cpuid(1, 0).ecx & CPUID_TSC_DL)) {
        test_skip("CPUID offers no TSC deadline");
        return;
    }
    prepare(VECTOR, 1);
    start = rdtsc();
    wait_us(3000);
    lapic_set(APIC_LVT_TIMER, VECTOR | APIC_DEADLINE);
    wrmsr(MSR_DEADLINE, rdtsc() + (rdtsc() - start));
    (void)expect("before its time", 0, count_for(1000));
    (void)expect("in its time", 1, count_for(9000));
    (void)expect("deadline afterwards", 0, rdmsr(MSR_DEADLINE));
    wrmsr(MSR_DEADLINE, 1);
    (void)expect("a deadline in the past", 1, count_for(500));
    wrmsr(MSR_DEADLINE, rdtsc() + (rdtsc() - start));
    wrmsr(MSR_DEADLINE, 0);
    (void)expect("disarmed", 0, count_for(9000));
    lapic_set(APIC_LVT_TIMER, APIC_MASKED);
}

/* SVR's bit 8: what is off masks its LVTs and keeps them so. */
static void software_disabled(void)
{
    prepare(VECTOR, 1);
    lapic_set(APIC_LVT_TIMER, VECTOR | APIC_PERIODIC);
    lapic_set(APIC_SVR, 0xff);
    (void)expect("mask of the timer", APIC_MASKED, lapic_get(APIC_LVT_TIMER) & APIC_MASKED);
    lapic_set(APIC_LVT_TIMER, VECTOR);
    (void)expect("mask that cannot be cleared", APIC_MASKED, lapic_get(APIC_LVT_TIMER) & APIC_MASKED);
    apic_enable();
}

static void registers(void)
{
    prepare(VECTOR, 1);
    (void)expect("version", 0x14, lapic_get(APIC_VERSION) & 0xf4u);
    lapic_set(APIC_VERSION, 0);
    (void)expect("version after a write", 0x14, lapic_get(APIC_VERSION) & 0xf4u);
    lapic_set(APIC_LDR, 0xff123456u);
    (void)expect("LDR", 0xff000000u, lapic_get(APIC_LDR));
    lapic_set(APIC_DFR, 0);
    (void)expect("DFR", 0x0fffffffu, lapic_get(APIC_DFR));
    lapic_set(APIC_DFR, 0xffffffffu);
    lapic_set(APIC_TPR, 0x5a);
    (void)expect("TPR", 0x5a, lapic_get(APIC_TPR));
    (void)expect("PPR", 0x5a, lapic_get(APIC_PPR));
    lapic_set(APIC_TPR, 0);
}

/* A message to all the ways of naming ourselves, and to others. */
static void destinations(void)
{
    uint32_t id = lapic_get(APIC_ID) >> 24;

    prepare(VECTOR, 1);
    lapic_set(APIC_LDR, 0x04000000);
    lapic_set(APIC_DFR, 0xffffffffu);
#define SEND(high, low)                                                                                      \
    (lapic_set(APIC_ICR_HIGH, (uint32_t)(high) << 24), lapic_set(APIC_ICR, (low) | VECTOR), count_for(100))
    (void)expect("physical", 1, SEND(id, 0));
    (void)expect("physical, everybody", 1, SEND(0xff, 0));
    (void)expect("physical, another", 0, SEND(id ^ 1, 0));
    (void)expect("flat", 1, SEND(0x0c, LOGICAL));
    (void)expect("flat, another", 0, SEND(0x0b, LOGICAL));
    (void)expect("all with ourselves", 1, SEND(0, 2u << 18));
    (void)expect("all but ourselves", 0, SEND(0, 3u << 18));
    (void)expect("lowest priority", 1, SEND(0x04, LOGICAL | 0x100));
    lapic_set(APIC_DFR, 0x0fffffff);
    lapic_set(APIC_LDR, 0x24000000);
    (void)expect("cluster", 1, SEND(0x26, LOGICAL));
    (void)expect("another of the cluster", 0, SEND(0x22, LOGICAL));
    (void)expect("another cluster", 0, SEND(0x14, LOGICAL));
    lapic_set(APIC_DFR, 0xffffffffu);
}

/* A vector below 16 is an error. */
static void illegal_vector(void)
{
    prepare(VECTOR, 1);
    lapic_set(APIC_LVT_ERROR, VECTOR);
    lapic_set(APIC_ESR, 0);
    lapic_set(APIC_ESR, 0);
    trap_handlers[5] = counted; /* QEMU delivers it */
    lapic_set(APIC_ICR, 0x44000 | 5);
    (void)expect("error interrupts", 1, count_for(100));
    trap_handlers[5] = NULL;
    lapic_set(APIC_ESR, 0);
    (void)expect("ESR: send illegal vector", 0x20, lapic_get(APIC_ESR) & 0x60u);
    lapic_set(APIC_LVT_ERROR, APIC_MASKED);
}

static void x2apic(void)
{
    uint64_t base = rdmsr(MSR_APIC_BASE);

    if (!(cpuid(1, 0).ecx & CPUID_X2APIC)) {
        test_skip("CPUID offers no x2APIC");
        return;
    }
    prepare(VECTOR, 0);
    wrmsr(MSR_APIC_BASE, base | BASE_X2APIC);
    (void)expect("ID", 0, rdmsr(X2(APIC_ID)));
    (void)expect("LDR", 1, rdmsr(X2(APIC_LDR)));
    wrmsr(X2(APIC_TPR), 0x30);
    (void)expect("TPR", 0x30, rdmsr(X2(APIC_TPR)));
    wrmsr(X2(APIC_TPR), 0);
    wrmsr(X2_SELF_IPI, VECTOR);
    (void)expect("self-IPI", 1, count_for(100));
    (void)expect("in service", 1u << (VECTOR & 31), rdmsr(X2(APIC_ISR + VECTOR / 32 * 16)));
    wrmsr(X2(APIC_EOI), 0);
    (void)expect("after EOI", 0, rdmsr(X2(APIC_ISR + VECTOR / 32 * 16)));
    wrmsr(X2(APIC_ICR), 0x44000 | VECTOR);
    (void)expect("ICR in one write", 1, count_for(100));
    wrmsr(X2(APIC_EOI), 0);
    TRAP("wrmsr", : : "a"(1), "d"(0), "c"(X2(APIC_EOI)) : "memory");
    (void)expect_trap("EOI of 1", VECTOR_GP, 0);
    TRAP("rdmsr", : : "c"(X2(APIC_EOI)) : "eax", "edx", "memory");
    (void)expect_trap("read of EOI", VECTOR_GP, 0);
    TRAP("rdmsr", : : "c"(X2(APIC_DFR)) : "eax", "edx", "memory");
    (void)expect_trap("DFR, which is not there", VECTOR_GP, 0);
    TRAP("wrmsr", : : "a"((uint32_t)base | (uint32_t)BASE_ENABLED), "d"(0), "c"(MSR_APIC_BASE) : "memory");
    (void)expect_trap("back to xAPIC at once", VECTOR_GP, 0);
    wrmsr(MSR_APIC_BASE, base & ~(BASE_ENABLED | BASE_X2APIC));
    wrmsr(MSR_APIC_BASE, base);
    apic_enable();
    (void)expect("xAPIC again", 0x14, lapic_get(APIC_VERSION) & 0xf4u);
}

/* ---- the 8259s */

static void pic_lines(void)
{
    prepare(VECTOR_PIC, 2);
    lapic_set(APIC_LVT_LINT0, APIC_EXTINT);
    pic_init();
    pit_periodic(1000);
    (void)expect("masked at the 8259", 0, count_for(5000));
    pic_mask(0, false);
    (void)expect_between("through LINT0, 20 ms", 12, 23, count_for(20000));
    lapic_set(APIC_LVT_LINT0, APIC_EXTINT | APIC_MASKED);
    (void)expect_between("masked at LINT0", 0, 1, count_for(5000));
    lapic_set(APIC_LVT_LINT0, APIC_EXTINT);
    pic_mask(0, true);
    pit_stop();
}

static void pic_registers(void)
{
    pic_init();
    pit_low();
    out8(PIC1, READ_IRR);
    (void)expect("IRR, line low", 0, in8(PIC1) & 1u);
    pit_once(200);
    wait_us(2000);
    (void)expect("IRR, line high", 1, in8(PIC1) & 1u);
    (void)expect("mask as written", 0xfb, in8(PIC1 + 1));
    prepare(VECTOR_PIC, 0);
    lapic_set(APIC_LVT_LINT0, APIC_EXTINT);
    pic_mask(0, false);
    (void)expect("interrupts", 1, count_for(500));
    (void)expect("IRR, taken", 0, in8(PIC1) & 1u);
    out8(PIC1, READ_ISR);
    (void)expect("ISR", 1, in8(PIC1));
    pit_periodic(500);
    (void)expect("none before EOI", 0, count_for(4000));
    out8(PIC1, 0x60); /* specific EOI */
    (void)expect("ISR after EOI", 0, in8(PIC1));
    (void)expect("the one that waited", 1, count_for(2000));
    out8(PIC1, 0x20);
    pic_mask(0, true);
    pit_stop();
}

static void pic_automatic(void)
{
    prepare(VECTOR_PIC, 0);
    lapic_set(APIC_LVT_LINT0, APIC_EXTINT);
    pic_init();
    out8(PIC1, 0x11);
    out8(PIC1 + 1, VECTOR_PIC);
    out8(PIC1 + 1, 4);
    out8(PIC1 + 1, 3); /* automatic EOI */
    out8(PIC1 + 1, 0xfe);
    pit_periodic(1000);
    (void)expect_between("interrupts in 20 ms", 12, 23, count_for(20000));
    pit_stop();
    pic_init();
}

/* Poll: no interrupt is taken, the read does what INTA does. */
static void pic_poll(void)
{
    pic_init();
    pit_low();
    pic_init();
    pic_mask(0, false);
    out8(PIC1, 0x0c);
    (void)expect("nothing waits", 0, in8(PIC1) & 0x80u);
    pit_once(200);
    wait_us(2000);
    out8(PIC1, 0x0c);
    (void)expect("line 0 waits", 0x80, in8(PIC1));
    out8(PIC1, READ_ISR);
    (void)expect("in service by the poll", 1, in8(PIC1));
    out8(PIC1, 0x20);
    pic_init();
    pit_stop();
}

/* With the APIC off by its MSR the 8259s reach the processor by themselves. */
static void apic_off(void)
{
    uint64_t base = rdmsr(MSR_APIC_BASE);

    prepare(VECTOR_PIC, 2);
    pic_init();
    wrmsr(MSR_APIC_BASE, base & ~BASE_ENABLED);
    (void)expect("CPUID's bit", 0, cpuid(1, 0).edx & CPUID_APIC);
    pic_mask(0, false);
    pit_periodic(1000);
    (void)expect_between("interrupts in 20 ms", 12, 23, count_for(20000));
    pit_stop();
    pic_init();
    wrmsr(MSR_APIC_BASE, base);
    (void)expect("CPUID's bit again", CPUID_APIC, cpuid(1, 0).edx & CPUID_APIC);
    apic_enable();
}

/* ---- the I/O APIC */

static uint32_t ioapic_get(uint32_t index)
{
    *mmio32(IOAPIC_BASE) = index;
    return *mmio32(IOAPIC_BASE + 0x10);
}

static void ioapic_set(uint32_t index, uint32_t value)
{
    *mmio32(IOAPIC_BASE) = index;
    *mmio32(IOAPIC_BASE + 0x10) = value;
}

static void redirect(uint32_t low, uint32_t destination)
{
    ioapic_set(0x11 + 2 * PIN, destination << 24);
    ioapic_set(0x10 + 2 * PIN, low);
}

static void ioapic_registers(void)
{
    (void)expect("entries", 23, ioapic_get(1) >> 16 & 0xffu);
    (void)expect_between("version", 0x11, 0x20, ioapic_get(1) & 0xffu);
    redirect(0xffffffffu, 0xab);
    (void)expect("entry, low: what can be written", 0x1afff, ioapic_get(0x10 + 2 * PIN));
    (void)expect("entry, high", 0xab, ioapic_get(0x11 + 2 * PIN) >> 24);
    redirect(0x10000, 0);
    (void)expect("index", 0x10 + 2 * PIN, *mmio32(IOAPIC_BASE) & 0xffu);
}

static void ioapic_edge(void)
{
    uint32_t id = lapic_get(APIC_ID) >> 24;

    prepare(VECTOR, 1);
    pic_init();
    redirect(VECTOR, id);
    pit_periodic(1000);
    (void)expect_between("interrupts in 20 ms", 12, 23, count_for(20000));
    redirect(VECTOR | APIC_MASKED, id);
    (void)expect_between("masked", 0, 1, count_for(5000));
    redirect(VECTOR, id ^ 1);
    (void)expect_between("to another", 0, 1, count_for(5000));
    lapic_set(APIC_LDR, 0x02000000);
    redirect(VECTOR | LOGICAL, 0x0a);
    (void)expect_between("logical", 3, 8, count_for(5000));
    redirect(VECTOR | LOGICAL | 0x100, 0xff);
    (void)expect_between("lowest priority", 3, 8, count_for(5000));
    redirect(0x10000, 0);
    pit_stop();
}

/* Mode 0's output stays high: a level. One interrupt an EOI as long as it does, none without. */
static void ioapic_level(void)
{
    prepare(VECTOR, 0);
    pic_init();
    pit_low();
    redirect(VECTOR | LEVEL, lapic_get(APIC_ID) >> 24);
    pit_once(200);
    (void)expect("one without EOI", 1, count_for(3000));
    (void)expect("remote IRR", REMOTE_IRR, ioapic_get(0x10 + 2 * PIN) & REMOTE_IRR);
    (void)expect("TMR", 1, apic_bit(APIC_TMR, VECTOR));
    apic_eoi();
    (void)expect("another after EOI", 1, count_for(500));
    pit_low();
    apic_eoi();
    (void)expect("none, for the line is low", 0, count_for(500));
    (void)expect("remote IRR at the end", 0, ioapic_get(0x10 + 2 * PIN) & REMOTE_IRR);
    redirect(0x10000, 0);
    apic_enable();
}

static void ioapic_nmi(void)
{
    prepare(VECTOR_NMI, 0);
    pit_low();
    redirect(0x400, lapic_get(APIC_ID) >> 24);
    pit_once(200);
    wait_us(3000);
    (void)expect("NMIs", 1, count);
    redirect(0x10000, 0);
    pit_stop();
    trap_handlers[VECTOR_NMI] = NULL;
}

const struct test apic_tests[] = {
    {"apic.one-shot", timer_once},
    {"apic.periodic", timer_periodic},
    {"apic.deadline", timer_deadline},
    {"apic.software-disabled", software_disabled},
    {"apic.registers", registers},
    {"apic.destinations", destinations},
    {"apic.illegal-vector", illegal_vector},
    {"apic.x2apic", x2apic},
    {"pic.lines", pic_lines},
    {"pic.registers", pic_registers},
    {"pic.automatic-eoi", pic_automatic},
    {"pic.poll", pic_poll},
    {"ioapic.registers", ioapic_registers},
    {"ioapic.edge", ioapic_edge},
    {"ioapic.level", ioapic_level},
    {"ioapic.nmi", ioapic_nmi},
    {NULL, NULL},
};

/* Last of all: where it is off, QEMU leaves it off. */
const struct test last_tests[] = {
    {"apic.off", apic_off},
    {NULL, NULL},
};
