/* SPDX-License-Identifier: ISC */
/*
 * Pages and segments: error codes, CR2, faults of instructions that the monitor executes, accessed and dirty
 * bits, accesses over the end of memory, double faults, selectors that must not be loaded.
 */
#include "tests/guest/body/suites.h"

#define P          1u
#define WR         2u
#define RSVD       8u
#define FETCH      16u
#define PAGE       4096u
#define ABSENT     0xfd000000u
#define SCRATCH(n) (RAM_SCRATCH + 0x10000u + (n)*PAGE)
#define HAS_NX     (GUEST_MODE != MODE_PROTECTED)
#define IN_IDT     2u

static uint32_t at(unsigned page, unsigned offset)
{
    return WINDOW + page * PAGE + offset;
}

static void expect_fault(const char *what, uint32_t error, uint32_t address)
{
    if (expect_trap(what, VECTOR_PF, error))
        (void)expect(what, address, trap.cr2);
}

#define LOAD(address)  TRAP("movl (" RAX "), %%ecx", : : "a"((word_t)(address)) : "ecx", "memory")
#define STORE(address) TRAP("movl %%ecx, (" RAX ")", : : "a"((word_t)(address)), "c"(5) : "memory")

static void plain(void)
{
    window_set(0, 0);
    window_set(1, SCRATCH(1) | PTE_P);
    window_set(2, SCRATCH(2) | PTE_P | PTE_W);
    LOAD(at(0, 0x123));
    expect_fault("load from nothing", 0, at(0, 0x123));
    STORE(at(0, 0xffc));
    expect_fault("store to nothing", WR, at(0, 0xffc));
    LOAD(at(1, 0));
    (void)expect_trap("load from read-only", NO_TRAP, 0);
    STORE(at(1, 8));
    expect_fault("store to read-only with WP", P | WR, at(1, 8));
    STORE(at(2, 8));
    (void)expect_trap("store to writable", NO_TRAP, 0);
    LOAD(at(2, 0xffe));
    expect_fault("load over the end", 0, at(3, 0));
    write_cr0(read_cr0() & ~(word_t)0x10000);
    STORE(at(1, 8));
    (void)expect_trap("store to read-only without WP", NO_TRAP, 0);
    write_cr0(read_cr0() | 0x10000);
}

static void accessed_dirty(void)
{
    window_set(0, SCRATCH(0) | PTE_P | PTE_W);
    LOAD(at(0, 0));
    (void)expect("after a load", PTE_A, page_table[0] & (PTE_A | PTE_D));
    STORE(at(0, 0));
    (void)expect("after a store", PTE_A | PTE_D, page_table[0] & (PTE_A | PTE_D));
}

static void reserved_and_nx(void)
{
    if (!HAS_NX) {
        test_skip("entries of 32 bits have neither");
        return;
    }
    window_set(0, (pte_t)(SCRATCH(0) | PTE_P | PTE_W | 1ull << 51));
    LOAD(at(0, 4));
    trap.error |= P; /* which QEMU leaves out */
    expect_fault("reserved bit", P | RSVD, at(0, 4));
    STORE(at(0, 4));
    trap.error |= P;
    expect_fault("reserved bit, store", P | RSVD | WR, at(0, 4));
    window_set(0, (pte_t)(SCRATCH(0) | PTE_P | PTE_W | 1ull << 63));
    LOAD(at(0, 4));
    (void)expect_trap("load from no-execute", NO_TRAP, 0);
    trap.vector = NO_TRAP;
    __asm__ volatile("mov" W " " RSP ", " RBX "\n" TRAP_BEGIN "jmp *" RAX TRAP_END "mov" W " " RBX ", " RSP
                     :
                     : "a"((word_t)at(0, 4))
                     : "ebx", "memory");
    (void)expect("vector of a fetch", VECTOR_PF, trap.vector);
    (void)expect("error of a fetch", P | FETCH, trap.error);
    (void)expect("address of a fetch", at(0, 4), trap.ip);
    (void)expect("CR2 of a fetch", at(0, 4), trap.cr2);
}

/* ---- instructions that the monitor executes */

static void device_pages(void)
{
    window_set(0, (pte_t)(LAPIC_BASE | PTE_P | PTE_W | PTE_PCD));
    window_set(1, (pte_t)(LAPIC_BASE | PTE_P | PTE_PCD));
    (void)expect("version by a page of its own", lapic_get(0x30), *mmio32(at(0, 0x30)));
    *mmio32(at(0, 0x380)) = 0x1234;
    (void)expect("store by it", 0x1234, lapic_get(0x380));
    *mmio32(at(0, 0x380)) = 0;
    (void)expect("its bits", PTE_A | PTE_D, page_table[0] & (PTE_A | PTE_D));
    STORE(at(1, 0x380));
    expect_fault("store to a device read-only", P | WR, at(1, 0x380));
    window_set(2, SCRATCH(2) | PTE_P | PTE_W);
    window_set(3, (pte_t)(ABSENT | PTE_P | PTE_W));
    *mmio32(at(2, 0xffc)) = 0x44332211;
    (void)expect("from memory into an absent device", 0xffff4433u, *mmio32(at(2, 0xffe)));
    *mmio32(at(2, 0xffe)) = 0x88776655;
    (void)expect("the half that is memory", 0x66552211u, *mmio32(at(2, 0xffc)));
}

