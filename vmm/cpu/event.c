/* SPDX-License-Identifier: ISC */
/* What has happened to a vCPU outside of its loop, for the next turn: exceptions raised, CR8, deadlines. */
#include "vmm/cpu/inject.h"
#include "vmm/cpu/vcpu.h"

#define VECTOR_DB 1u
#define DR6_BS    (1ull << 14)

void vcpu_update_deadline(struct vcpu *vcpu)
{
    uint64_t deadline = machine_deadline(vcpu->machine, vcpu->number);

    if (deadline == vcpu->deadline)
        return;
    vcpu->deadline = deadline;
    vcpu->deadline_tsc = clock_tsc(&vcpu->machine->clock, deadline);
}

void vcpu_take_cr8(struct vcpu *vcpu)
{
    vcpu->cr8 = vcpu->state->cr8 & 0xf;
    lapic_cr8_write(vcpu->lapic, vcpu->cr8);
}

void vcpu_give_cr8(struct vcpu *vcpu)
{
    vcpu->cr8 = (uint8_t)lapic_cr8_read(vcpu->lapic);
    vcpu->state->cr8 = vcpu->cr8;
    vcpu->state->dirty |= VCPU_CR;
}

static uint64_t exception_event(unsigned vector)
{
    return VCPU_EVENT_VALID | VCPU_EVENT_EXCEPTION | vector;
}

/* What was interrupted and is a fault itself joins with the new one; an interrupt that was is lost, as it is
 * on a processor. */
static void raise_event(struct vcpu *vcpu, uint64_t event)
{
    vcpu->exception = inject_combine(vcpu->interrupted, event);
    vcpu->interrupted = 0;
    vcpu_attend(vcpu);
    if (!vcpu->exception)
        machine_request(vcpu->machine, MACHINE_RESET, "triple fault");
}

void vcpu_raise(struct vcpu *vcpu, unsigned vector)
{
    raise_event(vcpu, exception_event(vector));
}

void vcpu_raise_error(struct vcpu *vcpu, unsigned vector, uint32_t error)
{
    raise_event(vcpu, exception_event(vector) | VCPU_EVENT_ERROR | (uint64_t)error << 32);
}

void vcpu_want_debug(struct vcpu *vcpu)
{
    for (unsigned i = 0; i < VCPU_EXITS; i++)
        vcpu->state->want[i] |= VCPU_DR;
}

/* RFLAGS.TF: #DB follows the instruction. */
void vcpu_single_step(struct vcpu *vcpu)
{
    struct vcpu_state *state = vcpu->state;

    if (state->valid & VCPU_DR) {
        state->dr6 |= DR6_BS;
        state->dirty |= VCPU_DR;
    }
    vcpu_want_debug(vcpu);
    vcpu_raise(vcpu, VECTOR_DB);
}
