/* SPDX-License-Identifier: ISC */
/*
 * Model-specific registers as a guest may read and write them.
 *
 * Intel SDM vol. 4; AMD APM vol. 2 appendix A, PPR for family 17h. What is not in the table is #GP, with a
 * note. Registers that the processor itself holds (EFER, STAR, segment bases, SYSENTER, PAT, SPEC_CTRL) have
 * their place in struct msr_state: the vCPU loop fills those that it intercepts before msr_read and takes
 * them over after msr_write.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/device/lapic.h"
#include "vmm/kvm/kvm.h"

#define MSR_NOTES_MAX 32 /* notes per vCPU, then silence */

struct msr_state {
    uint64_t efer;
    uint64_t star;
    uint64_t lstar;
    uint64_t cstar;
    uint64_t sfmask;
    uint64_t fs_base;
    uint64_t gs_base;
    uint64_t kernel_gs_base;
    uint64_t sysenter_cs;
    uint64_t sysenter_esp;
    uint64_t sysenter_eip;
    uint64_t pat;
    uint64_t tsc_aux;
    uint64_t tsc_adjust;
    uint64_t spec_ctrl;
    uint64_t misc_enable;
    uint64_t mcg_status;
    uint64_t mtrr_default;
    uint64_t mtrr_fixed[11]; /* 64K, 2 x 16K, 8 x 4K */
    uint64_t syscfg;
    uint64_t hwcr;
    uint64_t de_cfg;
    uint64_t microcode;
};

struct msr_config {
    bool intel;
    bool spec_ctrl; /* IA32_SPEC_CTRL and IA32_PRED_CMD are offered */
    bool ffxsr;     /* EFER.FFXSR (AMD) */
};

struct msr_cpu {
    struct msr_state state;
    struct msr_config config;
    struct kvm_cpu kvm;
    struct lapic *lapic;
    struct kvmclock *clock; /* NULL: no KVM clock */
    bool paging;            /* guest CR0.PG, filled by the vCPU loop: EFER.LME is fixed then */
    bool tsc_moved;         /* set by a write of the TSC; the vCPU loop reloads its offset and clears it */
    bool barrier;           /* set by IBPB; the vCPU loop does it and clears it */
    unsigned notes;
    void (*note)(void *sink, bool write, uint32_t msr, uint64_t value); /* an unknown MSR; may be NULL */
    void *sink;
};

/* Reset values. lapic, clock, note and sink are kept; the KVM clock is off. */
void msr_reset(struct msr_cpu *cpu);

/* RDMSR and WRMSR at virtual time `now`. False: #GP(0), nothing has changed. */
__attribute__((warn_unused_result)) bool msr_read(struct msr_cpu *cpu, uint32_t msr, uint64_t now,
                                                  uint64_t *value);
__attribute__((warn_unused_result)) bool msr_write(struct msr_cpu *cpu, uint32_t msr, uint64_t value,
                                                   uint64_t now);