/* The other operand of a string move faults: nothing is lost, and the move goes on where it was. */
static void device_to_nothing(void)
{
    word_t c = 6, si = LAPIC_BASE + 0x30, di = at(1, 0) - 8;

    window_set(0, SCRATCH(0) | PTE_P | PTE_W);
    window_set(1, 0);
    TRAP("rep movsl", : "+c"(c), "+S"(si), "+D"(di) : : "memory");
    expect_fault("MOVS from a device to nothing", WR, at(1, 0));
    (void)expect("count", 4, c);
    (void)expect("source", LAPIC_BASE + 0x38, si);
    (void)expect("destination", at(1, 0), di);
    window_set(1, SCRATCH(1) | PTE_P);
    TRAP("rep movsl", : "+c"(c), "+S"(si), "+D"(di) : : "memory");
    expect_fault("MOVS from a device to read-only", P | WR, at(1, 0));
    (void)expect("count", 4, c);
    window_set(1, 0);
    si = at(1, 0) - 4;
    di = LAPIC_BASE + 0x40;
    c = 2;
    TRAP("rep movsl", : "+c"(c), "+S"(si), "+D"(di) : : "memory");
    expect_fault("MOVS from nothing to a device", 0, at(1, 0));
    (void)expect("count", 1, c);
}

static void string_io(void)
{
    word_t c = 8, di = at(1, 0) - 5;

    window_set(0, SCRATCH(0) | PTE_P | PTE_W);
    window_set(1, 0);
    *mmio32(SCRATCH(0) + 0xff8) = 0;
    TRAP("rep insb", : "+c"(c), "+D"(di) : "d"(0x80) : "memory");
    expect_fault("INS to nothing", WR, at(1, 0));
    (void)expect("count", 3, c);
    (void)expect("pointer", at(1, 0), di);
    (void)expect("bits of the page before", PTE_A | PTE_D, page_table[0] & (PTE_A | PTE_D));
    window_set(1, SCRATCH(1) | PTE_P);
    TRAP("rep insb", : "+c"(c), "+D"(di) : "d"(0x80) : "memory");
    expect_fault("INS to read-only", P | WR, at(1, 0));
    window_set(1, SCRATCH(1) | PTE_P | PTE_W);
    TRAP("rep insb", : "+c"(c), "+D"(di) : "d"(0x80) : "memory");
    (void)expect_trap("INS to writable", NO_TRAP, 0);
    (void)expect("count", 0, c);
    window_set(1, 0);
    c = 8;
    di = at(1, 0) - 3;
    TRAP("rep outsb", : "+c"(c), "+S"(di) : "d"(0x80) : "memory");
    expect_fault("OUTS from nothing", 0, at(1, 0));
    (void)expect("count", 5, c);
    c = 2;
    di = at(0, 0);
    TRAP("rep; outsb", : "+c"(c), "+S"(di) : "d"(0x80) : "memory");
    (void)expect_trap("OUTS", NO_TRAP, 0);
}

/* DIV of a device's 0, and a device's quotient too large. */
static void device_divide(void)
{
    uint32_t a = 5, d = 0;

    lapic_set(0x380, 0);
    TRAP("divl (%2)", : "+a"(a), "+d"(d) : "S"((word_t)LAPIC_BASE + 0x380) : "memory", "cc");
    (void)expect_trap("DIV by a device's 0", VECTOR_DE, 0);
    (void)expect("EAX", 5, a);
}

/* ---- double faults */

static void double_fault(void)
{
    window_set(0, 0);
    gate_present(VECTOR_PF, false);
    LOAD(at(0, 0));
    gate_present(VECTOR_PF, true);
    (void)expect("#PF without a gate", VECTOR_DF, trap.vector);
    (void)expect("its error code", 0, trap.error);
    gate_present(VECTOR_GP, false);
    TRAP("mov %w0, %%fs", : : "r"(0xff8) : "memory");
    gate_present(VECTOR_GP, true);
    (void)expect("#GP without a gate", VECTOR_DF, trap.vector);
    gate_present(VECTOR_UD, false);
    TRAP("ud2", : : : "memory");
    gate_present(VECTOR_UD, true);
    (void)expect("#UD without a gate", VECTOR_NP, trap.vector);
    gate_present(0x90, false);
    TRAP("int $0x90", : : : "memory");
    gate_present(0x90, true);
    (void)expect("INT without a gate", VECTOR_NP, trap.vector);
    if (!HAS_LMA)
        (void)expect("its error code", 0x90 * 8 + IN_IDT, trap.error);
}

