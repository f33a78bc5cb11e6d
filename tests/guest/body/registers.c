/* SPDX-License-Identifier: ISC */
/* Control registers, MSRs and CPUID: what may be written, what is #GP, and that what is offered holds. */
#include "tests/guest/body/suites.h"

#define CR0_CD      0x40000000u
#define CR4_OSXSAVE 0x40000u
#define EFER        0xc0000080u
#define EFER_LME    0x100u
#define PAT         0x277u
#define X_OSXSAVE   (1u << 27)
#define X_XSAVE     (1u << 26)
#define X_MONITOR   (1u << 3)
#define X_VMM       (1u << 31)
#define INTEL_EBX   0x756e6547u /* "Genu" */

/* That bits which must not be set are refused is not tried: QEMU lets them in, and VMRUN refuses them then.
 */
static void control(void)
{
    word_t cr0 = read_cr0();
    uint32_t word = 0;

    write_cr0(cr0 | CR0_CD);
    (void)expect("CD set", CR0_CD, read_cr0() & CR0_CD);
    write_cr0(cr0);
    __asm__ volatile("smsw %k0" : "=r"(word));
    (void)expect("SMSW", (uint32_t)cr0 & 0xffff, word & 0xffff);
    if (!IS_REAL) {
        __asm__ volatile("lmsw %w0" : : "r"(0xe & (uint32_t)cr0));
        (void)expect("LMSW cannot clear PE", cr0, read_cr0());
    }
    __asm__ volatile("lmsw %w0" : : "r"((uint32_t)cr0 | 8u));
    (void)expect("LMSW sets TS", 8, read_cr0() & 8u);
    __asm__ volatile("clts");
    write_cr0(cr0);
}

