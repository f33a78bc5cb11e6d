/* SPDX-License-Identifier: ISC */
/* Injection on a whole machine: from the chips' lines to the event in the state page. */
#include "vmm/cpu/test_bench.h"

/* The 8254's interrupt through the 8259s and LINT0, which a guest that knows no APIC finds open; masked by
 * IF, by the window and out of HLT. */
static void test_interrupt_ends_halt(void **state)
{
    struct bench *bench = *state;
    struct vcpu *vcpu = &bench->vcpu;

    out(bench, 0x20, 0x11);
    out(bench, 0x21, 0x30);
    out(bench, 0x21, 0x04);
    out(bench, 0x21, 0x01);
    out(bench, 0x21, 0xfe);
    machine_advance(&bench->machine, 0, 200000000);
    assert_true(bench->machine.intr);

    vcpu_inject(vcpu);
    assert_int_equal(bench->state.window, VCPU_WINDOW_INTERRUPT);
    assert_false(bench->state.inject & VCPU_EVENT_VALID);
    bench->state.rflags |= X86_RFLAGS_IF;
    bench->state.interruptibility = VCPU_SHADOW;
    assert_true(leave(bench, VCPU_EXIT_HLT, 0, CODE + 1));
    assert_int_equal(bench->state.activity, VCPU_HALTED);
    vcpu_inject(vcpu);
    assert_int_equal(bench->state.activity, VCPU_ACTIVE);
    assert_int_equal(bench->state.inject, VCPU_EVENT_VALID | 0x30);
    assert_int_equal(bench->state.window, 0);
    assert_true(bench->state.dirty & VCPU_EVENT);
    assert_false(bench->machine.intr);
}

static void test_halt_lasts(void **state)
{
    struct bench *bench = *state;

    assert_true(leave(bench, VCPU_EXIT_HLT, 0, CODE + 1));
    vcpu_inject(&bench->vcpu);
    assert_int_equal(bench->state.activity, VCPU_HALTED);
}

/* The timer's vector by x2APIC registers, and its EOI. */
static void test_apic_timer(void **state)
{
    struct bench *bench = *state;
    struct machine *machine = &bench->machine;
    struct lapic *lapic = &machine->cpu[0].lapic;

    bench->state.rflags |= X86_RFLAGS_IF;
    assert_true(lapic_msr_write(lapic, MSR_APIC_BASE, lapic->base | APIC_BASE_EXTD, 0));
    assert_true(lapic_msr_write(lapic, 0x80f, 0x1ff, 0));
    assert_true(lapic_msr_write(lapic, 0x832, 0xec, 0));
    assert_true(lapic_msr_write(lapic, 0x838, 1000, 0));
    vcpu_update_deadline(&bench->vcpu);
    assert_true(bench->vcpu.deadline <= 128000);
    machine_advance(machine, 0, 128000);
    assert_true(machine->cpu[0].attention);
    vcpu_inject(&bench->vcpu);
    assert_int_equal(bench->state.inject, VCPU_EVENT_VALID | 0xec);
    assert_int_equal(lapic->isr_top, 0xec);

    bench->state.gpr[VCPU_RCX] = 0x80b;
    bench->state.gpr[VCPU_RAX] = 0;
    bench->state.gpr[VCPU_RDX] = 0;
    assert_true(leave(bench, VCPU_EXIT_WRMSR, 1, CODE + 2));
    assert_int_equal(bench->state.rip, CODE + 2);
    assert_int_equal(lapic->isr_top, -1);
    assert_true(machine->cpu[0].attention);
}

/*
 * Two messages, the second when the first is decided on and the guest not entered yet: the first stays, the
 * second waits for the window, and the end of the first is not offered to be silent.
 */
static void test_decisions_stay(void **state)
{
    static const struct {
        uint8_t first, second;
        uint32_t window;
    } cases[] = {{0x51, 0x61, VCPU_WINDOW_INTERRUPT}, {0x61, 0x51, 0}, {0x51, 0x51, 0}};
    struct bench *bench = *state;
    struct lapic *lapic = &bench->machine.cpu[0].lapic;
    uint32_t *offer = (uint32_t *)(void *)(bench->ram + 0x1000);

    bench->vcpu.msr.kvm.eoi = 0x1000 | KVM_EOI_ENABLED;
    assert_true(lapic_msr_write(lapic, MSR_APIC_BASE, lapic->base | APIC_BASE_EXTD, 0));
    assert_true(lapic_msr_write(lapic, 0x80f, 0x1ff, 0));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bench->state.rflags |= X86_RFLAGS_IF;
        lapic_set_irr(lapic, cases[i].first, false);
        vcpu_inject(&bench->vcpu);
        assert_int_equal(bench->state.inject, VCPU_EVENT_VALID | cases[i].first);
        assert_int_equal(*offer, 1);
        lapic_set_irr(lapic, cases[i].second, false);
        vcpu_inject(&bench->vcpu);
        assert_int_equal(bench->state.inject, VCPU_EVENT_VALID | cases[i].first);
        assert_int_equal(bench->state.window, cases[i].window);
        assert_int_equal(lapic->isr_top, cases[i].first);
        assert_int_equal(*offer, 0);
        assert_false(bench->vcpu.after & VCPU_AFTER_EOI);

        bench->state.dirty = 0; /* entered */
        lapic_eoi(lapic);
        vcpu_inject(&bench->vcpu);
        assert_int_equal(bench->state.inject, VCPU_EVENT_VALID | cases[i].second);
        bench->state.dirty = 0;
        lapic_eoi(lapic);
        vcpu_inject(&bench->vcpu);
        assert_int_equal(lapic->isr_top, -1);
        *offer = 0;
        bench->vcpu.after = 0;
    }
}

