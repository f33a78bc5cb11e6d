/* SPDX-License-Identifier: ISC */
/*
 * The FPU's registers belong to one owner at a time: an EC created with EC_FPU, or a vCPU. Switching is eager
 * between owners; in between, ECs without FPU run with CR0.TS set, so a guest's registers stay loaded while
 * its monitor works. All ECs have one XCR0, cpu_features.xcr0_host; a guest's is loaded as it is
 * entered, and stays until another EC is to run.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct account;
struct cpu;

struct fpu {
    uint64_t xcr0;                               /* of a guest */
    uint8_t area[] __attribute__((aligned(64))); /* cpu_features.fpu_size bytes */
};

/* Fresh registers. NULL: the account is empty. */
struct fpu *fpu_create(struct account *account) __attribute__((warn_unused_result));
void fpu_free(struct fpu *fpu);

/* Make the registers those of `fpu`; CR0.TS is clear afterwards. */
void fpu_load(struct cpu *cpu, struct fpu *fpu);

/* The same for a guest: CR0.TS stays as it is, the guest has a CR0 of its own. */
void fpu_load_guest(struct cpu *cpu, struct fpu *fpu);

/* Make the FPU unusable for the EC that runs next. */
void fpu_deny(struct cpu *cpu);

/* Load XCR0; without XSAVE it is always the same. */
void fpu_set_xcr0(struct cpu *cpu, uint64_t value);
bool fpu_xcr0_valid(uint64_t value);
