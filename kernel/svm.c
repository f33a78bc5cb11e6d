/* SPDX-License-Identifier: ISC */
/*
 * AMD SVM with nested paging behind the table of vcpu.h. APM vol. 2, ch. 15 and appendix B (layout of the
 * VMCB). Optional features (next RIP, decode assists, flush by ASID) are used where the processor has them.
 */
#include "abi/boot.h"
#include "kernel/account.h"
#include "kernel/cpu.h"
#include "kernel/fpu.h"
#include "kernel/guest_state.h"
#include "kernel/pagetable.h"
#include "kernel/print.h"
#include "kernel/space.h"
#include "kernel/vcpu.h"
#include <string.h>

struct vmcb {
    uint32_t intercept_cr, intercept_dr, intercept_exceptions, intercept[2];
    uint8_t reserved0[0x040 - 0x014];
    uint64_t iopm, msrpm, tsc_offset;
    uint32_t asid;
    uint8_t tlb_control, reserved1[3];
    uint64_t virtual_interrupt, shadow, exit_code, exit_info[2], exit_interrupt, nested_enable;
    uint8_t reserved2[0x0a8 - 0x098];
    uint64_t event, nested_cr3, lbr, clean, next_rip;
    uint8_t fetched, instruction[15];
    uint8_t reserved3[0x400 - 0x0e0];
    struct vcpu_segment es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
    uint8_t reserved4[0x4cb - 0x4a0];
    uint8_t cpl;
    uint8_t reserved5[4];
    uint64_t efer;
    uint8_t reserved6[0x548 - 0x4d8];
    uint64_t cr4, cr3, cr0, dr7, dr6, rflags, rip;
    uint8_t reserved7[0x5d8 - 0x580];
    uint64_t rsp, s_cet, ssp, isst, rax, star, lstar, cstar, sfmask, kernel_gs_base;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip, cr2;
    uint8_t reserved8[0x668 - 0x648];
    uint64_t pat;
};

#define OFFSET_IS(field, offset) _Static_assert(offsetof(struct vmcb, field) == (offset), #field)
OFFSET_IS(iopm, 0x040);
OFFSET_IS(virtual_interrupt, 0x060);
OFFSET_IS(nested_enable, 0x090);
OFFSET_IS(event, 0x0a8);
OFFSET_IS(fetched, 0x0d0);
OFFSET_IS(es, 0x400);
OFFSET_IS(cpl, 0x4cb);
OFFSET_IS(efer, 0x4d0);
OFFSET_IS(cr4, 0x548);
OFFSET_IS(rip, 0x578);
OFFSET_IS(rsp, 0x5d8);
OFFSET_IS(rax, 0x5f8);
OFFSET_IS(cr2, 0x640);
OFFSET_IS(pat, 0x668);

/* intercept[0] */
enum {
    INTERCEPT_INTR = 1u << 0,
    INTERCEPT_NMI = 1u << 1,
    INTERCEPT_SMI = 1u << 2,
    INTERCEPT_INIT = 1u << 3,
    INTERCEPT_VINTR = 1u << 4,
    INTERCEPT_RDPMC = 1u << 15,
    INTERCEPT_CPUID = 1u << 18,
    INTERCEPT_RSM = 1u << 19,
    INTERCEPT_IRET = 1u << 20,
    INTERCEPT_INVD = 1u << 22,
    INTERCEPT_HLT = 1u << 24,
    INTERCEPT_INVLPGA = 1u << 26,
    INTERCEPT_IO = 1u << 27,
    INTERCEPT_MSR = 1u << 28,
    INTERCEPT_TASK_SWITCH = 1u << 29,
    INTERCEPT_FERR = 1u << 30,
    INTERCEPT_SHUTDOWN = 1u << 31,
};

