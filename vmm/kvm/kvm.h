/* SPDX-License-Identifier: ISC */
/*
 * KVM's interface to guests (Linux, Documentation/virt/kvm/x86/cpuid.rst and msr.rst): its signature and
 * features in CPUID, the clock (kvmclock.h), ends of interrupts without an exit (eoi.c), and hypercalls
 * (hypercall.c).
 */
#pragma once

#include <stdint.h>

#include "vmm/kvm/kvmclock.h"

#define KVM_LEAF       0x40000000u
#define KVM_LEAF_CLOCK 0x40000010u /* frequencies of TSC and APIC timer in kHz: VMware's, and QEMU's */

#define KVM_EOI_ENABLED 1u

/* A vCPU's part. */
struct kvm_cpu {
    struct kvmclock_cpu clock;
    uint64_t eoi; /* guest-physical address and KVM_EOI_ENABLED */
};

/* RESET# and INIT: the guest's addresses are void. */
static inline void kvm_reset(struct kvm_cpu *cpu)
{
    cpu->clock.msr = 0;
    cpu->eoi = 0;
}

struct guest_interface;
extern const struct guest_interface kvm_interface;
