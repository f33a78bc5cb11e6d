/* SPDX-License-Identifier: ISC */
/* Interrupts without end, from each chip that can make them, to itself by the local APIC, and never taken. */
#include "tests/guest/hostile/hostile.h"

static volatile uint64_t storms;

static void spin_until_over(void)
{
    while (!attack_over())
        __asm__ volatile("sti; nop; nop" : : : "memory");
    irq_off();
}

/* The timer's shortest period, with an end of each interrupt. */
static void storm_eoi(struct frame *frame)
{
    (void)frame;
    storms++;
    lapic_set(LAPIC_EOI, 0);
    if (attack_over())
        lapic_set(LAPIC_TIMER, LAPIC_MASKED | VECTOR_STORM);
}

static void lapic_timer(void)
{
    trap_handlers[VECTOR_STORM] = storm_eoi;
    lapic_set(LAPIC_DIVIDE, 0xb);
    lapic_set(LAPIC_TIMER, LAPIC_PERIODIC | VECTOR_STORM);
    lapic_set(LAPIC_COUNT, 1);
    spin_until_over();
}

/* The same while nobody takes any, or the priority is in the way. Not by CR8: QEMU 7.2 ends with a failed
 * assertion when CR8 is written while an interrupt window is asked for. */
static void lapic_timer_masked(void)
{
    trap_handlers[VECTOR_STORM] = storm_eoi;
    lapic_set(LAPIC_DIVIDE, 0xb);
    lapic_set(LAPIC_TIMER, LAPIC_PERIODIC | VECTOR_STORM);
    lapic_set(LAPIC_COUNT, 1);
    while (!attack_over()) {
        irq_off();
        for (unsigned i = 0; i < 1000; i++)
            __asm__ volatile("nop");
        lapic_set(LAPIC_TPR, 0xf0);
        irq_on();
        for (unsigned i = 0; i < 10; i++)
            lapic_set(LAPIC_TPR, i & 1 ? 0x30 : 0x80);
        irq_off();
        lapic_set(LAPIC_TPR, 0);
    }
}

static void tsc_deadline(void)
{
    trap_handlers[VECTOR_STORM] = storm_eoi;
    lapic_set(LAPIC_TIMER, 0x40000u | VECTOR_STORM);
    irq_on();
    while (!attack_over()) {
        TRAP("wrmsr", : : "c"(0x6e0), "a"(1), "d"(0) : "memory");
        TRAP("wrmsr", : : "c"(0x6e0), "a"(~0u), "d"(~0u) : "memory");
        TRAP("wrmsr",
             :
             : "c"(0x6e0), "a"((uint32_t)rdtsc() + 100), "d"((uint32_t)(rdtsc() >> 32))
             : "memory");
    }
    irq_off();
    TRAP("wrmsr", : : "c"(0x6e0), "a"(0), "d"(0) : "memory");
}

static void storm_pit(struct frame *frame)
{
    (void)frame;
    storms++;
    pic_eoi(0);
    if (attack_over())
        pic_mask(0, true);
}

/* Each mode with the smallest and the largest counts, the interrupt by the 8259s. */
static void pit(void)
{
    static const uint16_t values[] = {2, 1, 0, 3, 2};
    uint64_t end = attack_end, part = (end - rdtsc()) / 6;

    trap_handlers[VECTOR_PIC] = storm_pit;
    for (unsigned mode = 0; mode < 6; mode++) {
        attack_end = rdtsc() + part;
        pic_mask(0, false);
        out8(0x43, (uint8_t)(0x30 | mode << 1));
        out8(0x40, (uint8_t)values[mode % 5]);
        out8(0x40, 0);
        irq_on();
        while (!attack_over()) {
            out8(0x43, (uint8_t)(0xc0 | (attack_random() & 0x3f))); /* read-back, all combinations */
            in8(0x40);
            in8(0x42);
            if (mode != 2 && mode != 3) {
                out8(0x40, 1);
                out8(0x40, 0);
            }
        }
        irq_off();
        pic_mask(0, true);
    }
    attack_end = end;
}

