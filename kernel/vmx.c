/* SPDX-License-Identifier: ISC */
/*
 * Intel VT-x with EPT behind the table of vcpu.h: into guests and out of them. Intel SDM vol. 3, ch. 26 to 29
 * and appendix C; the VMCS is made in vmx_setup.c. A vCPU stays on its CPU, so its VMCS does, too, until
 * virt->release.
 */
#include "kernel/vmx.h"

#include "abi/boot.h"
#include "kernel/account.h"
#include "kernel/pagetable.h"
#include "kernel/print.h"
#include "kernel/smp.h"
#include "kernel/space.h"
#include <string.h>

#define DR6_CAUSE 0xe00ful /* the bits that a debug exception reports; B0 to B3 replace what was */
#define DR6_B     0xful

enum vmx_reason {
    REASON_EXCEPTION = 0,
    REASON_INTERRUPT = 1,
    REASON_SHUTDOWN = 2,
    REASON_INIT = 3,
    REASON_INTERRUPT_WINDOW = 7,
    REASON_NMI_WINDOW = 8,
    REASON_TASK_SWITCH = 9,
    REASON_CPUID = 10,
    REASON_GETSEC = 11,
    REASON_HLT = 12,
    REASON_INVD = 13,
    REASON_RDPMC = 15,
    REASON_RSM = 17,
    REASON_VMCALL = 18,
    REASON_VMCLEAR = 19,
    REASON_VMXON = 27,
    REASON_CR = 28,
    REASON_DR = 29,
    REASON_IO = 30,
    REASON_RDMSR = 31,
    REASON_WRMSR = 32,
    REASON_MWAIT = 36,
    REASON_MONITOR = 39,
    REASON_ENTRY_MC = 41,
    REASON_TPR = 43,
    REASON_EPT = 48,
    REASON_INVEPT = 50,
    REASON_INVVPID = 53,
    REASON_WBINVD = 54,
    REASON_XSETBV = 55,
    REASON_VMFUNC = 59,
    REASONS = 64,
};
#define REASON_MASK         0xffffu
#define REASON_ENTRY_FAILED (1u << 31)

#define RIGHTS_LONG 0x2000u

static const uint8_t exit_table[REASONS] = {
    [REASON_EXCEPTION] = VCPU_EXIT_EXCEPTION,
    [REASON_SHUTDOWN] = VCPU_EXIT_SHUTDOWN,
    [REASON_INTERRUPT_WINDOW] = VCPU_EXIT_INTERRUPT_WINDOW,
    [REASON_NMI_WINDOW] = VCPU_EXIT_NMI_WINDOW,
    [REASON_TASK_SWITCH] = VCPU_EXIT_TASK_SWITCH,
    [REASON_CPUID] = VCPU_EXIT_CPUID,
    [REASON_GETSEC] = VCPU_EXIT_UNDEFINED,
    [REASON_HLT] = VCPU_EXIT_HLT,
    [REASON_INVD] = VCPU_EXIT_WBINVD,
    [REASON_RDPMC] = VCPU_EXIT_RDPMC,
    [REASON_RSM] = VCPU_EXIT_UNDEFINED,
    [REASON_VMCALL] = VCPU_EXIT_HYPERCALL,
    [REASON_VMCLEAR... REASON_VMXON] = VCPU_EXIT_UNDEFINED,
    [REASON_IO] = VCPU_EXIT_IO,
    [REASON_RDMSR] = VCPU_EXIT_RDMSR,
    [REASON_WRMSR] = VCPU_EXIT_WRMSR,
    [REASON_MWAIT] = VCPU_EXIT_UNDEFINED,
    [REASON_MONITOR] = VCPU_EXIT_UNDEFINED,
    [REASON_TPR] = VCPU_EXIT_INTERRUPT_WINDOW,
    [REASON_EPT] = VCPU_EXIT_MMIO,
    [REASON_INVEPT] = VCPU_EXIT_UNDEFINED,
    [REASON_INVVPID] = VCPU_EXIT_UNDEFINED,
    [REASON_WBINVD] = VCPU_EXIT_WBINVD,
    [REASON_XSETBV] = VCPU_EXIT_XSETBV,
    [REASON_VMFUNC] = VCPU_EXIT_UNDEFINED,
};

