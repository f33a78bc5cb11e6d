/* SPDX-License-Identifier: ISC */
/*
 * Virtual CPUs, and the table of operations that a processor vendor fills in. A vCPU runs on the time of the
 * global EC that calls vcpu_run. Its monitor's changes are copied once, checked as a whole, and only then given
 * to the processor.
 */
#pragma once

#include "abi/vcpu.h"
#include "kernel/object.h"
#include "kernel/tag.h"

struct ec;
struct fpu;
struct nt;
struct pd;
struct space;

struct vcpu {
    struct object object;
    struct pd *pd;                /* that sees the state page; referenced */
    struct space *gst;            /* referenced */
    struct space *msr;            /* referenced; NULL: the MSRs that every guest has */
    unsigned cpu;                 /* number: only ECs of this CPU run it */
    struct vcpu *next, *previous; /* in the GST space's list */
    struct vcpu_state *state;     /* the shared page, the kernel's alias */
    uint64_t state_user;          /* where the PD sees it */
    struct ec *runner;            /* in a vcpu_run; not referenced: its death clears */
    struct fpu *fpu;
    void *control; /* VMCB or VMCS; a page */
    void *extra;   /* a page more where virt->extra_page; else NULL */
    uint64_t control_physical;
    struct tag asid;
    uint64_t gst_generation; /* of the nested translations that the TLB may hold */
    uint32_t tsc_aux;
    uint64_t dr[4]; /* DR0 to DR3, which the control page does not hold */
    bool debug_registers_used;
    bool delivering; /* an event is to be injected at the next entry */
};

enum virt_result {
    VIRT_EXIT, /* an exit for the monitor: descriptor and wanted groups are in the state page */
    VIRT_HOST, /* an interrupt of the host: look at hazards and enter again */
};

struct virt_operations {
    const char *name;
    uint32_t feature; /* BOOT_FEATURE_* */
    bool extra_page;
    /* Prepare this CPU. */
    void (*cpu_init)(void);
    /* Enter an MSR that a guest may have into an MSR space's two pages; refused: 1 to read, 2 to write. */
    void (*msr_permit)(uint8_t *bitmap, uint32_t msr, unsigned refused);
    /* The bits of a GST space's leaves for MEM_* rights; 0: there is no such combination. */
    uint64_t (*page_bits)(unsigned rights);
    /* Set up the control page and the extra one (zero). The CPU need not be the vCPU's. */
    void (*init)(struct vcpu *vcpu);
    /* Empty this CPU of the vCPU's state; the vCPU may be entered again. NULL: the CPU never holds any. */
    void (*release)(struct vcpu *vcpu);
    /* Registers of `groups` as they are, into `state`. */
    void (*get)(const struct vcpu *vcpu, struct vcpu_state *state, uint32_t groups);
    /* Registers of `groups`, checked before. */
    void (*set)(struct vcpu *vcpu, const struct vcpu_state *state, uint32_t groups);
    /* Enter the guest until something happens. Interrupts are off before and after. */
    enum virt_result (*run)(struct vcpu *vcpu);
};

extern const struct virt_operations svm_operations, vmx_operations;

/* Whether the processor has VT-x with all that is needed. If it has VT-x but lacks something, a line says
 * what. */
bool vmx_find(void);

/* The operations of this processor; NULL without virtual machines. */
extern const struct virt_operations *virt;

/* On each CPU; the first one decides whether there are virtual machines. */
void virt_init(void);

/* STATUS_OK, UNSUPPORTED, NO_MEMORY (*payer) or why the state page cannot be mapped. */
enum status vcpu_create(struct account *account, struct pd *pd, struct space *gst, struct space *msr,
                        uint64_t state_user, unsigned cpu, struct vcpu **result,
                        enum payer *payer) must_check;
extern const struct object_operations vcpu_operations; /* wake: an EC in a vcpu_run of it checks again */

/* Without an exit: give the monitor the guest's present state. */
void vcpu_look(struct vcpu *vcpu);

/* Take over the groups that the monitor has marked dirty. False: it is invalid, and the exit descriptor says so. */
bool vcpu_load(struct vcpu *vcpu) must_check;
