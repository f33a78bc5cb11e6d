/* SPDX-License-Identifier: ISC */
/*
 * Execution contexts, portals, protection domains. An EC belongs to a CPU: its state, frame, timer and
 * links to other ECs are touched there alone; its links in the PD and its SC change with the kernel's lock
 * held.
 *
 * A local EC serves portals with its caller's time and never waits; a global EC has an SC. A call that must
 * wait or begin anew is taken back: the EC's instruction pointer is set back to its SYSCALL. So an EC in the
 * kernel has no state but its frame, and a wake-up only makes it runnable.
 */
#pragma once

#include "kernel/layout.h"
#include "kernel/object.h"
#include "kernel/timer.h"

struct cpu;
struct fpu;
struct nt;
struct sc;
struct space;
struct vcpu;

struct frame {
    uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss;
};

_Static_assert(sizeof(struct frame) == FRAME_SIZE, "entry.S knows the frame");

enum ec_state {
    EC_RUNNABLE,
    EC_CALLING, /* in a call to `partner` */
    EC_HELPING, /* lends its time to `partner` (referenced) until that is free, then calls again */
    EC_WAITING, /* global: for its notification or deadline */
    EC_IDLE,    /* local: no caller */
};

struct pd {
    struct object object;
    struct space *obj, *hst, *pio; /* referenced; NULL until created */
    struct ec *ecs;                /* list of all that live */
    struct nt *watch;              /* referenced; signalled with watch_bits at a fault */
    uint64_t watch_bits;
    uint64_t fault, fault_ip, fault_address; /* the first; PD_FAULT_VALID */
};

struct ec {
    struct object object;
    uint8_t state; /* enum ec_state */
    bool global;
    uint8_t depth; /* calls above it in the chain */
    uint8_t cpu;
    uint8_t ceiling; /* local: while it serves, SCs up to this priority do not preempt it; 0: all may */
    bool extras;     /* it has an FPU state or a base of FS */
    struct frame frame __attribute__((aligned(16)));

    struct pd *pd;      /* referenced */
    uint64_t *utcb;     /* the kernel's alias of the page */
    uint64_t utcb_user; /* where the PD sees it */
    struct ec *partner; /* see state */
    struct ec *caller;  /* local: the EC that it serves; EC_ABANDONED if that died */
    uint64_t donor;     /* local: number of the turn in which the call came; 0: the reply ends the turn */
    uint64_t stack;     /* local: stack pointer at a portal's entry */
    uint64_t used;      /* global: TSC ticks that SCs of it have run; the current turn counts when it ends */
    uint64_t fs_base;
    uint64_t patience; /* TSC until which a call waits for memory; 0: none does */
    struct fpu *fpu;   /* NULL: without */
    struct sc *sc;     /* global: its time; not referenced (the SC references the EC) */
    struct nt *waits;  /* WAITING: on this; not referenced: the notification's death wakes */
    uint64_t leaves; /* WAITING: bits of it that do not wake; set before waits->waiter, read by signallers */
    struct vcpu *runs; /* global: in a vcpu_run of it; not referenced: its death clears */
    struct timer timer;
    struct ec *next, *previous; /* in the PD's list */
};

#define SYSCALL_LENGTH 2 /* bytes of the instruction */

#define EC_ABANDONED ((struct ec *)1)

struct pt {
    struct object object;
    struct ec *ec; /* referenced; local */
    uint64_t entry;
    uint64_t id;
};

extern const struct object_operations pd_operations, ec_operations, pt_operations;

struct pd *pd_create(struct account *account) must_check;

/* `utcb` is where the PD sees the UTCB, `flags` are EC_* with the number of a CPU that runs. STATUS_OK,
 * NO_MEMORY (*payer names the account). */
enum status ec_create(struct account *account, struct pd *pd, uint64_t flags, uint64_t utcb, uint64_t stack,
                      uint64_t entry, struct ec **result, enum payer *payer) must_check;

struct pt *pt_create(struct account *account, struct ec *ec, uint64_t entry, uint64_t id) must_check;

/* Take the current call back: it begins anew when the EC runs again. The arguments are those of the call.
 */
void ec_restart(struct ec *ec, uint64_t call, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
                uint64_t a5);

/* The EC dies of a processor exception. */
void ec_fault(struct ec *ec, uint64_t vector, uint64_t error, uint64_t address);

/* Share a kernel page with a PD at a user address, and take it away again. */
enum status shared_map(struct space *hst, uint64_t address, const void *page) must_check;
void shared_unmap(struct space *hst, uint64_t address, const void *page);
