/* SPDX-License-Identifier: ISC */
/* The step behind which an NMI is taken: what the guest is entered with, and what it sees of that afterwards.
 */
#include "vmm/cpu/test_bench.h"

#define TF       VCPU_RFLAGS_TF
#define DR6_ZERO 0xffff0ff0ull
#define DR6_B1   (1ull << 1)
#define DR6_BS   (1ull << 14)
#define NMI      (VCPU_EVENT_VALID | VCPU_EVENT_NMI | 2)
#define STACK    0x8000u

/* In a shadow with an NMI that waits, on SVM, and all groups there. */
static struct vcpu_state *in_shadow(struct bench *bench, const char *code, size_t length)
{
    struct vcpu_state *s = &bench->state;

    bench->vcpu.tells_nmi_return = false;
    bench->machine.cpu[0].nmi = true;
    put_code(bench, CODE, code, length);
    s->rip = CODE;
    s->rflags = X86_RFLAGS_ONE;
    s->gpr[VCPU_RSP] = STACK;
    s->interruptibility = VCPU_SHADOW;
    s->dr6 = DR6_ZERO;
    s->valid = VCPU_GROUPS;
    s->dirty = 0;
    return s;
}

/* As the kernel leaves the page behind the instruction, or at an exception of it. */
static void come_back(struct bench *bench, unsigned vector, uint64_t rip, uint64_t rflags, uint64_t dr6)
{
    struct vcpu_state *s = &bench->state;

    s->exit = VCPU_EXIT_EXCEPTION;
    s->info[0] = vector;
    s->info[1] = 0;
    s->rip = rip;
    s->rflags = rflags;
    s->dr6 = dr6;
    s->interruptibility = 0;
    s->valid = VCPU_GROUPS;
    s->dirty = 0;
    vcpu_step_end(&bench->vcpu, true);
}

static void expect_no_trap(struct bench *bench)
{
    assert_int_equal(bench->state.rflags & TF, 0);
    assert_false(bench->vcpu.step.set);
}

static void test_step(void **state)
{
    struct bench *bench = *state;
    struct vcpu_state *s = in_shadow(bench, "\x90", 1);

    s->dr6 = DR6_ZERO | DR6_B1;
    vcpu_inject(&bench->vcpu);
    assert_int_equal(s->inject & VCPU_EVENT_VALID, 0);
    assert_int_equal(s->window, VCPU_WINDOW_EXCEPTIONS);
    assert_int_equal(s->rflags & TF, TF);
    assert_int_equal(s->dr6, DR6_ZERO);
    assert_int_equal(s->dirty, VCPU_RIP | VCPU_EVENT | VCPU_DR);
    assert_int_equal(s->want[VCPU_EXIT_EXCEPTION] & (VCPU_DR | VCPU_CR), VCPU_DR | VCPU_CR);

    come_back(bench, 1, CODE + 1, s->rflags, DR6_ZERO | DR6_BS);
    assert_int_equal(s->exit, VCPU_EXIT_NONE);
    assert_int_equal(s->dr6, DR6_ZERO | DR6_B1);
    expect_no_trap(bench);
    vcpu_inject(&bench->vcpu);
    assert_int_equal(s->inject, NMI);
    assert_int_equal(s->window, VCPU_WINDOW_NMI);
}

/* Without the groups the guest is only looked at: not entered, and they come with that. */
static void test_look_first(void **state)
{
    struct bench *bench = *state;
    struct vcpu_state *s = in_shadow(bench, "\x90", 1);

    s->valid = VCPU_GPR | VCPU_RIP;
    vcpu_inject(&bench->vcpu);
    expect_no_trap(bench);
    assert_int_equal(bench->vcpu.deadline_tsc, 0);
    assert_int_equal(s->want[VCPU_EXIT_NONE], VCPU_EMULATE_GROUPS | VCPU_DR);
    s->dirty = 0;
    s->valid |= s->want[VCPU_EXIT_NONE];
    vcpu_step_end(&bench->vcpu, false);
    assert_int_equal(bench->vcpu.deadline_tsc, clock_tsc(&bench->machine.clock, bench->vcpu.deadline));
    vcpu_inject(&bench->vcpu);
    assert_int_equal(s->rflags & TF, TF);
}

