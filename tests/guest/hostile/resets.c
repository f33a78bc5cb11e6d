/* SPDX-License-Identifier: ISC */
/* Attacks that end this guest: what follows is its reset, and nothing else. */
#include "tests/guest/hostile/hostile.h"

struct __attribute__((packed)) table_pointer {
    uint16_t limit;
    uint64_t base;
};

static void triple_fault(void)
{
    struct table_pointer none = {0, 0};

    __asm__ volatile("lidt %0\n int3" : : "m"(none) : "memory");
}

/* Exceptions through tables and on a stack that are no memory. */
static void idt_hole(void)
{
    struct table_pointer hole = {0xfff, HOLE};

    __asm__ volatile("lidt %0\n int3" : : "m"(hole) : "memory");
}

static void exception_stack(void)
{
    __asm__ volatile("mov %0, %%rsp\n int3" : : "r"(HOLE + 0x800ul) : "memory");
}

static void interrupt_stack(void)
{
    lapic_set(LAPIC_SVR, 0x1ff);
    lapic_set(LAPIC_ICR, 0x44000u | VECTOR_STORM);
    __asm__ volatile("mov %0, %%rsp\n sti\n 1: jmp 1b" : : "r"(LAPIC_BASE + 0x800ul) : "memory");
}

static void no_tables(void)
{
    write_cr3(HOLE);
    for (;;)
        __asm__ volatile("nop");
}

static void tables_apic(void)
{
    write_cr3(LAPIC_BASE);
    for (;;)
        __asm__ volatile("nop");
}

/* Over everything, as far as RAM goes: tables, code and all. */
static void overwrite(void)
{
    __asm__ volatile("rep stosq" : : "D"(0x1000), "a"(~0ul), "c"(0x400000) : "memory");
}

static void keyboard(void)
{
    for (;;)
        out8(0x64, 0xfe);
}

static void port_92(void)
{
    for (;;)
        out8(0x92, 1);
}

static void port_cf9(void)
{
    for (;;)
        out8(0xcf9, 6);
}

/* INIT to itself: on a PC, the way to the reset vector. */
static void init(void)
{
    lapic_set(LAPIC_ICR, 0x44500u);
    for (;;)
        __asm__ volatile("pause");
}

/* Out of long mode by the way that there is, and out of its table into a task, from a segment that is none.
 */
static void task_switch(void)
{
    const struct table_pointer none = {0, 0}; /* where nobody answers it, the new task is none either */

    memset((void *)(uintptr_t)RAM_SCRATCH, 0, 4096);
    __asm__ volatile("lidt %0" : : "m"(none));
    for (unsigned i = 0; i < 2; i++)
        gdt[SEL_TEST / 8 + i] = 0x0000890000000067ull | (RAM_SCRATCH + 128ull * i) << 16;
    __asm__ volatile("push %0\n push $1f\n lretq\n .code32\n"
                     "1: mov %%cr0, %%eax\n and $0x7fffffff, %%eax\n mov %%eax, %%cr0\n"
                     "mov $0xc0000080, %%ecx\n xor %%eax, %%eax\n xor %%edx, %%edx\n wrmsr\n"
                     "movw $0x0010, %%ax\n movw %%ax, %%ss\n movl $0x508000, %%esp\n"
                     "ltr %w1\n ljmp %2, $0\n .code64"
                     :
                     : "r"((uint64_t)SEL_CODE32), "r"(SEL_TEST), "i"(SEL_TEST + 8)
                     : "rax", "rcx", "rdx", "memory");
    __builtin_unreachable();
}

/* What a processor answers by #GP and QEMU 7.2 lets through or ends the guest for: reserved bits of CR4 and
 * CR3, no protection, paging or PAE in 64-bit mode, tables at addresses that are none. */
static void control_reserved(void)
{
    const struct table_pointer nowhere = {0xffff, 0x123456789abcdef0u};
    word_t cr0 = read_cr0(), cr3 = read_cr3(), cr4 = read_cr4();

    while (!attack_over()) {
        word_t bit = 1ul << (attack_random() & 63);

        TRAP("mov %0, %%cr0", : : "r"(cr0 & ~1ul) : "memory");
        TRAP("mov %0, %%cr0", : : "r"(cr0 ^ bit) : "memory");
        TRAP("mov %0, %%cr0", : : "r"(cr0) : "memory");
        TRAP("mov %0, %%cr4", : : "r"(cr4 ^ bit) : "memory");
        TRAP("mov %0, %%cr4", : : "r"(cr4) : "memory");
        TRAP("mov %0, %%cr3", : : "r"(cr3 | 1ul << 52 << (attack_random() % 11)) : "memory");
        TRAP("lgdt %0", : : "m"(nowhere) : "memory");
        TRAP("lidt %0", : : "m"(nowhere) : "memory");
    }
}

/* Its stack where there is nothing to write to, while each exception makes another. */
static void stack_overflow(void)
{
    __asm__ volatile("mov $0x1000, %%rsp\n 1: push %%rax\n jmp 1b" : : : "memory");
}

const struct attack attacks_resets[] = {
    {"triple-fault", triple_fault},
    {"idt-hole", idt_hole},
    {"exception-stack", exception_stack},
    {"interrupt-stack", interrupt_stack},
    {"no-tables", no_tables},
    {"tables-apic", tables_apic},
    {"overwrite", overwrite},
    {"keyboard-reset", keyboard},
    {"port-92", port_92},
    {"port-cf9", port_cf9},
    {"init", init},
    {"task-switch", task_switch},
    {"control-reserved", control_reserved},
    {"stack-overflow", stack_overflow},
    {0},
};
