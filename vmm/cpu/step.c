/* SPDX-License-Identifier: ISC */
/*
 * One instruction of the guest, behind which it takes an NMI: on SVM, whose only help is an exit before the
 * IRET that ends an NMI handler (APM vol. 2, 15.20 to 15.22). An NMI that this IRET or a shadow (STI, MOV SS,
 * POP SS) keeps back is due at the next instruction boundary.
 *
 * The instruction is executed by the guest with RFLAGS.TF set, and the #DB behind it exits. The guest must
 * not see that TF, so every other exception exits before its delivery would push it, and so: PUSHF is
 * executed here. IRET and POPF load TF; the trap follows the TF that was set before them. INT n, INT3, INTO
 * and ICEBP push TF and clear it, SYSCALL saves and SYSRET loads it, and no trap follows: the guest executes
 * these alone, and its run ends soon after. An exit of the instruction itself takes TF back and is handled as
 * ever. DR6 is empty meanwhile, so that what the guest has to see of its own (its breakpoints, its own TF) is
 * told from the step.
 */
#include "vmm/cpu/vcpu.h"

#define VECTOR_DB  1u
#define DR6_BS     (1ull << 14)
#define DR6_CAUSES 0xe00full /* B0 to B3, BD, BS, BT */

#define RUNS_PER_SECOND 50000u /* of those that end soon */

#define STEP_GROUPS (VCPU_EMULATE_GROUPS | VCPU_DR)

enum step_kind { STEP_TRAP, STEP_LOADS_TF, STEP_PUSHES_TF, STEP_ALONE };

static enum step_kind kind_of(const struct x86_insn *insn)
{
    if (insn->encoding != X86_ENCODING_LEGACY)
        return STEP_TRAP;
    if (insn->map == X86_MAP_0F) /* SYSCALL, SYSRET */
        return insn->opcode == 0x05 || insn->opcode == 0x07 ? STEP_ALONE : STEP_TRAP;
    if (insn->map != X86_MAP_ONE)
        return STEP_TRAP;
    switch (insn->opcode) {
    case 0x9c:
        return STEP_PUSHES_TF;
    case 0x9d: /* POPF */
    case 0xcf: /* IRET */
        return STEP_LOADS_TF;
    case 0xcc: /* INT3, INT n, INTO, ICEBP */
    case 0xcd:
    case 0xce:
    case 0xf1:
        return STEP_ALONE;
    default:
        return STEP_TRAP;
    }
}

static void set_trap(struct vcpu *vcpu, bool loads)
{
    struct vcpu_state *state = vcpu->state;

    vcpu->step = (struct vcpu_step){.set = true,
                                    .loads = loads,
                                    .rip = state->rip,
                                    .tf = state->rflags & VCPU_RFLAGS_TF,
                                    .dr6 = state->dr6};
    state->rflags |= VCPU_RFLAGS_TF;
    state->dr6 &= ~DR6_CAUSES;
    state->dirty |= VCPU_RIP | VCPU_DR;
}

void vcpu_step_begin(struct vcpu *vcpu, bool behind)
{
    struct vcpu_state *state = vcpu->state;
    static const uint8_t shown[] = {VCPU_EXIT_NONE, VCPU_EXIT_NMI_WINDOW, VCPU_EXIT_EXCEPTION};
    enum step_kind kind = STEP_ALONE;
    struct x86_insn insn;

    vcpu->after |= VCPU_AFTER_STEP;
    vcpu->step.set = false;
    for (size_t i = 0; i < sizeof shown; i++)
        state->want[shown[i]] |= STEP_GROUPS;
    if (behind || (state->valid & STEP_GROUPS) != STEP_GROUPS) {
        vcpu->deadline_tsc = 0; /* entered for the delivery alone, or only looked at */
        return;
    }
    if (vcpu_decode(vcpu, &insn))
        kind = kind_of(&insn);
    else if (vcpu->exception)
        return;
    if (kind == STEP_PUSHES_TF && vcpu_execute(vcpu, &insn))
        vcpu_attend(vcpu);
    else if (kind == STEP_TRAP || kind == STEP_LOADS_TF)
        set_trap(vcpu, kind == STEP_LOADS_TF);
    else
        vcpu->deadline_tsc = clock_read_tsc() + vcpu->machine->clock.hz / RUNS_PER_SECOND;
}

/* The guest's own flags and DR6 again. A trap that was the step's alone is no exit. */
static void take_trap_back(struct vcpu *vcpu, bool exited)
{
    const struct vcpu_step *step = &vcpu->step;
    struct vcpu_state *state = vcpu->state;
    bool exception = exited && state->exit == VCPU_EXIT_EXCEPTION;
    bool done = exception && state->info[0] == VECTOR_DB && state->dr6 & DR6_BS;

    if (!step->loads || (!done && state->rip == step->rip))
        state->rflags = (state->rflags & ~VCPU_RFLAGS_TF) | step->tf;
    if (done && !step->tf) {
        state->dr6 &= ~DR6_BS;
        if (!(state->dr6 & DR6_CAUSES))
            state->exit = VCPU_EXIT_NONE;
    }
    state->dr6 |= step->dr6 & DR6_CAUSES;
    state->dirty |= VCPU_RIP | VCPU_DR;
    /* An IRET that faults has ended the handler, too (SDM vol. 3, 6.7.1). */
    if (exception && !done && vcpu->after & VCPU_AFTER_IRET) {
        vcpu->after &= (uint8_t)~VCPU_AFTER_IRET;
        vcpu->nmi_masked = false;
    }
}

void vcpu_step_end(struct vcpu *vcpu, bool exited)
{
    vcpu->after &= (uint8_t)~VCPU_AFTER_STEP;
    vcpu->deadline_tsc = clock_tsc(&vcpu->machine->clock, vcpu->deadline);
    if (vcpu->step.set)
        take_trap_back(vcpu, exited);
    vcpu->step.set = false;
}
