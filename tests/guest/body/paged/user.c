/* SPDX-License-Identifier: ISC */
/*
 * User mode: what is #GP there, pages of the supervisor, the I/O permission map, also for string I/O and
 * device memory that the monitor executes, and the way in and out.
 */
#include "tests/guest/body/suites.h"

#define CR4_TSD  4u
#define IN_IDT   2u
#define P        1u
#define US       4u
#define SEEN     16u
#define TSS_BASE 104u /* the map's place, behind the rest */
#define SCRATCH  (RAM_SCRATCH + 0x20000u)
#define IOPL_3   0x3000u

extern uint32_t tss[];
extern uint8_t user_return[];
extern volatile word_t user_kernel_stack;
void user_run(void (*function)(void), word_t flags);

static volatile struct trap seen[SEEN];
static volatile word_t starts[SEEN];
static volatile uint32_t count;
static volatile uint32_t value;

/* From the gate: back to the supervisor's code, on its old stack. */
static void leave(struct frame *frame)
{
    frame->ip = (__typeof__(frame->ip))(uintptr_t)user_return;
    frame->cs = IS_LONG ? SEL_CODE64 : SEL_CODE32;
    frame->flags = 2;
    if (HAS_LMA) {
        frame->sp = user_kernel_stack;
        frame->ss = SEL_DATA32;
    }
}

static void run(void (*function)(void), word_t flags)
{
    count = 0;
    trap_handlers[USER_GATE] = leave;
    gate_set(USER_GATE, (word_t)(uintptr_t)trap_stubs + USER_GATE * STUB_BYTES, 3);
    user_run(function, flags | 2);
    trap_handlers[USER_GATE] = NULL;
}

static void end(void)
{
    __asm__ volatile("int %0" : : "i"(USER_GATE) : "memory");
}

/* In user mode: keeps what TRAP has seen. */
static void note(void)
{
    if (count < SEEN) {
        seen[count].vector = trap.vector;
        seen[count].error = trap.error;
        seen[count].ip = trap.ip;
        seen[count].cs = trap.cs;
        seen[count].cr2 = trap.cr2;
        starts[count] = trap_start;
        count++;
    }
}

static void expect_seen(const char *what, unsigned number, uint32_t vector, uint32_t error)
{
    trap.vector = seen[number].vector;
    trap.error = seen[number].error;
    trap.ip = seen[number].ip;
    trap_start = starts[number];
    (void)expect_trap(what, vector, error);
}

static void privileged(void)
{
    word_t a = 0, c = 0, p = SCRATCH;

    TRAP("hlt", : : : "memory");
    note();
    TRAP("cli", : : : "memory");
    note();
    TRAP("outb %%al, $0x80", : : "a"(0) : "memory");
    note();
    TRAP("mov %%cr0, %0", : "=r"(a) : : "memory");
    note();
    TRAP("rdmsr", : : "c"(0x1b) : "eax", "edx", "memory");
    note();
    TRAP("wrmsr", : : "a"(0), "d"(0), "c"(0xdead0000) : "memory");
    note();
    TRAP("wbinvd", : : : "memory");
    note();
    TRAP("invlpg (%0)", : : "r"((word_t)WINDOW) : "memory");
    note();
    TRAP("clts", : : : "memory");
    note();
    TRAP("int $0x90", : : : "memory");
    note();
    TRAP("rep insb", : "+c"(c), "+D"(p) : "d"(0x80) : "memory");
    note();
    end();
}

static void test_privileged(void)
{
    static const char *const names[] = {"HLT",    "CLI",    "OUT",  "MOV from CR0", "RDMSR",  "WRMSR",
                                        "WBINVD", "INVLPG", "CLTS", "INT",          "REP INS"};

    run(privileged, 0);
    (void)expect("instructions", 11, count);
    for (unsigned i = 0; i < 11; i++)
        if (i != 9)
            expect_seen(names[i], i, VECTOR_GP, 0);
    (void)expect("INT of a gate of the supervisor: vector", VECTOR_GP, seen[9].vector);
    if (!HAS_LMA)
        (void)expect("its error code", 0x90 * 8 + IN_IDT, seen[9].error);
    (void)expect("privilege in the saved CS", 3, seen[0].cs & 3);
}

