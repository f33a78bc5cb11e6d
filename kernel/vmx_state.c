/* SPDX-License-Identifier: ISC */
/*
 * A guest's registers between VMCS and state page. Where VT-x wants more than SVM does, and it means the same
 * (a segment's accessed bit, its granularity, an error code in real mode), what it wants is put there; all
 * else VM entry refuses.
 */
#include "kernel/fpu.h"
#include "kernel/vmx.h"
#include <string.h>

/* Access rights: the state page's attributes with bits 8-11 in 12-15. Intel SDM vol. 3, 25.4.1. */
#define SEG_ACCESSED 0x01u
#define SEG_S        0x10u
#define SEG_DPL      0x60u
#define SEG_P        0x80u
#define SEG_LOW      0xffu
#define RIGHTS_G     0x8000u
#define UNUSABLE     0x10000u
#define LIMIT_UNITS  0xfffffu /* the largest limit that is not in pages */
#define LIMIT_PAGE   0xfffu

enum { ES, CS, SS, DS, FS, GS, LDTR, TR };

#define PENDING_BS (1ul << 14)

static void get_segment(struct vcpu_segment *segment, unsigned index)
{
    uint32_t rights = (uint32_t)vmread(VMCS_GUEST_ES_RIGHTS + 2 * index);

    segment->selector = (uint16_t)vmread(VMCS_GUEST_ES + 2 * index);
    segment->limit = (uint32_t)vmread(VMCS_GUEST_ES_LIMIT + 2 * index);
    segment->base = vmread(VMCS_GUEST_ES_BASE + 2 * index);
    segment->attributes = rights & UNUSABLE ? (uint16_t)(rights & SEG_DPL)
                                            : (uint16_t)((rights & SEG_LOW) | (rights >> 4 & 0xf00));
}

static void set_segment(const struct vcpu_segment *segment, unsigned index)
{
    uint32_t rights = (segment->attributes & SEG_LOW) | (segment->attributes & 0xf00u) << 4;

    if (!(rights & SEG_P))
        rights = (rights & SEG_DPL) | UNUSABLE;
    else if (rights & SEG_S)
        rights |= SEG_ACCESSED;
    if (segment->limit > LIMIT_UNITS)
        rights |= RIGHTS_G;
    else if ((segment->limit & LIMIT_PAGE) != LIMIT_PAGE)
        rights &= ~RIGHTS_G;
    vmwrite(VMCS_GUEST_ES + 2 * index, segment->selector);
    vmwrite(VMCS_GUEST_ES_LIMIT + 2 * index, segment->limit);
    vmwrite(VMCS_GUEST_ES_BASE + 2 * index, segment->base);
    vmwrite(VMCS_GUEST_ES_RIGHTS + 2 * index, rights);
}

static void get_control_registers(const struct vmx *vmx, struct vcpu_state *s)
{
    s->cr0 = (vmread(VMCS_GUEST_CR0) & ~vmx_owned.cr0) | (vmx->cr0_shadow & vmx_owned.cr0);
    s->cr2 = vmx->cr2;
    s->cr3 = vmread(VMCS_GUEST_CR3);
    s->cr4 = (vmread(VMCS_GUEST_CR4) & ~vmx_owned.cr4) | (vmx->cr4_shadow & vmx_owned.cr4);
    if ((s->cr0 & CR0_PG) && (s->cr4 & CR4_PAE) && !(vmread(VMCS_GUEST_EFER) & EFER_LMA))
        for (unsigned i = 0; i < PDPTES; i++)
            s->pdpte[i] = vmread(VMCS_GUEST_PDPTE + 2 * i);
}

static void get_tables(struct vcpu_state *s)
{
    s->gdtr = (struct vcpu_segment){.base = vmread(VMCS_GUEST_GDTR_BASE),
                                    .limit = (uint32_t)vmread(VMCS_GUEST_GDTR_LIMIT)};
    s->idtr = (struct vcpu_segment){.base = vmread(VMCS_GUEST_IDTR_BASE),
                                    .limit = (uint32_t)vmread(VMCS_GUEST_IDTR_LIMIT)};
}