/* The guest has CR8 at `cr8` when its run ends, by an exit or not: CR8 comes with RIP, whatever was asked
 * for. */
static void come_back(struct bench *bench, uint64_t cr8)
{
    bench->state.dirty = 0;
    bench->state.valid = VCPU_GPR | VCPU_RIP;
    bench->state.cr8 = cr8;
}

static struct lapic *with_apic(struct bench *bench)
{
    struct lapic *lapic = bench->vcpu.lapic;

    assert_true(lapic_msr_write(lapic, MSR_APIC_BASE, lapic->base | APIC_BASE_EXTD, 0));
    assert_true(lapic_msr_write(lapic, 0x80f, 0x1ff, 0));
    bench->state.rflags |= X86_RFLAGS_IF;
    come_back(bench, 0);
    vcpu_inject(&bench->vcpu);
    return lapic;
}

/* The guest raises CR8, which does not exit, and then the timer ends its run: what it masks now is not
 * injected, but waited for; lowered, it comes. */
static void test_cr8_raised(void **state)
{
    struct bench *bench = *state;
    struct lapic *lapic = with_apic(bench);

    come_back(bench, 8);
    lapic_set_irr(lapic, 0x51, false);
    vcpu_inject(&bench->vcpu);
    assert_false(bench->state.inject & VCPU_EVENT_VALID);
    assert_int_equal(lapic->isr_top, -1);
    assert_int_equal(bench->state.window, VCPU_WINDOW_INTERRUPT | 0x50);
    assert_true(bench->state.dirty & VCPU_EVENT);
    lapic_set_irr(lapic, 0x81, false);
    vcpu_inject(&bench->vcpu);
    assert_int_equal(bench->state.window, VCPU_WINDOW_INTERRUPT | 0x80);

    come_back(bench, 8);
    assert_true(leave(bench, VCPU_EXIT_INTERRUPT_WINDOW, 0, 0)); /* too early: it is asked for again */
    vcpu_inject(&bench->vcpu);
    assert_false(bench->state.inject & VCPU_EVENT_VALID);
    assert_int_equal(bench->state.window, VCPU_WINDOW_INTERRUPT | 0x80);
    assert_true(bench->state.dirty & VCPU_EVENT);

    come_back(bench, 7);
    assert_true(leave(bench, VCPU_EXIT_INTERRUPT_WINDOW, 0, 0));
    vcpu_inject(&bench->vcpu);
    assert_int_equal(bench->state.inject, VCPU_EVENT_VALID | 0x81);
    assert_int_equal(bench->state.window, 0); /* the other waits for this one's end */
    come_back(bench, 5);
    lapic_eoi(lapic);
    vcpu_inject(&bench->vcpu);
    assert_false(bench->state.inject & VCPU_EVENT_VALID);
    assert_int_equal(bench->state.window, VCPU_WINDOW_INTERRUPT | 0x50);
}

/* In its handler the guest has CR8 high when it ends the interrupt, lowers CR8 without an exit and halts. */
static void test_cr8_lowered(void **state)
{
    struct bench *bench = *state;
    struct lapic *lapic = with_apic(bench);

    lapic_set_irr(lapic, 0x81, false);
    vcpu_inject(&bench->vcpu);
    assert_int_equal(bench->state.inject, VCPU_EVENT_VALID | 0x81);
    come_back(bench, 8);
    bench->state.gpr[VCPU_RCX] = 0x80b;
    bench->state.gpr[VCPU_RAX] = bench->state.gpr[VCPU_RDX] = 0;
    bench->state.want[VCPU_EXIT_WRMSR] |= VCPU_CR; /* the exit that brings the high CR8 even so */
    assert_true(leave(bench, VCPU_EXIT_WRMSR, 1, CODE + 2));
    vcpu_inject(&bench->vcpu);
    assert_int_equal(lapic->isr_top, -1);

    come_back(bench, 0);
    assert_true(leave(bench, VCPU_EXIT_HLT, 0, CODE + 3));
    lapic_set_irr(lapic, 0x51, false);
    vcpu_inject(&bench->vcpu);
    assert_int_equal(bench->state.activity, VCPU_ACTIVE);
    assert_int_equal(bench->state.inject, VCPU_EVENT_VALID | 0x51);
    lapic_eoi(lapic);

    /* Halted with all masked it stays. */
    come_back(bench, 5);
    assert_true(leave(bench, VCPU_EXIT_HLT, 0, CODE + 4));
    lapic_set_irr(lapic, 0x51, false);
    vcpu_inject(&bench->vcpu);
    assert_int_equal(bench->state.activity, VCPU_HALTED);
}

