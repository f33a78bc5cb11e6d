/* SPDX-License-Identifier: ISC */
/*
 * The loop of a vCPU: inject, run, dispatch; and the clocks in between. See vcpu.h for what is kept so that
 * most turns of the loop do none of it but run and dispatch.
 */
#include "vmm/cpu/vcpu.h"

#include "base/include/log.h"
#include "base/include/syscall.h"
#include "vmm/cpu/inject.h"

#include <string.h>

enum { VECTOR_DB = 1, VECTOR_BP = 3, VECTOR_OF = 4 };

#define RUNS_PER_SECOND 50000u /* at most, ended by clocks */

static void advance_clocks(struct vcpu *vcpu)
{
    machine_advance(vcpu->machine, vcpu->number, clock_now(&vcpu->machine->clock));
    vcpu_update_deadline(vcpu);
}

/*
 * A clock may be set to be due again before the guest can be entered: an 8254 counting to two is. Between two
 * times that the clocks end its run, the guest has at least this long, so that it is slow but gets on.
 */
static void let_run(struct vcpu *vcpu)
{
    uint64_t least = clock_read_tsc() + vcpu->machine->clock.hz / RUNS_PER_SECOND;

    if (vcpu->deadline_tsc < least)
        vcpu->deadline_tsc = least;
}

/*
 * An event that was not delivered. INT n, INT3 and INTO are not injected again: RIP still stands at the
 * instruction, which the guest executes once more.
 */
static void take_interrupted(struct vcpu *vcpu)
{
    uint64_t event = vcpu->state->interrupted, type = event & VCPU_EVENT_TYPE;
    unsigned vector = event & 0xff;
    bool software = type == VCPU_EVENT_SOFTWARE ||
                    (type == VCPU_EVENT_EXCEPTION && (vector == VECTOR_BP || vector == VECTOR_OF));

    vcpu->interrupted = software ? 0 : event;
    vcpu_attend(vcpu);
}

/*
 * SVM shows an IRET before it is executed, and an NMI that is injected there would lie on the frame of the
 * one before. So the next one is for when the guest is elsewhere; one that waits already has it take a step.
 */
void vcpu_return_from_nmi(struct vcpu *vcpu)
{
    vcpu->nmi_masked = !vcpu->tells_nmi_return;
    vcpu->iret = vcpu->state->rip;
    vcpu->iret_stack = vcpu->state->gpr[VCPU_RSP];
    if (vcpu->nmi_masked)
        vcpu->after |= VCPU_AFTER_IRET;
    vcpu_attend(vcpu);
}

static void see_return_from_nmi(struct vcpu *vcpu)
{
    const struct vcpu_state *state = vcpu->state;

    if (!(state->valid & VCPU_RIP) || (state->rip == vcpu->iret && state->gpr[VCPU_RSP] == vcpu->iret_stack))
        return;
    vcpu->after &= (uint8_t)~VCPU_AFTER_IRET;
    vcpu->nmi_masked = false;
    vcpu_attend(vcpu);
}

/*
 * vcpu_run came back without an exit. If what was dirty still is, the guest was not entered. If it ran,
 * RFLAGS are those of some time ago unless the kernel has written them: then nothing that depends on them may
 * be injected before the next exit, for which a window can be asked.
 */
static void take_return(struct vcpu *vcpu)
{
    struct vcpu_state *state = vcpu->state;

    vcpu->wakes++;
    if (state->dirty != 0 || state->activity == VCPU_HALTED)
        return;
    vcpu->stale = !(state->valid & VCPU_RIP);
    if (!vcpu->stale && state->interrupted & VCPU_EVENT_VALID)
        take_interrupted(vcpu);
}

static __attribute__((noinline)) void look_for_nmi(struct vcpu *vcpu, enum status status)
{
    if (vcpu->after & VCPU_AFTER_STEP) {
        vcpu_step_end(vcpu, status == STATUS_OK);
        vcpu_attend(vcpu);
    }
    if (vcpu->after & VCPU_AFTER_IRET)
        see_return_from_nmi(vcpu);
}