static void storm_rtc(struct frame *frame)
{
    (void)frame;
    storms++;
    out8(0x70, 0x0c);
    in8(0x71);
    pic_eoi(8);
}

static void rtc(void)
{
    trap_handlers[VECTOR_PIC + 8] = storm_rtc;
    pic_mask(2, false);
    pic_mask(8, false);
    out8(0x70, 0x0a);
    out8(0x71, 0x21); /* 256 Hz by the slow tap: 3.9 ms */
    out8(0x70, 0x0b);
    out8(0x71, 0x72); /* periodic, alarm, update-ended */
    irq_on();
    while (!attack_over()) {
        out8(0x70, 0x0a);
        out8(0x71, (uint8_t)(0x20 | (attack_random() & 0xf)));
        out8(0x70, (uint8_t)(1 + 2 * (attack_random() % 3)));
        out8(0x71, 0xff); /* an alarm each second */
    }
    irq_off();
    out8(0x70, 0x0b);
    out8(0x71, 0x02);
    out8(0x70, 0x0a);
    out8(0x71, 0x26);
}

/* A level that nobody takes away: the interrupt comes again at its end. The line is the UART's, whose
 * transmitter is empty. */
static void storm_level(struct frame *frame)
{
    (void)frame;
    storms++;
    if (attack_over())
        ioapic_route(4, IOAPIC_MASKED);
    lapic_set(LAPIC_EOI, 0);
}

static void ioapic_level(void)
{
    trap_handlers[VECTOR_STORM] = storm_level;
    ioapic_route(4, IOAPIC_LEVEL | VECTOR_STORM);
    out8(COM1 + 4, 0xb); /* OUT2 */
    out8(COM1 + 1, 2);
    spin_until_over();
    out8(COM1 + 1, 0);
    ioapic_route(4, IOAPIC_MASKED);
}

static void storm_routes(struct frame *frame)
{
    (void)frame;
    storms++;
    for (unsigned pin = 0; pin < IOAPIC_PINS && attack_over(); pin++)
        ioapic_route(pin, IOAPIC_MASKED);
    lapic_set(LAPIC_EOI, 0);
}

/* The same with routes that change under it. */
static void ioapic_routes(void)
{
    for (unsigned vector = 0x20; vector < 0x100; vector++)
        trap_handlers[vector] = storm_routes;
    out8(COM1 + 4, 0xb);
    out8(COM1 + 1, 2);
    irq_on();
    while (!attack_over()) {
        unsigned pin = attack_random() & 1 ? 4 : (unsigned)(attack_random() % IOAPIC_PINS);
        uint32_t low = (uint32_t)attack_random() & 0x1ffff, kind = low & 0x700;

        if (kind == 0x200 || kind == 0x500)
            low &= ~0x700u; /* neither SMI nor INIT */
        ioapic_set((uint8_t)(0x11 + 2 * pin),
                   (uint32_t)attack_random() & (attack_random() & 3 ? 0 : 0xff000000u));
        ioapic_set((uint8_t)(0x10 + 2 * pin), low | 0x20);
        ioapic_set((uint8_t)attack_random() | 0x40u, (uint32_t)attack_random()); /* no such register */
    }
    irq_off();
}

/* The mask may be taken for a word of an initialization that is under way: it comes often enough. */
static void storm_pic(struct frame *frame)
{
    (void)frame;
    storms++;
    pic_eoi(8);
    for (unsigned i = 0; i < 4 && attack_over(); i++) {
        out8(0x21, 0xff);
        out8(0xa1, 0xff);
    }
}