#define INTERCEPT_ALWAYS_0                                                                                   \
    (INTERCEPT_INTR | INTERCEPT_NMI | INTERCEPT_SMI | INTERCEPT_INIT | INTERCEPT_RDPMC | INTERCEPT_CPUID |   \
     INTERCEPT_RSM | INTERCEPT_INVD | INTERCEPT_HLT | INTERCEPT_INVLPGA | INTERCEPT_IO | INTERCEPT_MSR |     \
     INTERCEPT_TASK_SWITCH | INTERCEPT_FERR | INTERCEPT_SHUTDOWN)
/* intercept[1]: all of VMRUN to SKINIT, WBINVD, MONITOR, MWAIT, XSETBV, RDPRU; not RDTSCP and ICEBP. */
#define INTERCEPT_ALWAYS_1 (0x7fu | 1u << 9 | 1u << 10 | 1u << 11 | 1u << 13 | 1u << 14)
/* intercept_cr, where the processor has bits of CR4 that are not for guests. */
#define INTERCEPT_CR4_WRITE (1u << 20)
/* #DB and #AC can repeat without end while they are delivered; #MC is the host's. */
#define INTERCEPT_EXCEPTIONS (1u << 1 | 1u << 17 | 1u << 18)
/* With VCPU_WINDOW_EXCEPTIONS: not NMI, and not #BP and #OF, which are instructions. */
#define INTERCEPT_EXCEPTIONS_ALL (~(1u << 2 | 1u << 3 | 1u << 4))
#define INTERCEPT_DR_ALL         0xffffffffu

#define V_IRQ          (1ul << 8)
#define V_INTR_PRIO    (0xful << 16)
#define V_IGN_TPR      (1ul << 20)
#define V_INTR_MASKING (1ul << 24)
#define V_TPR          0xful
#define V_WINDOW       (V_IRQ | V_INTR_PRIO | V_IGN_TPR)
#define V_VECTOR_SHIFT 32
#define V_PRIO_SHIFT   16
#define V_VECTOR       (0xfful << V_VECTOR_SHIFT)

#define TLB_FLUSH_ALL  1
#define TLB_FLUSH_ASID 3

enum svm_exit {
    EXIT_CR4_WRITE = 0x14,
    EXIT_DR_FIRST = 0x20,
    EXIT_EXCEPTION_FIRST = 0x40,
    EXIT_PF = 0x4e,
    EXIT_MC = 0x52,
    EXIT_EXCEPTION_LAST = 0x5f,
    EXIT_INTR = 0x60,
    EXIT_INIT = 0x63,
    EXIT_VINTR = 0x64,
    EXIT_RDPMC = 0x6f,
    EXIT_CPUID = 0x72,
    EXIT_RSM = 0x73,
    EXIT_IRET = 0x74,
    EXIT_INVD = 0x76,
    EXIT_HLT = 0x78,
    EXIT_INVLPGA = 0x7a,
    EXIT_IO = 0x7b,
    EXIT_MSR = 0x7c,
    EXIT_TASK_SWITCH = 0x7d,
    EXIT_SHUTDOWN = 0x7f,
    EXIT_VMRUN = 0x80,
    EXIT_VMMCALL = 0x81,
    EXIT_SKINIT = 0x86,
    EXIT_WBINVD = 0x89,
    EXIT_MONITOR = 0x8a,
    EXIT_MWAIT = 0x8b,
    EXIT_XSETBV = 0x8d,
    EXIT_RDPRU = 0x8e,
    EXIT_TABLE_END = 0x90,
    EXIT_NPF = 0x400,
};
#define EXIT_INVALID 0xffffffffu /* the low half of -1: some processors leave the upper half alone */