static void look_after_run(struct vcpu *vcpu, enum status status)
{
    if (vcpu->after & VCPU_AFTER_EOI)
        vcpu_take_eoi(vcpu);
    if (vcpu->after & (VCPU_AFTER_STEP | VCPU_AFTER_IRET))
        look_for_nmi(vcpu, status);
}

/*
 * A fault pushes RF as 1, which neither processor does by itself for one that is injected (SDM vol.
 * 3, 17.3.1.1, 27.6.1.1), and ends a shadow. #DB pushes RF as it is.
 */
static __attribute__((noinline)) void mark_fault(struct vcpu *vcpu, uint64_t event)
{
    struct vcpu_state *state = vcpu->state;

    if ((event & VCPU_EVENT_TYPE) != VCPU_EVENT_EXCEPTION || (event & 0xff) == VECTOR_DB)
        return;
    state->rflags |= X86_RFLAGS_RF;
    state->interruptibility = 0;
    state->dirty |= VCPU_RIP;
}

/* The vector of an event that only its controller knows, and the controller's view after delivery. */
static uint64_t commit(struct vcpu *vcpu, const struct inject_decision *decision)
{
    struct machine *machine = vcpu->machine;
    uint64_t vector;

    switch (decision->source) {
    case INJECT_NOTHING:
        break;
    case INJECT_AGAIN:
        vcpu->interrupted = 0;
        mark_fault(vcpu, decision->event);
        break;
    case INJECT_EXCEPTION:
        vcpu->exception = 0;
        mark_fault(vcpu, decision->event);
        break;
    case INJECT_NMI:
        __atomic_store_n(&vcpu->cpu->nmi, false, __ATOMIC_RELAXED);
        vcpu->nmi_masked = true;
        break;
    case INJECT_APIC:
        lapic_accept(vcpu->lapic, decision->event & 0xff);
        vcpu_offer_eoi(vcpu, decision->event & 0xff);
        break;
    case INJECT_EXTINT:
        lapic_extint_done(vcpu->lapic);
        machine_lock(machine, vcpu->number);
        vector = (unsigned)i8259_acknowledge(&machine->pic) & 0xff;
        machine_unlock(machine, vcpu->number);
        return decision->event | vector;
    }
    return decision->event;
}

/* The 8259s' line goes to the first processor; the others take what an ExtINT message promises them. */
static bool extint_waits(const struct vcpu *vcpu)
{
    return __atomic_load_n(&vcpu->machine->intr, __ATOMIC_RELAXED) &&
           (vcpu->number == 0 || lapic_mode(vcpu->lapic) != LAPIC_MODE_OFF) &&
           lapic_accepts_extint(vcpu->lapic);
}

/* False: the change of memory that the guest has asked for last is not done yet. */
static bool take_memory(struct vcpu *vcpu)
{
    bool waits = shadow_waits(vcpu->machine, vcpu->number);

    if (vcpu->waits_for_memory && !waits)
        vcpu->state->activity = VCPU_ACTIVE; /* it executed an OUT */
    vcpu->waits_for_memory = waits;
    return !waits;
}

/*
 * With several processors: what others have left for this one. `attention` is cleared before all that it
 * stands for is read, so that nothing is overlooked. False: the processor waits for a STARTUP, or for memory that
 * it has changed, and takes nothing else.
 */
static bool take_messages(struct vcpu *vcpu)
{
    struct machine_cpu *cpu = vcpu->cpu;
    enum startup_step step;
    uint8_t vector = 0;

    (void)__atomic_exchange_n(&cpu->attention, false, __ATOMIC_SEQ_CST);
    if (vcpu->number == 0) {
        machine_sync_lint(vcpu->machine);
        shadow_sync(vcpu->machine);
        vcpu_update_deadline(vcpu);
    } else if (__builtin_expect(!take_memory(vcpu), 0)) {
        return false;
    }
    if (__builtin_expect(__atomic_load_n(&cpu->startup, __ATOMIC_RELAXED) == 0, 1))
        return true;
    while ((step = startup_take(&cpu->startup, &vector)) == STARTUP_RESET)
        vcpu_reset_init(vcpu);
    if (step == STARTUP_START)
        vcpu_startup(vcpu, vector);
    return !startup_waits(&cpu->startup);
}

