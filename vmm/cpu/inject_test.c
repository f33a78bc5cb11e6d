/* SPDX-License-Identifier: ISC */
/* The injection decision: priorities, masks, windows, double and triple faults. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vmm/cpu/inject.h"

#define IF        (1ull << 9)
#define EXCEPTION (VCPU_EVENT_VALID | VCPU_EVENT_EXCEPTION)

static const struct inject_input quiet = {.rflags = IF | 2, .vector = -1};

static void test_nothing(void **state)
{
    struct inject_decision decision = inject_decide(&quiet);

    (void)state;
    assert_int_equal(decision.source, INJECT_NOTHING);
    assert_int_equal(decision.event, 0);
    assert_int_equal(decision.window, 0);
}

/* Everything waits at once; what was taken is removed: the order is that of the manual. */
static void test_priority(void **state)
{
    struct inject_input input = quiet;
    struct inject_decision decision;

    (void)state;
    input.interrupted = VCPU_EVENT_VALID | VCPU_EVENT_INTERRUPT | 0x55;
    input.exception = EXCEPTION | VCPU_EVENT_ERROR | 13;
    input.nmi = true;
    input.vector = 0x41;
    input.extint = true;

    decision = inject_decide(&input);
    assert_int_equal(decision.source, INJECT_AGAIN);
    assert_int_equal(decision.event, input.interrupted);
    assert_int_equal(decision.window, VCPU_WINDOW_INTERRUPT | VCPU_WINDOW_NMI);
    input.interrupted = 0;
    decision = inject_decide(&input);
    assert_int_equal(decision.source, INJECT_EXCEPTION);
    assert_int_equal(decision.event, input.exception);
    input.exception = 0;
    decision = inject_decide(&input);
    assert_int_equal(decision.source, INJECT_NMI);
    assert_int_equal(decision.event, VCPU_EVENT_VALID | VCPU_EVENT_NMI | 2);
    assert_int_equal(decision.window, VCPU_WINDOW_INTERRUPT | VCPU_WINDOW_NMI);
    input.nmi = false;
    decision = inject_decide(&input);
    assert_int_equal(decision.source, INJECT_APIC);
    assert_int_equal(decision.event, VCPU_EVENT_VALID | 0x41);
    assert_int_equal(decision.window, VCPU_WINDOW_INTERRUPT);
    input.vector = -1;
    decision = inject_decide(&input);
    assert_int_equal(decision.source, INJECT_EXTINT);
    assert_int_equal(decision.window, 0);
}

static void test_masked(void **state)
{
    struct inject_input input = quiet;
    struct inject_decision decision;

    (void)state;
    input.vector = 0xff;
    input.rflags = 2;
    decision = inject_decide(&input);
    assert_int_equal(decision.source, INJECT_NOTHING);
    assert_int_equal(decision.window, VCPU_WINDOW_INTERRUPT);

    input.rflags = IF | 2;
    input.interruptibility = VCPU_SHADOW;
    decision = inject_decide(&input);
    assert_int_equal(decision.source, INJECT_NOTHING);
    assert_int_equal(decision.window, VCPU_WINDOW_INTERRUPT);

    input.nmi = true;
    input.interruptibility = 0;
    input.nmi_masked = true;
    decision = inject_decide(&input);
    assert_int_equal(decision.source, INJECT_APIC);
    assert_int_equal(decision.window, VCPU_WINDOW_NMI);

    input.nmi_masked = false;
    input.interruptibility = VCPU_SHADOW;
    decision = inject_decide(&input);
    assert_int_equal(decision.source, INJECT_NOTHING);
    assert_int_equal(decision.window, VCPU_WINDOW_NMI | VCPU_WINDOW_INTERRUPT);
}

