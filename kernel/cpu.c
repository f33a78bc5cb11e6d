/* SPDX-License-Identifier: ISC */
/* Setting up a CPU: features, control registers, descriptor tables, the way in. See cpu.h. */
#include "kernel/cpu.h"

#include "kernel/guest_state.h"
#include "kernel/print.h"
#include "kernel/smp.h"
#include <string.h>

#define XSAVE_XSAVES (1u << 3)
#define FXSAVE_SIZE  512u
#define FPU_SIZE_MAX (PAGE_SIZE - sizeof(struct fpu))

#define VM_CR_SVMDIS (1u << 4)
#define SVM_NP       (1u << 0)
#define SVM_NRIP     (1u << 3)
#define SVM_BY_ASID  (1u << 6)
#define SVM_DECODE   (1u << 7)

#define GDT_CODE  0x00af9b000000ffffu
#define GDT_DATA  0x00cf93000000ffffu
#define GDT_DPL3  0x0000600000000000u
#define IDT_GATE  0x8e00u /* present interrupt gate, DPL 0 */
#define VECTORS   256
#define TRAP_STUB 16 /* bytes a stub in entry.S */

struct cpu_features cpu_features;

static struct {
    uint64_t low, high;
} idt[VECTORS];

extern char trap_vectors[], syscall_entry[];

static void find_xsave(void)
{
    struct cpuid leaf;

    cpu_features.fpu_size = FXSAVE_SIZE;
    cpu_features.xcr0 = cpu_features.xcr0_host = XCR0_X87;
    if (!(cpuid(1, 0).ecx & 1u << 26))
        return;
    leaf = cpuid(0xd, 0);
    cpu_features.xsave = true;
    cpu_features.xsaves = cpuid(0xd, 1).eax & XSAVE_XSAVES;
    cpu_features.xcr0 = leaf.eax & guest_state_bits(GUEST_XCR0, false);
    cpu_features.xcr0_host = cpu_features.xcr0 & ~XCR0_AVX512;
    write_cr4(read_cr4() | CR4_OSXSAVE);
    xsetbv(0, cpu_features.xcr0);
    cpu_features.fpu_size = cpuid(0xd, 0).ebx; /* for what XCR0 has enabled */
    if (cpu_features.fpu_size > FPU_SIZE_MAX)
        panic("the FPU's state needs %u bytes, at most %u are supported", cpu_features.fpu_size,
              (unsigned)FPU_SIZE_MAX);
}

bool cpu_lacks(enum boot_lacks lacks, const char *what)
{
    cpu_features.vm_lacks = lacks;
    print("virtual machines: %s", what);
    return false;
}

static void find_svm(uint32_t max_extended)
{
    struct cpuid leaf;

    if (max_extended < 0x8000000a || !(cpuid(0x80000001, 0).ecx & 1u << 2))
        return;
    if (rdmsr(MSR_VM_CR) & VM_CR_SVMDIS) {
        (void)cpu_lacks(BOOT_LACKS_FIRMWARE, "SVM is switched off by the firmware");
        return;
    }
    leaf = cpuid(0x8000000a, 0);
    if (!(leaf.edx & SVM_NP) || leaf.ebx < 2) {
        (void)cpu_lacks(BOOT_LACKS_NPT, "the processor has SVM without nested paging");
        return;
    }
    cpu_features.svm = true;
    cpu_features.giant_nested = cpu_features.giant;
    cpu_features.svm_asids = leaf.ebx;
    cpu_features.svm_next_rip = leaf.edx & SVM_NRIP;
    cpu_features.svm_flush_by_asid = leaf.edx & SVM_BY_ASID;
    cpu_features.svm_decode_assists = leaf.edx & SVM_DECODE;
}

static void find_features(void)
{
    uint32_t max = cpuid(0, 0).eax, max_extended = cpuid(0x80000000, 0).eax;
    struct cpuid seven = max >= 7 ? cpuid(7, 0) : (struct cpuid){0};
    uint32_t extended = cpuid(0x80000001, 0).edx;
    unsigned bits = max_extended >= 0x80000008 ? cpuid(0x80000008, 0).eax & 0xff : 36;

    if (!(extended & 1u << 20))
        panic("the processor lacks NX, which isolation needs");
    cpu_features.giant = extended & 1u << 26;
    cpu_features.rdtscp = extended & 1u << 27;
    cpu_features.smep = seven.ebx & 1u << 7;
    cpu_features.smap = seven.ebx & 1u << 20;
    cpu_features.umip = seven.ecx & 1u << 2;
    cpu_features.tsc_deadline = cpuid(1, 0).ecx & 1u << 24;
    cpu_features.physical_mask = (1ul << bits) - 1;
    find_xsave();
    find_svm(max_extended);
    cpu_features.guest_cr4 = guest_state_bits(GUEST_CR4, cpu_features.svm);
    cpu_features.guest_efer = guest_state_bits(GUEST_EFER, cpu_features.svm);
}

struct table_pointer {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed));

#define TSS_BUSY (1ul << 41)

/* SDM vol. 3, 28.5.2: the GDT's limit is 0xffff then, and a program could use what lies behind it as
 * descriptors; the TSS's is 0x67, and its I/O permissions are gone. */