static bool take_kick(struct machine_cpu *cpu)
{
    return __atomic_load_n(&cpu->kicked, __ATOMIC_RELAXED) &&
           __atomic_exchange_n(&cpu->kicked, false, __ATOMIC_ACQUIRE);
}

/* What was decided before, while the guest has not been entered since, is on its way and comes first. A step
 * can be decided again. */
static void keep_decision(struct vcpu *vcpu)
{
    if (!(vcpu->state->dirty & VCPU_EVENT))
        return;
    if (vcpu->after & VCPU_AFTER_STEP)
        vcpu_step_end(vcpu, false);
    if (!(vcpu->state->inject & VCPU_EVENT_VALID))
        return;
    vcpu->interrupted = vcpu->state->inject;
    if (vcpu->after & VCPU_AFTER_EOI) /* another may wait for its end now */
        vcpu_take_eoi(vcpu);
}

/* What the NMI window does not tell. */
static __attribute__((noinline)) void wait_for_nmi(struct vcpu *vcpu, enum inject_source first)
{
    static const uint32_t windows[] = {[INJECT_WAIT_IRET] = VCPU_WINDOW_NMI,
                                       [INJECT_WAIT_STEP] = VCPU_WINDOW_EXCEPTIONS,
                                       [INJECT_WAIT_EVENT] = 0};
    struct vcpu_state *state = vcpu->state;
    enum inject_wait wait;

    if (vcpu->tells_nmi_return)
        return;
    wait = inject_wait(first, vcpu->nmi_masked, vcpu->after & VCPU_AFTER_IRET);
    if (first != INJECT_NOTHING)
        vcpu->after &= (uint8_t)~VCPU_AFTER_IRET; /* that comes later now */
    vcpu->window = (vcpu->window & ~(uint32_t)VCPU_WINDOW_NMI) | windows[wait];
    state->window = vcpu->window;
    state->inject = first == INJECT_NOTHING ? 0 : state->inject;
    state->dirty |= VCPU_EVENT;
    if (wait != INJECT_WAIT_IRET)
        vcpu_step_begin(vcpu, wait == INJECT_WAIT_EVENT);
}

void vcpu_inject(struct vcpu *vcpu)
{
    struct machine_cpu *cpu = vcpu->cpu;
    struct vcpu_state *state = vcpu->state;
    struct inject_decision decision;

    if (vcpu->machine->cpus > 1 && !take_messages(vcpu)) {
        state->activity = VCPU_HALTED;
        return;
    }
    vcpu_sync_tpr(vcpu);
    keep_decision(vcpu);
    decision = inject_decide(&(struct inject_input){
        .interrupted = vcpu->interrupted,
        .exception = vcpu->exception,
        .rflags = vcpu->stale ? 0 : state->rflags,
        .interruptibility = vcpu->stale ? 0 : state->interruptibility,
        .nmi = __atomic_load_n(&cpu->nmi, __ATOMIC_RELAXED),
        .nmi_masked = vcpu->nmi_masked,
        .nmi_returns = vcpu->after & VCPU_AFTER_IRET,
        .vector = lapic_pending_vector(vcpu->lapic),
        .masked = lapic_masked_class(vcpu->lapic),
        .extint = extint_waits(vcpu),
    });
    if (decision.source != INJECT_NOTHING || (state->activity == VCPU_HALTED && take_kick(cpu)))
        state->activity = VCPU_ACTIVE;
    if (decision.source != INJECT_NOTHING || decision.window != vcpu->window) {
        state->inject = commit(vcpu, &decision);
        /* With automatic EOI the 8259s may ask on. */
        if (decision.source == INJECT_EXTINT && extint_waits(vcpu))
            decision.window |= VCPU_WINDOW_INTERRUPT;
        state->window = decision.window;
        state->dirty |= VCPU_EVENT;
        vcpu->window = decision.window;
    }
    if (vcpu->machine->cpus == 1)
        cpu->attention = false;
    if (__builtin_expect(__atomic_load_n(&cpu->nmi, __ATOMIC_RELAXED), 0))
        wait_for_nmi(vcpu, decision.source);
}

