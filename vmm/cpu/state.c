/* SPDX-License-Identifier: ISC */
/*
 * The vCPU's registers at a start of the machine: what the processor has after RESET# (APM vol. 2, 14.1.3),
 * then what a boot protocol wants.
 */
#include "vmm/cpu/vcpu.h"

#include <string.h>

#define CR0_PE_ET 0x11u
#define CR0_ET    0x10u
#define PAT_RESET 0x0007040600070406ull
#define DR6_RESET 0xffff0ff0ull
#define DR7_RESET 0x400ull
#define XCR0_X87  1u

/* Segment attributes: see abi/vcpu.h. */
#define CODE_16     0x09bu
#define DATA_16     0x093u
#define CODE_32     0xc9bu
#define DATA_32     0xc93u
#define LDT         0x082u
#define BUSY_TSS_32 0x08bu

#define TSS_LIMIT      0x67u
#define REAL_IDT_LIMIT 0x3ffu
#define RESET_SEGMENT  0xf000u
#define RESET_OFFSET   0xfff0u
#define RESET_BASE     0xffff0000u
#define REAL_STACK     0x7000u
#define BOOT_CS        0x10u /* of the Linux boot protocol */
#define BOOT_DS        0x18u

/* What each exit needs beyond what always comes. Port accesses, the most frequent, need nothing; device
 * memory more than this where it is not a MOV in 64-bit mode that accesses it. */
static const uint32_t base_want[VCPU_EXITS] = {
    [VCPU_EXIT_MMIO] = VCPU_FETCH_GROUPS,
    [VCPU_EXIT_HYPERCALL] = VCPU_FETCH_GROUPS,
    [VCPU_EXIT_CR4] = VCPU_FETCH_GROUPS,
    [VCPU_EXIT_SHUTDOWN] = VCPU_CS_SS | VCPU_CR | VCPU_TABLES, /* for the log */
};

/* Where the processor does not tell where an instruction ends, it has to be fetched: asked for from the
 * start, since an instruction that the guest has to repeat may lose the shadow of STI (QEMU does not load it
 * at VMRUN), and HLT behind STI would then sleep over the interrupt it waits for. */
static const uint8_t fetched[] = {VCPU_EXIT_CPUID,     VCPU_EXIT_RDMSR,  VCPU_EXIT_WRMSR,
                                  VCPU_EXIT_HLT,       VCPU_EXIT_PAUSE,  VCPU_EXIT_WBINVD,
                                  VCPU_EXIT_HYPERCALL, VCPU_EXIT_XSETBV, VCPU_EXIT_RDPMC};

static void reset_want(struct vcpu *vcpu)
{
    uint32_t *want = vcpu->state->want;

    memcpy(want, base_want, sizeof base_want);
    for (unsigned i = 0; i < sizeof fetched && !vcpu->tells_next_rip; i++)
        want[fetched[i]] |= VCPU_FETCH_GROUPS;
}

void vcpu_init(struct vcpu *vcpu, unsigned number, struct vcpu_state *state, struct machine *machine,
               const struct vcpu_link *link)
{
    struct machine_cpu *cpu = &machine->cpu[number];

    *vcpu = (struct vcpu){.state = state,
                          .machine = machine,
                          .cpu = cpu,
                          .lapic = &cpu->lapic,
                          .number = cpu->number,
                          .link = *link};
}

/* The guest's TSC is the host's and an offset; the local APIC and the KVM clock know its value at virtual
 * time 0. */
void vcpu_reload_tsc(struct vcpu *vcpu)
{
    vcpu->state->tsc_offset = vcpu->lapic->config.tsc_at_zero - vcpu->machine->clock.start;
    vcpu->state->dirty |= VCPU_TSC;
}

/* What RESET# and INIT have in common. */
static void reset_registers(struct vcpu *vcpu)
{
    struct vcpu_state *state = vcpu->state;

    memset(state, 0, sizeof *state);
    reset_want(vcpu);
    state->rflags = X86_RFLAGS_ONE;
    state->cr0 = CR0_ET;
    state->pat = PAT_RESET;
    state->dr6 = DR6_RESET;
    state->dr7 = DR7_RESET;
    state->xcr0 = XCR0_X87;
    state->ldtr = (struct vcpu_segment){.attributes = LDT, .limit = 0xffff};
    state->dirty = VCPU_GROUPS;
    vcpu->interrupted = 0;
    vcpu->exception = 0;
    vcpu->window = 0;
    vcpu->cr8 = 0;
    vcpu->nmi_masked = false;
    vcpu->after = 0;
    vcpu->stale = false;
    vcpu->waits_for_memory = false;
    vcpu_reload_tsc(vcpu);
}

