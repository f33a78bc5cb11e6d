/* SPDX-License-Identifier: ISC */
/* What goes into a running guest and what ends its run: events, windows, signals, deadlines, the end of the
 * vCPU. */
#include "tests/kernel/vm.h"

#define INJECTIONS 3000u

/* 1: cli; jmp 1b. CLI so that Bochs 2.7 looks at external interrupts: it misses that they exit, as it enters
 * a guest. */
static const uint8_t code_spin[] = {0xfa, 0xeb, 0xfd};
static const uint8_t code_sti_spin[] = {0xfb, 0x90, 0xeb, 0xfe};

static void injection(void)
{
    volatile uint16_t *counter;

    MAKE(code_hlt);
    counter = (volatile uint16_t *)(vm.memory + 0x3000);
    vm.state->rflags = RFLAGS_IF | 2;
    for (unsigned vector = 32; vector < 40; vector++) {
        vm.state->inject = vector | VCPU_EVENT_INTERRUPT | VCPU_EVENT_VALID;
        vm.state->dirty |= VCPU_EVENT;
        vm_exits(VCPU_EXIT_HLT, CODE);
        EXPECT(*counter, vector - 31); /* the handler ran, and returned to HLT */
    }
    vm.state->inject = 6 | VCPU_EVENT_EXCEPTION | VCPU_EVENT_VALID;
    vm.state->dirty = VCPU_EVENT;
    vm_exits(VCPU_EXIT_HLT, CODE);
    EXPECT(*counter, 9);
    /* Once is once. */
    vm_exits(VCPU_EXIT_HLT, CODE);
    EXPECT(*counter, 9);
}

/* The host's own interrupt comes at any time around the entry that is to deliver one: when the call returns,
 * the guest has it, and taking the injection back changes nothing. */
static void injected_beside_a_deadline(void)
{
    volatile uint16_t *counter;

    MAKE(code_sti_spin);
    counter = (volatile uint16_t *)(vm.memory + 0x3000);
    for (uint16_t i = 1; i <= INJECTIONS; i++) {
        vm.state->inject = 32 | VCPU_EVENT_INTERRUPT | VCPU_EVENT_VALID;
        vm.state->rip = CODE + 2;
        vm.state->rflags = RFLAGS_IF | 2;
        vm.state->dirty |= VCPU_EVENT | VCPU_RIP;
        EXPECT_STATUS(vm_run(i), STATUS_TIMEOUT);
        vm.state->inject = 0;
        vm.state->dirty = VCPU_EVENT;
        for (uint64_t end = now() + milliseconds(1000); *counter != i && now() < end;)
            EXPECT_STATUS(vm_run(milliseconds(1) / 50),
                          STATUS_TIMEOUT); /* on a loaded machine it may not run */
        if (!EXPECT(*counter, i))
            return;
    }
}

/* What ends the stay was there before it: the event is delivered all the same, and then it ends, though the
 * guest would go on to the end of the turn. */
static void injected_too_late(void)
{
    uint64_t bits, best[2] = {UINT64_MAX, UINT64_MAX};
    volatile uint16_t *counter;

    MAKE(code_sti_spin);
    counter = (volatile uint16_t *)(vm.memory + 0x3000);
    for (uint16_t i = 1; i <= 10; i++) {
        bool signalled = i % 2;
        uint64_t began = now(), took;

        vm.state->inject = 32 | VCPU_EVENT_INTERRUPT | VCPU_EVENT_VALID;
        vm.state->rip = CODE + 2;
        vm.state->rflags = RFLAGS_IF | 2;
        vm.state->dirty |= VCPU_EVENT | VCPU_RIP;
        if (signalled)
            OK(nt_signal(vm.nt));
        EXPECT_STATUS(vcpu_run(vm.vcpu, vm.nt, signalled ? DEADLINE_NEVER : began, &bits),
                      signalled ? STATUS_SIGNAL : STATUS_TIMEOUT);
        took = now() - began;
        best[signalled] = took < best[signalled] ? took : best[signalled];
        for (uint64_t end = now() + milliseconds(1000); *counter != i && now() < end;)
            EXPECT_STATUS(vm_run(milliseconds(1) / 50), STATUS_TIMEOUT);
        if (!EXPECT(*counter, i))
            return;
    }
    expect_range("with a deadline, at best", best[0], 0, milliseconds(1) / 2);
    expect_range("with a signal, at best", best[1], 0, milliseconds(1) / 2);
}