static const uint8_t exit_table[EXIT_TABLE_END] = {
    [EXIT_CR4_WRITE] = VCPU_EXIT_CR4,
    [EXIT_EXCEPTION_FIRST... EXIT_EXCEPTION_LAST] = VCPU_EXIT_EXCEPTION,
    [EXIT_VINTR] = VCPU_EXIT_INTERRUPT_WINDOW,
    [EXIT_RDPMC] = VCPU_EXIT_RDPMC,
    [EXIT_CPUID] = VCPU_EXIT_CPUID,
    [EXIT_RSM] = VCPU_EXIT_UNDEFINED,
    [EXIT_IRET] = VCPU_EXIT_NMI_WINDOW,
    [EXIT_INVD] = VCPU_EXIT_WBINVD,
    [EXIT_HLT] = VCPU_EXIT_HLT,
    [EXIT_INVLPGA] = VCPU_EXIT_UNDEFINED,
    [EXIT_IO] = VCPU_EXIT_IO,
    [EXIT_MSR] = VCPU_EXIT_RDMSR,
    [EXIT_TASK_SWITCH] = VCPU_EXIT_TASK_SWITCH,
    [EXIT_SHUTDOWN] = VCPU_EXIT_SHUTDOWN,
    [EXIT_VMRUN] = VCPU_EXIT_UNDEFINED,
    [EXIT_VMMCALL] = VCPU_EXIT_HYPERCALL,
    [EXIT_VMMCALL + 1 ... EXIT_SKINIT] = VCPU_EXIT_UNDEFINED,
    [EXIT_WBINVD] = VCPU_EXIT_WBINVD,
    [EXIT_MONITOR] = VCPU_EXIT_UNDEFINED,
    [EXIT_MWAIT] = VCPU_EXIT_UNDEFINED,
    [EXIT_XSETBV] = VCPU_EXIT_XSETBV,
    [EXIT_RDPRU] = VCPU_EXIT_UNDEFINED,
};

#define MCG_STATUS_MCIP 4u

#define IO_INFO_MASK  0xffff007dul /* as VCPU_IO_* */
#define NPF_INFO_MASK (VCPU_MMIO_PRESENT | VCPU_MMIO_WRITE | VCPU_MMIO_FETCH)

/* Every port exits, and every MSR of guests without an MSR space but for those of guest_state.c. */
static uint8_t io_permissions[3 * PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
static uint8_t msr_permissions[2 * PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));

static uint32_t intercept_cr; /* of every vCPU */

void svm_enter(uint64_t vmcb, uint64_t *gpr, uint64_t host);

#define MSRS_PER_RANGE 0x2000u

/* Bit 0 for reading, bit 1 for writing, of three ranges. */
static void svm_msr_permit(uint8_t *bitmap, uint32_t msr, unsigned refused)
{
    unsigned range = msr >= 0xc0010000 ? 2 : msr >= 0xc0000000 ? 1 : 0;
    uint32_t bit = 2 * (range * MSRS_PER_RANGE + msr % MSRS_PER_RANGE);

    bitmap[bit / 8] = (uint8_t)((bitmap[bit / 8] & ~(3u << bit % 8)) | refused << bit % 8);
}

static void permissions_init(void)
{
    memset(io_permissions, 0xff, sizeof(io_permissions));
    guest_state_permit(msr_permissions, sizeof(msr_permissions), true, svm_msr_permit);
}

static uint64_t host_page(void)
{
    void *page = pool_reserve();

    if (!page)
        panic("too little kernel memory for virtual machines");
    return physical_address(page);
}

/*
 * Whether this processor has bits of CR4 that are not for guests. It refuses to enter a guest with bits that
 * it does not have (APM vol. 2, 15.5.1); one that it enters has no memory, and exits at once. The pages are
 * those of the permissions, which come later.
 */