/* Registers of the local APIC that depend on CR8, and CR8 on them. */
static void test_cr8_is_the_tpr(void **state)
{
    struct bench *bench = *state;
    struct vcpu_state *s = &bench->state;
    struct lapic *lapic = with_apic(bench);

    come_back(bench, 6);
    s->gpr[VCPU_RCX] = 0x80a; /* PPR */
    assert_true(leave(bench, VCPU_EXIT_RDMSR, 0, CODE + 2));
    assert_int_equal(s->gpr[VCPU_RAX], 0x60);
    assert_false(s->dirty & VCPU_CR);

    s->gpr[VCPU_RCX] = MSR_APIC_BASE;
    s->gpr[VCPU_RAX] = LAPIC_MMIO_BASE | APIC_BASE_BSP;
    s->gpr[VCPU_RDX] = 0;
    assert_true(leave(bench, VCPU_EXIT_WRMSR, 1, CODE + 4)); /* asks for the group */
    assert_int_equal(lapic_mode(lapic), LAPIC_MODE_X2APIC);
    assert_true(leave(bench, VCPU_EXIT_WRMSR, 1, CODE + 4));
    assert_int_equal(lapic_mode(lapic), LAPIC_MODE_OFF);
    assert_int_equal(s->cr8, 0);
    assert_true(s->dirty & VCPU_CR);
}

/* A fault in the delivery of a fault is a double fault, and a third one the end. */
static void test_fault_in_delivery(void **state)
{
    struct bench *bench = *state;

    bench->vcpu.interrupted = VCPU_EVENT_VALID | VCPU_EVENT_EXCEPTION | VCPU_EVENT_ERROR | 13;
    vcpu_raise_error(&bench->vcpu, 13, 0);
    assert_int_equal(bench->vcpu.exception & 0xff, 8);
    bench->vcpu.interrupted = bench->vcpu.exception;
    vcpu_raise_error(&bench->vcpu, 14, 0);
    assert_int_equal(bench->machine.request, MACHINE_RESET);
}

/* RF is pushed as 1 with a fault, and as it is with #DB; a shadow ends with either's delivery. */
static void test_fault_sets_rf(void **state)
{
    struct bench *bench = *state;
    struct vcpu_state *s = &bench->state;

    s->interruptibility = VCPU_SHADOW;
    vcpu_raise_error(&bench->vcpu, 13, 0);
    come_back(bench, 0);
    vcpu_inject(&bench->vcpu);
    assert_int_equal(s->rflags & X86_RFLAGS_RF, X86_RFLAGS_RF);
    assert_int_equal(s->interruptibility, 0);
    assert_true(s->dirty & VCPU_RIP);

    s->rflags = X86_RFLAGS_ONE;
    come_back(bench, 0);
    vcpu_raise(&bench->vcpu, 1);
    vcpu_inject(&bench->vcpu);
    assert_int_equal(s->rflags & X86_RFLAGS_RF, 0);

    come_back(bench, 0);
    bench->vcpu.interrupted = VCPU_EVENT_VALID | VCPU_EVENT_EXCEPTION | VCPU_EVENT_ERROR | 14;
    vcpu_inject(&bench->vcpu);
    assert_int_equal(s->rflags & X86_RFLAGS_RF, X86_RFLAGS_RF);
}

/* The second processor has changed memory, and goes on when the first one's thread has done it. */
static void test_waits_for_memory(void **state)
{
    struct bench *bench = *state;

    bench->machine.cpus = 2;
    bench->machine.cpu[1].lapic = bench->machine.cpu[0].lapic;
    bench->vcpu.number = 1;
    bench->vcpu.cpu = &bench->machine.cpu[1];
    bench->vcpu.cpu->machine = &bench->machine;
    bench->vcpu.lapic = &bench->machine.cpu[1].lapic;
    come_back(bench, 0);
    bench->state.activity = VCPU_ACTIVE;
    bench->machine.shadow.waiting = 1u << 1;
    vcpu_inject(&bench->vcpu);
    assert_int_equal(bench->state.activity, VCPU_HALTED);
    bench->vcpu.cpu->nmi = true;
    vcpu_inject(&bench->vcpu);
    assert_int_equal(bench->state.activity, VCPU_HALTED);
    bench->vcpu.cpu->nmi = false;
    bench->machine.shadow.waiting = 0;
    vcpu_inject(&bench->vcpu);
    assert_int_equal(bench->state.activity, VCPU_ACTIVE);
    bench->state.activity = VCPU_HALTED; /* a HLT of its own lasts */
    vcpu_inject(&bench->vcpu);
    assert_int_equal(bench->state.activity, VCPU_HALTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_interrupt_ends_halt), TEST(test_halt_lasts),        TEST(test_apic_timer),
        TEST(test_decisions_stay),      TEST(test_fault_in_delivery), TEST(test_cr8_raised),
        TEST(test_cr8_lowered),         TEST(test_cr8_is_the_tpr),    TEST(test_fault_sets_rf),
        TEST(test_waits_for_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