/* The exits that are not an instruction's: RIP and length together say nothing. */
#define EXITS_WITHOUT_LENGTH                                                                                 \
    (1u << VCPU_EXIT_NONE | 1u << VCPU_EXIT_MMIO | 1u << VCPU_EXIT_INTERRUPT_WINDOW |                        \
     1u << VCPU_EXIT_NMI_WINDOW | 1u << VCPU_EXIT_EXCEPTION | 1u << VCPU_EXIT_SHUTDOWN |                     \
     1u << VCPU_EXIT_TASK_SWITCH)

/* Qualification of an I/O exit, as VCPU_IO_*. */
#define IO_SIZE(q)       (((q)&7) + 1)
#define IO_IN(q)         ((q) >> 3 & VCPU_IO_IN)
#define IO_STRING_REP(q) ((q) >> 2 & (VCPU_IO_STRING | VCPU_IO_REP))
#define IO_PORT_MASK     0xffff0000u

#define EPT_WRITE   2u
#define EPT_FETCH   4u
#define EPT_PRESENT 0x38u

#define CR_NUMBER(q)   ((q)&15)
#define CR_TYPE(q)     ((q) >> 4 & 3)
#define CR_REGISTER(q) ((q) >> 8 & 15)

#define TASK_SOURCE(q)      ((q) >> 30 & 3)
#define TASK_IRET           1u
#define TASK_JUMP           2u
#define SVM_TASK_IRET       (1ul << 36)
#define SVM_TASK_JUMP       (1ul << 38)
#define SVM_TASK_ERROR_CODE (1ul << 44)

_Static_assert(offsetof(struct vmx, host_rsp) == VMX_HOST_RSP, "vmx_run.S knows it");
bool vmx_enter(struct vmx *vmx, uint64_t *gpr, bool launched);

static void invalidate_ept(uint64_t eptp)
{
    uint64_t descriptor[2] = {eptp, 0};

    __asm__ volatile("invept %0, %1" : : "m"(descriptor), "r"(vmx_found.invept) : "cc", "memory");
}

static void invalidate_vpids(void)
{
    uint64_t descriptor[2] = {0, 0};

    __asm__ volatile("invvpid %0, %1" : : "m"(descriptor), "r"(INVALIDATE_ALL) : "cc", "memory");
}

void vmx_select(const struct vcpu *vcpu)
{
    struct cpu *cpu = this_cpu();

    if (cpu->virt_selected == vcpu)
        return;
    __asm__ volatile("vmptrld %0" : : "m"(vcpu->control_physical) : "cc", "memory");
    cpu->virt_selected = vcpu;
}

void vmx_release(struct vcpu *vcpu)
{
    struct cpu *cpu = this_cpu();
    struct vmx *vmx = vcpu->extra;

    __asm__ volatile("vmclear %0" : : "m"(vcpu->control_physical) : "cc", "memory");
    vmx->launched = false;
    if (cpu->virt_selected == vcpu)
        cpu->virt_selected = NULL;
}

/* Flush what removals from the GST space ask for, and have a VPID of this CPU's current generation. */
static void prepare_tag(struct cpu *cpu, struct vcpu *vcpu)
{
    bool flush = false;

    if (vcpu->gst_generation != vcpu->gst->memory.generation) {
        vcpu->gst_generation = vcpu->gst->memory.generation;
        invalidate_ept(vcpu->gst->memory.physical | EPTP_WALK);
    }
    if (!(vmx_found.secondary & SECONDARY_VPID) || !tag_renew(&cpu->asids, &vcpu->asid, &flush))
        return;
    vmwrite(VMCS_VPID, vcpu->asid.number);
    if (flush)
        invalidate_vpids();
}

/* The few things that change between entries: who runs the guest, and whether it has the FPU. */
static void prepare_host(struct cpu *cpu, struct vmx *vmx)
{
    if (vmx->host_cr3 != cpu->cr3)
        vmwrite(VMCS_HOST_CR3, cpu->cr3);
    vmx->host_cr3 = cpu->cr3;
    if (vmx->host_task_switched != cpu->task_switched)
        vmwrite(VMCS_HOST_CR0, read_cr0());
    vmx->host_task_switched = cpu->task_switched;
}

static bool enter(struct vcpu *vcpu, struct vmx *vmx)
{
    uint64_t *gpr = vcpu->state->gpr, rsp = *(volatile uint64_t *)&gpr[VCPU_RSP];
    bool entered;

    if (rsp != vmx->rsp)
        vmwrite(VMCS_GUEST_RSP, rsp);
    vmx->rsp = rsp;
    if (read_cr2() != vmx->cr2)
        write_cr2(vmx->cr2);
    if (vcpu->debug_registers_used) {
        load_debug_registers(vcpu->dr);
        write_dr6(vmx->dr6);
    }
    entered = vmx_enter(vmx, gpr, vmx->launched);
    vmx->cr2 = read_cr2();
    if (vcpu->debug_registers_used) {
        save_debug_registers(vcpu->dr);
        vmx->dr6 = read_dr6();
    }
    return entered;
}