static bool cr4_has_closed_bits(uint64_t host)
{
    struct vmcb *v = (struct vmcb *)io_permissions;
    uint64_t gpr[16] = {0};

    for (uint64_t bits = ~cpu_features.guest_cr4; bits; bits &= bits - 1) {
        memset(v, 0, PAGE_SIZE);
        v->intercept[0] = INTERCEPT_ALWAYS_0;
        v->intercept[1] = INTERCEPT_ALWAYS_1;
        v->iopm = v->msrpm = (uint64_t)msr_permissions - KERNEL_OFFSET;
        v->asid = 1;
        v->virtual_interrupt = V_INTR_MASKING;
        v->nested_enable = 1;
        v->nested_cr3 = (uint64_t)msr_permissions - KERNEL_OFFSET;
        v->cs.attributes = 0x29b; /* 64-bit code */
        v->efer = EFER_SVME | EFER_LME | EFER_LMA;
        v->cr0 = CR0_PE | CR0_ET | CR0_WP | CR0_PG;
        v->cr4 = CR4_PAE | (bits & -bits);
        v->rflags = RFLAGS_FIXED;
        svm_enter((uint64_t)v - KERNEL_OFFSET, gpr, host);
        if ((uint32_t)v->exit_code != EXIT_INVALID)
            return true;
    }
    return false;
}

static void svm_cpu_init(void)
{
    struct cpu *cpu = this_cpu();

    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
    wrmsr(MSR_VM_HSAVE_PA, host_page()); /* VMRUN's own */
    cpu->virt_host = host_page();        /* FS, GS, TR, SYSCALL MSRs */
    __asm__ volatile("vmsave" : : "a"(cpu->virt_host) : "memory");
    if (!cpu->number) {
        intercept_cr = cr4_has_closed_bits(cpu->virt_host) ? INTERCEPT_CR4_WRITE : 0;
        permissions_init();
    }
    tags_init(&cpu->asids, cpu_features.svm_asids);
}

/* A processor after reset: APM vol. 2, 14.1.3. */
static void svm_init(struct vcpu *vcpu)
{
    struct vmcb *vmcb = vcpu->control;
    const struct vcpu_segment data = {.attributes = 0x93, .limit = 0xffff};

    vmcb->intercept_cr = intercept_cr;
    vmcb->intercept_dr = INTERCEPT_DR_ALL;
    vmcb->intercept_exceptions = INTERCEPT_EXCEPTIONS;
    vmcb->intercept[0] = INTERCEPT_ALWAYS_0;
    vmcb->intercept[1] = INTERCEPT_ALWAYS_1;
    vmcb->iopm = (uint64_t)io_permissions - KERNEL_OFFSET;
    vmcb->msrpm = vcpu->msr ? physical_address(vcpu->msr->msrs) : (uint64_t)msr_permissions - KERNEL_OFFSET;
    vmcb->virtual_interrupt = V_INTR_MASKING;
    vmcb->nested_enable = 1;
    vmcb->nested_cr3 = vcpu->gst->memory.physical;
    vmcb->es = vmcb->ss = vmcb->ds = vmcb->fs = vmcb->gs = data;
    vmcb->cs =
        (struct vcpu_segment){.selector = 0xf000, .attributes = 0x9b, .limit = 0xffff, .base = 0xffff0000};
    vmcb->gdtr.limit = vmcb->idtr.limit = 0xffff;
    vmcb->ldtr = (struct vcpu_segment){.attributes = 0x82, .limit = 0xffff};
    vmcb->tr = (struct vcpu_segment){.attributes = 0x8b, .limit = 0xffff};
    vmcb->cr0 = CR0_ET | CR0_NW | CR0_CD;
    vmcb->efer = EFER_SVME;
    vmcb->dr6 = 0xffff0ff0;
    vmcb->dr7 = 0x400;
    vmcb->rflags = RFLAGS_FIXED;
    vmcb->rip = 0xfff0;
    vmcb->pat = 0x0007040600070406;
}

/* Registers that stand alike in VMCB and state page, group after group, and where each group begins. */
#define SAME(field)                                                                                          \
    {                                                                                                        \
        offsetof(struct vmcb, field), offsetof(struct vcpu_state, field),                                    \
            sizeof(((struct vcpu_state *)0)->field) / sizeof(uint64_t)                                       \
    }