static void get_syscall(const struct vmx *vmx, struct vcpu_state *s)
{
    s->star = vmx->msr[VMX_STAR].value;
    s->lstar = vmx->msr[VMX_LSTAR].value;
    s->cstar = vmx->cstar;
    s->sfmask = vmx->msr[VMX_SFMASK].value;
    s->sysenter_cs = vmread(VMCS_GUEST_SYSENTER_CS);
    s->sysenter_esp = vmread(VMCS_GUEST_SYSENTER_ESP);
    s->sysenter_eip = vmread(VMCS_GUEST_SYSENTER_EIP);
}

void vmx_get(const struct vcpu *vcpu, struct vcpu_state *s, uint32_t groups)
{
    const struct vmx *vmx = vcpu->extra;

    vmx_select(vcpu);
    if (groups & VCPU_RIP) {
        s->rip = vmread(VMCS_GUEST_RIP);
        s->rflags = vmread(VMCS_GUEST_RFLAGS);
        s->interruptibility = vmread(VMCS_GUEST_SHADOW) & (SHADOW_STI | SHADOW_MOV_SS) ? VCPU_SHADOW : 0;
        s->cr8 = vmx->virtual_apic[VIRTUAL_TPR] >> 4;
    }
    if (groups & VCPU_EVENT)
        s->inject = s->window = 0;
    if (groups & VCPU_CS_SS) {
        get_segment(&s->cs, CS);
        get_segment(&s->ss, SS);
    }
    if (groups & VCPU_DS_ES) {
        get_segment(&s->ds, DS);
        get_segment(&s->es, ES);
    }
    if (groups & VCPU_FS_GS) {
        get_segment(&s->fs, FS);
        get_segment(&s->gs, GS);
        s->kernel_gs_base = vmx->msr[VMX_KERNEL_GS_BASE].value;
    }
    if (groups & VCPU_TR_LDTR) {
        get_segment(&s->tr, TR);
        get_segment(&s->ldtr, LDTR);
    }
    if (groups & VCPU_TABLES)
        get_tables(s);
    if (groups & VCPU_CR)
        get_control_registers(vmx, s);
    if (groups & VCPU_DR) {
        memcpy(&s->dr0, vcpu->dr, sizeof(vcpu->dr));
        s->dr6 = vmx->dr6;
        s->dr7 = vmread(VMCS_GUEST_DR7);
    }
    if (groups & VCPU_EFER) {
        s->efer = vmread(VMCS_GUEST_EFER);
        s->pat = vmread(VMCS_GUEST_PAT);
    }
    if (groups & VCPU_SYSCALL)
        get_syscall(vmx, s);
    if (groups & VCPU_TSC) {
        s->tsc_offset = vmread(VMCS_TSC_OFFSET);
        s->tsc_aux = vcpu->tsc_aux;
    }
    if (groups & VCPU_XCR0)
        s->xcr0 = vcpu->fpu->xcr0;
}

void vmx_set_processor_controls(struct vmx *vmx, uint32_t controls)
{
    if (controls != vmx->processor_controls)
        vmwrite(VMCS_PROCESSOR_CONTROLS, controls);
    vmx->processor_controls = controls;
}

/* A class that the TPR masks waits for the TPR, by the threshold; else for RFLAGS.IF alone. */
void vmx_set_window(struct vmx *vmx, uint64_t window)
{
    uint32_t controls = vmx->processor_controls & ~PROC_LATER;
    uint8_t class = window & VCPU_WINDOW_INTERRUPT ? window & VCPU_WINDOW_CLASS : 0;
    uint8_t threshold = class <= vmx->virtual_apic[VIRTUAL_TPR] ? class : 0;

    if ((window & VCPU_WINDOW_INTERRUPT) && !threshold)
        controls |= PROC_INTERRUPT_WINDOW;
    if (window & VCPU_WINDOW_NMI)
        controls |= PROC_NMI_WINDOW;
    vmx_set_processor_controls(vmx, controls);
    if (threshold != vmx->tpr_threshold)
        vmwrite(VMCS_TPR_THRESHOLD, threshold >> VCPU_WINDOW_CLASS_SHIFT);
    vmx->tpr_threshold = threshold;
}