/* An event to be delivered at the next entry, as the processor describes it. */
static void deliver(struct vcpu *vcpu, uint32_t event, uint32_t error)
{
    vcpu->delivering = event & EVENT_VALID;
    if (!vcpu->delivering)
        return;
    vmwrite(VMCS_ENTRY_EVENT, event & (EVENT_VALID | EVENT_FIELDS));
    vmwrite(VMCS_ENTRY_ERROR_CODE, error);
    if (EVENT_TYPE(event) >= EVENT_TYPE_SOFTWARE)
        vmwrite(VMCS_ENTRY_LENGTH, vmread(VMCS_EXIT_LENGTH));
}

/*
 * A guest's write of a bit in CR0 or CR4 that is not its own: it sees what it has written from now on, and
 * executes the instruction again, which does not exit any more and does all the rest.
 */
static bool control_register_written(struct vcpu *vcpu, struct vmx *vmx, uint64_t qualification)
{
    uint64_t value = *(volatile uint64_t *)&vcpu->state->gpr[CR_REGISTER(qualification)];
    bool refused;

    if (CR_TYPE(qualification))
        return false;
    if (CR_NUMBER(qualification) == 0) {
        refused = (value & CR0_NW) && !(value & CR0_CD);
        if (!refused)
            vmwrite(VMCS_CR0_SHADOW, vmx->cr0_shadow = value);
    } else {
        refused = value & vmx_owned.cr4 & ~CR4_MCE;
        if (!refused)
            vmwrite(VMCS_CR4_SHADOW, vmx->cr4_shadow = value);
    }
    if (refused) {
        vmwrite(VMCS_GUEST_RFLAGS, vmx->rflags |= RFLAGS_RF);
        deliver(vcpu,
                EVENT_VALID | EVENT_TYPE_EXCEPTION << 8 | EXCEPTION_GP |
                    (vmread(VMCS_GUEST_CR0) & CR0_PE ? EVENT_ERROR : 0),
                0);
    }
    return true;
}

/* Exits that the monitor does not see. */
static bool handled_here(struct vcpu *vcpu, struct vmx *vmx, uint32_t reason, uint32_t vectoring)
{
    uint32_t event;

    switch (reason) {
    case REASON_EXCEPTION:
        event = (uint32_t)vmread(VMCS_EXIT_EVENT);
        if ((event & 0xff) == EXCEPTION_MC && EVENT_TYPE(event) == EVENT_TYPE_EXCEPTION)
            panic("machine check while a guest ran");
        if (EVENT_TYPE(event) != EVENT_TYPE_NMI)
            return false;
        __asm__ volatile("int $2" : : : "memory"); /* NMIs stay blocked until its IRET */
        break;
    case REASON_INTERRUPT:
    case REASON_INIT:
        break;
    case REASON_DR:
        vmx_give_debug_registers(vcpu);
        break;
    case REASON_CR:
        vcpu->delivering = false;
        return control_register_written(vcpu, vmx, vmread(VMCS_QUALIFICATION));
    default:
        return false;
    }
    deliver(vcpu, vectoring, vectoring & EVENT_ERROR ? (uint32_t)vmread(VMCS_VECTORING_ERROR_CODE) : 0);
    return true;
}

/* The event whose delivery was cut off, in the state page's form. What an instruction asked for happens again
 * when that is executed again. */
static uint64_t interrupted_event(uint32_t vectoring)
{
    uint32_t type = EVENT_TYPE(vectoring);
    uint64_t event = vectoring & (EVENT_VALID | EVENT_FIELDS);

    if (vectoring & EVENT_ERROR)
        event |= vmread(VMCS_VECTORING_ERROR_CODE) << 32;
    if (type > EVENT_TYPE_SOFTWARE)
        event = (event & ~VCPU_EVENT_TYPE) |
                (type == EVENT_TYPE_ICEBP ? VCPU_EVENT_SOFTWARE : VCPU_EVENT_EXCEPTION);
    return event;
}

