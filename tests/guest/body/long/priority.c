/* SPDX-License-Identifier: ISC */
/*
 * CR8, which is the local APIC's TPR and which 64-bit code writes without an exit: what it masks waits, and
 * comes as soon as it is lowered.
 */
#include "tests/guest/body/apic.h"
#include "tests/guest/body/suites.h"

#define LOW  0x52u
#define HIGH 0x93u

static volatile uint32_t order[8], orders;

static inline void cr8_write(uint64_t value)
{
    __asm__ volatile("mov %0, %%cr8" : : "r"(value) : "memory");
}

static inline uint64_t cr8_read(void)
{
    uint64_t value;

    __asm__ volatile("mov %%cr8, %0" : "=r"(value));
    return value;
}

/* QEMU 7.2 ends with a failed assertion where MOV CR8 lets a virtual interrupt of SVM through. */
static bool begin(void)
{
    if (cpuid(0, 0).ecx == 0x444d4163 && cpuid(0x40000000, 0).ebx == 0x4b4d564b) {
        test_skip("MOV CR8 on an emulated SVM ends the emulator");
        return false;
    }
    apic_enable();
    orders = 0;
    return true;
}

static void note(struct frame *frame)
{
    order[orders++ & 7] = (uint32_t)frame->vector;
    apic_eoi();
}

/* At each value that masks it, the vector waits; at the first below, it comes, with nothing in between that
 * exits. */
static void self_ipi(void)
{
    if (!begin())
        return;
    trap_handlers[LOW] = note;
    cr8_write(15);
    apic_send_self(LOW);
    irq_on();
    for (uint64_t value = 15; value >= LOW >> 4; value--) {
        cr8_write(value);
        __asm__ volatile("nop" : : : "memory");
        (void)expect("held by CR8", 0, orders);
    }
    cr8_write((LOW >> 4) - 1);
    __asm__ volatile("nop" : : : "memory");
    (void)expect("let go by CR8", 1, orders);
    irq_off();
    (void)expect("in IRR", 0, apic_bit(APIC_IRR, LOW));
    (void)expect("TPR", LOW - 0x12, lapic_get(APIC_TPR));
    lapic_set(APIC_TPR, 0x37);
    (void)expect("CR8", 3, cr8_read());
    cr8_write(0);
}

/* The timer's interrupt comes while CR8 is raised, and is not taken, however often the guest exits. */
static void timer(void)
{
    uint32_t ticks = apic_ticks_of_us(500);
    uint64_t start;

    if (!begin())
        return;
    trap_handlers[HIGH] = note;
    irq_on();
    lapic_set(APIC_LVT_TIMER, HIGH);
    lapic_set(APIC_TIMER_INITIAL, ticks);
    cr8_write(HIGH >> 4);
    for (start = now_ticks(); now_ticks() - start < ticks_of_us(3000);)
        ;
    (void)expect("timer held by CR8", 0, orders);
    (void)expect("timer in IRR", 1, apic_bit(APIC_IRR, HIGH));
    cr8_write(0);
    __asm__ volatile("nop" : : : "memory");
    (void)expect("timer let go by CR8", 1, orders);
    /* The same with nothing that exits until it has come due, and a halt behind. */
    orders = 0;
    cr8_write(15);
    lapic_set(APIC_TIMER_INITIAL, ticks);
    for (start = rdtsc(); rdtsc() - start < 2000000;)
        ;
    (void)expect("held without exits", 0, orders);
    cr8_write(0);
    __asm__ volatile("nop" : : : "memory");
    irq_off();
    (void)expect("let go without exits", 1, orders);
    lapic_set(APIC_LVT_TIMER, APIC_MASKED);
}

/* The end of an interrupt while CR8 is high, CR8 lowered, and HLT, which alone exits: the next interrupt ends
 * it. */
static void raised(struct frame *frame)
{
    cr8_write(15);
    note(frame);
    (void)lapic_get(APIC_TPR);
    cr8_write(0);
}

static void halt_behind(void)
{
    uint32_t ticks = apic_ticks_of_us(3000);

    if (!begin())
        return;
    trap_handlers[HIGH] = raised;
    trap_handlers[LOW] = note;
    lapic_set(APIC_LVT_TIMER, LOW);
    lapic_set(APIC_TIMER_INITIAL, ticks);
    apic_send_self(HIGH);
    irq_on();
    __asm__ volatile("nop" : : : "memory");
    irq_off();
    if (orders < 2)
        halt();
    (void)expect("the first", HIGH, order[0]);
    (void)expect("the second", LOW, order[1]);
    lapic_set(APIC_LVT_TIMER, APIC_MASKED);
}

const struct test priority_tests[] = {
    {"cr8.self-ipi", self_ipi},
    {"cr8.timer", timer},
    {"cr8.halt", halt_behind},
    {NULL, NULL},
};
