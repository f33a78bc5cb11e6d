/* SPDX-License-Identifier: ISC */
/*
 * Exceptions that every mode has, and their delivery: vector, error code, the address that is saved, double
 * faults, software interrupts and gates.
 */
#include "tests/guest/body/suites.h"

#define CR0_MP 2u
#define CR0_EM 4u
#define CR0_TS 8u
#define CR0_NE 0x20u
#define IF     0x200u
#define IN_IDT 2u

static void divide_error(void)
{
    uint32_t a = 1, d = 0;

    TRAP("divl %2", : "+a"(a), "+d"(d) : "r"(0) : "memory", "cc");
    (void)expect_trap("DIV by 0", VECTOR_DE, 0);
    d = 5;
    TRAP("divl %2", : "+a"(a), "+d"(d) : "r"(2) : "memory", "cc");
    (void)expect_trap("DIV with a quotient too large", VECTOR_DE, 0);
    a = 0x80000000u;
    d = 0xffffffffu;
    TRAP("idivl %2", : "+a"(a), "+d"(d) : "r"(-1) : "memory", "cc");
    (void)expect_trap("IDIV of the least by -1", VECTOR_DE, 0);
    (void)expect("EAX is kept", 0x80000000u, a);
}

static void breakpoint(void)
{
    TRAP("int3", : : : "memory");
    (void)expect_trap_at("INT3", VECTOR_BP, 0, 1);
    TRAP(".byte 0xcd, 3", : : : "memory");
    (void)expect_trap_at("INT 3 of two bytes", VECTOR_BP, 0, 2);
}

static void undefined(void)
{
    TRAP("ud2", : : : "memory");
    (void)expect_trap("UD2", VECTOR_UD, 0);
    TRAP(".byte 0xf0, 0x90", : : : "memory");
    (void)expect_trap("LOCK NOP", VECTOR_UD, 0);
    TRAP(".byte 0x0f, 0xff, 0xc0", : : : "memory");
    (void)expect_trap("UD0", VECTOR_UD, 0);
    TRAP(".byte 0x0f, 0x20, 0xc8", : : : "memory", "eax");
    (void)expect_trap("MOV from CR1", VECTOR_UD, 0);
}

/* A suite of its own, behind all others: QEMU 10 gets it so wrong that nothing can go on (reference.py). */
static void mov_to_cs(void)
{
    TRAP(".byte 0x8e, 0xc8", : : : "memory");
    (void)expect_trap("MOV to CS", VECTOR_UD, 0);
}

const struct test fatal_tests[] = {
    {"exception.mov-to-cs", mov_to_cs},
    {NULL, NULL},
};

static void no_device(void)
{
    word_t cr0 = read_cr0();

    write_cr0((cr0 & ~(word_t)CR0_EM) | CR0_MP | CR0_TS);
    TRAP("fnop", : : : "memory");
    (void)expect_trap("FNOP with TS", VECTOR_NM, 0);
    TRAP("fwait", : : : "memory");
    (void)expect_trap("FWAIT with MP and TS", VECTOR_NM, 0);
    __asm__ volatile("clts");
    (void)expect("TS after CLTS", 0, read_cr0() & CR0_TS);
    TRAP("fnop", : : : "memory");
    (void)expect_trap("FNOP after CLTS", NO_TRAP, 0);
    write_cr0((read_cr0() & ~(word_t)CR0_MP) | CR0_TS);
    TRAP("fwait", : : : "memory");
    (void)expect_trap("FWAIT with TS alone", NO_TRAP, 0);
    write_cr0((read_cr0() & ~(word_t)CR0_TS) | CR0_EM);
    TRAP("fnop", : : : "memory");
    (void)expect_trap("FNOP with EM", VECTOR_NM, 0);
    write_cr0(cr0);
}

