/* SPDX-License-Identifier: ISC */
/*
 * Intel VT-x between its files: vmx_setup.c finds it and makes VMCSs, vmx.c enters and leaves guests,
 * vmx_state.c moves registers between VMCS and state page. Fields by their encodings, Intel SDM vol. 3,
 * appendix B.
 */
#pragma once

#include "kernel/cpu.h"
#include "kernel/vcpu.h"

enum vmcs_field {
    VMCS_VPID = 0x0000,
    VMCS_GUEST_ES = 0x0800, /* selectors; CS, SS, DS, FS, GS, LDTR, TR follow, 2 apart, everywhere */
    VMCS_HOST_ES = 0x0c00,
    VMCS_HOST_CS = 0x0c02,
    VMCS_HOST_SS = 0x0c04,
    VMCS_HOST_DS = 0x0c06,
    VMCS_HOST_FS = 0x0c08,
    VMCS_HOST_GS = 0x0c0a,
    VMCS_HOST_TR = 0x0c0c,
    VMCS_MSR_BITMAP = 0x2004,
    VMCS_EXIT_MSR_STORE = 0x2006,
    VMCS_EXIT_MSR_LOAD = 0x2008,
    VMCS_ENTRY_MSR_LOAD = 0x200a,
    VMCS_TSC_OFFSET = 0x2010,
    VMCS_VIRTUAL_APIC = 0x2012,
    VMCS_EPTP = 0x201a,
    VMCS_PHYSICAL_ADDRESS = 0x2400,
    VMCS_LINK = 0x2800,
    VMCS_GUEST_DEBUGCTL = 0x2802,
    VMCS_GUEST_PAT = 0x2804,
    VMCS_GUEST_EFER = 0x2806,
    VMCS_GUEST_PDPTE = 0x280a, /* four, 2 apart */
    VMCS_HOST_PAT = 0x2c00,
    VMCS_HOST_EFER = 0x2c02,
    VMCS_PIN_CONTROLS = 0x4000,
    VMCS_PROCESSOR_CONTROLS = 0x4002,
    VMCS_EXCEPTIONS = 0x4004,
    VMCS_PAGE_FAULT_MASK = 0x4006,
    VMCS_PAGE_FAULT_MATCH = 0x4008,
    VMCS_CR3_TARGETS = 0x400a,
    VMCS_EXIT_CONTROLS = 0x400c,
    VMCS_EXIT_MSR_STORE_COUNT = 0x400e,
    VMCS_EXIT_MSR_LOAD_COUNT = 0x4010,
    VMCS_ENTRY_CONTROLS = 0x4012,
    VMCS_ENTRY_MSR_LOAD_COUNT = 0x4014,
    VMCS_ENTRY_EVENT = 0x4016,
    VMCS_ENTRY_ERROR_CODE = 0x4018,
    VMCS_ENTRY_LENGTH = 0x401a,
    VMCS_TPR_THRESHOLD = 0x401c,
    VMCS_SECONDARY_CONTROLS = 0x401e,
    VMCS_INSTRUCTION_ERROR = 0x4400,
    VMCS_EXIT_REASON = 0x4402,
    VMCS_EXIT_EVENT = 0x4404,
    VMCS_EXIT_ERROR_CODE = 0x4406,
    VMCS_VECTORING = 0x4408,
    VMCS_VECTORING_ERROR_CODE = 0x440a,
    VMCS_EXIT_LENGTH = 0x440c,
    VMCS_GUEST_ES_LIMIT = 0x4800,
    VMCS_GUEST_GDTR_LIMIT = 0x4810,
    VMCS_GUEST_IDTR_LIMIT = 0x4812,
    VMCS_GUEST_ES_RIGHTS = 0x4814,
    VMCS_GUEST_CS_RIGHTS = 0x4816,
    VMCS_GUEST_SHADOW = 0x4824, /* interruptibility */
    VMCS_GUEST_ACTIVITY = 0x4826,
    VMCS_GUEST_SYSENTER_CS = 0x482a,
    VMCS_HOST_SYSENTER_CS = 0x4c00,
    VMCS_CR0_MASK = 0x6000,
    VMCS_CR4_MASK = 0x6002,
    VMCS_CR0_SHADOW = 0x6004,
    VMCS_CR4_SHADOW = 0x6006,
    VMCS_QUALIFICATION = 0x6400,
    VMCS_GUEST_CR0 = 0x6800,
    VMCS_GUEST_CR3 = 0x6802,
    VMCS_GUEST_CR4 = 0x6804,
    VMCS_GUEST_ES_BASE = 0x6806,
    VMCS_GUEST_GDTR_BASE = 0x6816,
    VMCS_GUEST_IDTR_BASE = 0x6818,
    VMCS_GUEST_DR7 = 0x681a,
    VMCS_GUEST_RSP = 0x681c,
    VMCS_GUEST_RIP = 0x681e,
    VMCS_GUEST_RFLAGS = 0x6820,
    VMCS_GUEST_PENDING_DEBUG = 0x6822,
    VMCS_GUEST_SYSENTER_ESP = 0x6824,
    VMCS_GUEST_SYSENTER_EIP = 0x6826,
    VMCS_HOST_CR0 = 0x6c00,
    VMCS_HOST_CR3 = 0x6c02,
    VMCS_HOST_CR4 = 0x6c04,
    VMCS_HOST_FS_BASE = 0x6c06,
    VMCS_HOST_GS_BASE = 0x6c08,
    VMCS_HOST_TR_BASE = 0x6c0a,
    VMCS_HOST_GDTR_BASE = 0x6c0c,
    VMCS_HOST_IDTR_BASE = 0x6c0e,
    VMCS_HOST_SYSENTER_ESP = 0x6c10,
    VMCS_HOST_SYSENTER_EIP = 0x6c12,
    VMCS_HOST_RIP = 0x6c16,
};

