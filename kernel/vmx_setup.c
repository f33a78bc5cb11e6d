/* SPDX-License-Identifier: ISC */
/*
 * Intel VT-x: what the processor has of it, switching it on, and new VMCSs. EPT, unrestricted guest and the
 * controls below are required, VPID and a few more are used where they are; a control that the capability
 * MSRs do not allow is never set. Intel SDM vol. 3, ch. 25 and appendix A.
 */
#include "kernel/account.h"
#include "kernel/guest_state.h"
#include "kernel/print.h"
#include "kernel/smp.h"
#include "kernel/space.h"
#include "kernel/vmx.h"
#include <string.h>

#define MSR_FEATURE_CONTROL 0x3a
#define MSR_VMX_BASIC       0x480
#define MSR_VMX_CR0_FIXED0  0x486
#define MSR_VMX_CR4_FIXED0  0x488
#define MSR_VMX_SECONDARY   0x48b
#define MSR_VMX_EPT_VPID    0x48c
#define MSR_VMX_PIN         0x48d /* these four: with all that may be 0 */
#define MSR_VMX_PROCESSOR   0x48e
#define MSR_VMX_EXIT        0x48f
#define MSR_VMX_ENTRY       0x490

#define FEATURE_LOCKED (1u << 0)
#define FEATURE_VMX    (1u << 2)
#define BASIC_REVISION 0x7fffffffu
#define BASIC_TRUE     (1ul << 55)

/* External interrupts, NMIs; virtual NMIs. */
#define PIN_REQUIRED (1u << 0 | 1u << 3 | 1u << 5)
/* TSC offset; HLT, MWAIT, RDPMC exit; TPR shadow; MOV DR and all I/O exit; MSR bitmap; MONITOR exits;
 * secondary. */
#define PROC_REQUIRED                                                                                        \
    (1u << 3 | 1u << 7 | 1u << 10 | 1u << 11 | 1u << 21 | PROC_MOV_DR | 1u << 24 | 1u << 28 | 1u << 29 |     \
     1u << 31)
/* INVLPG, RDTSC, CR3, CR8, PAUSE are the guest's own. */
#define PROC_EXCLUDED    (1u << 9 | 1u << 12 | 1u << 15 | 1u << 16 | 1u << 19 | 1u << 20 | 1u << 30)
#define SECONDARY_EPT    (1u << 1)
#define SECONDARY_RDTSCP (1u << 3)
#define SECONDARY_WBINVD (1u << 6)
#define SECONDARY_FREE   (1u << 7) /* unrestricted guest */
#define SECONDARY_PCID   (1u << 12)
/* Debug controls saved, 64-bit host, PAT and EFER saved and loaded. */
#define EXIT_REQUIRED (1u << 2 | 1u << 9 | 1u << 18 | 1u << 19 | 1u << 20 | 1u << 21)
#define EXIT_EXCLUDED (1u << 15) /* the interrupt is taken in the window that follows */
/* Debug controls, PAT and EFER loaded. */
#define ENTRY_REQUIRED (1u << 2 | 1u << 14 | 1u << 15)

/* Walks of 4 levels, write-back tables, 2 MiB pages, INVEPT. */
#define EPT_REQUIRED      (1ul << 6 | 1ul << 14 | 1ul << 16 | 1ul << 20)
#define EPT_1G            (1ul << 17)
#define EPT_INVEPT_SINGLE (1ul << 25)
#define EPT_INVVPID       (1ul << 32 | 1ul << 42) /* of all contexts */
#define VPIDS             0x10000u

/* #DB and #AC can repeat without end while they are delivered; #MC is the host's. */
#define EXCEPTIONS_EXIT (1u << EXCEPTION_DB | 1u << EXCEPTION_AC | 1u << EXCEPTION_MC)

#define DR6_FIXED 0xffff0ff0ul

extern const char vmx_exit[];

struct vmx_owned vmx_owned;

struct vmx_found vmx_found;

/* Of guests without an MSR space. */
static uint8_t msr_bitmap[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));

/* The kernel's own values of `struct vmx`'s MSRs; the same on each CPU. */
static struct vmx_msr host_msrs[VMX_MSRS] __attribute__((aligned(16)));