static const struct {
    uint16_t vmcb, state, words;
} same[] = {
    /* 0: CS_SS */
    SAME(cs),
    SAME(ss),
    /* 2: DS_ES */
    SAME(ds),
    SAME(es),
    /* 4: FS_GS */
    SAME(fs),
    SAME(gs),
    SAME(kernel_gs_base),
    /* 7: TR_LDTR */
    SAME(tr),
    SAME(ldtr),
    /* 9: TABLES */
    SAME(gdtr),
    SAME(idtr),
    /* 11: CR */
    SAME(cr0),
    SAME(cr2),
    SAME(cr3),
    SAME(cr4),
    /* 15: DR */
    SAME(dr6),
    SAME(dr7),
    /* 17: EFER */
    SAME(efer),
    SAME(pat),
    /* 19: SYSCALL */
    SAME(star),
    SAME(lstar),
    SAME(cstar),
    SAME(sfmask),
    SAME(sysenter_cs),
    SAME(sysenter_esp),
    SAME(sysenter_eip),
    /* 26: TSC */
    SAME(tsc_offset),
};
static const uint8_t first_same[] = {0, 0, 0, 0, 2, 4, 7, 9, 11, 15, 17, 19, 26, 27}; /* by the group's bit */
_Static_assert(VCPU_CS_SS == 1u << 3 && VCPU_TSC == 1u << 12 && sizeof(same) / sizeof(*same) == 27,
               "first_same goes with these");

/* Most calls ask for RIP alone, which is done without the table. */
#define GROUPS_SAME (VCPU_GROUPS & ~(uint32_t)(VCPU_GPR | VCPU_RIP | VCPU_EVENT | VCPU_XCR0))

#define DPL_SHIFT 5
#define DPL_MASK  3u

/* One or two. */
static inline void copy_words(uint64_t *to, const uint64_t *from, unsigned words)
{
    to[0] = from[0];
    if (words == 2)
        to[1] = from[1];
}

static void svm_get(const struct vcpu *vcpu, struct vcpu_state *s, uint32_t groups)
{
    const struct vmcb *v = vcpu->control;

    for (uint32_t rest = groups & GROUPS_SAME; rest; rest &= rest - 1) {
        unsigned group = (unsigned)__builtin_ctz(rest);

        for (unsigned i = first_same[group]; i < first_same[group + 1]; i++)
            copy_words((uint64_t *)((char *)s + same[i].state),
                       (const uint64_t *)((const char *)v + same[i].vmcb), same[i].words);
    }
    if (groups & VCPU_RIP) {
        s->rip = v->rip;
        s->rflags = v->rflags;
        s->interruptibility = v->shadow & VCPU_SHADOW;
        s->cr8 = v->virtual_interrupt & V_TPR;
    }
    if (groups & VCPU_EVENT)
        s->inject = s->window = 0;
    if (groups & VCPU_CS_SS)
        s->ss.attributes =
            (uint16_t)((s->ss.attributes & ~(DPL_MASK << DPL_SHIFT)) | (v->cpl & DPL_MASK) << DPL_SHIFT);
    if (groups & VCPU_DR)
        memcpy(&s->dr0, vcpu->dr, sizeof(vcpu->dr));
    if (groups & VCPU_EFER)
        s->efer &= ~EFER_SVME;
    if (groups & VCPU_TSC)
        s->tsc_aux = vcpu->tsc_aux;
    if (groups & VCPU_XCR0)
        s->xcr0 = vcpu->fpu->xcr0;
}

/* QEMU 7.2 takes a virtual interrupt of the TPR's own class, too, so that a window would open again and
 * again: once seen, it is told of the class below. */
static bool takes_own_class;

/*
 * What is to be injected, and whether there is to be an exit as soon as the guest can take an interrupt or
 * NMI. An interrupt that the guest can take at once goes in as a virtual interrupt (APM vol. 2, 15.21.4)
 * unless the exit, which needs the same fields, is wanted: an emulator has been seen to deliver an injected
 * one twice (doc/caveats.md).
 */