static void gp_of_msr(const char *what, uint32_t msr, uint64_t value)
{
    TRAP("wrmsr", : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
    (void)expect_trap(what, VECTOR_GP, 0);
}

static void keeps(const char *what, uint32_t msr, uint64_t value)
{
    uint64_t old = rdmsr(msr);

    wrmsr(msr, value);
    (void)expect(what, value, rdmsr(msr));
    wrmsr(msr, old);
    (void)expect(what, old, rdmsr(msr));
}

static void msrs(void)
{
    keeps("STAR", 0xc0000081, 0x123456789abcdef0ull);
    keeps("LSTAR", 0xc0000082, 0xffff800012345678ull);
    keeps("CSTAR", 0xc0000083, 0x00007fff12345678ull);
    keeps("SFMASK", 0xc0000084, 0x47700);
    keeps("KERNEL_GS_BASE", 0xc0000102, 0xffff800000001000ull);
    keeps("SYSENTER_CS", 0x174, 0x1234);
    keeps("SYSENTER_ESP", 0x175, 0x12345678);
    keeps("SYSENTER_EIP", 0x176, 0x87654321);
    keeps("PAT", PAT, 0x0001040600070406ull);
    (void)expect("MTRR_CAP: write combining, fixed", 0x500, rdmsr(0xfe) & 0x500);
}

static void msr_faults(void)
{
    static const uint32_t unknown[] = {0x2, 0x1234, 0xdead0000, 0xc0000fff, 0x40000000, 0x8ff};
    uint64_t efer = rdmsr(EFER);

    for (unsigned i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        TRAP("rdmsr", : : "c"(unknown[i]) : "eax", "edx", "memory");
        (void)expect_trap("read of an unknown MSR", VECTOR_GP, 0);
        gp_of_msr("write of an unknown MSR", unknown[i], 0);
    }
    gp_of_msr("PAT with type 2", PAT, 0x0207040600070406ull);
    gp_of_msr("EFER with a reserved bit", EFER, efer | 1u << 9);
    gp_of_msr("APIC_BASE with a reserved bit", 0x1b, 0xfee00901u);
    if (HAS_LMA)
        gp_of_msr("EFER without LME under paging", EFER, efer & ~(uint64_t)EFER_LME);
    (void)expect("EFER as before", efer, rdmsr(EFER));
    TRAP("rdpmc", : : "c"(0x7f) : "eax", "edx", "memory");
    (void)expect_trap("RDPMC of no counter", VECTOR_GP, 0);
}

static void features(void)
{
    struct cpuid zero = cpuid(0, 0), extended = cpuid(0x80000000, 0), one = cpuid(1, 0), again;

    (void)expect_between("highest leaf", 1, 0xff, zero.eax);
    /* Intel's have none (SDM vol. 2, CPUID). */
    (void)expect("vendor of the extended leaves", zero.ebx == INTEL_EBX ? 0 : zero.ebx, extended.ebx);
    (void)expect("a hypervisor is there", X_VMM, one.ecx & X_VMM);
    (void)expect("APIC ID", lapic_get(0x20) >> 24, one.ebx >> 24);
    if (!(one.ecx & X_MONITOR)) {
        TRAP("monitor", : : "a"(0), "c"(0), "d"(0) : "memory");
        (void)expect_trap("MONITOR, not offered", VECTOR_UD, 0);
        TRAP("mwait", : : "a"(0), "c"(0) : "memory");
        (void)expect_trap("MWAIT, not offered", VECTOR_UD, 0);
    }
    if (!(one.ecx & X_XSAVE)) {
        TRAP("xsetbv", : : "a"(1), "d"(0), "c"(0) : "memory");
        (void)expect_trap("XSETBV, not offered", VECTOR_UD, 0);
        return;
    }
    write_cr4(read_cr4() | CR4_OSXSAVE);
    again = cpuid(1, 0);
    (void)expect("OSXSAVE follows CR4", X_OSXSAVE, again.ecx & X_OSXSAVE);
    TRAP("xsetbv", : : "a"(0), "d"(0), "c"(0) : "memory");
    (void)expect_trap("XCR0 without x87", VECTOR_GP, 0);
    TRAP("xsetbv", : : "a"(1), "d"(0), "c"(1) : "memory");
    (void)expect_trap("XSETBV of register 1", VECTOR_GP, 0);
    TRAP("xsetbv", : : "a"(1), "d"(0), "c"(0) : "memory");
    (void)expect_trap("XCR0 of x87", NO_TRAP, 0);
    (void)expect("size of x87 and header", 576, cpuid(13, 0).ebx);
    write_cr4(read_cr4() & ~(word_t)CR4_OSXSAVE);
    (void)expect("OSXSAVE cleared", 0, cpuid(1, 0).ecx & X_OSXSAVE);
}

/* What belongs to hypervisors and SMM is not the guest's. */
static void undefined(void)
{
    TRAP("vmrun " RAX, : : "a"(0) : "memory");
    (void)expect_trap("VMRUN", VECTOR_UD, 0);
    TRAP("vmload " RAX, : : "a"(0) : "memory");
    (void)expect_trap("VMLOAD", VECTOR_UD, 0);
    TRAP("vmsave " RAX, : : "a"(0) : "memory");
    (void)expect_trap("VMSAVE", VECTOR_UD, 0);
    TRAP("stgi", : : : "memory");
    (void)expect_trap("STGI", VECTOR_UD, 0);
    TRAP("clgi", : : : "memory");
    (void)expect_trap("CLGI", VECTOR_UD, 0);
    TRAP("invlpga " RAX ", %%ecx", : : "a"(0), "c"(0) : "memory");
    (void)expect_trap("INVLPGA", VECTOR_UD, 0);
    TRAP("rsm", : : : "memory");
    (void)expect_trap("RSM", VECTOR_UD, 0);
}

static void tables(void)
{
    struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } gdtr = {0, 0}, idtr = {0, 0};

    __asm__ volatile("sgdt %0" : "=m"(gdtr));
    __asm__ volatile("sidt %0" : "=m"(idtr));
    (void)expect("limit of the GDT", GDT_BYTES - 1, gdtr.limit);
    (void)expect("base of the GDT", (uint32_t)(uintptr_t)gdt, (uint32_t)gdtr.base);
    if (!IS_REAL) {
        uint32_t tr = 0;

        __asm__ volatile("str %w0" : "=r"(tr));
        (void)expect("TR", SEL_TSS, tr & 0xffff);
        return;
    }
    (void)expect("limit of the IVT", 0x3ff, idtr.limit);
    TRAP("sldt %%ax", : : : "eax", "memory");
    (void)expect_trap("SLDT in real mode", VECTOR_UD, 0);
    TRAP("str %%ax", : : : "eax", "memory");
    (void)expect_trap("STR in real mode", VECTOR_UD, 0);
}

static void harmless(void)
{
    TRAP("wbinvd", : : : "memory");
    (void)expect_trap("WBINVD", NO_TRAP, 0);
    TRAP("invlpg (" RAX ")", : : "a"(RAM_SCRATCH) : "memory");
    (void)expect_trap("INVLPG", NO_TRAP, 0);
    for (unsigned i = 0; i < 1000; i++)
        __asm__ volatile("pause");
}

const struct test register_tests[] = {
    {"register.control", control},       {"register.msr", msrs},
    {"register.msr-faults", msr_faults}, {"register.cpuid", features},
    {"register.svm", undefined},         {"register.tables", tables},
    {"register.harmless", harmless},     {NULL, NULL},
};
