/* SPDX-License-Identifier: ISC */
/* Debug exceptions: single steps, also over instructions that exit, breakpoints, DR4. */
#include "tests/guest/body/suites.h"

#define RF     0x10000u
#define DR6_BS 0x4000u
#define CR4_DE 8u
#define STEPS  24u

static volatile uint32_t steps, bad_steps;
static volatile uint64_t step_ip[STEPS];

static word_t dr6(void)
{
    word_t value;

    __asm__ volatile("mov %%db6, %0" : "=r"(value));
    return value;
}

static void set_dr6(word_t value)
{
    __asm__ volatile("mov %0, %%db6" : : "r"(value));
}

static void set_dr7(word_t value)
{
    __asm__ volatile("mov %0, %%db7" : : "r"(value));
}

static void step(struct frame *frame)
{
    if (steps < STEPS)
        step_ip[steps] = frame->ip;
    steps++;
    bad_steps += !(dr6() & DR6_BS);
    set_dr6(0xffff0ff0u);
}

/* Runs `text` with TF set; what it clobbers is given. Two more steps take TF away. */
#define STEP(text, ...)                                                                                      \
    do {                                                                                                     \
        steps = 0;                                                                                           \
        bad_steps = 0;                                                                                       \
        trap_handlers[VECTOR_DB] = step;                                                                     \
        __asm__ volatile("pushf" W "\n orl $0x100, (" RSP ")\n popf" W "\n mov" W " $1f, trap_start\n " text \
                         "\n 1: pushf" W "\n andl $~0x100, (" RSP ")\n popf" W "\n" __VA_ARGS__);            \
        trap_handlers[VECTOR_DB] = NULL;                                                                     \
        (void)expect("steps without DR6.BS", 0, bad_steps);                                                  \
    } while (0)

#define AROUND 4u /* MOV before; PUSHF, AND, POPF behind */

static void single_step(void)
{
    uint32_t a = 0, c = 0, d = 0x80;

    STEP("nop\n nop\n nop", : : : "memory", "cc");
    (void)expect("three NOPs", 3 + AROUND, steps);
    (void)expect("address behind them", trap_start, step_ip[3]);
    STEP("cpuid\n nop", : "+a"(a), "+c"(c) : : "ebx", "edx", "memory", "cc");
    (void)expect("CPUID, NOP", 2 + AROUND, steps);
    STEP("outb %%al, %%dx\n inb %%dx, %%al\n nop", : "+a"(a) : "d"(d) : "memory", "cc");
    (void)expect("OUT, IN, NOP", 3 + AROUND, steps);
    (void)expect("address behind NOP", trap_start, step_ip[3]);
    STEP("rdmsr\n nop", : "=a"(a), "=d"(d) : "c"(0x1b) : "memory", "cc");
    (void)expect("RDMSR, NOP", 2 + AROUND, steps);
    STEP("movl 0x20(%1), %0\n nop", : "=a"(a) : "S"((uintptr_t)LAPIC_BASE) : "memory", "cc");
    (void)expect("load from a device, NOP", 2 + AROUND, steps);
    STEP("wbinvd\n nop", : : : "memory", "cc");
    (void)expect("WBINVD, NOP", 2 + AROUND, steps);
}

/* One step an iteration; QEMU makes one more of those that it executes itself. */
static void strings(void)
{
    word_t c = 3, p = RAM_SCRATCH;

    STEP(AS "rep; stosb", : "+c"(c), "+D"(p) : "a"(0) : "memory", "cc");
    (void)expect_between("REP STOS of three", 3 + AROUND, 4 + AROUND, steps);
    c = 3;
    p = RAM_SCRATCH;
    STEP(AS "rep; outsb", : "+c"(c), "+S"(p) : "d"(0x80) : "memory", "cc");
    (void)expect_between("REP OUTS of three", 3 + AROUND, 4 + AROUND, steps);
    (void)expect("address within", step_ip[0], step_ip[1]);
    (void)expect("address behind", trap_start, step_ip[steps - AROUND]);
}

static void resume_once(struct frame *frame)
{
    steps++;
    step_ip[0] = frame->ip;
    bad_steps = (uint32_t)dr6() & 0xf;
    set_dr6(0xffff0ff0u);
    if (!IS_REAL)
        frame->flags |= (__typeof__(frame->flags))RF;
    else
        set_dr7(0x400);
}

static void breakpoints(void)
{
    static volatile uint32_t cell;

    steps = 0;
    trap_handlers[VECTOR_DB] = resume_once;
    set_dr6(0xffff0ff0u);
    __asm__ volatile("mov" W " $1f, " RAX "\n mov" W " " RAX ", trap_start\n mov " RAX ", %%db0\n mov" W
                     " $0x402, " RAX "\n mov " RAX ", %%db7\n nop\n 1: nop\n nop\n mov" W " $0x400, " RAX
                     "\n mov " RAX ", %%db7"
                     :
                     :
                     : "eax", "memory");
    (void)expect("breakpoints at an instruction", 1, steps);
    (void)expect("address", trap_start, step_ip[0]);
    (void)expect("DR6.B0", 1, bad_steps);
    steps = 0;
    __asm__ volatile("mov %0, %%db1\n mov %1, %%db7\n movl $5, (%0)\n 1: nop\n mov %2, %%db7\n mov" W
                     " $1b, trap_start"
                     :
                     : "r"((word_t)(uintptr_t)&cell), "r"((word_t)0x00d00408), "r"((word_t)0x400)
                     : "memory");
    (void)expect("breakpoints at a store", 1, steps);
    (void)expect("address behind it", trap_start, step_ip[0]);
    (void)expect("DR6.B1", 2, bad_steps);
    trap_handlers[VECTOR_DB] = NULL;
}

static void aliases(void)
{
    word_t cr4 = read_cr4();

    write_cr4(cr4 | CR4_DE);
    TRAP(".byte 0x0f, 0x21, 0xe0", : : : "eax", "memory");
    (void)expect_trap("MOV from DR4 with DE", VECTOR_UD, 0);
    write_cr4(cr4);
}

const struct test debug_tests[] = {
    {"debug.single-step", single_step},
    {"debug.strings", strings},
    {"debug.breakpoints", breakpoints},
    {"debug.dr4", aliases},
    {NULL, NULL},
};