static void pages(void)
{
    TRAP("movl (%0), %%ecx", : : "a"((word_t)WINDOW) : "ecx", "memory");
    note();
    TRAP("movl %%ecx, (%0)", : : "a"((word_t)WINDOW), "c"(1) : "memory");
    note();
    TRAP("movl (%0), %%ecx", : : "a"((word_t)WINDOW + 4096) : "ecx", "memory");
    note();
    TRAP("movl 0x30(%1), %0", : "=c"(value) : "a"((word_t)WINDOW + 8192) : "memory");
    note();
    TRAP("movl 0x30(%0), %%ecx", : : "a"((word_t)WINDOW + 12288) : "ecx", "memory");
    note();
    end();
}

static void test_pages(void)
{
    window_set(0, SCRATCH | PTE_P | PTE_W);
    window_set(1, SCRATCH | PTE_P | PTE_U);
    window_set(2, (pte_t)(LAPIC_BASE | PTE_P | PTE_W | PTE_U));
    window_set(3, (pte_t)(LAPIC_BASE | PTE_P | PTE_W));
    run(pages, 0);
    expect_seen("load from the supervisor's page", 0, VECTOR_PF, P | US);
    expect_seen("store to it", 1, VECTOR_PF, P | US | 2);
    expect_seen("load from a user's page", 2, NO_TRAP, 0);
    expect_seen("load from a device", 3, NO_TRAP, 0);
    (void)expect("what it read", lapic_get(0x30), value);
    expect_seen("load from the supervisor's device", 4, VECTOR_PF, P | US);
}

static void ports(void)
{
    word_t c = 4, p = SCRATCH;

    TRAP("outb %%al, $0x80", : : "a"(0) : "memory");
    note();
    TRAP("outb %%al, $0x81", : : "a"(0) : "memory");
    note();
    TRAP("outw %%ax, $0x80", : : "a"(0) : "memory");
    note();
    TRAP("rep outsb", : "+c"(c), "+S"(p) : "d"(0x80) : "memory");
    note();
    value = (uint32_t)c;
    p = WINDOW;
    c = 2;
    TRAP("rep insb", : "+c"(c), "+D"(p) : "d"(0x80) : "memory");
    note();
    end();
}

/* Port 0x80 is allowed, 0x81 is not; the bit behind the last byte of the map must be set. */
static void test_ports(void)
{
    volatile uint8_t *map = (volatile uint8_t *)tss + TSS_BASE;

    for (unsigned i = 0; i < 0x21; i++)
        map[i] = 0xff;
    map[0x80 / 8] = 0xfe;
    tss[25] = TSS_BASE << 16;
    window_set(0, SCRATCH | PTE_P | PTE_W);
    run(ports, 0);
    tss[25] = (TSS_BASE + 0x24) << 16;
    expect_seen("OUT to an allowed port", 0, NO_TRAP, 0);
    expect_seen("OUT to another", 1, VECTOR_GP, 0);
    expect_seen("OUT of a word over both", 2, VECTOR_GP, 0);
    expect_seen("REP OUTS to the allowed", 3, NO_TRAP, 0);
    (void)expect("count", 0, value);
    expect_seen("REP INS to the supervisor's page", 4, VECTOR_PF, P | US | 2);
}

static void with_iopl(void)
{
    TRAP("outb %%al, $0x81", : : "a"(0) : "memory");
    note();
    TRAP("sti; nop; cli", : : : "memory");
    note();
    TRAP("hlt", : : : "memory");
    note();
    end();
}

static void test_iopl(void)
{
    run(with_iopl, IOPL_3);
    expect_seen("OUT with IOPL 3", 0, NO_TRAP, 0);
    expect_seen("STI and CLI", 1, NO_TRAP, 0);
    expect_seen("HLT all the same", 2, VECTOR_GP, 0);
}

static void counters(void)
{
    uint32_t a = 0;

    TRAP("rdtsc", : : : "eax", "edx", "memory");
    note();
    TRAP("cpuid", : "+a"(a) : : "ebx", "ecx", "edx", "memory");
    note();
    end();
}

static void test_counters(void)
{
    run(counters, 0);
    expect_seen("RDTSC", 0, NO_TRAP, 0);
    expect_seen("CPUID", 1, NO_TRAP, 0);
    write_cr4(read_cr4() | CR4_TSD);
    run(counters, 0);
    write_cr4(read_cr4() & ~(word_t)CR4_TSD);
    expect_seen("RDTSC with TSD", 0, VECTOR_GP, 0);
    expect_seen("CPUID with TSD", 1, NO_TRAP, 0);
}

const struct test user_tests[] = {
    {"user.privileged", test_privileged}, {"user.pages", test_pages},
    {"user.ports", test_ports},           {"user.iopl", test_iopl},
    {"user.counters", test_counters},     {NULL, NULL},
};