/* What is the guest's own: its TF, its breakpoint, another exception with its flags. */
static void test_guests_own(void **state)
{
    struct bench *bench = *state;
    struct vcpu_state *s = in_shadow(bench, "\x90", 1);

    s->rflags |= TF;
    vcpu_inject(&bench->vcpu);
    come_back(bench, 1, CODE + 1, s->rflags, DR6_ZERO | DR6_BS);
    assert_int_equal(s->exit, VCPU_EXIT_EXCEPTION);
    assert_int_equal(s->rflags & TF, TF);
    assert_int_equal(s->dr6, DR6_ZERO | DR6_BS);

    (void)in_shadow(bench, "\x90", 1);
    vcpu_inject(&bench->vcpu);
    come_back(bench, 1, CODE + 1, s->rflags, DR6_ZERO | DR6_BS | DR6_B1);
    assert_int_equal(s->exit, VCPU_EXIT_EXCEPTION);
    assert_int_equal(s->dr6, DR6_ZERO | DR6_B1);
    expect_no_trap(bench);

    (void)in_shadow(bench, "\x90", 1);
    vcpu_inject(&bench->vcpu);
    come_back(bench, 14, CODE, s->rflags, DR6_ZERO);
    assert_int_equal(s->exit, VCPU_EXIT_EXCEPTION);
    expect_no_trap(bench);
    assert_true(vcpu_exit_handlers[VCPU_EXIT_EXCEPTION](&bench->vcpu));
    vcpu_inject(&bench->vcpu); /* the page fault, and the NMI right behind its delivery */
    assert_int_equal(s->inject, VCPU_EVENT_VALID | VCPU_EVENT_EXCEPTION | VCPU_EVENT_ERROR | 14);
    assert_int_equal(s->window, 0);
    assert_int_equal(bench->vcpu.deadline_tsc, 0);
}

/* POPF and IRET set TF to what they load, unless they fault. */
static void test_loads_tf(void **state)
{
    static const char *const codes[] = {"\x9d", "\xcf"};
    struct bench *bench = *state;

    for (size_t i = 0; i < 2; i++) {
        struct vcpu_state *s = in_shadow(bench, codes[i], 1);

        vcpu_inject(&bench->vcpu);
        assert_int_equal(s->rflags & TF, TF);
        come_back(bench, 1, CODE + 9, X86_RFLAGS_ONE | TF, DR6_ZERO | DR6_BS);
        assert_int_equal(s->exit, VCPU_EXIT_NONE);
        assert_int_equal(s->rflags & TF, TF);

        (void)in_shadow(bench, codes[i], 1);
        vcpu_inject(&bench->vcpu);
        come_back(bench, 13, CODE, s->rflags, DR6_ZERO);
        expect_no_trap(bench);
    }
}

/* The IRET of a handler, with another NMI that waits: it is stepped, and its fault ends the handler. */
static void test_iret_of_handler(void **state)
{
    struct bench *bench = *state;
    struct vcpu *vcpu = &bench->vcpu;
    struct vcpu_state *s = in_shadow(bench, "\xcf", 1);

    s->interruptibility = 0;
    vcpu->nmi_masked = true;
    vcpu_inject(vcpu);
    assert_int_equal(s->window, VCPU_WINDOW_NMI);
    expect_no_trap(bench);
    assert_true(leave(bench, VCPU_EXIT_NMI_WINDOW, 0, 0));
    s->valid = VCPU_GROUPS;
    vcpu_inject(vcpu);
    assert_int_equal(s->rflags & TF, TF);
    assert_true(vcpu->nmi_masked);
    come_back(bench, 13, CODE, s->rflags, DR6_ZERO);
    assert_false(vcpu->nmi_masked);
    assert_int_equal(vcpu->after, 0);
}