/* States that pass the kernel's checks, but not the processor's: then, too, the host's interrupts end a run.
 */
static void after_a_refusal(void)
{
    unsigned refused = 0;

    MAKE(code_spin);
    for (unsigned bit = 0; bit < 64; bit++) {
        vm.state->cr4 = 1ul << bit;
        vm.state->dirty |= VCPU_CR;
        if (vm_run(milliseconds(1)) == STATUS_OK && vm.state->exit == VCPU_EXIT_INVALID_STATE &&
            !vm.state->info[0])
            refused++;
        vm.state->cr4 = 0;
        vm_start();
        vm.state->dirty = VCPU_GROUPS; /* QEMU has put something else in their place */
        EXPECT_STATUS(vm_run(milliseconds(1)), STATUS_TIMEOUT);
    }
    say("ktest: %u refused by the processor", refused);
}

static void interrupt_window(void)
{
    MAKE(code_sti_spin);
    vm.state->window = VCPU_WINDOW_INTERRUPT;
    EXPECT_STATUS(vm_run(milliseconds(500)), STATUS_OK);
    EXPECT(vm.state->exit, VCPU_EXIT_INTERRUPT_WINDOW);
    expect_range("RIP behind the shadow of STI", vm.state->rip, CODE + 1, CODE + 2);
    EXPECT(vm.state->rflags & RFLAGS_IF, RFLAGS_IF);
    EXPECT_STATUS(vm_run(milliseconds(2)), STATUS_TIMEOUT); /* it is closed again */
    vm_load(code_spin, sizeof(code_spin));
    vm_start();
    vm.state->window = VCPU_WINDOW_INTERRUPT;
    EXPECT_STATUS(vm_run(milliseconds(2)), STATUS_TIMEOUT); /* CLI: never */
}

static void signaller(uint64_t nt)
{
    uint64_t bits;

    (void)!nt_wait(SELECTOR_MAIN, now() + milliseconds(1), &bits);
    (void)!nt_signal(nt);
    thread_end();
}

static void spinning_guest(void)
{
    uint64_t bits, deadline, late, best = UINT64_MAX;

    MAKE(code_spin);
    for (unsigned i = 0; i < 10; i++) {
        deadline = now() + milliseconds(1) / 5;
        EXPECT_STATUS(vcpu_run(vm.vcpu, vm.nt, deadline, &bits), STATUS_TIMEOUT);
        late = now() - deadline;
        expect_range("late", late, 0, milliseconds(100));
        best = late < best ? late : best;
    }
    expect_range("late at best", best, 0, milliseconds(1) / 2);
    OK(nt_signal(vm.nt));
    EXPECT_CALL(CALL_VCPU_RUN, vcpu_run(vm.vcpu, vm.nt, DEADLINE_NEVER, &bits), STATUS_SIGNAL);
    EXPECT(bits, UINT64_MAX);
}

/* A runner below others: the guest does not keep them from their time. */
static volatile enum status runner_status;
static volatile uint64_t runner_bits, runner_exit;

static void runner(uint64_t deadline)
{
    uint64_t bits = 0;

    runner_status = vcpu_run(vm.vcpu, vm.nt, deadline, &bits);
    runner_bits = bits;
    thread_end();
}

static selector start_runner(const struct pd_space *pd, unsigned slot)
{
    selector ec;

    runner_status = STATUSES;
    ec = thread_start(pd, slot, runner, DEADLINE_NEVER, 10, 0);
    pass(milliseconds(2));
    expect_status("the runner is in the guest", runner_status, STATUSES);
    return ec;
}