/* The same for an exception that the monitor raises. What QEMU injects is forgotten when its delivery faults:
 * there it is the second fault that comes. */
static void double_fault_raised(void)
{
    word_t di;

    gate_present(VECTOR_GP, false);
    TRAP("rdmsr", : : "c"(0xdead0000) : "eax", "edx", "memory");
    gate_present(VECTOR_GP, true);
    (void)expect_between("RDMSR's #GP without a gate", VECTOR_DF, VECTOR_NP, trap.vector);
    gate_present(VECTOR_PF, false);
    window_set(0, 0);
    di = at(0, 0);
    TRAP("insb", : "+D"(di) : "d"(0x80) : "memory");
    gate_present(VECTOR_PF, true);
    (void)expect_between("INS's #PF without a gate", VECTOR_DF, VECTOR_NP, trap.vector);
}

/* ---- segments */

static void segments(void)
{
    gdt[SEL_TEST / 8] = 0x00cf13000000ffffull;     /* not present */
    gdt[SEL_TEST / 8 + 1] = 0x00cfbb000000ffffull; /* code, DPL 1 */
    gdt[SEL_TEST / 8 + 2] = 0x00cf91000000ffffull; /* read-only data */
    TRAP("mov %w0, %%fs", : : "r"(SEL_TEST) : "memory");
    (void)expect_trap("data not present", VECTOR_NP, SEL_TEST);
    TRAP("mov %w0, %%ss", : : "r"(SEL_TEST) : "memory");
    (void)expect_trap("stack not present", VECTOR_SS, SEL_TEST);
    TRAP("mov %w0, %%ss", : : "r"(SEL_TEST + 16) : "memory");
    (void)expect_trap("stack read-only", VECTOR_GP, SEL_TEST + 16);
    TRAP("mov %w0, %%fs", : : "r"(0xff8) : "memory");
    (void)expect_trap("selector beyond the GDT", VECTOR_GP, 0xff8);
    TRAP("mov %w0, %%fs", : : "r"(SEL_TSS) : "memory");
    (void)expect_trap("a system segment", VECTOR_GP, SEL_TSS);
    TRAP("mov %w0, %%fs", : : "r"(4) : "memory");
    (void)expect_trap("a selector of no LDT", VECTOR_GP, 4);
    TRAP("mov %w0, %%fs", : : "r"(0) : "memory");
    (void)expect_trap("a null selector", NO_TRAP, 0);
    if (!IS_LONG) {
        TRAP("mov %w0, %%ss", : : "r"(0) : "memory");
        (void)expect_trap("a null stack", VECTOR_GP, 0);
    }
    __asm__ volatile("mov %w0, %%fs" : : "r"(SEL_DATA32));
    TRAP("ltr %w0", : : "r"(SEL_TSS) : "memory");
    (void)expect_trap("a busy TSS", VECTOR_GP, SEL_TSS);
}

/* Paging off and on again under the running program, which is mapped one to one. */
static void without_paging(void)
{
    word_t cr0 = read_cr0();

    if (HAS_LMA) {
        test_skip("long mode needs paging");
        return;
    }
    write_cr0(cr0 & ~(word_t)0x80000000u);
    (void)expect("version of the APIC", 0x14, lapic_get(0x30) & 0xf4u);
    (void)cpuid(0, 0);
    TRAP("ud2", : : : "memory");
    (void)expect_trap("UD2", VECTOR_UD, 0);
    {
        word_t c = 3, si = RAM_SCRATCH;

        TRAP("rep outsb", : "+c"(c), "+S"(si) : "d"(0x80) : "memory");
    }
    (void)expect_trap("OUTS", NO_TRAP, 0);
    write_cr0(cr0);
    (void)expect("version with paging", 0x14, lapic_get(0x30) & 0xf4u);
}

const struct test fault_tests[] = {
    {"fault.plain", plain},
    {"fault.accessed-dirty", accessed_dirty},
    {"fault.reserved-nx", reserved_and_nx},
    {"fault.device-pages", device_pages},
    {"fault.device-movs", device_to_nothing},
    {"fault.string-io", string_io},
    {"fault.device-divide", device_divide},
    {"fault.double", double_fault},
    {"fault.double-raised", double_fault_raised},
    {"fault.segments", segments},
    {"fault.no-paging", without_paging},
    {NULL, NULL},
};
