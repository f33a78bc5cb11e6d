/* SPDX-License-Identifier: ISC */
/*
 * The list of the processor state that a guest can touch without an exit: how each part is opened to it, and
 * what switches it between one guest, the next, and components. The masks of CR4, XCR0 and EFER, the
 * intercept of CR4 writes and the MSR permissions are made from it; tests/kernel/leaks.c has a probe for each
 * row. A bit or register that is not in the list is closed, even if a newer processor adds it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum guest_opening {
    GUEST_ALWAYS, /* every guest has it */
    GUEST_CR4,    /* with bits of CR4, XCR0, EFER */
    GUEST_XCR0,
    GUEST_EFER,
    GUEST_MSR, /* by RDMSR and WRMSR */
};

enum guest_switch {
    SWITCH_NONE, /* closed to guests on this vendor's processors */
    SWITCH_VM,   /* by entering and leaving the guest: VMCB, VMSAVE, VMCS, its MSR lists */
    SWITCH_FPU,  /* with the FPU's registers, by XSAVE */
    SWITCH_HAND, /* by the kernel's own instructions */
};

struct guest_state {
    const char *name;
    uint32_t which;            /* bits, or the first MSR */
    uint8_t msrs;              /* from there on */
    uint8_t opening, svm, vmx; /* enum guest_opening; enum guest_switch of either vendor */
};

/* Ends with a row without a name. */
extern const struct guest_state guest_states[];

/* The bits of CR4, XCR0 or EFER that are for guests, by SVM or by VT-x. */
uint64_t guest_state_bits(enum guest_opening opening, bool svm);

/* A guest may have the MSR without an exit. */
bool guest_state_msr(uint32_t msr, bool svm);

/* Have an MSR bitmap refuse all but those; `permit` enters one, as in struct virt_operations. */
void guest_state_permit(uint8_t *bitmap, unsigned bytes, bool svm,
                        void (*permit)(uint8_t *bitmap, uint32_t msr, unsigned refused));
