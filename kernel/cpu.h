/* SPDX-License-Identifier: ISC */
/*
 * The state of one CPU, reached through GS: the current EC, the queues, the tables that the processor reads.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/boot.h"
#include "kernel/arch.h"
#include "kernel/fpu.h"
#include "kernel/layout.h"
#include "kernel/sched.h"
#include "kernel/tag.h"
#include "kernel/timer.h"

struct ec;
struct space;
struct vcpu;
struct frame;
struct object;

#define HAZARD_SCHEDULE 1u  /* a better EC may be ready, or the budget is used up */
#define HAZARD_FREE     2u  /* objects without references are to be freed */
#define HAZARD_REQUEST  4u  /* another CPU may want something */
#define HAZARD_GRACE    8u  /* and waits until this one holds no pointers */
#define HAZARD_WINDOW   16u /* a long call is under way: let interrupts in */

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
    /* The current EC uses the FPU or has a base of FS, or TSC_AUX or XCR0 is not what ECs have. */
    bool extras;

    uint64_t cr3;
    const struct space *pio;        /* that the TSS shows; NULL: none. Not referenced: compared only */
    const struct space *pio_loaded; /* that its bitmap holds */
    uint32_t pio_low, pio_high;     /* bytes of the TSS's bitmap that may have clear bits */

    uint64_t fs_base; /* that the current EC was given */

    struct tags asids;                /* of vCPUs */
    uint32_t tsc_aux;                 /* loaded: 0 or the last vCPU's */
    uint64_t xcr0;                    /* loaded: cpu_features.xcr0_host or the last vCPU's */
    uint64_t virt_host;               /* physical address of the back end's page for the host's state */
    const struct vcpu *virt_selected; /* VT-x: whose VMCS is current; compared only */

    uint32_t apic_id;
    struct object *requests; /* that other CPUs have pushed; atomic */
    uint64_t shootdown_seen; /* answers: read by other CPUs */
    uint64_t grace_begun, grace_seen;
    struct object *to_free, *freeing; /* without references; those whose grace period has begun */
    void *pages_to_free, *pages_freeing;
    uint64_t grace;   /* that `freeing` waits for */
    bool grace_waits; /* and it is not over yet; read by other CPUs */

    uint64_t timer_set;              /* TSC value that the LAPIC's timer is set to */
    uint64_t idle_ticks, idle_since; /* TSC ticks spent halted; since when, 0 while it runs */
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

/* The processor's features, found at boot and constant from then on. */
struct cpu_features {
    bool smep, smap, umip, xsave, xsaves, tsc_deadline, svm;
    bool svm_next_rip, svm_decode_assists, svm_flush_by_asid;
    bool rdtscp;              /* there is TSC_AUX */
    bool giant, giant_nested; /* pages of 1 GiB; in the tables of guests */
    enum boot_lacks vm_lacks; /* what virtual machines would need */
    uint32_t svm_asids;
    uint32_t fpu_size;              /* bytes of an XSAVE or FXSAVE area */
    uint64_t xcr0;                  /* all components that we switch; x87 without XSAVE */
    uint64_t xcr0_host;             /* of those, what is enabled while ECs run, and usually in guests */
    uint64_t guest_cr4, guest_efer; /* the bits that are for guests: guest_state.c */
    uint64_t physical_mask;         /* of the bits that a physical address has */
    uint64_t tsc_hz;
};
extern struct cpu_features cpu_features;

/* There are no virtual machines for this reason: a line in the log. */
bool cpu_lacks(enum boot_lacks lacks, const char *what);

/* After VT-x has left a guest: the limits of GDT and TSS, which it does not restore. */
void cpu_restore_tables(struct cpu *cpu);

/* TSC ticks that a CPU has been halted. */
uint64_t cpu_idle_ticks(const struct cpu *cpu);

/* Set up control registers, GDT, TSS, MSRs and GS for this CPU; the first one finds the features. */
void cpu_init(struct cpu *cpu, void *stack);