enum vcpu_stop vcpu_loop(struct vcpu *vcpu)
{
    struct vcpu_state *state = vcpu->state;

    advance_clocks(vcpu);
    for (;;) {
        enum status status;
        uint64_t bits;
        uint32_t reason;

        /* Entered with attention set, the guest would not be woken by the next who wants it. */
        while (vcpu->cpu->attention) {
            vcpu_inject(vcpu);
            if (!vcpu_runs(vcpu)) /* attention stands for requests, too */
                return VCPU_STOP_REQUEST;
        }
        state->valid = 0;
        status = vcpu_run(vcpu->link.vcpu, vcpu->link.notification, vcpu->deadline_tsc, &bits);
        if (vcpu->after)
            look_after_run(vcpu, status);
        if (status == STATUS_OK) {
            vcpu->stale = false;
            if (state->interrupted & VCPU_EVENT_VALID)
                take_interrupted(vcpu);
            reason = state->exit < VCPU_EXITS ? state->exit : VCPU_EXIT_OTHER;
            vcpu->exits[reason]++;
            if (!vcpu_exit_handlers[reason](vcpu))
                return VCPU_STOP_REQUEST;
            continue;
        }
        take_return(vcpu);
        if (status == STATUS_SIGNAL && vcpu->link.signal && !vcpu->link.signal(vcpu->link.context, bits))
            return VCPU_STOP_SIGNAL;
        if (status != STATUS_SIGNAL && status != STATUS_TIMEOUT) {
            log_line("vm %s: the kernel does not run the vCPU: status %u", vcpu->machine->name,
                     (unsigned)status);
            return VCPU_STOP_FAILED;
        }
        advance_clocks(vcpu);
        let_run(vcpu);
        if (!vcpu_runs(vcpu))
            return VCPU_STOP_REQUEST;
    }
}

static const char *const exit_names[VCPU_EXITS] = {
    [VCPU_EXIT_NONE] = "none",
    [VCPU_EXIT_IO] = "io",
    [VCPU_EXIT_MMIO] = "mmio",
    [VCPU_EXIT_CPUID] = "cpuid",
    [VCPU_EXIT_RDMSR] = "rdmsr",
    [VCPU_EXIT_WRMSR] = "wrmsr",
    [VCPU_EXIT_HLT] = "hlt",
    [VCPU_EXIT_INTERRUPT_WINDOW] = "window",
    [VCPU_EXIT_NMI_WINDOW] = "nmi-window",
    [VCPU_EXIT_EXCEPTION] = "exception",
    [VCPU_EXIT_SHUTDOWN] = "shutdown",
    [VCPU_EXIT_HYPERCALL] = "hypercall",
    [VCPU_EXIT_XSETBV] = "xsetbv",
    [VCPU_EXIT_WBINVD] = "wbinvd",
    [VCPU_EXIT_RDPMC] = "rdpmc",
    [VCPU_EXIT_PAUSE] = "pause",
    [VCPU_EXIT_TASK_SWITCH] = "task-switch",
    [VCPU_EXIT_UNDEFINED] = "undefined",
    [VCPU_EXIT_INVALID_STATE] = "invalid-state",
    [VCPU_EXIT_OTHER] = "other",
    [VCPU_EXIT_CR4] = "cr4",
};

void vcpu_log_profile(const struct vcpu *vcpu)
{
    char line[400];
    uint64_t sum = 0;
    size_t at = 0;

    __asm__ volatile("nopl 0x0d0e4000(%rax)"); /* for execution traces: tools/bench_trace.c */
    line[0] = '\0';
    for (unsigned i = 0; i < VCPU_EXITS; i++) {
        sum += vcpu->exits[i];
        if (vcpu->exits[i] && at < sizeof line - 1)
            at += format_text(line + at, sizeof line - at, " %s %lu", exit_names[i],
                              (unsigned long)vcpu->exits[i]);
    }
    log_line("vm %s: %lu exits:%s; wakes %lu", vcpu->machine->name, (unsigned long)sum, line,
             (unsigned long)vcpu->wakes);
}