_Static_assert(offsetof(struct vmx, msr) % 16 == 0, "the processor wants the list so");

/* Appendix A.3: the low half of a capability MSR are the bits that must be set, the high half those that may.
 */
static bool find_controls(uint32_t msr, uint32_t required, uint32_t optional, uint32_t excluded,
                          uint32_t *result)
{
    uint64_t capability = rdmsr(msr);
    uint32_t must = (uint32_t)capability, may = (uint32_t)(capability >> 32);

    *result = must | required | (optional & may);
    if (!(required & ~may) && !(must & excluded))
        return true;
    print("virtual machines: MSR 0x%x is 0x%lx", msr, capability);
    return cpu_lacks(BOOT_LACKS_CONTROL, "the processor's VT-x lacks a control that is needed");
}

static bool find_ept(void)
{
    bool secondary = rdmsr(MSR_VMX_PROCESSOR) >> 63;
    uint32_t may = secondary ? (uint32_t)(rdmsr(MSR_VMX_SECONDARY) >> 32) : 0;
    uint64_t ept;

    if (!(may & SECONDARY_EPT))
        return cpu_lacks(BOOT_LACKS_EPT, "the processor has VT-x without EPT");
    ept = rdmsr(MSR_VMX_EPT_VPID);
    if ((ept & EPT_REQUIRED) != EPT_REQUIRED)
        return cpu_lacks(BOOT_LACKS_CONTROL, "the processor's EPT lacks 2 MiB pages, write-back or INVEPT");
    if (!(may & SECONDARY_FREE))
        return cpu_lacks(BOOT_LACKS_UNRESTRICTED, "the processor has VT-x without unrestricted guest");
    cpu_features.giant_nested = ept & EPT_1G;
    vmx_found.invept = ept & EPT_INVEPT_SINGLE ? 1 : INVALIDATE_ALL;
    return find_controls(MSR_VMX_SECONDARY, SECONDARY_EPT | SECONDARY_FREE,
                         SECONDARY_RDTSCP | SECONDARY_WBINVD | SECONDARY_PCID |
                             ((ept & EPT_INVVPID) == EPT_INVVPID ? SECONDARY_VPID : 0),
                         0, &vmx_found.secondary);
}

void vmx_msr_permit(uint8_t *bitmap, uint32_t msr, unsigned refused)
{
    uint8_t *read = bitmap + (msr >= 0xc0000000 ? 1024 : 0) + (msr & 0x1fff) / 8, *write = read + 2048;
    uint8_t bit = (uint8_t)(1u << msr % 8);

    *read = (uint8_t)((*read & ~bit) | (refused & 1 ? bit : 0));
    *write = (uint8_t)((*write & ~bit) | (refused & 2 ? bit : 0));
}

static void tables_init(void)
{
    uint64_t fixed0 = rdmsr(MSR_VMX_CR0_FIXED0) & ~(CR0_PE | CR0_PG), fixed4 = rdmsr(MSR_VMX_CR4_FIXED0);

    /* Caching is not the guest's to switch off, nor that machine checks are told, nor what guest_state.c
     * closes. */
    vmx_owned = (struct vmx_owned){.cr0 = fixed0 | CR0_CD | CR0_NW,
                                   .cr4 = fixed4 | CR4_MCE | ~cpu_features.guest_cr4,
                                   .cr0_set = fixed0,
                                   .cr4_set = fixed4 | CR4_MCE};
    guest_state_permit(msr_bitmap, sizeof(msr_bitmap), false, vmx_msr_permit);
    host_msrs[VMX_KERNEL_GS_BASE] = (struct vmx_msr){MSR_KERNEL_GS_BASE, 0};
    host_msrs[VMX_STAR] = (struct vmx_msr){MSR_STAR, rdmsr(MSR_STAR)};
    host_msrs[VMX_LSTAR] = (struct vmx_msr){MSR_LSTAR, rdmsr(MSR_LSTAR)};
    host_msrs[VMX_SFMASK] = (struct vmx_msr){MSR_SFMASK, rdmsr(MSR_SFMASK)};
}

