/* SPDX-License-Identifier: ISC */
/*
 * KVM's paravirtual end of interrupt (Linux, Documentation/virt/kvm/x86/msr.rst, MSR_KVM_PV_EOI_EN): with an
 * interrupt the monitor sets a bit in the guest's memory, and a guest that finds it set clears it in place of
 * a write to its local APIC, which would exit. It is set only where nothing follows from the end of the
 * interrupt at once: it is no level-triggered one, and no other waits. With the next exit, whatever it is,
 * the bit is taken back, and if it was clear the local APIC learns of the end.
 */
#include "vmm/cpu/vcpu.h"

#define OFFERED 1u

/* NULL: the guest does not want it. */
static uint32_t *place(const struct vcpu *vcpu)
{
    uint64_t msr = vcpu->msr.kvm.eoi;

    if (!(msr & KVM_EOI_ENABLED))
        return NULL;
    return guest_ram_at(&vcpu->machine->ram, msr & ~(uint64_t)KVM_EOI_ENABLED, sizeof(uint32_t));
}

void vcpu_offer_eoi(struct vcpu *vcpu, unsigned vector)
{
    uint32_t *word = place(vcpu);

    if (!word || !lapic_eoi_is_quiet(vcpu->lapic, vector))
        return;
    __atomic_fetch_or(word, OFFERED, __ATOMIC_RELAXED);
    vcpu->after |= VCPU_AFTER_EOI;
}

void vcpu_take_eoi(struct vcpu *vcpu)
{
    uint32_t *word = place(vcpu);

    vcpu->after &= (uint8_t)~VCPU_AFTER_EOI;
    if (!word || __atomic_fetch_and(word, ~OFFERED, __ATOMIC_RELAXED) & OFFERED)
        return;
    vcpu_sync_tpr(vcpu);
    lapic_eoi(vcpu->lapic);
    if (lapic_pending_vector(vcpu->lapic) >= 0 || lapic_masked_class(vcpu->lapic))
        __atomic_store_n(&vcpu->cpu->attention, true, __ATOMIC_RELAXED);
}
