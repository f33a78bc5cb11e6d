/* SPDX-License-Identifier: ISC */
/* State that a processor refuses or that makes no sense: control registers, MSRs, addresses, descriptors,
 * debugging. */
#include "tests/guest/hostile/hostile.h"

#define MSR_EFER 0xc0000080u

#define CR0_NW 0x20000000ul

/* What would end this guest by its own fault stays: protection and paging, PAE, and what C needs. So does NW,
 * which without CD is #GP: QEMU takes it, and refuses the next VMRUN if the host's interrupt comes before it
 * is back (doc/caveats.md). */
static void control_registers(void)
{
    word_t cr0 = read_cr0(), cr3 = read_cr3(), cr4 = read_cr4();
    uint64_t efer = rdmsr(MSR_EFER);

    while (!attack_over()) {
        word_t bit = 1ul << (1 + attack_random() % 30), low = 1ul << (attack_random() % 11);

        TRAP("mov %0, %%cr0", : : "r"(cr0 ^ (bit & ~CR0_NW)) : "memory");
        TRAP("mov %0, %%cr0", : : "r"(cr0) : "memory");
        TRAP("mov %0, %%cr4", : : "r"((cr4 ^ low) | 0x20) : "memory");
        TRAP("mov %0, %%cr4", : : "r"(cr4) : "memory");
        TRAP("mov %0, %%cr3", : : "r"(cr3 | 0x18) : "memory");
        TRAP("mov %0, %%cr8", : : "r"(bit << 4) : "memory");
        TRAP("wrmsr", : : "c"(MSR_EFER), "a"((uint32_t)efer ^ (uint32_t)bit), "d"(bit >> 32) : "memory");
        TRAP("wrmsr", : : "c"(MSR_EFER), "a"((uint32_t)efer), "d"(0) : "memory");
        TRAP("mov %%cr1, %%rax\n mov %%cr5, %%rax\n mov %%cr15, %%rax", : : : "rax", "memory");
        TRAP("lmsw %w0", : : "r"(0) : "memory");
        TRAP("lmsw %w0\n clts", : : "r"(0xf) : "memory");
    }
    TRAP("mov %0, %%cr8", : : "r"(0ul) : "memory");
    write_cr3(cr3);
}

/* The fault may be one of user mode: back to where we were. */
static void fault_of_user(struct frame *frame)
{
    frame->cs = SEL_CODE64;
    frame->ss = SEL_DATA32;
    frame->ip = trap_resume;
    trap_resume = 0;
}

/* Addresses beyond the canonical, wherever one is kept. */
static void non_canonical(void)
{
    static const uint32_t msrs[] = {0xc0000082, 0xc0000083, 0xc0000100, 0xc0000102, 0x175, 0x176};
    static const uint64_t addresses[] = {0x800000000000u, 0xffff7fffffffffffu, 0x8000000000000000u,
                                         0x123456789abcdef0u};
    uint64_t fs = rdmsr(0xc0000100);

    wrmsr(0xc0000081, (uint64_t)(SEL_USER64 - 0x10) << 48 | (uint64_t)SEL_CODE64 << 32);
    trap_handlers[VECTOR_GP] = fault_of_user;
    while (!attack_over()) {
        uint64_t address = addresses[attack_random() % 4];
        for (unsigned i = 0; i < sizeof msrs / sizeof msrs[0]; i++)
            TRAP("wrmsr",
                 :
                 : "c"(msrs[i]), "a"((uint32_t)address), "d"((uint32_t)(address >> 32))
                 : "memory");
        TRAP("jmp *%0", : : "r"(address) : "memory");
        TRAP("mov (%0), %%al", : : "r"(address) : "rax", "memory");
        TRAP("outsb", : : "S"(address), "d"(0x80) : "memory");
        TRAP("insb", : : "D"(address), "d"(0x80) : "memory");
        TRAP("invlpg (%0)", : : "r"(address) : "memory");
        TRAP_STACK("push %0\n push %%r15\n pushfq\n push %1\n push %2\n iretq",
                   :
                   : "r"(0ul + SEL_DATA32), "r"(0ul + SEL_CODE64), "r"(address)
                   : "r15", "memory");
        TRAP_STACK("push %0\n ret", : : "r"(address) : "r15", "memory");
        /* SYSRET to nowhere: on some processors a fault in kernel mode, on the others one in user mode */
        TRAP_STACK("mov %0, %%rcx\n mov $2, %%r11\n sysretq",
                   :
                   : "r"(address)
                   : "rcx", "r11", "r15", "memory");
    }
    trap_handlers[VECTOR_GP] = NULL;
    wrmsr(0xc0000100, fs);
}