/* Processor-based controls that change while a vCPU lives. */
#define PROC_INTERRUPT_WINDOW (1u << 2)
#define PROC_NMI_WINDOW       (1u << 22)
#define PROC_MOV_DR           (1u << 23)
#define PROC_LATER            (PROC_INTERRUPT_WINDOW | PROC_NMI_WINDOW)
#define SECONDARY_VPID        (1u << 5)
#define ENTRY_LONG_MODE       (1u << 9)

/* VM entry's and exit's description of an event; type and vector as in `inject` of the state page. */
#define EVENT_VALID       (1u << 31)
#define EVENT_ERROR       (1u << 11)
#define EVENT_TYPE(event) ((event) >> 8 & 7)
#define EVENT_FIELDS      0xfffu /* vector, type, EVENT_ERROR */
#define EVENT_NMI_UNBLOCK (1u << 12)
enum event_type {
    EVENT_TYPE_NMI = 2,
    EVENT_TYPE_EXCEPTION = 3,
    EVENT_TYPE_SOFTWARE = 4,
    EVENT_TYPE_ICEBP = 5,
};

#define PDPTES 4u

#define EPTP_WALK      (3ul << 3 | 6) /* 4 levels, write-back */
#define INVALIDATE_ALL 2ul

#define EXCEPTION_DB 1u
#define EXCEPTION_GP 13u
#define EXCEPTION_AC 17u
#define EXCEPTION_MC 18u

#define SHADOW_STI    (1u << 0)
#define SHADOW_MOV_SS (1u << 1)
#define SHADOW_NMI    (1u << 3)

/* MSRs that entry and exit switch by list; those but KERNEL_GS_BASE change through the monitor alone. */
struct vmx_msr {
    uint64_t number, value;
};
enum { VMX_KERNEL_GS_BASE, VMX_STAR, VMX_LSTAR, VMX_SFMASK, VMX_MSRS };

#define VIRTUAL_TPR   0x80 /* byte of the virtual APIC page */
#define VIRTUAL_STATE 2048

/* The page beside the VMCS: the processor's virtual APIC, of which it uses the TPR, and state without a field
 * in the VMCS. */
struct vmx {
    uint8_t virtual_apic[VIRTUAL_STATE];
    struct vmx_msr msr[VMX_MSRS];
    uint64_t host_rsp; /* in the VMCS; vmx_run.S knows the place */
    uint64_t host_cr3;
    uint64_t cr2, dr6, cstar;
    uint64_t rip, rflags, rsp, shadow; /* in the VMCS, as it was last read or written */
    uint64_t cr0_shadow, cr4_shadow;
    uint32_t processor_controls, entry_controls;
    bool launched, host_task_switched;
    uint8_t tpr_threshold; /* in the VMCS, as in the TPR; 0: none */
};
_Static_assert(sizeof(struct vmx) <= PAGE_SIZE, "one page");

/* The features used that this processor has: controls as they go into the VMCS. */
struct vmx_found {
    uint32_t pin, processor, secondary, exit, entry;
    uint32_t revision;
    uint64_t invept; /* type of INVEPT */
};
extern struct vmx_found vmx_found;

/* CR0 and CR4 bits that are not the guest's: it sees the shadow's and its writes of them exit. */
struct vmx_owned {
    uint64_t cr0, cr4;         /* masks */
    uint64_t cr0_set, cr4_set; /* those of them that are 1 while the guest runs */
};
extern struct vmx_owned vmx_owned;

static inline uint64_t vmread(enum vmcs_field field)
{
    uint64_t value;
    __asm__ volatile("vmread %1, %0" : "=rm"(value) : "r"((uint64_t)field) : "cc");
    return value;
}

static inline void vmwrite(enum vmcs_field field, uint64_t value)
{
    __asm__ volatile("vmwrite %0, %1" : : "rm"(value), "r"((uint64_t)field) : "cc");
}

/* The vCPU's VMCS becomes the one that this CPU reads and writes. */
void vmx_select(const struct vcpu *vcpu);

/* See struct virt_operations. */
void vmx_cpu_init(void);
void vmx_msr_permit(uint8_t *bitmap, uint32_t msr, unsigned refused);
void vmx_init(struct vcpu *vcpu);
void vmx_release(struct vcpu *vcpu);
void vmx_get(const struct vcpu *vcpu, struct vcpu_state *s, uint32_t groups);
void vmx_set(struct vcpu *vcpu, const struct vcpu_state *s, uint32_t groups);

void vmx_set_processor_controls(struct vmx *vmx, uint32_t controls);
void vmx_set_window(struct vmx *vmx, uint64_t window);
void vmx_set_shadow(struct vmx *vmx, uint64_t shadow);

/* The guest has the debug registers from now on, and entering it costs more. */
void vmx_give_debug_registers(struct vcpu *vcpu);