/* SDM vol. 3, 28.2.3: NMIs are as blocked as if the instruction or delivery that exited had not begun. */
static void settle_nmi_blocking(struct vmx *vmx, uint32_t reason, uint32_t vectoring)
{
    uint64_t why;

    if (vectoring & EVENT_VALID) {
        if (EVENT_TYPE(vectoring) == EVENT_TYPE_NMI)
            vmx_set_shadow(vmx, vmx->shadow & ~(uint64_t)SHADOW_NMI);
    } else if (reason == REASON_EXCEPTION || reason == REASON_EPT) {
        why = vmread(reason == REASON_EPT ? VMCS_QUALIFICATION : VMCS_EXIT_EVENT);
        if (why & EVENT_NMI_UNBLOCK)
            vmx_set_shadow(vmx, vmx->shadow | SHADOW_NMI);
    }
}

static void describe_exception(struct vmx *vmx, struct vcpu_state *s)
{
    uint32_t event = (uint32_t)vmread(VMCS_EXIT_EVENT);

    s->info[0] = event & 0xff;
    s->info[1] = event & EVENT_ERROR ? vmread(VMCS_EXIT_ERROR_CODE) : 0;
    if (s->info[0] == EXCEPTION_DB)
        vmx->dr6 = (vmx->dr6 & ~DR6_B) | (vmread(VMCS_QUALIFICATION) & DR6_CAUSE);
}

static void describe_task_switch(struct vcpu_state *s, uint64_t qualification, uint64_t interrupted)
{
    uint64_t source = TASK_SOURCE(qualification);

    s->info[0] = qualification & 0xffff;
    s->info[1] = source == TASK_IRET ? SVM_TASK_IRET : source == TASK_JUMP ? SVM_TASK_JUMP : 0;
    if ((interrupted & VCPU_EVENT_VALID) && (interrupted & VCPU_EVENT_ERROR))
        s->info[1] |= SVM_TASK_ERROR_CODE | interrupted >> 32;
}

/* `info`, by the kind of exit. */
static void describe(struct vmx *vmx, struct vcpu_state *s, uint32_t exit, uint32_t reason,
                     uint64_t interrupted)
{
    uint64_t q;

    switch (exit) {
    case VCPU_EXIT_MMIO:
        q = vmread(VMCS_QUALIFICATION);
        s->info[0] = vmread(VMCS_PHYSICAL_ADDRESS);
        s->info[1] = (q & EPT_PRESENT ? VCPU_MMIO_PRESENT : 0) | (q & EPT_WRITE ? VCPU_MMIO_WRITE : 0) |
                     (q & EPT_FETCH ? VCPU_MMIO_FETCH : 0);
        break;
    case VCPU_EXIT_EXCEPTION:
        describe_exception(vmx, s);
        break;
    case VCPU_EXIT_SHUTDOWN:
        vmwrite(VMCS_GUEST_ACTIVITY, 0);
        break;
    case VCPU_EXIT_INTERRUPT_WINDOW:
    case VCPU_EXIT_NMI_WINDOW:
        vmx_set_window(vmx, 0);
        break;
    case VCPU_EXIT_TASK_SWITCH:
        describe_task_switch(s, vmread(VMCS_QUALIFICATION), interrupted);
        break;
    case VCPU_EXIT_OTHER:
        s->info[0] = reason;
        break;
    default:
        break;
    }
}

/* Refused by the processor: the state is as it was, and not entered. `why` is for whoever debugs a monitor.
 */
static uint32_t describe_invalid(struct vcpu_state *s, uint64_t why)
{
    vmwrite(VMCS_ENTRY_EVENT, 0);
    s->info[0] = 0;
    s->info[1] = why;
    s->interrupted = 0;
    s->next_rip = 0;
    return VCPU_EXIT_INVALID_STATE;
}

/* Behind the instruction that exited; outside of 64-bit code the address has 32 bits. */
static uint64_t next_rip(uint64_t rip)
{
    uint64_t next = rip + vmread(VMCS_EXIT_LENGTH);

    if (next >> 32 == rip >> 32 || (vmread(VMCS_GUEST_CS_RIGHTS) & RIGHTS_LONG))
        return next;
    return (uint32_t)next;
}

static uint32_t describe_io(const struct vmx *vmx, struct vcpu_state *s)
{
    uint64_t q = vmread(VMCS_QUALIFICATION);

    s->info[0] = (q & IO_PORT_MASK) | IO_SIZE(q) << 4 | IO_STRING_REP(q) | IO_IN(q);
    s->next_rip = next_rip(vmx->rip);
    s->interrupted = 0;
    return VCPU_EXIT_IO;
}