static void signal_while_it_spins(void)
{
    MAKE(code_spin);
    (void)start_runner(&own, 1);
    EXPECT_STATUS(vm_run(0), STATUS_BUSY);
    (void)thread_start(&own, 2, signaller, vm.nt, 20, 0);
    pass(milliseconds(10));
    EXPECT_STATUS(runner_status, STATUS_SIGNAL);
    EXPECT(runner_bits, UINT64_MAX);
    EXPECT_STATUS(vm_run(0), STATUS_TIMEOUT); /* it is free */
}

static void halted(void)
{
    MAKE(code_spin);
    vm.state->activity = VCPU_HALTED;
    EXPECT_STATUS(vm_run(milliseconds(2)), STATUS_TIMEOUT);
    (void)start_runner(&own, 1);
    EXPECT_STATUS(vm_run(0), STATUS_BUSY);
    OK(nt_signal(vm.nt));
    pass(milliseconds(2));
    EXPECT_STATUS(runner_status, STATUS_SIGNAL);
}

/* Everything that a runner stands on is destroyed, while it waits and while its guest spins. */
static void destroyed(unsigned what, bool waits)
{
    static const char *const names[] = {"vCPU", "GST", "notification", "runner", "PD"};
    struct pd_space child = child_create(ROOT_ACCOUNT);
    selector runner_ec, second = fresh();
    uint64_t bits;

    MAKE(code_spin);
    vm.state->activity = waits ? VCPU_HALTED : VCPU_ACTIVE;
    give(&child, vm.vcpu, vm.vcpu, PERM_ALL);
    give(&child, vm.nt, vm.nt, PERM_ALL);
    runner_ec = start_runner(&child, 1);
    OK(destroy(what == 0   ? vm.vcpu
               : what == 1 ? vm.gst
               : what == 2 ? vm.nt
               : what == 3 ? runner_ec
                           : child.pd));
    pass(milliseconds(2));
    expect_status(names[what], runner_status, what < 3 ? STATUS_DEAD : STATUSES);
    if (what < 2)
        return;
    OK(create_nt(second, ROOT_ACCOUNT));
    EXPECT_STATUS(vcpu_run(vm.vcpu, second, 0, &bits), STATUS_TIMEOUT); /* nobody has it any more */
}

static void destroyed_waiting(void)
{
    for (unsigned what = 0; what < 5; what++) {
        destroyed(what, true);
        clean();
    }
}

static void destroyed_running(void)
{
    for (unsigned what = 0; what < 5; what++) {
        destroyed(what, false);
        clean();
    }
}

/* A runner that has the FPU keeps its registers, and does not see the guest's. */
static volatile uint64_t fpu_wrong;

static void fpu_runner(uint64_t rounds)
{
    uint64_t value = 0x0123456789abcdef, back, bits;

    for (uint64_t i = 0; i < rounds; i++) {
        __asm__ volatile("movq %0, %%xmm0" : : "r"(value + i));
        if (vcpu_run(vm.vcpu, vm.nt, DEADLINE_NEVER, &bits) != STATUS_OK)
            fpu_wrong++;
        __asm__ volatile("movq %%xmm0, %0" : "=r"(back));
        fpu_wrong += back != value + i;
    }
    runner_exit = 1;
    thread_end();
}

static void fpu_of_the_runner(void)
{
    MAKE(code_cpuid);
    fpu_wrong = runner_exit = 0;
    (void)thread_start(&own, 1, fpu_runner, 100, 20, THREAD_FPU);
    pass(milliseconds(20));
    EXPECT(runner_exit, 1);
    EXPECT(fpu_wrong, 0);
}

void test_runs(void)
{
    static const struct test tests[] = {
        {"vcpu: injection", injection},
        {"vcpu: injection beside a deadline", injected_beside_a_deadline},
        {"vcpu: injection too late", injected_too_late},
        {"vcpu: after a refusal", after_a_refusal},
        {"vcpu: interrupt window", interrupt_window},
        {"vcpu: a guest that spins", spinning_guest},
        {"vcpu: a signal while the guest spins", signal_while_it_spins},
        {"vcpu: halted", halted},
        {"vcpu: destroyed below a runner that waits", destroyed_waiting},
        {"vcpu: destroyed below a guest that spins", destroyed_running},
        {"vcpu: the runner's FPU", fpu_of_the_runner},
    };

    run_tests(tests, COUNT(tests));
}