static void set_event(struct vmcb *v, uint64_t event, uint64_t window)
{
    uint64_t virtual_interrupt = v->virtual_interrupt & ~(V_WINDOW | V_VECTOR);
    uint64_t class = (window & VCPU_WINDOW_CLASS) >> VCPU_WINDOW_CLASS_SHIFT;
    uint32_t intercept = v->intercept[0] & ~(uint32_t)(INTERCEPT_VINTR | INTERCEPT_IRET);

    v->intercept_exceptions =
        window & VCPU_WINDOW_EXCEPTIONS ? INTERCEPT_EXCEPTIONS_ALL : INTERCEPT_EXCEPTIONS;
    if (window & VCPU_WINDOW_NMI)
        intercept |= INTERCEPT_IRET;
    if (window & VCPU_WINDOW_INTERRUPT) {
        virtual_interrupt |= class ? V_IRQ | (class - takes_own_class) << V_PRIO_SHIFT : V_WINDOW;
        intercept |= INTERCEPT_VINTR;
    } else if ((event & (VCPU_EVENT_VALID | VCPU_EVENT_TYPE)) == (VCPU_EVENT_VALID | VCPU_EVENT_INTERRUPT) &&
               v->rflags & RFLAGS_IF && !(v->shadow & VCPU_SHADOW)) {
        virtual_interrupt |= V_WINDOW | (event & 0xff) << V_VECTOR_SHIFT;
        event = 0;
    }
    v->virtual_interrupt = virtual_interrupt;
    v->intercept[0] = intercept;
    v->event = event;
}

static bool virtual_interrupt_waits(const struct vmcb *v)
{
    return v->virtual_interrupt & V_IRQ && !(v->intercept[0] & INTERCEPT_VINTR);
}

/* The event whose delivery an exit has cut off. */
static uint64_t cut_off(struct vmcb *v)
{
    uint64_t event = v->exit_interrupt;

    if (virtual_interrupt_waits(v))
        v->virtual_interrupt &= ~V_WINDOW;
    if ((event & VCPU_EVENT_TYPE) == VCPU_EVENT_EXCEPTION && (event & 0xff) >= EXCEPTIONS)
        event &= ~VCPU_EVENT_TYPE; /* QEMU says so of a virtual interrupt */
    return event;
}

/* The guest has the debug registers from now on, and entering it costs more. */
static void give_debug_registers(struct vcpu *vcpu)
{
    ((struct vmcb *)vcpu->control)->intercept_dr = 0;
    vcpu->debug_registers_used = true;
}

static void svm_set(struct vcpu *vcpu, const struct vcpu_state *s, uint32_t groups)
{
    struct vmcb *v = vcpu->control;

    for (uint32_t rest = groups & GROUPS_SAME; rest; rest &= rest - 1) {
        unsigned group = (unsigned)__builtin_ctz(rest);

        for (unsigned i = first_same[group]; i < first_same[group + 1]; i++)
            copy_words((uint64_t *)((char *)v + same[i].vmcb),
                       (const uint64_t *)((const char *)s + same[i].state), same[i].words);
    }
    if (groups & VCPU_RIP) {
        v->rip = s->rip;
        v->rflags = s->rflags;
        v->shadow = s->interruptibility & VCPU_SHADOW;
    }
    if (groups & VCPU_EVENT) {
        vcpu->delivering = s->inject & VCPU_EVENT_VALID;
        set_event(v, vcpu->delivering ? s->inject : 0, s->window);
    }
    if (groups & VCPU_CS_SS)
        v->cpl = s->ss.attributes >> DPL_SHIFT & DPL_MASK;
    if (groups & VCPU_CR)
        v->virtual_interrupt = (v->virtual_interrupt & ~V_TPR) | s->cr8;
    if (groups & VCPU_DR) {
        memcpy(vcpu->dr, &s->dr0, sizeof(vcpu->dr));
        if (s->dr7 & DR7_ENABLED)
            give_debug_registers(vcpu);
    }
    if (groups & VCPU_EFER)
        v->efer |= EFER_SVME;
    if (groups & VCPU_XCR0)
        vcpu->fpu->xcr0 = s->xcr0;
}

