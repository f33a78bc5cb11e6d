/* SPDX-License-Identifier: ISC */
/*
 * The exits that vmm/cpu/cpuid.c and msr.c answer, XSETBV and MOV to CR4: what they need of the vCPU's
 * state is asked for only where the leaf or the register depends on it.
 */
#include "vmm/cpu/vcpu.h"

#include "base/include/log.h"

#define LEAF_FEATURES 0x1u
#define LEAF_XSAVE    0xdu
#define LEAF_EXTENDED 0x80000001u
#define LEAF_ADDRESS  0x80000008u
#define LEAF_SVM      0x8000000au

#define MOV_TO_CR 0x22u
#define CR4_PCIDE (1ull << 17)
#define CR3_PCID  0xfffu

#define VENDOR_INTEL 0x756e6547u /* EBX of leaf 0: "Genu" */

#define MSR_EFER  0xc0000080u
#define MSR_X2TPR (MSR_X2APIC_FIRST + APIC_TPR / 16)

#define EDX_1G_PAGES (1u << 26)
#define EDX_FFXSR    (1u << 25)
#define EDX_APIC     (1u << 9) /* of LEAF_FEATURES: clear while the APIC is off (SDM vol. 3, 11.4.3) */
#define EDX_NEXT_RIP (1u << 3) /* of LEAF_SVM */

static void host_cpuid(void *context, uint32_t leaf, uint32_t subleaf, struct cpuid_regs *regs)
{
    (void)context;
    __asm__ volatile("cpuid"
                     : "=a"(regs->eax), "=b"(regs->ebx), "=c"(regs->ecx), "=d"(regs->edx)
                     : "a"(leaf), "c"(subleaf));
}

static void note_msr(void *sink, bool write, uint32_t msr, uint64_t value)
{
    const struct vcpu *vcpu = sink;

    log_line("vm %s: unknown MSR %x: %s %lx", vcpu->machine->name, msr, write ? "write of" : "read, value",
             (unsigned long)value);
}

void vcpu_init_policy(struct vcpu *vcpu, bool xsave)
{
    struct cpuid_regs regs;

    host_cpuid(NULL, 0, 0, &regs);
    vcpu->msr = (struct msr_cpu){
        .config = {.intel = regs.ebx == VENDOR_INTEL},
        .lapic = vcpu->lapic,
        .clock = &vcpu->machine->kvmclock,
        .note = note_msr,
        .sink = vcpu,
    };
    vcpu->cpuid = (struct cpuid_config){.cpu = vcpu->number,
                                        .cpus = vcpu->machine->cpus,
                                        .x2apic = true,
                                        .kvm_stable = true,
                                        .tsc_khz = vcpu->lapic->config.tsc_khz,
                                        .apic_khz = LAPIC_TIMER_KHZ,
                                        .host = host_cpuid};
    host_cpuid(NULL, LEAF_FEATURES, 0, &regs);
    vcpu->signature = regs.eax;
    host_cpuid(NULL, LEAF_ADDRESS, 0, &regs);
    vcpu->physical_bits = (uint8_t)(regs.eax & 0xff);
    vcpu->lapic->config.address_bits = vcpu->physical_bits;
    host_cpuid(NULL, LEAF_EXTENDED, 0, &regs);
    vcpu->has_1g_pages = (regs.edx & EDX_1G_PAGES) != 0;
    vcpu->msr.config.ffxsr = (regs.edx & EDX_FFXSR) != 0;
    host_cpuid(NULL, LEAF_SVM, 0, &regs);
    vcpu->tells_nmi_return = vcpu->msr.config.intel;
    vcpu->tells_next_rip = vcpu->msr.config.intel || regs.edx & EDX_NEXT_RIP;
    host_cpuid(NULL, LEAF_XSAVE, 0, &regs);
    if (xsave)
        vcpu->cpuid.xcr0 = regs.eax & (CPUID_XCR0_X87 | CPUID_XCR0_SSE | CPUID_XCR0_AVX);
    vcpu->cr4_offered = cpuid_cr4(&vcpu->cpuid);
}

bool vcpu_exit_cpuid(struct vcpu *vcpu)
{
    struct vcpu_state *state = vcpu->state;
    uint32_t leaf = (uint32_t)state->gpr[VCPU_RAX];
    uint32_t groups = leaf == LEAF_XSAVE ? VCPU_CR | VCPU_XCR0 : leaf == LEAF_FEATURES ? VCPU_CR : 0;
    struct cpuid_regs regs;
    uint64_t next;

    if (!vcpu_need(vcpu, groups) || !vcpu_can_skip(vcpu, &next))
        return vcpu_runs(vcpu);
    cpuid_guest(&vcpu->cpuid, leaf, (uint32_t)state->gpr[VCPU_RCX], state->cr4, state->xcr0, &regs);
    if (leaf == LEAF_FEATURES && lapic_mode(vcpu->lapic) == LAPIC_MODE_OFF)
        regs.edx &= ~EDX_APIC;
    state->gpr[VCPU_RAX] = regs.eax;
    state->gpr[VCPU_RBX] = regs.ebx;
    state->gpr[VCPU_RCX] = regs.ecx;
    state->gpr[VCPU_RDX] = regs.edx;
    vcpu_set_rip(vcpu, next);
    return true;
}

