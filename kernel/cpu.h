/* SPDX-License-Identifier: ISC */
/*
 * What belongs to one CPU, reached through GS: who runs, the queues, the tables that the processor reads.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/arch.h"
#include "kernel/fpu.h"
#include "kernel/layout.h"
#include "kernel/sched.h"
#include "kernel/timer.h"

struct ec;
struct space;
struct frame;

#define HAZARD_SCHEDULE 1u /* somebody better may be ready, or the budget is used up */
#define HAZARD_FREE     2u /* objects without references are to be freed */

struct tss {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3, iomap;
    uint8_t bitmap[PIO_PORTS / 8 + 1]; /* one byte of ones at the end: APM vol. 2, 12.2.4 */
} __attribute__((packed));

#define TSS_NO_BITMAP sizeof(struct tss) /* beyond the limit: no port is allowed */

struct cpu {
    struct cpu *self;
    struct frame *frame; /* &ec->frame: where the entry path saves */
    void *stack;         /* top of the kernel stack */
    uint64_t scratch;
    uint32_t hazard; /* HAZARD_* */
    uint32_t number;

    struct ec *ec; /* current; NULL while idle */
    struct scheduler scheduler;
    struct timer_queue timers;
    struct fpu *fpu_owner; /* whose registers are loaded */
    bool task_switched;    /* CR0.TS is set */

    uint64_t cr3;
    const struct space
        *pio; /* whose bitmap the TSS holds, at this generation; referenced by nobody: compared only */
    uint64_t pio_generation;
    uint32_t pio_low, pio_high; /* bytes of the TSS's bitmap that may have clear bits */

    uint32_t asid_next, asid_limit; /* address-space tags of vCPUs, and their generation */
    uint64_t asid_generation;
    uint64_t virt_host; /* physical address of the back end's page for the host's state */

    uint64_t idle_ticks;                                           /* TSC ticks spent halted */
    uint8_t interrupt_stack[3][2048] __attribute__((aligned(16))); /* NMI, #DF, #MC */
    uint64_t gdt[8];
    struct tss tss __attribute__((aligned(16)));
};

_Static_assert(offsetof(struct cpu, frame) == CPU_FRAME && offsetof(struct cpu, stack) == CPU_STACK &&
                   offsetof(struct cpu, scratch) == CPU_SCRATCH && offsetof(struct cpu, hazard) == CPU_HAZARD,
               "entry.S knows these");

static inline struct cpu *this_cpu(void)
{
    struct cpu *cpu;
    __asm__("mov %%gs:%c1, %0" : "=r"(cpu) : "i"(CPU_SELF));
    return cpu;
}

/* What the processor can do, found at boot and constant from then on. */
struct cpu_features {
    bool smep, smap, umip, xsave, tsc_deadline, svm;
    bool svm_next_rip, svm_decode_assists, svm_flush_by_asid;
    uint32_t svm_asids;
    uint32_t fpu_size;      /* bytes of an XSAVE or FXSAVE area */
    uint64_t xcr0;          /* all components that we enable */
    uint64_t physical_mask; /* of the bits that a physical address has */
    uint64_t tsc_hz;
};
extern struct cpu_features cpu_features;

/* Find the features; set up control registers, GDT, TSS, MSRs and GS for this CPU. */
void cpu_init(struct cpu *cpu, void *stack);
