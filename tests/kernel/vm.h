/* SPDX-License-Identifier: ISC */
/*
 * A VM for tests: one vCPU in real mode at address CODE of 64 KiB, with a guest of a few bytes.
 */
#pragma once

#include "tests/kernel/tests.h"

#include "abi/vcpu.h"

#define GUEST_PAGES 16u
#define GUEST_RAM   32u /* index of its first page */
#define CODE        0x1000u
#define HANDLER     0x2000u
#define DATA_PORT   0x1234u
#define RFLAGS_IF   0x200u

/* One VM at a time. */
extern struct test_vm {
    selector gst, vcpu, nt;
    volatile struct vcpu_state *state;
    uint8_t *memory;
} vm;

extern const uint8_t code_hlt[3], code_cpuid[2];

/* The VM with this code, of a PD's; if it is the own one, ready to begin at CODE. Every vector's handler
 * counts in the word at 0x3000. */
void vm_make(const struct pd_space *pd, const uint8_t *code, size_t bytes);
#define MAKE(code) vm_make(&own, code, sizeof(code))

/* Other code; real mode, at CODE. */
void vm_load(const uint8_t *code, size_t bytes);
void vm_start(void);

/* After vm_start: long mode, with the first 2 MiB mapped. */
#define LONG_TABLES 0x9000u /* three pages */
void vm_start_long(void);

/* For so long at most. */
enum status vm_run(uint64_t ticks);

/* Runs until an exit: this one. */
void vm_exits(uint32_t exit, uint64_t rip);

/* vcpu_runs.c, vcpu_cr8.c and leaks.c, by test_vcpus */
void test_runs(void);
void test_leaks(void);
void test_cr8(void);