/* APM vol. 2, 11.5.2: x87 is always on, AVX needs SSE. */
static bool is_valid_xcr0(const struct vcpu *vcpu, uint64_t value)
{
    return !(value & ~vcpu->cpuid.xcr0) && value & CPUID_XCR0_X87 &&
           (!(value & CPUID_XCR0_AVX) || value & CPUID_XCR0_SSE);
}

/* SVM intercepts it before it looks at the privilege level. */
bool vcpu_exit_xsetbv(struct vcpu *vcpu)
{
    struct vcpu_state *state = vcpu->state;
    uint64_t value = state->gpr[VCPU_RDX] << 32 | (uint32_t)state->gpr[VCPU_RAX];
    uint64_t next;

    if (!vcpu_need(vcpu, VCPU_CS_SS | VCPU_CR) || !vcpu_can_skip(vcpu, &next))
        return vcpu_runs(vcpu);
    if (vcpu_cpl(state) != 0 || (uint32_t)state->gpr[VCPU_RCX] != 0 || !is_valid_xcr0(vcpu, value)) {
        vcpu_raise_error(vcpu, X86_VECTOR_GP, 0);
        return vcpu_runs(vcpu);
    }
    state->xcr0 = value;
    state->dirty |= VCPU_XCR0;
    vcpu_set_rip(vcpu, next);
    return true;
}

/* SDM vol. 2, MOV to control registers: what it refuses. */
static bool is_valid_cr4(const struct vcpu *vcpu, uint64_t value)
{
    const struct vcpu_state *state = vcpu->state;
    bool is_long = state->efer & X86_EFER_LMA;

    if (value & ~vcpu->cr4_offered || (is_long && !(value & X86_CR4_PAE)))
        return false;
    return !(value & ~state->cr4 & CR4_PCIDE) || (is_long && !(state->cr3 & CR3_PCID));
}

/* On a processor with bits of CR4 that are not for guests. It gives no operand; what is in memory now may be
 * another instruction, which the guest is to execute. The kernel flushes translations as CR4 changes. */
bool vcpu_exit_cr4(struct vcpu *vcpu)
{
    struct vcpu_state *state = vcpu->state;
    struct x86_insn insn;
    uint64_t value;

    if (!vcpu_need(vcpu, VCPU_FETCH_GROUPS) || !vcpu_decode(vcpu, &insn) ||
        insn.encoding != X86_ENCODING_LEGACY || insn.map != X86_MAP_0F || insn.opcode != MOV_TO_CR ||
        insn.reg != 4)
        return vcpu_runs(vcpu);
    value = state->gpr[insn.rm];
    if (!vcpu_is_64bit(state))
        value = (uint32_t)value;
    if (vcpu_cpl(state) != 0 || !is_valid_cr4(vcpu, value)) {
        vcpu_raise_error(vcpu, X86_VECTOR_GP, 0);
        return vcpu_runs(vcpu);
    }
    state->cr4 = value;
    state->dirty |= VCPU_CR;
    vcpu_set_rip(vcpu, vcpu_rip_behind(state, insn.length));
    return true;
}

/* MSRs that the processor holds: where they are in the state page and in the policy's copy. */
struct held {
    uint32_t msr;
    uint32_t group;
    uint16_t page, copy;
};

#define HELD(number, group, page, copy)                                                                      \
    {                                                                                                        \
        number, group, offsetof(struct vcpu_state, page), offsetof(struct msr_state, copy)                   \
    }

static const struct held held_msrs[] = {
    HELD(MSR_EFER, VCPU_EFER | VCPU_CR, efer, efer),
    HELD(0x277, VCPU_EFER, pat, pat),
    HELD(0xc0000081, VCPU_SYSCALL, star, star),
    HELD(0xc0000082, VCPU_SYSCALL, lstar, lstar),
    HELD(0xc0000083, VCPU_SYSCALL, cstar, cstar),
    HELD(0xc0000084, VCPU_SYSCALL, sfmask, sfmask),
    HELD(0x174, VCPU_SYSCALL, sysenter_cs, sysenter_cs),
    HELD(0x175, VCPU_SYSCALL, sysenter_esp, sysenter_esp),
    HELD(0x176, VCPU_SYSCALL, sysenter_eip, sysenter_eip),
    HELD(0xc0000100, VCPU_FS_GS, fs.base, fs_base),
    HELD(0xc0000101, VCPU_FS_GS, gs.base, gs_base),
    HELD(0xc0000102, VCPU_FS_GS, kernel_gs_base, kernel_gs_base),
    HELD(0xc0000103, VCPU_TSC, tsc_aux, tsc_aux),
};

