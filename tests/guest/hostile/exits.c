/* SPDX-License-Identifier: ISC */
/* Exits without end: each instruction that the monitor or the kernel answers, as fast as it can be repeated.
 */
#include "tests/guest/hostile/hostile.h"

static void out(void)
{
    while (!attack_over())
        for (unsigned i = 0; i < 64; i++)
            out8(0x80, (uint8_t)i);
}

static void in(void)
{
    while (!attack_over())
        for (unsigned i = 0; i < 64; i++)
            in32(0xfff0);
}

static void run_cpuid(void)
{
    static const uint32_t bases[] = {0, 0x40000000, 0x80000000, 0x8fffffff, 0xc0000000, 0xffffffff};

    while (!attack_over()) {
        uint32_t leaf = bases[attack_random() % 6] + (uint32_t)(attack_random() & 0x3f);

        cpuid(leaf, (uint32_t)attack_random());
        cpuid(leaf, (uint32_t)attack_random() & 0xf);
    }
}

/* Registers of every range, known and not, most of which are answered by #GP. */
static uint32_t random_msr(void)
{
    static const uint32_t bases[] = {0,          0x170,      0x200,      0x400,      0x800,
                                     0xc0000080, 0xc0010000, 0x4b564d00, 0x40000000, 0xfffffff0};

    return bases[attack_random() % 10] + (uint32_t)(attack_random() & 0x7f);
}

static void run_rdmsr(void)
{
    while (!attack_over())
        TRAP("rdmsr", : : "c"(random_msr()) : "rax", "rdx", "memory");
}

/* All but those whose change would end this guest: TSC, APIC base, EFER, GS and the like are state.c's. */
static bool is_own(uint32_t msr)
{
    return msr == 0x10 || msr == 0x3b || msr == 0x1b || (msr >= 0x800 && msr < 0x900) || msr == 0xc0000080 ||
           (msr >= 0xc0000100 && msr <= 0xc0000103) || msr == 0x4b564d01 || msr == 0x4b564d00 ||
           msr == 0x11 || msr == 0x12;
}