bool vmx_find(void)
{
    uint64_t basic;

    if (!(cpuid(1, 0).ecx & 1u << 5))
        return false;
    if ((rdmsr(MSR_FEATURE_CONTROL) & (FEATURE_LOCKED | FEATURE_VMX)) == FEATURE_LOCKED)
        return cpu_lacks(BOOT_LACKS_FIRMWARE, "VT-x is switched off by the firmware");
    basic = rdmsr(MSR_VMX_BASIC);
    if (!(basic & BASIC_TRUE))
        return cpu_lacks(BOOT_LACKS_CONTROL,
                         "the processor's VT-x is too old: it lacks the TRUE control MSRs");
    vmx_found.revision = (uint32_t)basic & BASIC_REVISION;
    if (!find_ept() || !find_controls(MSR_VMX_PIN, PIN_REQUIRED, 0, 0, &vmx_found.pin) ||
        !find_controls(MSR_VMX_PROCESSOR, PROC_REQUIRED | PROC_LATER, 0, PROC_EXCLUDED,
                       &vmx_found.processor) ||
        !find_controls(MSR_VMX_EXIT, EXIT_REQUIRED, 0, EXIT_EXCLUDED, &vmx_found.exit) ||
        !find_controls(MSR_VMX_ENTRY, ENTRY_REQUIRED | ENTRY_LONG_MODE, 0, 0, &vmx_found.entry))
        return false;
    vmx_found.processor &= ~PROC_LATER;
    vmx_found.entry &= ~ENTRY_LONG_MODE;
    tables_init();
    return true;
}

void vmx_cpu_init(void)
{
    struct cpu *cpu = this_cpu();
    uint64_t control = rdmsr(MSR_FEATURE_CONTROL);
    uint32_t *page = pool_reserve();
    bool failed;

    if (!page)
        panic("too little kernel memory for virtual machines");
    if (!(control & FEATURE_LOCKED))
        wrmsr(MSR_FEATURE_CONTROL, control | FEATURE_LOCKED | FEATURE_VMX);
    *page = vmx_found.revision;
    cpu->virt_host = physical_address(page);
    write_cr4(read_cr4() | CR4_VMXE);
    __asm__ volatile("vmxon %1" : "=@ccna"(failed) : "m"(cpu->virt_host) : "memory");
    if (failed)
        panic("VT-x cannot be switched on on CPU %u", cpu->number);
    tags_init(&cpu->asids, VPIDS);
}

/* Fields that are used and stay 0. What the processor keeps in the page is its own affair (SDM vol.
 * 3, 25.11.3), so that a page of zeros says nothing about them. */
static const uint16_t zero_fields[] = {
    VMCS_HOST_ES,           VMCS_HOST_DS,           VMCS_HOST_FS,
    VMCS_HOST_GS,           VMCS_HOST_FS_BASE,      VMCS_HOST_SYSENTER_CS,
    VMCS_HOST_SYSENTER_ESP, VMCS_HOST_SYSENTER_EIP, VMCS_PAGE_FAULT_MASK,
    VMCS_PAGE_FAULT_MATCH,  VMCS_CR3_TARGETS,       VMCS_TPR_THRESHOLD,
    VMCS_ENTRY_EVENT,       VMCS_GUEST_DEBUGCTL,    VMCS_GUEST_SHADOW,
    VMCS_GUEST_ACTIVITY,    VMCS_GUEST_RSP,         VMCS_GUEST_PENDING_DEBUG};

/* What the processor loads when it leaves the guest. */
static void host_init(struct cpu *cpu)
{
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) idtr;

    __asm__("sidt %0" : "=m"(idtr));
    vmwrite(VMCS_HOST_CS, SEL_KERNEL_CODE);
    vmwrite(VMCS_HOST_SS, SEL_KERNEL_DATA);
    vmwrite(VMCS_HOST_TR, SEL_TSS);
    vmwrite(VMCS_HOST_CR0, read_cr0() & ~CR0_TS);
    vmwrite(VMCS_HOST_CR4, read_cr4());
    vmwrite(VMCS_HOST_GS_BASE, (uint64_t)cpu);
    vmwrite(VMCS_HOST_TR_BASE, (uint64_t)&cpu->tss);
    vmwrite(VMCS_HOST_GDTR_BASE, (uint64_t)cpu->gdt);
    vmwrite(VMCS_HOST_IDTR_BASE, idtr.base);
    vmwrite(VMCS_HOST_RIP, (uint64_t)vmx_exit);
    vmwrite(VMCS_HOST_PAT, PAT_VALUE);
    vmwrite(VMCS_HOST_EFER, rdmsr(MSR_EFER));
}

