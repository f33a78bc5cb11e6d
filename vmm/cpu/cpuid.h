/* SPDX-License-Identifier: ISC */
/*
 * What a guest sees in CPUID: the host's processor, filtered by lists of what the monitor can keep up.
 *
 * Intel SDM vol. 2 CPUID; AMD APM vol. 3 appendix E. Leaves of hypervisors: those of interface.h, and our
 * own name at 0x40000100.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define CPUID_HYPERVISOR_LEAVES 0x4000u /* leaf >> 16 */
#define CPUID_OWN_LEAF          0x40000100u
#define CPUID_CR4_OSXSAVE       (1ull << 18)

#define CPUID_XCR0_X87 (1ull << 0)
#define CPUID_XCR0_SSE (1ull << 1)
#define CPUID_XCR0_AVX (1ull << 2)

struct cpuid_regs {
    uint32_t eax;
    uint32_t ebx;
    uint32_t ecx;
    uint32_t edx;
};

struct cpuid_config {
    uint32_t cpu;      /* vCPU number = APIC ID */
    uint32_t cpus;     /* 1.. */
    uint64_t xcr0;     /* components the guest may enable, of x87, SSE, AVX; 0: no XSAVE */
    bool x2apic;       /* offered */
    bool spec_ctrl;    /* IA32_SPEC_CTRL and IA32_PRED_CMD are offered (see struct msr_config) */
    bool kvm_stable;   /* clocks of all vCPUs run from one TSC: KVM_FEATURE_CLOCKSOURCE_STABLE */
    uint32_t tsc_khz;  /* 0: not known, nothing says it */
    uint32_t apic_khz; /* of the APIC timer before its divider; not 0 if tsc_khz is not */
    /* The host's leaf. */
    void (*host)(void *context, uint32_t leaf, uint32_t subleaf, struct cpuid_regs *regs);
    void *context;
};

/* The guest's leaf. `cr4` and `xcr0` are the guest's at this time: OSXSAVE and the size of its XSAVE area
 * follow them. */
void cpuid_guest(const struct cpuid_config *config, uint32_t leaf, uint32_t subleaf, uint64_t cr4,
                 uint64_t xcr0, struct cpuid_regs *regs);

/* The bits of CR4 that go with what the guest's CPUID offers. */
uint64_t cpuid_cr4(const struct cpuid_config *config);