static void run_wrmsr(void)
{
    while (!attack_over()) {
        uint32_t msr = random_msr();
        uint64_t value = attack_random() >> (attack_random() & 63);

        if (!is_own(msr))
            TRAP("wrmsr", : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
    }
}

static void hypercall(void)
{
    while (!attack_over()) {
        uint64_t rax = attack_random(), rbx = attack_random();

        TRAP("vmmcall", : "+a"(rax) : "b"(rbx), "c"(attack_random()), "d"(attack_random()) : "memory");
        rax = 1;
        TRAP("vmcall", : "+a"(rax) : "b"(rbx), "c"(attack_random()), "d"(attack_random()) : "memory");
    }
}

static void pause_loop(void)
{
    while (!attack_over())
        for (unsigned i = 0; i < 256; i++)
            __asm__ volatile("pause");
}

static void wbinvd(void)
{
    while (!attack_over()) {
        TRAP("wbinvd", : : : "memory");
        TRAP("invd", : : : "memory");
    }
}

static void xsetbv(void)
{
    word_t cr4 = read_cr4();

    TRAP("mov %0, %%cr4", : : "r"(cr4 | 1u << 18) : "memory");
    while (!attack_over()) {
        uint64_t value = attack_random() >> (attack_random() & 63);
        uint32_t index = attack_random() & 7 ? 0 : (uint32_t)attack_random();

        TRAP("xsetbv", : : "c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
        TRAP("xsetbv", : : "c"(0), "a"((uint32_t)value & 7), "d"(0) : "memory");
        TRAP("xgetbv", : : "c"(index) : "rax", "rdx", "memory");
    }
    TRAP("xsetbv", : : "c"(0), "a"(1), "d"(0) : "memory");
    write_cr4(cr4);
}

static void counters(void)
{
    while (!attack_over()) {
        TRAP("rdpmc", : : "c"((uint32_t)attack_random()) : "rax", "rdx", "memory");
        TRAP("rdtscp", : : : "rax", "rcx", "rdx", "memory");
        TRAP("monitor", : : "a"(0x500000), "c"(0), "d"(0) : "memory");
        TRAP("mwait", : : "a"(0), "c"(attack_random() & 1) : "memory");
        TRAP("rsm", : : : "memory");
        TRAP("getsec", : "+a"((uint64_t){0}) : : "rbx", "rcx", "rdx", "memory");
    }
}

/* Instructions of a hypervisor, which this one is not. */
static void svm(void)
{
    while (!attack_over()) {
        uint64_t address = attack_random() & 1 ? 0x500000 : attack_random();

        TRAP("vmrun %%rax", : : "a"(address) : "memory");
        TRAP("vmload %%rax", : : "a"(address) : "memory");
        TRAP("vmsave %%rax", : : "a"(address) : "memory");
        TRAP("stgi", : : : "memory");
        TRAP("clgi", : : : "memory");
        TRAP("skinit %%eax", : : "a"(address) : "memory");
        TRAP("invlpga %%rax, %%ecx", : : "a"(address), "c"(1) : "memory");
        TRAP("wrmsr", : : "c"(0xc0000080), "a"(0x1d01), "d"(0) : "memory");   /* EFER.SVME */
        TRAP("wrmsr", : : "c"(0xc0010117), "a"(0x500000), "d"(0) : "memory"); /* VM_HSAVE_PA */
        TRAP("wrmsr", : : "c"(0xc0010114), "a"(0x1f), "d"(0) : "memory");     /* VM_CR */
    }
}

static void vmx(void)
{
    static uint64_t pointer = 0x500000;

    while (!attack_over()) {
        TRAP("vmxon %0", : : "m"(pointer) : "memory");
        TRAP("vmclear %0", : : "m"(pointer) : "memory");
        TRAP("vmptrld %0", : : "m"(pointer) : "memory");
        TRAP("vmlaunch", : : : "memory");
        TRAP("vmresume", : : : "memory");
        TRAP("vmread %%rax, %%rcx", : : : "rcx", "memory");
        TRAP("vmwrite %%rax, %%rcx", : : : "memory");
        TRAP("invept %0, %%rax", : : "m"(pointer) : "memory");
        TRAP("vmxoff", : : : "memory");
    }
}

/* An instruction that needs more than it has: 16 prefixes before an OUT, a CPUID, an RDMSR. */
static void prefixes(void)
{
    while (!attack_over()) {
        TRAP(".fill 15, 1, 0x66\n outb %%al, $0x80", : : : "memory");
        TRAP(".fill 13, 1, 0x66\n outb %%al, $0x80", : : : "memory");
        TRAP(".fill 14, 1, 0x2e\n cpuid", : : : "rax", "rbx", "rcx", "rdx", "memory");
        TRAP(".fill 13, 1, 0x3e\n cpuid", : : : "rax", "rbx", "rcx", "rdx", "memory");
        TRAP(".fill 12, 1, 0x66\n rdmsr", : : "c"(0x1b) : "rax", "rdx", "memory");
        TRAP(".byte 0xf0\n cpuid", : : : "rax", "rbx", "rcx", "rdx", "memory");
        TRAP(".byte 0xf2, 0xf3, 0x48\n rdmsr", : : "c"(0x1b) : "rax", "rdx", "memory");
    }
}

/* Counts of 2^32 and more, up and down, at each width, and beyond the last port. */
static void rep_outs(void)
{
    uint64_t rsi = RAM_SCRATCH, rcx = 1ull << 32;

    UNTIL_ALARM("cld\n rep outsb", : "+S"(rsi), "+c"(rcx) : "d"(0x80) : "memory");
}

static void rep_ins(void)
{
    uint64_t rdi = RAM_TOP, rcx = ~0ull;

    UNTIL_ALARM("std\n rep insl\n cld", : "+D"(rdi), "+c"(rcx) : "d"(0x64) : "memory");
    __asm__ volatile("cld");
}

static void rep_edge(void)
{
    while (!attack_over()) {
        uint64_t rsi = RAM_SCRATCH, rdi = RAM_SCRATCH, rcx = 100;

        TRAP("rep outsl", : "+S"(rsi), "+c"(rcx) : "d"(0xffff) : "memory");
        rcx = 100;
        TRAP("rep insl", : "+D"(rdi), "+c"(rcx) : "d"(0xfffd) : "memory");
        rsi = 0xffffffffffffff00u, rcx = 1000; /* over the end of the address space */
        TRAP("rep outsb", : "+S"(rsi), "+c"(rcx) : "d"(0x80) : "memory");
        rdi = 0x7ffffffffff0u, rcx = 1000; /* into the non-canonical */
        TRAP("rep insb", : "+D"(rdi), "+c"(rcx) : "d"(0x80) : "memory");
        TRAP("addr32 rep outsw", : "+S"(rsi), "+c"(rcx) : "d"(0x80) : "memory");
        TRAP("in %%dx, %%eax", : : "d"(0xffff) : "rax", "memory");
        TRAP("out %%eax, %%dx", : : "d"(0xfffe), "a"(~0u) : "memory");
    }
}

const struct attack attacks_exits[] = {
    {"out", out},
    {"in", in},
    {"cpuid", run_cpuid},
    {"rdmsr", run_rdmsr},
    {"wrmsr", run_wrmsr},
    {"hypercall", hypercall},
    {"pause", pause_loop},
    {"wbinvd", wbinvd},
    {"xsetbv", xsetbv},
    {"counters", counters},
    {"svm", svm},
    {"vmx", vmx},
    {"prefixes", prefixes},
    {"rep-outs", rep_outs},
    {"rep-ins", rep_ins},
    {"rep-edge", rep_edge},
    {0},
};