static void controls_init(struct vcpu *vcpu, struct vmx *vmx)
{
    uint64_t list = physical_address(vmx) + offsetof(struct vmx, msr);

    for (unsigned i = 0; i < sizeof(zero_fields) / sizeof(*zero_fields); i++)
        vmwrite(zero_fields[i], 0);
    for (unsigned i = 0; i < VMX_MSRS; i++)
        vmx->msr[i].number = host_msrs[i].number;
    vmx->processor_controls = vmx_found.processor;
    vmwrite(VMCS_PIN_CONTROLS, vmx_found.pin);
    vmwrite(VMCS_PROCESSOR_CONTROLS, vmx_found.processor);
    vmwrite(VMCS_SECONDARY_CONTROLS, vmx_found.secondary);
    vmwrite(VMCS_EXIT_CONTROLS, vmx_found.exit);
    vmwrite(VMCS_ENTRY_CONTROLS, vmx_found.entry);
    vmwrite(VMCS_EXCEPTIONS, EXCEPTIONS_EXIT);
    vmwrite(VMCS_MSR_BITMAP,
            vcpu->msr ? physical_address(vcpu->msr->msrs) : (uint64_t)msr_bitmap - KERNEL_OFFSET);
    vmwrite(VMCS_VIRTUAL_APIC, physical_address(vmx));
    vmwrite(VMCS_EPTP, vcpu->gst->memory.physical | EPTP_WALK);
    vmwrite(VMCS_LINK, ~0ul);
    vmwrite(VMCS_CR0_MASK, vmx_owned.cr0);
    vmwrite(VMCS_CR4_MASK, vmx_owned.cr4);
    /* The first of the list changes by SWAPGS, without an exit. */
    vmwrite(VMCS_EXIT_MSR_STORE, list);
    vmwrite(VMCS_EXIT_MSR_STORE_COUNT, VMX_KERNEL_GS_BASE + 1);
    vmwrite(VMCS_ENTRY_MSR_LOAD, list);
    vmwrite(VMCS_ENTRY_MSR_LOAD_COUNT, VMX_MSRS);
    vmwrite(VMCS_EXIT_MSR_LOAD, (uint64_t)host_msrs - KERNEL_OFFSET);
    vmwrite(VMCS_EXIT_MSR_LOAD_COUNT, VMX_MSRS);
}

/* A processor after reset: SDM vol. 3, 10.1.1. */
void vmx_init(struct vcpu *vcpu)
{
    const struct vcpu_segment data = {.attributes = 0x93, .limit = 0xffff};
    const struct vcpu_state reset = {
        .rip = 0xfff0,
        .rflags = RFLAGS_FIXED,
        .cs = {.selector = 0xf000, .attributes = 0x9b, .limit = 0xffff, .base = 0xffff0000},
        .ss = data,
        .ds = data,
        .es = data,
        .fs = data,
        .gs = data,
        .tr = {.attributes = 0x8b, .limit = 0xffff},
        .ldtr = {.attributes = 0x82, .limit = 0xffff},
        .gdtr.limit = 0xffff,
        .idtr.limit = 0xffff,
        .cr0 = CR0_ET | CR0_NW | CR0_CD,
        .pat = 0x0007040600070406,
    };
    struct vmx *vmx = vcpu->extra;

    *(uint32_t *)vcpu->control = vmx_found.revision;
    vmx_release(vcpu);
    vmx_select(vcpu);
    host_init(cpus[vcpu->cpu]);
    controls_init(vcpu, vmx);
    vmx_set(vcpu, &reset, VCPU_GROUPS & ~(uint32_t)(VCPU_EVENT | VCPU_DR | VCPU_XCR0));
    vmx->dr6 = DR6_FIXED;
    vmwrite(VMCS_GUEST_DR7, 0x400);
    /* Translations of a space that had the same root page may still be there. */
    vcpu->gst_generation = vcpu->gst->memory.generation - 1;
}