/* The 8259s: commands in any order, rotation, polling, special modes, never an end. */
static void pic(void)
{
    static const uint8_t commands[] = {0x20, 0x60, 0xa0, 0xc0, 0xe0, 0x80, 0x00,
                                       0x0a, 0x0b, 0x0c, 0x68, 0x48, 0x40};

    for (unsigned vector = 0x20; vector < 0x100; vector++) /* the base may be anything */
        trap_handlers[vector] = storm_pic;
    out8(0x43, 0x34);
    out8(0x40, 2);
    out8(0x40, 0);
    while (!attack_over()) {
        uint16_t port = attack_random() & 1 ? 0x20 : 0xa0;

        if (attack_random() % 16 == 0) {
            out8(port, (uint8_t)(0x10 | (attack_random() & 0xb)));
            out8(port + 1, 0x20);
            out8(port + 1, (uint8_t)attack_random());
            out8(port + 1, (uint8_t)attack_random() & 0x1f);
        }
        out8(port, commands[attack_random() % sizeof commands] | (uint8_t)(attack_random() & 7));
        out8(port + 1, (uint8_t)attack_random());
        in8(port);
        in8(port + 1);
        irq_on();
        irq_off();
    }
}

/* To itself: fixed vectors, NMIs, what the ICR does not know, by destinations of all kinds. */
static void self_ipi(void)
{
    irq_on();
    while (!attack_over()) {
        uint32_t vector = 0x20 | (uint32_t)(attack_random() & 0xdf);

        lapic_set(LAPIC_ICR, 0x44000u | vector);
        lapic_set(LAPIC_ICR, 0x84000u | vector);                  /* all */
        lapic_set(LAPIC_ICR, 0xc4000u | vector);                  /* all others: none */
        lapic_set(LAPIC_ICR, 0x44400u);                           /* NMI */
        lapic_set(LAPIC_ICR, 0x44100u | vector);                  /* lowest priority */
        lapic_set(LAPIC_ICR, 0x44000u | (attack_random() & 0xf)); /* vectors that are none */
        lapic_set(LAPIC_ICR_HIGH, (uint32_t)attack_random());
        lapic_set(LAPIC_ICR, 0x4000u | ((uint32_t)attack_random() & 0x800) | vector);
        lapic_set(LAPIC_ICR_HIGH, 0x5000000);
        lapic_set(LAPIC_ICR, 0x4500u); /* INIT and SIPI to nobody */
        lapic_set(LAPIC_ICR, 0x4600u);
        lapic_set(LAPIC_ICR, 0x44700u);
        lapic_set(LAPIC_ICR, 0x44300u);
        lapic_set(LAPIC_ICR_HIGH, 0);
    }
    irq_off();
}

/* All 224 vectors at once while interrupts are off, then in their order, without an end of any. */
static void self_ipi_all(void)
{
    while (!attack_over()) {
        for (uint32_t vector = 0x20; vector < 0x100; vector++)
            lapic_set(LAPIC_ICR, 0x44000u | vector);
        irq_on();
        irq_off();
        lapic_set(LAPIC_SVR, 0xff); /* off: what is pending stays or goes */
        lapic_set(LAPIC_SVR, 0x1ff);
        lapic_set(LAPIC_ESR, 0);
    }
}

static void x2apic(void)
{
    while (!attack_over()) {
        uint32_t msr = 0x800 + (uint32_t)(attack_random() & 0xff), low = (uint32_t)attack_random();

        TRAP("wrmsr", : : "c"(0x1b), "a"(0xfee00d00u), "d"(0) : "memory");
        TRAP("rdmsr", : : "c"(msr) : "rax", "rdx", "memory");
        if (msr != 0x830 && msr != 0x832 && msr != 0x80f)
            TRAP("wrmsr", : : "c"(msr), "a"((low & ~0xf700u) | 0x10020), "d"(0) : "memory");
        TRAP("wrmsr", : : "c"(0x83f), "a"(0x20 | (low & 0xdf)), "d"(0) : "memory");
        irq_on();
        irq_off();
        TRAP("wrmsr", : : "c"(0x80b), "a"(0), "d"(0) : "memory");
        TRAP("wrmsr", : : "c"(0x1b), "a"(0xfee00900u), "d"(0) : "memory"); /* not allowed */
        TRAP("wrmsr", : : "c"(0x1b), "a"(0xfee00000u), "d"(0) : "memory"); /* off, then on again */
        TRAP("wrmsr", : : "c"(0x1b), "a"(0xfee00900u), "d"(0) : "memory");
        TRAP("wrmsr",
             :
             : "c"(0x1b), "a"(low & ~0xc00u), "d"(attack_random() & 0xf)
             : "memory"); /* elsewhere */
        TRAP("wrmsr", : : "c"(0x1b), "a"(0xfee00900u), "d"(0) : "memory");
    }
}