/* The clock's page in memory that is none, over the edge, in the monitor's tables, unaligned; and turned off.
 */
static void kvmclock(void)
{
    static const uint64_t pages[] = {HOLE,    HOLE_HIGH, 0xfffffffffffff000u, 0xa0000, 0x1ffffe0, 0xc0000,
                                     0xf0000, 0xfffe0,   LAPIC_BASE,          0x9fff0, 0,         0xffffffe0};

    while (!attack_over()) {
        uint64_t page = pages[attack_random() % 12] | (attack_random() & 3);

        TRAP("wrmsr", : : "c"(0x4b564d01), "a"((uint32_t)page), "d"((uint32_t)(page >> 32)) : "memory");
        TRAP("wrmsr", : : "c"(0x4b564d00), "a"((uint32_t)page), "d"((uint32_t)(page >> 32)) : "memory");
        TRAP("wrmsr", : : "c"(0x11), "a"((uint32_t)page), "d"((uint32_t)(page >> 32)) : "memory");
        TRAP("wrmsr", : : "c"(0x12), "a"((uint32_t)page), "d"((uint32_t)(page >> 32)) : "memory");
        page = RAM_SCRATCH + (attack_random() & 0xfff);
        TRAP("wrmsr", : : "c"(0x4b564d01), "a"((uint32_t)page), "d"(0) : "memory");
        TRAP("wrmsr", : : "c"(0x4b564d02), "a"((uint32_t)page | 1), "d"(0) : "memory");
        TRAP("wrmsr", : : "c"(0x4b564d03), "a"((uint32_t)page | 1), "d"(0) : "memory");
        TRAP("wrmsr", : : "c"(0x4b564d04), "a"((uint32_t)page | 1), "d"(0) : "memory");
    }
    TRAP("wrmsr", : : "c"(0x4b564d01), "a"(0), "d"(0) : "memory");
}

/* The TSC moved about, to and fro; it ends where it began. */
static void tsc(void)
{
    uint64_t saved = attack_end;

    while (!attack_over()) {
        uint64_t offset = attack_random(), now = rdtsc();

        wrmsr(0x10, now + offset);
        TRAP("wrmsr",
             :
             : "c"(0x6e0), "a"((uint32_t)attack_random()), "d"((uint32_t)attack_random())
             : "memory");
        wrmsr(0x10, rdtsc() - offset);
        TRAP("wrmsr", : : "c"(0x3b), "a"(0), "d"(0x80000000u) : "memory");
        TRAP("wrmsr", : : "c"(0x3b), "a"(0), "d"(0) : "memory");
        attack_end = saved;
    }
}

static void single_steps(struct frame *frame)
{
    if (attack_over())
        frame->flags &= ~0x100ull;
}

/* Single steps over everything that exits, breakpoints anywhere, and the debug registers with any bits. */
static void debug(void)
{
    trap_handlers[VECTOR_DB] = single_steps;
    while (!attack_over()) {
        uint64_t a = attack_random(), b = attack_random();

        TRAP("mov %0, %%dr7", : : "r"((a & 0xffff03ff) | 0x400) : "memory");
        TRAP("mov %0, %%dr7", : : "r"(a) : "memory");
        TRAP("mov %0, %%dr6", : : "r"(b) : "memory");
        TRAP("mov %%dr4, %%rax\n mov %%dr5, %%rax", : : : "rax", "memory");
        TRAP("mov %0, %%dr7", : : "r"(0x400ul) : "memory");
        TRAP("mov %0, %%dr0\n mov %0, %%dr1\n mov %0, %%dr2\n mov %0, %%dr3", : : "r"(b) : "memory");
        /* Its own stack under a breakpoint. */
        __asm__ volatile("mov %%rsp, %%rax\n sub $64, %%rax\n mov %%rax, %%dr1" : : : "rax");
        TRAP("mov %0, %%dr7\n outb %%al, $0x80\n mov %1, %%dr7",
             :
             : "r"(0xd0040cul), "r"(0x400ul)
             : "memory");
        __asm__ volatile("mov %0, %%dr7" : : "r"(0x400ul));
        TRAP_STACK(
            "pushfq\n orl $0x100, (%%rsp)\n popfq\n outb %%al, $0x80\n cpuid\n inb $0x80\n rdtsc\n"
            "mov %%ss, %%eax\n mov %%eax, %%ss\n outb %%al, $0x80\n mov 0xfee00020, %%eax\n"
            "mov $3, %%ecx\n mov $0x500000, %%esi\n rep outsb\n pushfq\n andl $~0x100, (%%rsp)\n popfq",
            :
            : "d"(0x80)
            : "rax", "rbx", "rcx", "rsi", "r15", "memory");
    }
    trap_handlers[VECTOR_DB] = NULL;
}