void vmx_set_shadow(struct vmx *vmx, uint64_t shadow)
{
    if (shadow != vmx->shadow)
        vmwrite(VMCS_GUEST_SHADOW, shadow);
    vmx->shadow = shadow;
}

void vmx_give_debug_registers(struct vcpu *vcpu)
{
    struct vmx *vmx = vcpu->extra;

    vcpu->debug_registers_used = true;
    vmx_set_processor_controls(vmx, vmx->processor_controls & ~PROC_MOV_DR);
}

/* One bit stands for the shadows of STI and of MOV SS: the one that was, or that VM entry takes. A guest that
 * steps itself has its trap pending exactly while in a shadow (SDM vol. 3, 27.3.1.5). */
static void set_rip(struct vmx *vmx, const struct vcpu_state *s)
{
    uint64_t before = vmx->shadow & (SHADOW_STI | SHADOW_MOV_SS), shadow = 0;

    if (s->interruptibility & VCPU_SHADOW)
        shadow = !(s->rflags & RFLAGS_IF) ? SHADOW_MOV_SS : before ? before : SHADOW_STI;
    if ((s->rflags | vmx->rflags) & RFLAGS_TF || shadow != before)
        vmwrite(VMCS_GUEST_PENDING_DEBUG, shadow && (s->rflags & RFLAGS_TF) ? PENDING_BS : 0);
    vmx_set_shadow(vmx, (vmx->shadow & SHADOW_NMI) | shadow);
    if (s->rip != vmx->rip)
        vmwrite(VMCS_GUEST_RIP, s->rip);
    if (s->rflags != vmx->rflags)
        vmwrite(VMCS_GUEST_RFLAGS, s->rflags);
    vmx->rip = s->rip;
    vmx->rflags = s->rflags;
}

static void set_event(struct vcpu *vcpu, const struct vcpu_state *s)
{
    struct vmx *vmx = vcpu->extra;
    uint32_t event = (uint32_t)s->inject & (EVENT_VALID | EVENT_FIELDS);

    vcpu->delivering = event & EVENT_VALID;
    if (vcpu->delivering && (event & EVENT_ERROR)) {
        if (!(vmread(VMCS_GUEST_CR0) & CR0_PE))
            event &= ~EVENT_ERROR; /* real mode pushes none */
        vmwrite(VMCS_ENTRY_ERROR_CODE, s->inject >> 32);
    }
    if (vcpu->delivering && EVENT_TYPE(event) == EVENT_TYPE_SOFTWARE)
        vmwrite(VMCS_ENTRY_LENGTH, 0); /* RIP stands behind the instruction already */
    vmwrite(VMCS_ENTRY_EVENT, vcpu->delivering ? event : 0);
    vmx_set_window(vmx, s->window);
}

static void set_control_registers(struct vmx *vmx, const struct vcpu_state *s)
{
    vmwrite(VMCS_GUEST_CR0, (s->cr0 & ~vmx_owned.cr0) | vmx_owned.cr0_set);
    vmwrite(VMCS_GUEST_CR3, s->cr3);
    vmwrite(VMCS_GUEST_CR4, (s->cr4 & ~vmx_owned.cr4) | vmx_owned.cr4_set);
    vmwrite(VMCS_CR0_SHADOW, s->cr0);
    vmwrite(VMCS_CR4_SHADOW, s->cr4);
    vmx->cr0_shadow = s->cr0;
    vmx->cr4_shadow = s->cr4;
    vmx->cr2 = s->cr2;
    vmx->virtual_apic[VIRTUAL_TPR] = (uint8_t)(s->cr8 << 4);
    /* Of use in PAE paging alone, for which VM entry checks them. */
    for (unsigned i = 0; i < PDPTES && (s->cr4 & CR4_PAE); i++)
        vmwrite(VMCS_GUEST_PDPTE + 2 * i, s->pdpte[i]);
}

