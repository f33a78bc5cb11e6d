/* SPDX-License-Identifier: ISC */
/*
 * The injection decision; see inject.h. Its cost counts: it runs after every change of an interrupt line.
 */
#include "vmm/cpu/inject.h"

#define RFLAGS_IF (1ull << 9)

enum { VECTOR_DE = 0, VECTOR_NMI = 2, VECTOR_DF = 8, VECTOR_TS = 10, VECTOR_GP = 13, VECTOR_PF = 14 };

static bool can_interrupt(const struct inject_input *input)
{
    return input->rflags & RFLAGS_IF && !(input->interruptibility & VCPU_SHADOW);
}

/* The windows for what is still waiting once `source` is on its way. */
static uint32_t windows(const struct inject_input *input, enum inject_source source)
{
    bool apic = input->vector >= 0 && source != INJECT_APIC;
    bool extint = input->extint && source != INJECT_EXTINT;
    bool nmi = input->nmi && source != INJECT_NMI;
    uint32_t window = 0;

    if (apic || extint)
        window |= VCPU_WINDOW_INTERRUPT;
    else if (input->masked)
        window |= VCPU_WINDOW_INTERRUPT | (uint32_t)input->masked << VCPU_WINDOW_CLASS_SHIFT;
    /* An NMI that only waits for its turn is no different from one that waits for IRET. The IRET of one that
     * is being handled must be seen even if no other waits yet: one that comes while the guest is halted
     * could not wake it otherwise. */
    if ((nmi || input->nmi_masked || source == INJECT_NMI) && !input->nmi_returns)
        window |= VCPU_WINDOW_NMI;
    return window;
}

struct inject_decision inject_decide(const struct inject_input *input)
{
    struct inject_decision decision = {.source = INJECT_NOTHING};

    if (input->interrupted & VCPU_EVENT_VALID) {
        decision.source = INJECT_AGAIN;
        decision.event = input->interrupted;
    } else if (input->exception & VCPU_EVENT_VALID) {
        decision.source = INJECT_EXCEPTION;
        decision.event = input->exception;
    } else if (input->nmi && !input->nmi_masked && !(input->interruptibility & VCPU_SHADOW)) {
        decision.source = INJECT_NMI;
        decision.event = VCPU_EVENT_VALID | VCPU_EVENT_NMI | VECTOR_NMI;
    } else if (input->vector >= 0 && can_interrupt(input)) {
        decision.source = INJECT_APIC;
        decision.event = VCPU_EVENT_VALID | VCPU_EVENT_INTERRUPT | ((unsigned)input->vector & 0xff);
    } else if (input->extint && can_interrupt(input)) {
        decision.source = INJECT_EXTINT;
        decision.event = VCPU_EVENT_VALID | VCPU_EVENT_INTERRUPT;
    }
    decision.window = windows(input, decision.source);
    return decision;
}

enum inject_wait inject_wait(enum inject_source first, bool nmi_masked, bool nmi_returns)
{
    if (first != INJECT_NOTHING)
        return nmi_masked ? INJECT_WAIT_IRET : INJECT_WAIT_EVENT;
    return nmi_masked && !nmi_returns ? INJECT_WAIT_IRET : INJECT_WAIT_STEP;
}

static bool is_contributory(unsigned vector)
{
    return vector == VECTOR_DE || (vector >= VECTOR_TS && vector <= VECTOR_GP);
}

uint64_t inject_combine(uint64_t first, uint64_t second)
{
    unsigned earlier = (unsigned)(first & 0xff), later = (unsigned)(second & 0xff);

    if (!(first & VCPU_EVENT_VALID) || (first & VCPU_EVENT_TYPE) != VCPU_EVENT_EXCEPTION)
        return second;
    if (earlier == VECTOR_DF && (is_contributory(later) || later == VECTOR_PF))
        return 0;
    if ((is_contributory(earlier) && is_contributory(later)) ||
        (earlier == VECTOR_PF && (is_contributory(later) || later == VECTOR_PF)))
        return VCPU_EVENT_VALID | VCPU_EVENT_EXCEPTION | VCPU_EVENT_ERROR | VECTOR_DF;
    return second;
}
