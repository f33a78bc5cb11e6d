/* SPDX-License-Identifier: ISC */
/*
 * A guest with several processors: how the first starts the others and has them do something. Each of them
 * runs what it is told and then waits for the next; each has its own line of counters.
 */
#pragma once

#include "tests/guest/guest.h"

#if GUEST_MODE == MODE_LONG

#define CPUS_MAX 8u

#define APIC_ID       0x20u
#define APIC_EOI      0xb0u
#define APIC_LDR      0xd0u
#define APIC_SVR      0xf0u
#define APIC_ESR      0x280u
#define APIC_ICR      0x300u
#define APIC_ICR_HIGH 0x310u
#define MSR_APIC_BASE 0x1bu
#define MSR_X2ICR     0x830u
#define MSR_X2EOI     0x80bu
#define X2APIC        0x400u

/* ICR: delivery modes, destinations. */
#define ICR_LOWEST  0x100u
#define ICR_NMI     0x400u
#define ICR_INIT    0x4500u
#define ICR_STARTUP 0x4600u
#define ICR_LOGICAL 0x800u
#define ICR_SELF    0x40000u
#define ICR_ALL     0x80000u
#define ICR_OTHERS  0xc0000u

#define VECTOR_PING  0x51
#define VECTOR_WAKE  0x52
#define START_PAGE   0x8000u /* copies of start.S, one page apart */
#define START_VECTOR (START_PAGE >> 12)

struct cpu {
    volatile uint32_t starts; /* how often it has come to C */
    volatile uint32_t pings, nmis;
    volatile uint32_t beats;                /* of those who count */
    void (*volatile task)(uint32_t number); /* cleared when it is done */
} __attribute__((aligned(64)));

extern struct cpu cpus[CPUS_MAX];
extern uint32_t cpu_count; /* as CPUID says */

static inline uint32_t cpu_self(void)
{
    return cpuid(1, 0).ebx >> 24;
}

/* Pages of start.S, tables, handlers, the own APIC. */
void smp_prepare(void);

/* By the APIC as it is now, page or MSRs. */
void ipi(uint32_t destination, uint32_t low);

/* INIT and STARTUP; whether it came within a second. */
bool cpu_start(uint32_t number);

/* INIT; nothing is started. */
void cpu_stop(uint32_t number);

void cpu_begin(uint32_t number, void (*task)(uint32_t number));
/* Whether it was done within so many milliseconds. */
bool cpu_finish(uint32_t number, uint32_t milliseconds);

/* A word gets to a value within a second. */
bool comes_to(const volatile uint32_t *word, uint32_t value);

extern const struct test start_tests[], ipi_tests[], nmi_tests[], storm_tests[];

/* What goes on after a reset: true until all of them have been made. */
bool resets_continue(void);
void resets_make(void);

#endif
