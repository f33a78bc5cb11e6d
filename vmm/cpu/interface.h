/* SPDX-License-Identifier: ISC */
/*
 * What a hypervisor offers its guests beyond the processor: CPUID leaves and model-specific registers. Each
 * hypervisor whose interface we speak is one row of a table; its hypercalls are an exit handler of its own.
 */
#pragma once

#include "base/include/check.h"
#include "vmm/cpu/cpuid.h"
#include "vmm/cpu/msr.h"

struct interface_msrs {
    uint32_t first, count;
};

struct guest_interface {
    uint32_t leaf, leaves; /* of CPUID, from 0x40000000 on */
    /* *regs is 0. */
    void (*cpuid)(const struct cpuid_config *config, uint32_t leaf, struct cpuid_regs *regs);
    const struct interface_msrs *msr; /* ends with count 0 */
    /* False: #GP(0), nothing has changed. */
    bool (*read)(struct msr_cpu *cpu, uint32_t msr, uint64_t now, uint64_t *value);
    bool (*write)(struct msr_cpu *cpu, uint32_t msr, uint64_t value, uint64_t now);
};

/* NULL: none has this leaf, or register. */
const struct guest_interface *interface_of_leaf(uint32_t leaf);
const struct guest_interface *interface_of_msr(uint32_t msr);