void cpu_restore_tables(struct cpu *cpu)
{
    struct table_pointer pointer = {.limit = sizeof(cpu->gdt) - 1, .base = (uint64_t)cpu->gdt};

    cpu->gdt[SEL_TSS / 8] &= ~TSS_BUSY;
    __asm__ volatile("lgdt %0\n\tltr %w1" : : "m"(pointer), "r"(SEL_TSS) : "memory");
}

static void load_tables(struct cpu *cpu)
{
    struct table_pointer pointer;
    uint64_t tss = (uint64_t)&cpu->tss;

    memset(cpu->tss.bitmap, 0xff, sizeof(cpu->tss.bitmap));
    cpu->tss.iomap = TSS_NO_BITMAP;
    for (unsigned i = 0; i < 3; i++)
        cpu->tss.ist[i] = (uint64_t)(cpu->interrupt_stack[i] + sizeof(cpu->interrupt_stack[i]));
    cpu->gdt[SEL_KERNEL_CODE / 8] = GDT_CODE;
    cpu->gdt[SEL_KERNEL_DATA / 8] = GDT_DATA;
    cpu->gdt[SEL_USER_DATA / 8] = GDT_DATA | GDT_DPL3;
    cpu->gdt[SEL_USER_CODE / 8] = GDT_CODE | GDT_DPL3;
    cpu->gdt[SEL_TSS / 8] =
        (sizeof(cpu->tss) - 1) | (tss & 0xffffff) << 16 | 0x89ul << 40 | (tss >> 24 & 0xff) << 56;
    cpu->gdt[SEL_TSS / 8 + 1] = tss >> 32;
    pointer.limit = sizeof(cpu->gdt) - 1;
    pointer.base = (uint64_t)cpu->gdt;
    __asm__ volatile("lgdt %0\n\t"
                     "push %1\n\t"
                     "lea 1f(%%rip), %%rax\n\t"
                     "push %%rax\n\t"
                     "lretq\n"
                     "1:\tmov %w2, %%ss\n\t"
                     "ltr %w3\n\t"
                     "lldt %w4" /* after reset it is 64 KiB at address 0, which a user could fill */
                     :
                     : "m"(pointer), "i"(SEL_KERNEL_CODE), "r"(SEL_KERNEL_DATA), "r"(SEL_TSS), "r"(0)
                     : "rax", "memory");
    for (unsigned v = 0; v < VECTORS; v++) { /* the same for all */
        uint64_t entry = (uint64_t)trap_vectors + v * TRAP_STUB;
        uint64_t ist = v == 2 ? 1 : v == 8 ? 2 : v == 18 ? 3 : 0;

        idt[v].low = (entry & 0xffff) | (uint64_t)SEL_KERNEL_CODE << 16 | ist << 32 |
                     (uint64_t)IDT_GATE << 32 | (entry >> 16 & 0xffff) << 48;
        idt[v].high = entry >> 32;
    }
    pointer.limit = sizeof(idt) - 1;
    pointer.base = (uint64_t)idt;
    __asm__ volatile("lidt %0" : : "m"(pointer));
}

uint64_t cpu_idle_ticks(const struct cpu *cpu)
{
    uint64_t since = __atomic_load_n(&cpu->idle_since, __ATOMIC_RELAXED);

    return cpu->idle_ticks + (since ? rdtsc() - since : 0);
}

void cpu_init(struct cpu *cpu, void *stack)
{
    uint64_t cr4 = CR4_PAE | CR4_MCE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT;

    cpu->self = cpu;
    cpus[cpu->number] = cpu;
    cpu->stack = stack;
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE | EFER_NXE);
    write_cr4(cr4);
    if (!cpu->number)
        find_features();
    cr4 |= cpu_features.xsave ? CR4_OSXSAVE : 0;
    cr4 |= cpu_features.smep ? CR4_SMEP : 0;
    cr4 |= cpu_features.smap ? CR4_SMAP : 0;
    cr4 |= cpu_features.umip ? CR4_UMIP : 0;
    write_cr4(cr4);
    if (cpu_features.xsave)
        xsetbv(0, cpu_features.xcr0_host);
    if (cpu_features.xsaves)
        wrmsr(MSR_XSS, 0); /* who ran before may have left it, and guests execute XSAVES */
    cpu->xcr0 = cpu_features.xcr0_host;
    write_cr0(CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG | CR0_TS);
    cpu->task_switched = true;
    wrmsr(MSR_PAT, PAT_VALUE);
    load_tables(cpu);
    wrmsr(MSR_GS_BASE, (uint64_t)cpu);
    wrmsr(MSR_KERNEL_GS_BASE, 0);
    wrmsr(MSR_FS_BASE, 0);
    if (cpu_features.rdtscp)
        wrmsr(MSR_TSC_AUX, 0);
    wrmsr(MSR_SYSENTER_CS, 0); /* whoever ran before may have left it: #GP now */
    wrmsr(MSR_STAR, (uint64_t)SEL_KERNEL_CODE << 32 | (uint64_t)(SEL_USER_DATA - 8) << 48);
    wrmsr(MSR_LSTAR, (uint64_t)syscall_entry);
    wrmsr(MSR_CSTAR, (uint64_t)syscall_entry);
    wrmsr(MSR_SFMASK, RFLAGS_IF | RFLAGS_DF | RFLAGS_TF | RFLAGS_AC | RFLAGS_NT);
}