void vcpu_reset(struct vcpu *vcpu)
{
    reset_registers(vcpu);
    vcpu->deadline = CLOCK_NEVER;
    vcpu->deadline_tsc = CLOCK_NEVER;
    vcpu->fetched_outside = false;
    msr_reset(&vcpu->msr);
    vcpu->msr.state.tsc_adjust = 0;
    vcpu->msr.kvm.clock.moved = false;
    vcpu_attend(vcpu);
}

/*
 * SDM vol. 3, table 9-1: INIT leaves the TSC and most MSRs; those that the state page holds are reset here,
 * which no guest can rely on being otherwise. The KVM clock and the word of KVM's EOI are switched off:
 * whoever is started next may have other things at their places.
 */
void vcpu_reset_init(struct vcpu *vcpu)
{
    if (vcpu->after & VCPU_AFTER_STEP)
        vcpu_step_end(vcpu, false);
    reset_registers(vcpu);
    lapic_reset_init(vcpu->lapic);
    kvm_reset(&vcpu->msr.kvm);
    __atomic_store_n(&vcpu->cpu->nmi, false, __ATOMIC_RELAXED);
    __atomic_store_n(&vcpu->cpu->kicked, false, __ATOMIC_RELAXED);
    vcpu_update_deadline(vcpu);
}

void vcpu_startup(struct vcpu *vcpu, uint8_t vector)
{
    const struct guest_entry entry = vcpu_entry_real((uint64_t)vector << 12);
    struct vcpu_state *state = vcpu->state;

    vcpu_start(vcpu, &entry);
    state->gpr[VCPU_RSP] = 0;
    state->gpr[VCPU_RDX] = vcpu->signature;
    state->activity = VCPU_ACTIVE;
    state->dirty = VCPU_GROUPS;
}

static struct vcpu_segment segment_of(const struct guest_segment *segment)
{
    return (struct vcpu_segment){.selector = segment->selector,
                                 .attributes = segment->attributes,
                                 .limit = segment->limit,
                                 .base = segment->base};
}

void vcpu_start(struct vcpu *vcpu, const struct guest_entry *entry)
{
    struct vcpu_state *state = vcpu->state;

    state->rip = entry->rip;
    state->gpr[VCPU_RSP] = entry->rsp;
    state->gpr[VCPU_RSI] = entry->rsi;
    state->gpr[VCPU_RAX] = entry->rax;
    state->gpr[VCPU_RBX] = entry->rbx;
    state->cr0 = entry->cr0;
    state->cr3 = entry->cr3;
    state->cr4 = entry->cr4;
    state->efer = entry->efer;
    state->cs = segment_of(&entry->cs);
    state->ds = segment_of(&entry->data);
    state->es = state->ds;
    state->ss = state->ds;
    state->fs = state->ds;
    state->gs = state->ds;
    state->tr = segment_of(&entry->tr);
    state->gdtr = (struct vcpu_segment){.base = entry->gdt_base, .limit = entry->gdt_limit};
    state->idtr =
        (struct vcpu_segment){.limit = entry->long_mode || entry->cr0 & X86_CR0_PE ? 0 : REAL_IDT_LIMIT};
}

struct guest_entry vcpu_entry_real(uint64_t address)
{
    return (struct guest_entry){
        .rip = address & 0xf,
        .rsp = REAL_STACK,
        .cr0 = CR0_ET,
        .cs = {.selector = (uint16_t)(address >> 4),
               .attributes = CODE_16,
               .limit = 0xffff,
               .base = address & ~0xfull},
        .data = {.attributes = DATA_16, .limit = 0xffff},
        .tr = {.attributes = BUSY_TSS_32, .limit = TSS_LIMIT},
        .gdt_limit = 0xffff,
    };
}

/* CS has the base that no selector gives in real mode, until the first far jump. */
struct guest_entry vcpu_entry_reset(void)
{
    struct guest_entry entry = vcpu_entry_real(RESET_SEGMENT << 4);

    entry.rip = RESET_OFFSET;
    entry.rsp = 0;
    entry.cs.base = RESET_BASE;
    return entry;
}

struct guest_entry vcpu_entry_protected(uint64_t address)
{
    return (struct guest_entry){
        .rip = address,
        .cr0 = CR0_PE_ET,
        .cs = {.selector = BOOT_CS, .attributes = CODE_32, .limit = UINT32_MAX},
        .data = {.selector = BOOT_DS, .attributes = DATA_32, .limit = UINT32_MAX},
        .tr = {.attributes = BUSY_TSS_32, .limit = TSS_LIMIT},
    };
}