/* Tables in absent memory, descriptors of every type loaded into every register. */
static void descriptors(void)
{
    while (!attack_over()) {
        volatile uint64_t *entry = &gdt[SEL_TEST / 8];

        entry[0] = (attack_random() & ~(3ull << 53)) | 1ull << 53; /* code is of 64 bits */
        entry[1] = attack_random() & 0xffffffff;
        TRAP("mov %w0, %%fs", : : "r"(SEL_TEST) : "memory");
        TRAP("mov %w0, %%gs", : : "r"(SEL_TEST | 3) : "memory");
        TRAP("mov %w0, %%ds", : : "r"(SEL_TEST) : "memory");
        TRAP("lldt %w0", : : "r"(SEL_TEST) : "memory");
        TRAP("ltr %w0", : : "r"(SEL_TSS) : "memory"); /* busy */
        TRAP("ltr %w0", : : "r"((uint32_t)attack_random()) : "memory");
        TRAP("lar %w0, %%eax\n lsl %w0, %%eax\n verr %w0\n verw %w0",
             :
             : "r"((uint32_t)attack_random())
             : "rax", "memory", "cc");
        TRAP_STACK("push %0\n push $1f\n lretq\n 1: push $0x28\n push $2f\n lretq\n 2:",
                   :
                   : "r"(0ul + (SEL_TEST | (attack_random() & 7)))
                   : "r15", "memory");
        TRAP("int %0", : : "i"(0x81) : "memory");
        gate_present(0x82, false);
        TRAP("int %0", : : "i"(0x82) : "memory");
        gate_present(0x82, true);
        TRAP_STACK("pushfq\n orl $0x4000, (%%rsp)\n popfq\n iretq", : : : "r15", "memory"); /* NT */
        __asm__ volatile("pushfq\n andl $~0x4000, (%%rsp)\n popfq" : : : "memory", "cc");
        TRAP("mov %w0, %%ds\n mov %w0, %%fs\n mov %w0, %%gs", : : "r"(SEL_DATA32) : "memory");
        TRAP("lldt %w0", : : "r"(0) : "memory");
    }
}

/* FPU state that must not be loaded, and FPU exceptions by interrupt 13. */
static void fpu(void)
{
    static uint8_t area[1024] __attribute__((aligned(64)));
    word_t cr0 = read_cr0();

    while (!attack_over()) {
        uint64_t *words = (uint64_t *)area;

        for (size_t i = 0; i < sizeof area / 8; i++)
            words[i] = attack_random();
        TRAP("fxrstor %0", : : "m"(area) : "memory");
        TRAP("xrstor %0", : : "m"(area), "a"(~0u), "d"(~0u) : "memory");
        TRAP("ldmxcsr %0", : : "m"(area) : "memory");
        words[3] = 0x1f80;
        TRAP("fxrstor %0", : : "m"(area) : "memory");
        TRAP("fnclex\n fninit", : : : "memory");
        TRAP("mov %0, %%cr0\n fninit\n fldcw %1\n fldz\n fldz\n fdivp\n fwait",
             :
             : "r"(cr0 & ~0x20ul), "m"(words[8])
             : "memory");
        TRAP("mov %0, %%cr0\n fld1\n mov %1, %%cr0", : : "r"(cr0 | 8), "r"(cr0) : "memory");
        TRAP("mov %0, %%cr0\n fnclex\n fninit", : : "r"(cr0) : "memory");
    }
}

const struct attack attacks_state[] = {
    {"control-registers", control_registers},
    {"non-canonical", non_canonical},
    {"kvmclock", kvmclock},
    {"tsc", tsc},
    {"debug", debug},
    {"descriptors", descriptors},
    {"fpu", fpu},
    {0},
};