/* What the TPR alone keeps back asks for the window of its class, unless another asks for one in any case. */
static void test_masked_by_tpr(void **state)
{
    struct inject_input input = quiet;
    struct inject_decision decision;

    (void)state;
    input.masked = 5;
    decision = inject_decide(&input);
    assert_int_equal(decision.source, INJECT_NOTHING);
    assert_int_equal(decision.window, VCPU_WINDOW_INTERRUPT | 0x50);

    input.nmi_masked = true;
    assert_int_equal(inject_decide(&input).window, VCPU_WINDOW_INTERRUPT | VCPU_WINDOW_NMI | 0x50);
    input.nmi_masked = false;

    input.exception = EXCEPTION | 6;
    decision = inject_decide(&input);
    assert_int_equal(decision.source, INJECT_EXCEPTION);
    assert_int_equal(decision.window, VCPU_WINDOW_INTERRUPT | 0x50);
    input.exception = 0;

    input.extint = true;
    decision = inject_decide(&input);
    assert_int_equal(decision.source, INJECT_EXTINT);
    assert_int_equal(decision.window, VCPU_WINDOW_INTERRUPT | 0x50);
    input.rflags = 2;
    decision = inject_decide(&input);
    assert_int_equal(decision.source, INJECT_NOTHING);
    assert_int_equal(decision.window, VCPU_WINDOW_INTERRUPT);
}

static void test_nmi_ignores_if(void **state)
{
    struct inject_input input = quiet;

    (void)state;
    input.rflags = 2;
    input.nmi = true;
    assert_int_equal(inject_decide(&input).source, INJECT_NMI);
}

/* The end of the handler is seen although no other NMI waits: the next may come while the guest is halted. */
static void test_nmi_end_is_seen(void **state)
{
    struct inject_input input = quiet;

    (void)state;
    input.nmi = true;
    assert_int_equal(inject_decide(&input).window, VCPU_WINDOW_NMI);
    input.nmi = false;
    input.nmi_masked = true;
    assert_int_equal(inject_decide(&input).window, VCPU_WINDOW_NMI);
    input.nmi_masked = false;
    assert_int_equal(inject_decide(&input).window, 0);
}

/* Where the window shows an IRET alone: the first boundary at which an NMI can be taken. */
static void test_wait(void **state)
{
    (void)state;
    assert_int_equal(inject_wait(INJECT_NOTHING, false, false), INJECT_WAIT_STEP);
    assert_int_equal(inject_wait(INJECT_NOTHING, true, true), INJECT_WAIT_STEP);
    assert_int_equal(inject_wait(INJECT_NOTHING, true, false), INJECT_WAIT_IRET);
    assert_int_equal(inject_wait(INJECT_EXCEPTION, false, false), INJECT_WAIT_EVENT);
    assert_int_equal(inject_wait(INJECT_APIC, true, true), INJECT_WAIT_IRET);
}

static void test_combine(void **state)
{
    uint64_t gp = EXCEPTION | VCPU_EVENT_ERROR | 13, pf = EXCEPTION | VCPU_EVENT_ERROR | 14,
             ud = EXCEPTION | 6;
    uint64_t df = EXCEPTION | VCPU_EVENT_ERROR | 8, irq = VCPU_EVENT_VALID | 0x30;

    (void)state;
    assert_int_equal(inject_combine(0, gp), gp);
    assert_int_equal(inject_combine(irq, pf), pf);
    assert_int_equal(inject_combine(ud, gp), gp);
    assert_int_equal(inject_combine(gp, pf), pf);
    assert_int_equal(inject_combine(gp, gp), df);
    assert_int_equal(inject_combine(pf, gp), df);
    assert_int_equal(inject_combine(pf, pf), df);
    assert_int_equal(inject_combine(df, pf), 0);
    assert_int_equal(inject_combine(df, gp), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing),         cmocka_unit_test(test_priority),
        cmocka_unit_test(test_masked),          cmocka_unit_test(test_nmi_ignores_if),
        cmocka_unit_test(test_nmi_end_is_seen), cmocka_unit_test(test_combine),
        cmocka_unit_test(test_masked_by_tpr),   cmocka_unit_test(test_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