/* All registers of the local APIC with anything but vectors of exceptions. */
static void lapic_registers(void)
{
    irq_on();
    while (!attack_over()) {
        uint32_t offset = (uint32_t)(attack_random() & 0x3f) << 4, value = (uint32_t)attack_random();

        if (offset == LAPIC_ICR || (offset >= LAPIC_TIMER && offset <= 0x370) || offset == 0x2f0)
            value = (value & ~0x700u) | 0x20;
        if (offset == LAPIC_SVR)
            value |= 0x120;
        lapic_set(offset, value);
        lapic_get((uint32_t)(attack_random() & 0x3f) << 4);
        lapic_set(LAPIC_EOI, 0);
    }
    irq_off();
}

static void cli_loop(void)
{
    irq_off();
    while (!attack_over())
        for (unsigned i = 0; i < 1000; i++)
            __asm__ volatile("nop");
}

static void sti_cli(void)
{
    trap_handlers[VECTOR_STORM] = storm_eoi;
    lapic_set(LAPIC_DIVIDE, 0xb);
    lapic_set(LAPIC_TIMER, LAPIC_PERIODIC | VECTOR_STORM);
    lapic_set(LAPIC_COUNT, 1000);
    while (!attack_over())
        for (unsigned i = 0; i < 100; i++)
            __asm__ volatile(
                "sti; cli; sti; nop; cli; pushfq; popfq; mov %%ss, %%eax; mov %%eax, %%ss; sti; nop; cli"
                :
                :
                : "rax", "memory", "cc");
}

static void hlt_storm(void)
{
    trap_handlers[VECTOR_STORM] = storm_eoi;
    lapic_set(LAPIC_DIVIDE, 0xb);
    lapic_set(LAPIC_TIMER, LAPIC_PERIODIC | VECTOR_STORM);
    lapic_set(LAPIC_COUNT, 100);
    while (!attack_over())
        halt();
}

/* HLT with interrupts off: the 8254 wakes it by NMI, and nothing else does. */
static void hlt_cli(void)
{
    irq_off();
    ioapic_route(2, IOAPIC_NMI);
    lapic_set(LAPIC_LINT0, LAPIC_MASKED);
    out8(0x43, 0x34);
    out8(0x40, 0);
    out8(0x40, 0x10);
    while (!attack_over())
        __asm__ volatile("cli; hlt" : : : "memory");
    ioapic_route(2, IOAPIC_MASKED);
}

/* NMIs in any number, by the 8254 faster than Linux has ever seen them, but not so fast that nothing else is
 * done. */
static void nmi_storm(void)
{
    ioapic_route(2, IOAPIC_NMI);
    out8(0x43, 0x34);
    out8(0x40, 200);
    out8(0x40, 0);
    while (!attack_over())
        for (unsigned i = 0; i < 16; i++)
            lapic_set(LAPIC_ICR, 0x44400u);
    ioapic_route(2, IOAPIC_MASKED);
}

const struct attack attacks_interrupts[] = {
    {"cli-loop", cli_loop},
    {"hlt-cli", hlt_cli},
    {"hlt-storm", hlt_storm},
    {"sti-cli", sti_cli},
    {"lapic-timer", lapic_timer},
    {"lapic-masked", lapic_timer_masked},
    {"lapic-registers", lapic_registers},
    {"tsc-deadline", tsc_deadline},
    {"x2apic", x2apic},
    {"self-ipi", self_ipi},
    {"self-ipi-all", self_ipi_all},
    {"nmi-storm", nmi_storm},
    {"pit", pit},
    {"pic", pic},
    {"rtc", rtc},
    {"ioapic-level", ioapic_level},
    {"ioapic-routes", ioapic_routes},
    {0},
};
