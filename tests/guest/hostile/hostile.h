/* SPDX-License-Identifier: ISC */
/*
 * A guest that does to its monitor what a guest must not be able to do harm with. It is told over the serial
 * line which attack to make and for how long (tests/components/referee), and says when it is through. Some
 * attacks end with a reset of the machine; then it is asked again after its start.
 */
#pragma once

#include "tests/guest/guest.h"

#if GUEST_MODE == MODE_LONG

/* Guest-physical addresses that are not RAM: between RAM and 4 GiB, and far above. */
#define HOLE      0xd0000000u
#define HOLE_HIGH 0x4000000000u
#define RAM_TOP   0x1e00000u /* there is RAM up to here at least */

/* Vectors: the timer that ends an attack that does not end by itself, and where storms begin. */
#define VECTOR_ALARM 0xf0
#define VECTOR_STORM 0x40

#define LAPIC_ID       0x20u
#define LAPIC_TPR      0x80u
#define LAPIC_EOI      0xb0u
#define LAPIC_SVR      0xf0u
#define LAPIC_ESR      0x280u
#define LAPIC_ICR      0x300u
#define LAPIC_ICR_HIGH 0x310u
#define LAPIC_TIMER    0x320u
#define LAPIC_LINT0    0x350u
#define LAPIC_COUNT    0x380u
#define LAPIC_DIVIDE   0x3e0u
#define LAPIC_MASKED   0x10000u
#define LAPIC_EXTINT   0x700u
#define LAPIC_PERIODIC 0x20000u

#define IOAPIC_SELECT 0x00u
#define IOAPIC_WINDOW 0x10u
#define IOAPIC_LEVEL  0x8000u
#define IOAPIC_NMI    0x400u
#define IOAPIC_MASKED 0x10000u
#define IOAPIC_PINS   24u

#define COM1 0x3f8u

/* The attack goes on until then, by the TSC. */
extern uint64_t attack_end;

static inline bool attack_over(void)
{
    return rdtsc() >= attack_end;
}

/* xorshift: the same numbers in each run. */
uint64_t attack_random(void);

/*
 * Around assembler text that may never end: at the end of the attack the alarm's interrupt goes on behind it,
 * as TRAP() does after an exception.
 */
void alarm_set(void);
void alarm_clear(void);
#define UNTIL_ALARM(text, ...)                                                                               \
    do {                                                                                                     \
        alarm_set();                                                                                         \
        irq_on();                                                                                            \
        TRAP(text, __VA_ARGS__);                                                                             \
        irq_off();                                                                                           \
        alarm_clear();                                                                                       \
    } while (0)

/* For text that may leave something on the stack: R15 keeps RSP, and must be among what is clobbered. */
#define TRAP_STACK(text, ...)                                                                                \
    do {                                                                                                     \
        trap.vector = NO_TRAP;                                                                               \
        __asm__ volatile("mov %%rsp, %%r15\n" TRAP_BEGIN text TRAP_END "mov %%r15, %%rsp\n" __VA_ARGS__);    \
    } while (0)

static inline void ioapic_set(uint8_t index, uint32_t value)
{
    *mmio32(IOAPIC_BASE + IOAPIC_SELECT) = index;
    *mmio32(IOAPIC_BASE + IOAPIC_WINDOW) = value;
}

static inline void ioapic_route(unsigned pin, uint32_t value)
{
    ioapic_set((uint8_t)(0x11 + 2 * pin), 0);
    ioapic_set((uint8_t)(0x10 + 2 * pin), value);
}

/* Chips and tables as an attack finds them. */
void machine_calm(void);

struct attack {
    const char *name;
    void (*run)(void);
};

/* Each file's, ended by an empty entry. */
extern const struct attack attacks_exits[], attacks_memory[], attacks_interrupts[], attacks_state[],
    attacks_devices[], attacks_resets[];

#endif