static bool is_x2apic(uint32_t msr)
{
    return msr >= MSR_X2APIC_FIRST && msr <= MSR_X2APIC_LAST;
}

/* Switched off, the local APIC forgets its TPR. */
static bool moves_tpr(const struct vcpu *vcpu, uint32_t msr)
{
    return msr == MSR_X2TPR || (msr == MSR_APIC_BASE && vcpu->state->cr8 != 0);
}

/* NULL for all others. The timer's and the APIC's, the frequent ones, are none of them. */
static const struct held *find_held(uint32_t msr)
{
    if (is_x2apic(msr) || msr == MSR_TSC_DEADLINE)
        return NULL;
    for (unsigned i = 0; i < sizeof held_msrs / sizeof held_msrs[0]; i++)
        if (held_msrs[i].msr == msr)
            return &held_msrs[i];
    return NULL;
}

static uint64_t *page_field(struct vcpu *vcpu, const struct held *held)
{
    return (uint64_t *)(void *)((uint8_t *)vcpu->state + held->page);
}

static uint64_t *copy_field(struct vcpu *vcpu, const struct held *held)
{
    return (uint64_t *)(void *)((uint8_t *)&vcpu->msr.state + held->copy);
}

/* All that an access to the MSR depends on. False: not there yet. */
static bool prepare_msr(struct vcpu *vcpu, uint32_t msr, const struct held *held)
{
    uint32_t groups = held ? held->group : moves_tpr(vcpu, msr) ? VCPU_CR : 0;

    if (!vcpu_need(vcpu, groups))
        return false;
    if (held)
        *copy_field(vcpu, held) = *page_field(vcpu, held);
    if (msr == MSR_EFER)
        vcpu->msr.paging = (vcpu->state->cr0 & X86_CR0_PG) != 0;
    if (is_x2apic(msr))
        vcpu_sync_tpr(vcpu);
    return true;
}

/* What a write has changed beyond the register itself. */
static void after_write(struct vcpu *vcpu, uint32_t msr, const struct held *held)
{
    if (held) {
        *page_field(vcpu, held) = *copy_field(vcpu, held);
        vcpu->state->dirty |= held->group & ~(uint32_t)VCPU_CR;
        return;
    }
    if (is_x2apic(msr) || msr == MSR_APIC_BASE)
        vcpu_attend(vcpu);
    if (moves_tpr(vcpu, msr))
        vcpu_update_tpr(vcpu);
    if (vcpu->msr.tsc_moved) {
        vcpu->msr.tsc_moved = false;
        vcpu_reload_tsc(vcpu);
    }
    vcpu_update_deadline(vcpu);
}

/* The KVM clock's are the machine's: all vCPUs write the wall clock, which has one version. */
static bool write_msr(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
    uint64_t now = clock_now(&vcpu->machine->clock);
    bool written;

    if (is_x2apic(msr) || msr == MSR_TSC_DEADLINE)
        return msr_write(&vcpu->msr, msr, value, now);
    machine_lock(vcpu->machine, vcpu->number);
    written = msr_write(&vcpu->msr, msr, value, now);
    machine_unlock(vcpu->machine, vcpu->number);
    return written;
}

bool vcpu_exit_rdmsr(struct vcpu *vcpu)
{
    struct vcpu_state *state = vcpu->state;
    uint32_t msr = (uint32_t)state->gpr[VCPU_RCX];
    uint64_t next, value = 0;

    if (!vcpu_can_skip(vcpu, &next) || !prepare_msr(vcpu, msr, find_held(msr)))
        return vcpu_runs(vcpu);
    if (!msr_read(&vcpu->msr, msr, clock_now(&vcpu->machine->clock), &value)) {
        vcpu_raise_error(vcpu, X86_VECTOR_GP, 0);
        return vcpu_runs(vcpu);
    }
    state->gpr[VCPU_RAX] = (uint32_t)value;
    state->gpr[VCPU_RDX] = value >> 32;
    vcpu_set_rip(vcpu, next);
    return vcpu_runs(vcpu);
}

bool vcpu_exit_wrmsr(struct vcpu *vcpu)
{
    struct vcpu_state *state = vcpu->state;
    uint32_t msr = (uint32_t)state->gpr[VCPU_RCX];
    uint64_t value = state->gpr[VCPU_RDX] << 32 | (uint32_t)state->gpr[VCPU_RAX];
    const struct held *held = find_held(msr);
    uint64_t next;

    if (!vcpu_can_skip(vcpu, &next) || !prepare_msr(vcpu, msr, held))
        return vcpu_runs(vcpu);
    if (!write_msr(vcpu, msr, value)) {
        vcpu_raise_error(vcpu, X86_VECTOR_GP, 0);
        return vcpu_runs(vcpu);
    }
    after_write(vcpu, msr, held);
    vcpu_set_rip(vcpu, next);
    return vcpu_runs(vcpu);
}