/* An ASID of this CPU's current generation, and the flush that removals from the GST space ask for. */
static void prepare_tag(struct cpu *cpu, struct vcpu *vcpu)
{
    struct vmcb *v = vcpu->control;
    bool flush = false;

    v->tlb_control = 0;
    if (vcpu->gst_generation != vcpu->gst->memory.generation) {
        vcpu->gst_generation = vcpu->gst->memory.generation;
        v->tlb_control = cpu_features.svm_flush_by_asid ? TLB_FLUSH_ASID : TLB_FLUSH_ALL;
    }
    if (!tag_renew(&cpu->asids, &vcpu->asid, &flush))
        return;
    v->asid = vcpu->asid.number;
    if (flush)
        v->tlb_control = TLB_FLUSH_ALL;
}

/* A host interrupt that comes while VMRUN makes a virtual one pending may be forgotten by QEMU's processor, though its
 * local APIC holds it (doc/caveats.md). A write of CR8 makes the APIC raise it again. */
static void look_at_interrupts_again(void)
{
    __asm__ volatile("mov %0, %%cr8" : : "r"(0ul) : "memory");
}

static void enter(struct cpu *cpu, struct vcpu *vcpu)
{
    static const uint64_t none[4];
    uint64_t *dr = vcpu->dr;

    if (!vcpu->debug_registers_used) {
        svm_enter(vcpu->control_physical, vcpu->state->gpr, cpu->virt_host);
        return;
    }
    load_debug_registers(dr);
    svm_enter(vcpu->control_physical, vcpu->state->gpr, cpu->virt_host);
    save_debug_registers(dr);
    load_debug_registers(none);
}

/* QEMU 7.2 does not intercept XSETBV. What is not for guests is enabled for this one stay only. */
static void __attribute__((noinline)) take_xcr0(struct cpu *cpu, const struct vcpu *vcpu)
{
    cpu->xcr0 = xgetbv();
    vcpu->fpu->xcr0 = cpu->xcr0 & cpu_features.xcr0;
    cpu->extras = true;
}

static uint32_t describe_rare(struct vmcb *v, struct vcpu_state *s, uint32_t code)
{
    uint32_t exit = code < EXIT_TABLE_END ? exit_table[code] : VCPU_EXIT_NONE;

    s->info[0] = v->exit_info[0];
    s->info[1] = v->exit_info[1];
    switch (exit) {
    case VCPU_EXIT_RDMSR:
        return v->exit_info[0] & 1 ? VCPU_EXIT_WRMSR : VCPU_EXIT_RDMSR;
    case VCPU_EXIT_SHUTDOWN:
        if (rdmsr(MSR_MCG_STATUS) & MCG_STATUS_MCIP)
            panic("machine check while a guest with CR4.MCE clear ran");
        return exit;
    case VCPU_EXIT_EXCEPTION:
        s->info[0] = code - EXIT_EXCEPTION_FIRST;
        s->info[1] = v->exit_info[0];
        if (code == EXIT_PF)
            v->cr2 = v->exit_info[1];
        return exit;
    case VCPU_EXIT_INTERRUPT_WINDOW:
    case VCPU_EXIT_NMI_WINDOW:
        takes_own_class |= code == EXIT_VINTR && (v->virtual_interrupt & (V_INTR_PRIO | V_IGN_TPR)) ==
                                                     (v->virtual_interrupt & V_TPR) << V_PRIO_SHIFT;
        set_event(v, 0, 0);
        return exit;
    case VCPU_EXIT_NONE:
        s->info[0] = code == EXIT_INVALID ? 0 : code;
        return code == EXIT_INVALID ? VCPU_EXIT_INVALID_STATE : VCPU_EXIT_OTHER;
    default:
        return exit;
    }
}

