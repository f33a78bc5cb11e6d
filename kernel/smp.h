/* SPDX-License-Identifier: ISC */
/*
 * Several CPUs. ECs, SCs and vCPUs belong to a CPU from their creation on. Only that CPU touches the state that
 * changes while they run. A CPU that wants to wake, end or free another CPU's object leaves a request with that
 * CPU and interrupts it; the other CPU works its requests off before it leaves the kernel (sched.c).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define CPUS 64u

struct boot_info;
struct cpu;
struct object;
struct space;

extern struct cpu *cpus[CPUS];
extern unsigned cpu_count; /* that run; their numbers are below */

/* The requests to an object's CPU. */
#define REQUEST_WAKE    1u /* NT, SC, vCPU: check whether an EC is to run */
#define REQUEST_DESTROY 2u /* EC, SC, vCPU */
#define REQUEST_FREE    4u /* the last reference is gone */

void smp_request(struct object *object, unsigned what, unsigned cpu);

/* Something was taken away from the space: no CPU of `mask` (bit a number) uses it when the call returns.
 * `physical` is the HST root that they may have loaded. Holds the kernel's lock. */
void smp_shootdown(const struct space *space, uint64_t physical, uint64_t mask);

/* VECTOR_IPI has arrived. */
void smp_interrupt(void);

/* Start the other processors that the firmware lists: ap.c. They stay idle until ECs are made for them. */
void smp_start(const struct boot_info *info);
