/* SPDX-License-Identifier: ISC */
/*
 * KVM's hypercalls for guests with several processors (Linux, Documentation/virt/kvm/x86/hypercalls.rst): one
 * call sends an interrupt to many, and one wakes a processor out of a HLT in which it waits for a lock. The
 * number is in RAX, arguments are in RBX, RCX, RDX and RSI, the result comes in RAX.
 */
#include "vmm/cpu/vcpu.h"

#define KVM_ENOSYS 1000
#define KVM_EPERM  1
#define KVM_EINVAL 22

#define KVM_KICK_CPU 5u
#define KVM_SEND_IPI 10u

#define ICR_VECTOR 0xffu
#define ICR_MODE   0x700u
#define ICR_LEVEL  0x4000u
#define MODE_SHIFT 8

/* A call names single APIC IDs. What is a broadcast on the APIC bus names no processor here, and the numbers
 * of a call's bits do not wrap. */
static bool is_apic_id(uint64_t number)
{
    return number < LAPIC_BROADCAST;
}

/* Two words of bits, of APIC IDs from `first` on; what would be sent to each. How many have taken it. */
static int64_t send_ipi(const struct vcpu *vcpu, const uint64_t *bits, unsigned width, uint32_t first,
                        uint32_t icr)
{
    struct lapic_message message = {.source = vcpu->number, .vector = (uint8_t)(icr & ICR_VECTOR)};
    int64_t taken = 0;

    message.delivery = (uint8_t)((icr & ICR_MODE) >> MODE_SHIFT);
    if (icr & ~(ICR_VECTOR | ICR_MODE | ICR_LEVEL) ||
        (message.delivery != LAPIC_FIXED && message.delivery != LAPIC_NMI))
        return -KVM_EINVAL;
    for (unsigned i = 0; i < 2 * width; i++) {
        if (!(bits[i / width] >> i % width & 1) || !is_apic_id((uint64_t)first + i))
            continue;
        message.destination = first + i;
        taken += lapic_route(vcpu->machine->lapics, vcpu->machine->cpus, &message);
    }
    return taken;
}

/* The first HLT after it does not wait, which may be one that waits already. */
static int64_t kick(const struct vcpu *vcpu, uint32_t apic_id)
{
    for (unsigned i = 0; i < vcpu->machine->cpus && is_apic_id(apic_id); i++) {
        struct machine_cpu *cpu = &vcpu->machine->cpu[i];

        if (!lapic_matches(&cpu->lapic, apic_id, false))
            continue;
        __atomic_store_n(&cpu->kicked, true, __ATOMIC_RELEASE);
        machine_wake(vcpu->machine, i);
    }
    return 0;
}

static int64_t hypercall(const struct vcpu *vcpu)
{
    const struct vcpu_state *state = vcpu->state;
    const uint64_t *gpr = state->gpr;
    bool wide = vcpu_is_64bit(state);
    uint64_t mask = wide ? UINT64_MAX : UINT32_MAX;

    if (vcpu->machine->cpus == 1)
        return -KVM_ENOSYS;
    if (vcpu_cpl(state) != 0)
        return -KVM_EPERM;
    switch (gpr[VCPU_RAX] & mask) {
    case KVM_KICK_CPU:
        return kick(vcpu, (uint32_t)gpr[VCPU_RCX]);
    case KVM_SEND_IPI:
        return send_ipi(vcpu, (const uint64_t[]){gpr[VCPU_RBX] & mask, gpr[VCPU_RCX] & mask}, wide ? 64 : 32,
                        (uint32_t)gpr[VCPU_RDX], (uint32_t)gpr[VCPU_RSI]);
    default:
        return -KVM_ENOSYS;
    }
}

bool vcpu_exit_hypercall(struct vcpu *vcpu)
{
    uint64_t next;

    if (vcpu_need(vcpu, VCPU_FETCH_GROUPS) && vcpu_can_skip(vcpu, &next)) {
        uint64_t result = (uint64_t)hypercall(vcpu);

        vcpu->state->gpr[VCPU_RAX] = vcpu_is_64bit(vcpu->state) ? result : (uint32_t)result;
        vcpu_set_rip(vcpu, next);
    }
    return vcpu_runs(vcpu);
}