/* Fill in the exit's description. */
static uint32_t describe(struct vmcb *v, struct vcpu_state *s, uint32_t code)
{
    s->next_rip = cpu_features.svm_next_rip ? v->next_rip : 0;
    s->instruction_bytes = 0;
    if (code == EXIT_IO) {
        s->info[0] = v->exit_info[0] & IO_INFO_MASK;
        s->next_rip = v->exit_info[1];
        return VCPU_EXIT_IO;
    }
    if (code == EXIT_NPF) {
        s->info[0] = v->exit_info[1];
        s->info[1] = v->exit_info[0] & NPF_INFO_MASK;
        s->next_rip = 0;
        if (cpu_features.svm_decode_assists) {
            s->instruction_bytes = v->fetched & 15;
            memcpy(s->instruction, v->instruction, sizeof(s->instruction));
        }
        return VCPU_EXIT_MMIO;
    }
    return describe_rare(v, s, code);
}

static enum virt_result svm_run(struct vcpu *vcpu)
{
    struct cpu *cpu = this_cpu();
    struct vmcb *v = vcpu->control;
    struct vcpu_state *s = vcpu->state;
    uint64_t interrupt = v->virtual_interrupt & V_IRQ;
    uint32_t code, exit, want;

    prepare_tag(cpu, vcpu);
    v->rax = s->gpr[VCPU_RAX];
    v->rsp = s->gpr[VCPU_RSP];
    enter(cpu, vcpu);
    if (interrupt)
        look_at_interrupts_again();
    if (cpu_features.xsave && xgetbv() != (uint32_t)cpu->xcr0)
        take_xcr0(cpu, vcpu);
    s->gpr[VCPU_RAX] = v->rax;
    s->gpr[VCPU_RSP] = v->rsp;
    code = (uint32_t)v->exit_code;
    if (code >= EXIT_DR_FIRST && code < EXIT_EXCEPTION_FIRST) {
        give_debug_registers(vcpu);
        code = EXIT_INTR;
    }
    if (code == EXIT_MC)
        panic("machine check while a guest ran");
    if (code >= EXIT_INTR && code <= EXIT_INIT) {
        v->event = v->exit_interrupt & VCPU_EVENT_VALID ? cut_off(v) : 0;
        vcpu->delivering = v->event || virtual_interrupt_waits(v);
        return VIRT_HOST;
    }
    if (code == EXIT_INVALID) {
        (void)cut_off(v);
        v->virtual_interrupt |= V_INTR_MASKING; /* QEMU clears it, and the guest would mask our interrupts */
        if (v->tlb_control) {                   /* it may not have been flushed */
            vcpu->asid.generation = 0;
            tags_expire(&cpu->asids);
        }
    }
    v->event = 0;
    vcpu->delivering = false;
    s->interrupted = v->exit_interrupt & VCPU_EVENT_VALID ? cut_off(v) : 0;
    exit = describe(v, s, code);
    s->exit = exit;
    want = (*(volatile uint32_t *)&s->want[exit] & VCPU_GROUPS) | VCPU_RIP;
    s->valid = want | VCPU_GPR;
    s->rip = v->rip;
    s->rflags = v->rflags;
    s->interruptibility = v->shadow & 1;
    s->cr8 = v->virtual_interrupt & V_TPR;
    if (want != VCPU_RIP)
        svm_get(vcpu, s, want & ~(uint32_t)(VCPU_RIP | VCPU_EVENT));
    return VIRT_EXIT;
}

const struct virt_operations svm_operations = {.name = "SVM",
                                               .feature = BOOT_FEATURE_SVM,
                                               .cpu_init = svm_cpu_init,
                                               .msr_permit = svm_msr_permit,
                                               .page_bits = pagetable_bits,
                                               .init = svm_init,
                                               .get = svm_get,
                                               .set = svm_set,
                                               .run = svm_run};
