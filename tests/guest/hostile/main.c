/* SPDX-License-Identifier: ISC */
/*
 * The dialogue over the serial line: "hostile: ready" after each start, then for every line "NAME TICKS" the
 * attack of this name for so many ticks of the TSC, and "hostile: through NAME". "list" names them all.
 */
#include "tests/guest/hostile/hostile.h"

#define LCR         3u
#define MCR         4u
#define LSR         5u
#define LINE_BYTES  64u
#define ALARM_COUNT 1000000u /* of the APIC's clock, a millisecond or so */

uint64_t attack_end;

static const struct attack *const tables[] = {attacks_exits, attacks_memory,  attacks_interrupts,
                                              attacks_state, attacks_devices, attacks_resets};
static uint64_t seed = 0x9e3779b97f4a7c15u;

uint64_t attack_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static void ignore(struct frame *frame)
{
    (void)frame;
    lapic_set(LAPIC_EOI, 0);
}

static void nmi(struct frame *frame)
{
    (void)frame;
}

/* Goes on behind the instruction of UNTIL_ALARM; else comes again a little later. */
static void alarm(struct frame *frame)
{
    lapic_set(LAPIC_EOI, 0);
    if (attack_over() && trap_resume) {
        frame->ip = trap_resume;
        trap_resume = 0;
    } else {
        lapic_set(LAPIC_COUNT, ALARM_COUNT);
    }
}

void alarm_set(void)
{
    trap_handlers[VECTOR_ALARM] = alarm;
    lapic_set(LAPIC_SVR, 0x1ff);
    lapic_set(LAPIC_TPR, 0);
    lapic_set(LAPIC_DIVIDE, 0xb);
    lapic_set(LAPIC_TIMER, VECTOR_ALARM);
    lapic_set(LAPIC_COUNT, ALARM_COUNT);
}

void alarm_clear(void)
{
    lapic_set(LAPIC_TIMER, LAPIC_MASKED | VECTOR_ALARM);
    lapic_set(LAPIC_COUNT, 0);
}

static void serial_calm(void)
{
    out8(COM1 + LCR, 0x83);
    out8(COM1, 1);
    out8(COM1 + 1, 0);
    out8(COM1 + LCR, 3);
    out8(COM1 + 1, 0);
    out8(COM1 + 2, 7);
    out8(COM1 + MCR, 3);
}

void machine_calm(void)
{
    irq_off();
    for (unsigned vector = 32; vector < 256; vector++)
        trap_handlers[vector] = ignore;
    /* The interrupts among the exceptions' vectors, but for those with an error code, of which a stub would
     * miss one. */
    for (unsigned vector = 18; vector < 32; vector++)
        if (!(1u << vector & 0x60200000u))
            trap_handlers[vector] = ignore;
    trap_handlers[VECTOR_NMI] = nmi;
    wrmsr(0x1b, 0xfee00900);
    lapic_set(LAPIC_SVR, 0x1ff);
    alarm_clear();
    for (uint32_t entry = LAPIC_TIMER; entry <= 0x370; entry += 0x10)
        lapic_set(entry, LAPIC_MASKED | 0xfe);
    lapic_set(LAPIC_LINT0, LAPIC_EXTINT);
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++)
        ioapic_route(pin, IOAPIC_MASKED);
    pic_init();
    out16(0x4d0, 0); /* all lines by their edges */
    lapic_set(LAPIC_TPR, 0);
    serial_calm();
    /* What an attack has left pending comes now. */
    irq_on();
    for (unsigned i = 0; i < 16; i++) {
        lapic_set(LAPIC_EOI, 0);
        pic_eoi(8);
    }
    irq_off();
}

static bool same(const char *a, const char *b)
{
    size_t length = strlen(a);

    return length == strlen(b) && memcmp(a, b, length) == 0;
}

static void serial_interrupt(struct frame *frame)
{
    (void)frame;
    pic_eoi(4);
}

/* Waits halted: who idles takes no time from the others. */
static void read_line(char line[LINE_BYTES])
{
    size_t at = 0;

    trap_handlers[VECTOR_PIC + 4] = serial_interrupt;
    out8(COM1 + MCR, 0xb);
    out8(COM1 + 1, 1);
    pic_mask(4, false);
    for (;;) {
        char c;

        while (!(in8(COM1 + LSR) & 1))
            halt();
        c = (char)in8(COM1);
        if (c == '\n')
            break;
        if (at < LINE_BYTES - 1)
            line[at++] = c;
    }
    line[at] = '\0';
    machine_calm();
}

/* The number behind the first space, which is cut off there. */
static uint64_t take_number(char *line)
{
    uint64_t value = 0;

    while (*line && *line != ' ')
        line++;
    if (!*line)
        return 0;
    *line++ = '\0';
    while (*line >= '0' && *line <= '9')
        value = value * 10 + (uint64_t)(*line++ - '0');
    return value;
}

static void list(void)
{
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        for (const struct attack *attack = tables[i]; attack->name; attack++)
            say("hostile: attack %s\n", attack->name);
}

static void run(const char *name, uint64_t ticks)
{
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        for (const struct attack *attack = tables[i]; attack->name; attack++)
            if (same(attack->name, name)) {
                attack_end = rdtsc() + ticks;
                attack->run();
                machine_calm();
                say("\nhostile: through %s\n", name);
                return;
            }
    say("hostile: unknown %s\n", name);
}

void guest_main(void)
{
    static char line[LINE_BYTES];

    machine_calm();
    say("hostile: ready\n");
    for (;;) {
        uint64_t ticks;

        read_line(line);
        ticks = take_number(line);
        if (same(line, "list"))
            list();
        else
            run(line, ticks);
    }
}
