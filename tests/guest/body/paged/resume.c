/* SPDX-License-Identifier: ISC */
/*
 * RF in the flags that are pushed (SDM vol. 3, 17.3.1.1): 1 with a fault and with what comes in the middle of
 * a repeated string instruction, 0 with a trap and between instructions. Real mode pushes 16 bits of them.
 */
#include "tests/guest/body/apic.h"
#include "tests/guest/body/suites.h"

#define RF       0x10000u
#define TF       0x100u
#define CR4_VMXE 0x2000u
#define INTEL    0x756e6547u
#define VECTOR   0x40u
#define BYTES    20000u

static bool processor_sets_rf; /* QEMU 7.2 does not, so that only what a monitor injects can be looked at */

static void expect_fault(const char *what, uint32_t vector, uint32_t error)
{
    if (expect_trap(what, vector, error))
        (void)expect(what, RF, trap.flags & RF);
}

static void expect_processors_fault(const char *what, uint32_t vector, uint32_t error)
{
    if (expect_trap(what, vector, error) && processor_sets_rf)
        (void)expect(what, RF, trap.flags & RF);
}

static void faults(void)
{
    word_t from = LAPIC_BASE + 0x20, to = (word_t)(uintptr_t)window(0);
    bool intel = cpuid(0, 0).ebx == INTEL;
    word_t cr4 = 0;

    TRAP("ud2", : : : "memory");
    processor_sets_rf = trap.flags & RF;
    TRAP("rdmsr", : : "c"(0x12345678) : "eax", "edx", "memory");
    expect_fault("RDMSR of none", VECTOR_GP, 0);
    TRAP("wrmsr", : : "c"(0x12345678), "a"(0), "d"(0) : "memory");
    expect_fault("WRMSR of none", VECTOR_GP, 0);
    window_set(0, 0);
    TRAP("movsl", : "+S"(from), "+D"(to) : : "memory");
    expect_fault("MOVS from a device to no page", VECTOR_PF, 2);
    TRAP(".byte 0x0f, 0x01, 0xd8", : : "a"(0) : "memory");
    (intel ? expect_processors_fault : expect_fault)("VMRUN", VECTOR_UD, 0);
    TRAP(".byte 0x0f, 0x01, 0xc4", : : : "memory");
    (intel ? expect_fault : expect_processors_fault)("VMXOFF", VECTOR_UD, 0);
    if (intel) {
        __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
        TRAP("mov %0, %%cr4", : : "r"(cr4 | CR4_VMXE) : "memory");
        expect_fault("CR4.VMXE", VECTOR_GP, 0);
    }
}

static volatile uint32_t steps, steps_flags;

static void note_step(struct frame *frame)
{
    steps_flags |= (uint32_t)frame->flags;
    if (++steps == 2)
        frame->flags &= (__typeof__(frame->flags))~TF;
}

static void traps(void)
{
    uint32_t a = 0, c = 0;

    TRAP("int3", : : : "memory");
    (void)expect_trap_at("INT3", VECTOR_BP, 0, 1);
    (void)expect("RF behind INT3", 0, trap.flags & RF);
    steps = steps_flags = 0;
    trap_handlers[VECTOR_DB] = note_step;
    __asm__ volatile("pushf" W "\n orl $0x100, (" RSP ")\n popf" W "\n cpuid\n nop"
                     : "+a"(a), "+c"(c)
                     :
                     : "ebx", "edx", "memory", "cc");
    trap_handlers[VECTOR_DB] = NULL;
    (void)expect("steps", 2, steps);
    (void)expect("RF behind CPUID", 0, steps_flags & RF);
}

static volatile uint32_t within, within_without_rf, other, other_with_rf;

static void note_interrupt(struct frame *frame)
{
    bool rf = frame->flags & RF;

    if (frame->ip == trap_start) {
        within++;
        within_without_rf += !rf;
    } else {
        other++;
        other_with_rf += rf;
    }
    apic_eoi();
}

/* From a port, so that another than the processor executes it, a share at a time. */
static void in_the_middle(void)
{
    apic_enable();
    within = within_without_rf = other = other_with_rf = 0;
    trap_handlers[VECTOR] = note_interrupt;
    lapic_set(APIC_LVT_TIMER, VECTOR | APIC_PERIODIC);
    lapic_set(APIC_TIMER_INITIAL, apic_ticks_of_us(100));
    for (unsigned i = 0; i < 100 && (within < 3 || other < 3); i++) {
        word_t c = BYTES, to = RAM_SCRATCH;

        __asm__ volatile("mov" W " $1f, trap_start\n sti\n 1: rep insb\n nop"
                         : "+c"(c), "+D"(to)
                         : "d"(0x80)
                         : "memory");
        wait_us(300);
        irq_off();
    }
    lapic_set(APIC_LVT_TIMER, APIC_MASKED);
    lapic_set(APIC_TIMER_INITIAL, 0);
    irq_on();
    irq_off();
    (void)expect("some within", true, within >= 3);
    (void)expect("without RF within", 0, within_without_rf);
    (void)expect("some elsewhere", true, other >= 3);
    (void)expect("with RF elsewhere", 0, other_with_rf);
}

const struct test resume_tests[] = {
    {"resume.faults", faults},
    {"resume.traps", traps},
    {"resume.strings", in_the_middle},
    {NULL, NULL},
};