/*
 * Another processor wants this one's attention when the step is decided on and the guest is not entered yet.
 * It is decided again, once: that alone is no reason to decide a third time.
 */
static void test_decided_again(void **state)
{
    struct bench *bench = *state;
    struct vcpu_state *s = in_shadow(bench, "\x90", 1);

    bench->machine.cpus = 2;
    for (unsigned i = 0; i < 2; i++) {
        bench->machine.cpu[0].attention = true;
        vcpu_inject(&bench->vcpu);
        assert_false(bench->machine.cpu[0].attention);
        assert_int_equal(s->window, VCPU_WINDOW_EXCEPTIONS);
        assert_int_equal(s->rflags & TF, TF);
        assert_true(bench->vcpu.step.set);
        assert_int_equal(bench->vcpu.step.tf, 0);
    }
}

/* PUSHF would push TF. */
static void test_pushf(void **state)
{
    struct bench *bench = *state;
    struct vcpu_state *s = in_shadow(bench, "\x9c", 1);
    uint32_t pushed;

    vcpu_inject(&bench->vcpu);
    memcpy(&pushed, bench->ram + STACK - 4, 4);
    assert_int_equal(pushed, X86_RFLAGS_ONE);
    assert_int_equal(s->rip, CODE + 1);
    assert_true(bench->machine.cpu[0].attention);
    vcpu_inject(&bench->vcpu);
    assert_int_equal(s->inject, NMI);
}

/* What takes TF away, or puts it where the guest would see it, is executed without. */
static void test_alone(void **state)
{
    static const char *const codes[] = {"\xcd\x80", "\xcc\x90", "\xce\x90",
                                        "\xf1\x90", "\x0f\x05", "\x0f\x07"};
    struct bench *bench = *state;

    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        (void)in_shadow(bench, codes[i], 2);
        vcpu_inject(&bench->vcpu);
        expect_no_trap(bench);
        assert_true(bench->vcpu.after & VCPU_AFTER_STEP);
        assert_in_range(bench->vcpu.deadline_tsc, 1, clock_read_tsc() + bench->machine.clock.hz / 50000);
    }
}

/* What comes before the guest is entered takes the step back; INIT too. */
static void test_taken_back(void **state)
{
    struct bench *bench = *state;
    struct vcpu_state *s = in_shadow(bench, "\x90", 1);

    vcpu_inject(&bench->vcpu);
    vcpu_raise(&bench->vcpu, X86_VECTOR_UD);
    vcpu_inject(&bench->vcpu);
    expect_no_trap(bench);
    assert_int_equal(s->inject, VCPU_EVENT_VALID | VCPU_EVENT_EXCEPTION | X86_VECTOR_UD);

    (void)in_shadow(bench, "\x90", 1);
    s->valid = VCPU_GPR | VCPU_RIP;
    vcpu_inject(&bench->vcpu);
    assert_int_equal(bench->vcpu.deadline_tsc, 0);
    vcpu_reset_init(&bench->vcpu);
    assert_int_equal(bench->vcpu.after, 0);
    assert_int_not_equal(bench->vcpu.deadline_tsc, 0);
}

/* VT-x has a window for all of it. */
static void test_window(void **state)
{
    struct bench *bench = *state;
    struct vcpu_state *s = in_shadow(bench, "\x90", 1);

    bench->vcpu.tells_nmi_return = true;
    vcpu_inject(&bench->vcpu);
    assert_int_equal(s->window, VCPU_WINDOW_NMI);
    assert_int_equal(s->dirty, VCPU_EVENT);
    expect_no_trap(bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_step),     TEST(test_look_first),      TEST(test_guests_own),
        TEST(test_loads_tf), TEST(test_iret_of_handler), TEST(test_decided_again),
        TEST(test_pushf),    TEST(test_alone),           TEST(test_taken_back),
        TEST(test_window),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