static uint32_t describe_exit(struct vmx *vmx, struct vcpu_state *s, uint32_t reason, uint32_t vectoring)
{
    uint32_t exit = reason < REASONS ? exit_table[reason] : 0;
    uint64_t interrupted = vectoring & EVENT_VALID ? interrupted_event(vectoring) : 0;

    if (!exit)
        exit = VCPU_EXIT_OTHER;
    s->interrupted = interrupted;
    s->next_rip = EXITS_WITHOUT_LENGTH >> exit & 1 ? 0 : next_rip(vmx->rip);
    describe(vmx, s, exit, reason, interrupted);
    return exit;
}

/* VM entry refuses a threshold above the TPR (SDM vol. 3, 27.2.1.1). The monitor has lowered that, or the
 * guest and another exit came before the threshold's. */
static void __attribute__((noinline)) pass_threshold(struct vmx *vmx)
{
    vmwrite(VMCS_TPR_THRESHOLD, vmx->tpr_threshold = 0);
    vmx_set_processor_controls(vmx, vmx->processor_controls | PROC_INTERRUPT_WINDOW);
}

static enum virt_result vmx_run(struct vcpu *vcpu)
{
    struct cpu *cpu = this_cpu();
    struct vmx *vmx = vcpu->extra;
    struct vcpu_state *s = vcpu->state;
    uint32_t reason, vectoring, exit, want;
    bool entered;

    vmx_select(vcpu);
    if (__builtin_expect(vmx->tpr_threshold > vmx->virtual_apic[VIRTUAL_TPR], 0))
        pass_threshold(vmx);
    prepare_tag(cpu, vcpu);
    prepare_host(cpu, vmx);
    entered = enter(vcpu, vmx);
    if (entered)
        cpu_restore_tables(cpu);
    s->instruction_bytes = 0;
    vcpu->delivering = false;
    reason = entered ? (uint32_t)vmread(VMCS_EXIT_REASON) : REASON_ENTRY_FAILED;
    if (reason & REASON_ENTRY_FAILED) {
        if ((reason & REASON_MASK) == REASON_ENTRY_MC)
            panic("machine check at a VM entry");
        exit = describe_invalid(s, entered ? reason & REASON_MASK : vmread(VMCS_INSTRUCTION_ERROR) << 32);
    } else {
        reason &= REASON_MASK;
        vmx->launched = true;
        vmx->rsp = s->gpr[VCPU_RSP] = vmread(VMCS_GUEST_RSP);
        vmx->rip = vmread(VMCS_GUEST_RIP);
        vmx->rflags = vmread(VMCS_GUEST_RFLAGS);
        vmx->shadow = vmread(VMCS_GUEST_SHADOW);
        if (reason == REASON_IO) {
            exit = describe_io(
                vmx, s); /* the frequent one, and never in mid-delivery: without all the questions */
        } else {
            vectoring = (uint32_t)vmread(VMCS_VECTORING);
            settle_nmi_blocking(vmx, reason, vectoring);
            if (handled_here(vcpu, vmx, reason, vectoring))
                return VIRT_HOST;
            exit = describe_exit(vmx, s, reason, vectoring);
        }
    }
    s->exit = exit;
    want = (*(volatile uint32_t *)&s->want[exit] & VCPU_GROUPS) | VCPU_RIP;
    s->valid = want | VCPU_GPR;
    s->rip = vmx->rip;
    s->rflags = vmx->rflags;
    s->interruptibility = vmx->shadow & (SHADOW_STI | SHADOW_MOV_SS) ? VCPU_SHADOW : 0;
    s->cr8 = vmx->virtual_apic[VIRTUAL_TPR] >> 4;
    if (want != VCPU_RIP)
        vmx_get(vcpu, s, want & ~(uint32_t)(VCPU_RIP | VCPU_EVENT));
    return VIRT_EXIT;
}

const struct virt_operations vmx_operations = {.name = "VT-x",
                                               .feature = BOOT_FEATURE_VMX,
                                               .extra_page = true,
                                               .cpu_init = vmx_cpu_init,
                                               .msr_permit = vmx_msr_permit,
                                               .page_bits = pagetable_bits_ept,
                                               .init = vmx_init,
                                               .release = vmx_release,
                                               .get = vmx_get,
                                               .set = vmx_set,
                                               .run = vmx_run};
