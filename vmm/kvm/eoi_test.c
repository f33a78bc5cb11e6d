/* SPDX-License-Identifier: ISC */
/* Paravirtual ends of interrupts, with the guest's part played here. */
#include "vmm/cpu/test_bench.h"

/* With an interrupt the guest gets the offer to end it without an exit, which is taken back at the next. */
static void test_offered_eoi(void **state)
{
    struct bench *bench = *state;
    struct vcpu *vcpu = &bench->vcpu;
    struct lapic *lapic = vcpu->lapic;
    uint32_t *word = (uint32_t *)(void *)(bench->ram + 0x3000);

    *word = 0x100;
    bench->state.rflags |= X86_RFLAGS_IF;
    bus_write(&bench->machine.bus, BUS_MMIO, LAPIC_MMIO_BASE + APIC_SVR, 4, 0x1ff, 0, 0);
    vcpu->msr.kvm.eoi = 0x3000 | KVM_EOI_ENABLED;
    for (unsigned ended = 0; ended < 2; ended++) {
        lapic_set_irr(lapic, 0x40, false);
        vcpu_inject(vcpu);
        assert_int_equal(bench->state.inject, VCPU_EVENT_VALID | 0x40);
        assert_true(vcpu->after & VCPU_AFTER_EOI);
        assert_int_equal(*word, 0x101);
        bench->state.dirty = 0; /* entered */
        if (ended)
            *word &= ~1u;
        lapic_set_irr(lapic, 0x30, false);
        vcpu->cpu->attention = false;
        vcpu_take_eoi(vcpu);
        assert_false(vcpu->after & VCPU_AFTER_EOI);
        assert_int_equal(*word, 0x100);
        assert_int_equal(lapic->isr_top, ended ? -1 : 0x40);
        assert_int_equal(vcpu->cpu->attention, ended); /* the other can come now */
        if (!ended)
            lapic_eoi(lapic);
        vcpu_inject(vcpu);
        assert_true(vcpu->after & VCPU_AFTER_EOI);
        bench->state.dirty = 0;
        vcpu_take_eoi(vcpu);
        lapic_eoi(lapic);
    }
    /* Not with another waiting, nor for a level, nor when the guest has taken its memory back. */
    lapic_set_irr(lapic, 0x40, false);
    lapic_set_irr(lapic, 0x50, false);
    vcpu_inject(vcpu);
    assert_false(vcpu->after & VCPU_AFTER_EOI);
    bench->state.dirty = 0;
    lapic_eoi(lapic);
    vcpu->msr.kvm.eoi = 0;
    vcpu_inject(vcpu);
    assert_false(vcpu->after & VCPU_AFTER_EOI);
    assert_int_equal(*word, 0x100);
}

/* The guest has ended it, and moved CR8 in its handler: what waits is judged by the CR8 of now, and if that
 * keeps it back, its window has to be asked for. */
static void test_end_and_cr8(void **state)
{
    struct bench *bench = *state;
    struct vcpu *vcpu = &bench->vcpu;
    uint32_t *word = (uint32_t *)(void *)(bench->ram + 0x3000);

    bench->state.rflags |= X86_RFLAGS_IF;
    bus_write(&bench->machine.bus, BUS_MMIO, LAPIC_MMIO_BASE + APIC_SVR, 4, 0x1ff, 0, 0);
    vcpu->msr.kvm.eoi = 0x3000 | KVM_EOI_ENABLED;
    for (unsigned cr8 = 0; cr8 < 16; cr8 += 5) {
        lapic_set_irr(vcpu->lapic, 0xf0, false);
        vcpu_inject(vcpu);
        bench->state.dirty = 0; /* entered */
        bench->state.cr8 = cr8;
        *word = 0;
        lapic_set_irr(vcpu->lapic, 0x51, false);
        vcpu->cpu->attention = false;
        vcpu_take_eoi(vcpu);
        assert_int_equal(vcpu->lapic->isr_top, -1);
        assert_int_equal(vcpu->lapic->ppr, cr8 << 4);
        assert_true(vcpu->cpu->attention);
        vcpu_inject(vcpu);
        assert_int_equal(bench->state.window, cr8 < 5 ? 0 : VCPU_WINDOW_INTERRUPT | 0x50);
        bench->state.dirty = 0;
        bench->state.cr8 = 0;
        vcpu_inject(vcpu);
        lapic_eoi(vcpu->lapic);
        bench->state.dirty = 0;
        vcpu->after = 0;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_offered_eoi), TEST(test_end_and_cr8)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
