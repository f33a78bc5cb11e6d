/* SPDX-License-Identifier: ISC */
/*
 * What the vCPU is to take at its next entry: a decision without side effects, apart from the loop so that
 * every combination can be tested.
 *
 * Order of priority: an event whose delivery was interrupted, an exception raised by the monitor, NMI, the
 * local APIC, the 8259 (APM vol. 2, 8.5; Intel SDM vol. 3, 6.9). One event an entry; if more waits, a window
 * is asked for, which ends the guest's run as soon as the guest can take it. What the TPR alone keeps back
 * waits for a window of its class, since the guest lowers CR8 without an exit.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "abi/vcpu.h"

struct inject_input {
    uint64_t interrupted; /* as in struct vcpu_state */
    uint64_t exception;   /* event word of a fault that the monitor raised, or 0 */
    uint64_t rflags;
    uint64_t interruptibility;
    bool nmi;         /* an NMI waits */
    bool nmi_masked;  /* the guest may be in its NMI handler */
    bool nmi_returns; /* and at the IRET that ends it: there is no window to be asked for */
    int vector;       /* of the local APIC, or -1 */
    uint8_t masked;   /* class of the vector that the TPR keeps back; 0: none */
    bool extint;      /* the 8259 asks and the APIC lets it through */
};

enum inject_source { INJECT_NOTHING, INJECT_AGAIN, INJECT_EXCEPTION, INJECT_NMI, INJECT_APIC, INJECT_EXTINT };

struct inject_decision {
    enum inject_source source; /* all but INJECT_NOTHING end HLT */
    uint64_t event;  /* for `inject`; with INJECT_EXTINT without its vector, which only the 8259 knows */
    uint32_t window; /* VCPU_WINDOW_* */
};

struct inject_decision inject_decide(const struct inject_input *input);

/* How an NMI that still waits comes to its time where the NMI window shows the IRET that ends a handler and
 * nothing else: it waits for that IRET, for the end of the next instruction, or for that of the event that
 * comes first. */
enum inject_wait { INJECT_WAIT_IRET, INJECT_WAIT_STEP, INJECT_WAIT_EVENT };
enum inject_wait inject_wait(enum inject_source first, bool nmi_masked, bool nmi_returns);

/* Two faults at once (APM vol. 2, 8.2.9): what the processor makes of `second` raised while `first` is
 * delivered. Returns the event to deliver, or 0 for a triple fault. */
uint64_t inject_combine(uint64_t first, uint64_t second);