/* LMA follows from LME and paging; VM entry wants to be told twice. */
static void set_long_mode(void)
{
    uint64_t efer = vmread(VMCS_GUEST_EFER) & ~EFER_LMA;
    uint64_t controls = vmread(VMCS_ENTRY_CONTROLS) & ~(uint64_t)ENTRY_LONG_MODE;

    if ((efer & EFER_LME) && (vmread(VMCS_GUEST_CR0) & CR0_PG)) {
        efer |= EFER_LMA;
        controls |= ENTRY_LONG_MODE;
    }
    vmwrite(VMCS_GUEST_EFER, efer);
    vmwrite(VMCS_ENTRY_CONTROLS, controls);
}

static void set_syscall(struct vmx *vmx, const struct vcpu_state *s)
{
    vmx->msr[VMX_STAR].value = s->star;
    vmx->msr[VMX_LSTAR].value = s->lstar;
    vmx->msr[VMX_SFMASK].value = s->sfmask;
    vmx->cstar = s->cstar;
    vmwrite(VMCS_GUEST_SYSENTER_CS, s->sysenter_cs);
    vmwrite(VMCS_GUEST_SYSENTER_ESP, s->sysenter_esp);
    vmwrite(VMCS_GUEST_SYSENTER_EIP, s->sysenter_eip);
}

static void set_segments(struct vmx *vmx, const struct vcpu_state *s, uint32_t groups)
{
    if (groups & VCPU_CS_SS) {
        set_segment(&s->cs, CS);
        set_segment(&s->ss, SS);
    }
    if (groups & VCPU_DS_ES) {
        set_segment(&s->ds, DS);
        set_segment(&s->es, ES);
    }
    if (groups & VCPU_FS_GS) {
        set_segment(&s->fs, FS);
        set_segment(&s->gs, GS);
        vmx->msr[VMX_KERNEL_GS_BASE].value = s->kernel_gs_base;
    }
    if (groups & VCPU_TR_LDTR) {
        set_segment(&s->tr, TR);
        set_segment(&s->ldtr, LDTR);
    }
    if (groups & VCPU_TABLES) {
        vmwrite(VMCS_GUEST_GDTR_BASE, s->gdtr.base);
        vmwrite(VMCS_GUEST_GDTR_LIMIT, s->gdtr.limit);
        vmwrite(VMCS_GUEST_IDTR_BASE, s->idtr.base);
        vmwrite(VMCS_GUEST_IDTR_LIMIT, s->idtr.limit);
    }
}

void vmx_set(struct vcpu *vcpu, const struct vcpu_state *s, uint32_t groups)
{
    struct vmx *vmx = vcpu->extra;

    vmx_select(vcpu);
    if (groups & VCPU_RIP)
        set_rip(vmx, s);
    if (!(groups & ~(uint32_t)VCPU_RIP))
        return;
    if (groups & (VCPU_CS_SS | VCPU_DS_ES | VCPU_FS_GS | VCPU_TR_LDTR | VCPU_TABLES))
        set_segments(vmx, s, groups);
    if (groups & VCPU_CR)
        set_control_registers(vmx, s);
    if (groups & VCPU_EFER) {
        vmwrite(VMCS_GUEST_EFER, s->efer);
        vmwrite(VMCS_GUEST_PAT, s->pat);
    }
    if (groups & (VCPU_CR | VCPU_EFER))
        set_long_mode();
    if (groups & VCPU_EVENT)
        set_event(vcpu, s); /* after CR0, which it looks at */
    if (groups & VCPU_DR) {
        memcpy(vcpu->dr, &s->dr0, sizeof(vcpu->dr));
        vmx->dr6 = s->dr6;
        vmwrite(VMCS_GUEST_DR7, s->dr7);
        if (s->dr7 & DR7_ENABLED)
            vmx_give_debug_registers(vcpu);
    }
    if (groups & VCPU_SYSCALL)
        set_syscall(vmx, s);
    if (groups & VCPU_TSC)
        vmwrite(VMCS_TSC_OFFSET, s->tsc_offset);
    if (groups & VCPU_XCR0)
        vcpu->fpu->xcr0 = s->xcr0;
}
