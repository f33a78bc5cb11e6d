/* SPDX-License-Identifier: ISC */
/*
 * KVM's paravirtual clock: wall time and system time in guest RAM, from which a guest computes the time by
 * its TSC without leaving itself (Linux, Documentation/virt/kvm/x86/msr.rst and cpuid.rst).
 *
 * System time is the virtual time of the VM in nanoseconds, the `now` of every device model.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vmm/bus/device.h"
#include "vmm/bus/ram.h"

#define KVMCLOCK_ENABLED 1u /* bit 0 of the system time MSR */

struct kvmclock {
    const struct guest_ram *ram;
    uint64_t tsc_at_zero;  /* guest TSC at virtual time 0 */
    uint64_t wall_at_zero; /* ns since 1970 at virtual time 0 */
    uint64_t wall_msr;
    uint32_t wall_version;
    uint32_t mul; /* ns = (ticks * 2^shift * mul) / 2^32 */
    int8_t shift;
    bool stable; /* all vCPUs' TSCs are one: readers need not compare across vCPUs */
};

extern const struct device_class kvmclock_class;

/* A vCPU's part. */
struct kvmclock_cpu {
    uint64_t msr; /* guest-physical address and KVMCLOCK_ENABLED */
    uint32_t version;
    bool moved; /* the guest has written its TSC, so it is no longer tsc_at_zero + ticks */
};

/* Factor and shift for a TSC frequency, mul rounded to nearest in 2^31..2^32-1. tsc_khz is not 0. */
void kvmclock_scale(uint32_t tsc_khz, uint32_t *mul, int8_t *shift);

void kvmclock_init(struct kvmclock *clock, const struct guest_ram *ram, uint32_t tsc_khz,
                   uint64_t tsc_at_zero, uint64_t wall_at_zero, bool stable);

/* Write of the wall clock MSR: 12 bytes are written at `value`. False (#GP): not RAM or not aligned to 4. */
__attribute__((warn_unused_result)) bool kvmclock_set_wall(struct kvmclock *clock, uint64_t value);

/* Write of a vCPU's system time MSR. False (#GP): enabled with an address that is not RAM or not aligned
 * to 4. */
__attribute__((warn_unused_result)) bool kvmclock_set_system(const struct kvmclock *clock,
                                                             struct kvmclock_cpu *cpu, uint64_t value,
                                                             uint64_t now, uint64_t tsc);

/* Write a vCPU's time again (after its TSC or the VM's time has jumped). `tsc` is its TSC at `now`. */
void kvmclock_update(const struct kvmclock *clock, struct kvmclock_cpu *cpu, uint64_t now, uint64_t tsc);