static void float_error(void)
{
    word_t cr0 = read_cr0();
    uint16_t control = 0x037b; /* all masked but division by 0 */
    uint16_t status = 0;

    write_cr0((cr0 & ~(word_t)(CR0_EM | CR0_TS)) | CR0_NE | CR0_MP);
    __asm__ volatile("fninit\n fldcw %0\n fld1\n fldz" : : "m"(control));
    TRAP("fdivrp %%st, %%st(1)", : : : "memory");
    (void)expect_trap("the division itself", NO_TRAP, 0);
    TRAP("fwait", : : : "memory");
    (void)expect_trap("FWAIT after it", VECTOR_MF, 0);
    __asm__ volatile("fnstsw %0" : "=m"(status));
    (void)expect("ZE and ES", 0x84, status & 0x84u);
    __asm__ volatile("fnclex; fninit");
    TRAP("fwait", : : : "memory");
    (void)expect_trap("FWAIT after FNCLEX", NO_TRAP, 0);
    write_cr0(cr0);
}

/* Vectors 0x90 and 0x91 are nobody's. */
static volatile uint32_t seen_flags;
static volatile uint64_t seen_ip;

static void note_flags(struct frame *frame)
{
    word_t flags;

    __asm__ volatile("pushf" W "\n pop" W " %0" : "=r"(flags));
    seen_flags = (uint32_t)flags;
    seen_ip = frame->ip;
}

static void software_interrupt(void)
{
    trap_handlers[0x90] = note_flags;
    trap_start = 0;
    __asm__ volatile("mov" W " $1f, trap_start\n sti\n int $0x90\n 1: cli" : : : "memory");
    (void)expect("address behind INT", trap_start, seen_ip);
    (void)expect("IF in the handler", 0, seen_flags & IF);
    trap_handlers[0x90] = NULL;
}

/* The error code of an entry in the IDT. In long mode QEMU counts them as 16 bytes each (mended in version
 * 9). */
static void expect_gate_error(const char *what, uint32_t vector, unsigned gate)
{
    uint32_t error = gate * 8 + IN_IDT;

    if (HAS_LMA && trap.error == gate * 16 + IN_IDT)
        error = gate * 16 + IN_IDT;
    (void)expect_trap(what, vector, error);
}

static void beyond_the_limit(void)
{
    struct __attribute__((packed)) {
        uint16_t limit;
        word_t base;
    } whole, less;

    __asm__ volatile("sidt %0" : "=m"(whole));
    less = whole;
    less.limit = (uint16_t)(0x90u * sizeof(gate_t) - 1);
    __asm__ volatile("lidt %0" : : "m"(less));
    TRAP("int $0x90", : : : "memory");
    __asm__ volatile("lidt %0" : : "m"(whole));
    expect_gate_error("INT beyond the IDT's limit", VECTOR_GP, 0x90);
}

/* Prefixes beyond 15 bytes, before an instruction that exits too. */
static void too_long(void)
{
    TRAP(".fill 14, 1, 0x2e\n .byte 0x0f, 0xa2", : : : "eax", "ebx", "ecx", "edx", "memory");
    (void)expect_trap("CPUID of 16 bytes", VECTOR_GP, 0);
    TRAP(".fill 13, 1, 0x2e\n .byte 0x0f, 0xa2", : : "a"(0) : "ebx", "ecx", "edx", "memory");
    (void)expect_trap("CPUID of 15 bytes", NO_TRAP, 0);
    TRAP(".fill 14, 1, 0x2e\n .byte 0xe6, 0x80", : : : "memory");
    (void)expect_trap("OUT of 16 bytes", VECTOR_GP, 0);
    TRAP(".fill 13, 1, 0x2e\n .byte 0xe6, 0x80", : : : "memory");
    (void)expect_trap("OUT of 15 bytes", NO_TRAP, 0);
}

const struct test exception_tests[] = {
    {"exception.divide", divide_error},
    {"exception.breakpoint", breakpoint},
    {"exception.undefined", undefined},
    {"exception.no-device", no_device},
    {"exception.float", float_error},
    {"exception.int", software_interrupt},
    {"exception.idt-limit", beyond_the_limit},
    {"exception.too-long", too_long},
    {NULL, NULL},
};
