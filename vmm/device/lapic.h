/* SPDX-License-Identifier: ISC */
/*
 * A virtual local APIC, one per vCPU, in xAPIC mode (one page of registers) and x2APIC mode (MSRs).
 *
 * Intel SDM vol. 3 ch. 11 (APIC), 11.12 (x2APIC); AMD APM vol. 2 ch. 16. The model is what an Intel processor
 * with version 0x14, six LVT entries, TSC-deadline timer and EOI-broadcast suppression has. The timer's bus
 * clock is 1 GHz: a tick is a nanosecond times the divide configuration.
 *
 * Threads: a LAPIC belongs to the thread of its vCPU, which takes no lock. Other threads may call
 * lapic_receive, lapic_set_irr, lapic_matches and lapic_route at any time: IRR and TMR change by atomic
 * operations only, and nothing else changes in these calls unless the link's callbacks do it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/bus/device.h"

#define LAPIC_MMIO_BASE   0xfee00000u
#define LAPIC_MMIO_LENGTH 0x1000u
#define LAPIC_BROADCAST   0xffffffffu /* destination: everyone, whatever the sender's width */
#define LAPIC_NO_CPU      UINT32_MAX  /* source of a message that is not from a processor */
#define LAPIC_LVT_ENTRIES 6
#define LAPIC_TIMER_KHZ   1000000u /* before the divider */

/* Shortest time between two interrupts of a periodic timer. A shorter period is coalesced, so that no guest
 * keeps its monitor busy with nothing but timer events. */
#define LAPIC_MIN_PERIOD_NS 10000u

/* Register offsets in the page; the x2APIC MSR is 0x800 + offset / 16. */
enum lapic_register {
    APIC_ID = 0x020,
    APIC_VERSION = 0x030,
    APIC_TPR = 0x080,
    APIC_APR = 0x090,
    APIC_PPR = 0x0a0,
    APIC_EOI = 0x0b0,
    APIC_RRD = 0x0c0,
    APIC_LDR = 0x0d0,
    APIC_DFR = 0x0e0,
    APIC_SVR = 0x0f0,
    APIC_ISR = 0x100,
    APIC_TMR = 0x180,
    APIC_IRR = 0x200,
    APIC_ESR = 0x280,
    APIC_ICR = 0x300,
    APIC_ICR_HIGH = 0x310,
    APIC_LVT_TIMER = 0x320,
    APIC_LVT_THERMAL = 0x330,
    APIC_LVT_PERF = 0x340,
    APIC_LVT_LINT0 = 0x350,
    APIC_LVT_LINT1 = 0x360,
    APIC_LVT_ERROR = 0x370,
    APIC_TIMER_INITIAL = 0x380,
    APIC_TIMER_CURRENT = 0x390,
    APIC_TIMER_DIVIDE = 0x3e0,
    APIC_SELF_IPI = 0x3f0, /* x2APIC only */
};

#define APIC_LVT_REMOTE_IRR (1u << 14)
#define APIC_LVT_LEVEL      (1u << 15)
#define APIC_LVT_MASKED     (1u << 16)
#define APIC_SVR_ENABLED    (1u << 8)
#define APIC_SVR_NO_EOI     (1u << 12) /* suppress EOI broadcast */
#define APIC_SVR_WRITABLE   (0xffu | APIC_SVR_ENABLED | 1u << 9 | APIC_SVR_NO_EOI)
#define APIC_ICR_WRITABLE   0xccfffu
#define APIC_ESR_SEND_VEC   (1u << 5)
#define APIC_ESR_RECV_VEC   (1u << 6)
#define APIC_ESR_REGISTER   (1u << 7)
#define APIC_ESR_BITS       (APIC_ESR_SEND_VEC | APIC_ESR_RECV_VEC | APIC_ESR_REGISTER)
#define APIC_TIMER_PERIODIC (1u << 17)
#define APIC_TIMER_DEADLINE (2u << 17)
#define APIC_TIMER_MODE     (3u << 17)

#define MSR_APIC_BASE     0x01bu
#define MSR_TSC_DEADLINE  0x6e0u
#define MSR_X2APIC_FIRST  0x800u
#define MSR_X2APIC_LAST   0x8ffu
#define APIC_BASE_BSP     (1u << 8)
#define APIC_BASE_EXTD    (1u << 10)
#define APIC_BASE_ENABLED (1u << 11)
#define APIC_BASE_ADDRESS 0xfffffffffffff000ull /* those bits of it that the processor has */

/* Delivery modes, as encoded in ICR, LVT, MSI data and IOAPIC entries. */
enum lapic_delivery {
    LAPIC_FIXED = 0,
    LAPIC_LOWEST = 1,
    LAPIC_SMI = 2,
    LAPIC_NMI = 4,
    LAPIC_INIT = 5,
    LAPIC_STARTUP = 6,
    LAPIC_EXTINT = 7,
};

enum lapic_shorthand { LAPIC_NONE = 0, LAPIC_SELF = 1, LAPIC_ALL = 2, LAPIC_OTHERS = 3 };

/* What travels between APICs. An 8-bit destination of 0xff is widened to LAPIC_BROADCAST by the sender. */
struct lapic_message {
    uint32_t destination;
    uint32_t source; /* vCPU number of the sender or LAPIC_NO_CPU */
    uint8_t vector;
    uint8_t delivery; /* enum lapic_delivery; 3 is reserved and dropped on receipt */
    uint8_t shorthand;
    bool logical;
    bool level;
};

/* The outside of a LAPIC. Any callback but `send` may be NULL. */
struct lapic_link {
    /* Put a message on the APIC bus: find the receivers (lapic_route) and let each receive it. */
    void (*send)(void *sink, const struct lapic_message *message);
    /* A level-triggered vector was acknowledged: i82093aa_eoi of each IOAPIC. */
    void (*eoi)(void *sink, uint8_t vector);
    /* Vector set in IRR: kick the vCPU out of HLT or of the guest. May come from any thread. */
    void (*wake)(void *sink, unsigned cpu);
    /* SMI, NMI, INIT or STARTUP (with its vector) arrived for this vCPU. May come from any thread. */
    void (*event)(void *sink, unsigned cpu, enum lapic_delivery delivery, uint8_t vector);
    /* Have this vCPU's page of registers at a physical address. False: not there, and nothing has changed. By
     * the vCPU's own thread. */
    bool (*move)(void *sink, uint64_t base);
    void *sink;
};

struct lapic_config {
    uint32_t cpu; /* vCPU number, and initial APIC ID */
    bool bsp;
    bool x2apic;          /* offered in CPUID: else EXTD is reserved */
    uint8_t address_bits; /* of physical addresses; 0: 36 */
    uint32_t tsc_khz;     /* guest TSC frequency, not 0 */
    uint64_t tsc_at_zero; /* guest TSC at virtual time 0 */
};

struct lapic {
    /* First cache line: what the vCPU loop looks at before each entry. */
    uint64_t irr[4]; /* atomic */
    uint64_t deadline;
    uint8_t ppr;
    uint8_t tpr;
    int16_t isr_top; /* highest bit in isr, or -1 */
    uint32_t svr;
    uint64_t base; /* IA32_APIC_BASE */
    uint64_t isr[4];
    uint64_t tmr[4]; /* atomic */
    uint32_t id;     /* xAPIC: 8 bits; x2APIC: config.cpu */
    uint32_t ldr;    /* xAPIC layout, bits 31..24 */
    uint32_t dfr;
    uint32_t esr;         /* as read */
    uint32_t esr_pending; /* atomic; shown by the next write of ESR */
    uint64_t icr;
    uint32_t lvt[LAPIC_LVT_ENTRIES]; /* timer, thermal, perf, lint0, lint1, error */
    uint32_t timer_initial;
    uint32_t timer_divide; /* DCR as written */
    uint64_t timer_start;  /* ns at which the count was (virtually) timer_initial */
    uint64_t tsc_deadline; /* guest TSC value, 0: disarmed */
    bool lint_level[2];
    bool extint_request; /* atomic; an ExtINT message came */
    struct lapic_config config;
    struct lapic_link link;
};

extern const struct device_class lapic_class;

void lapic_init(struct lapic *lapic, const struct lapic_config *config, const struct lapic_link *link);

/* Power-up or RESET# (SDM 11.4.7.1). */
void lapic_reset(struct lapic *lapic);

/* INIT: as reset, but APIC ID and IA32_APIC_BASE stay (11.4.7.3). */
void lapic_reset_init(struct lapic *lapic);

/* bus_handlers of the page at LAPIC_MMIO_BASE, and of the one that a LAPIC has been moved to. The device is
 * this vCPU's LAPIC; the vCPU loop calls them directly or through a region handler that picks the LAPIC by
 * access->cpu. Read ones when not in xAPIC mode, the first also while the page is elsewhere. */
void lapic_access(void *lapic, struct bus_access *access);
void lapic_access_moved(void *lapic, struct bus_access *access);

/* IA32_APIC_BASE, IA32_TSC_DEADLINE and 0x800..0x8ff. False: the instruction gets #GP(0), nothing has
 * changed. That is also the answer where link.move refuses IA32_APIC_BASE's address. */
__attribute__((warn_unused_result)) bool lapic_msr_read(struct lapic *lapic, uint32_t msr, uint64_t now,
                                                        uint64_t *value);
__attribute__((warn_unused_result)) bool lapic_msr_write(struct lapic *lapic, uint32_t msr, uint64_t value,
                                                         uint64_t now);

/* CR8 is TPR bits 7..4. The caller has raised #GP for values above 15. */
static inline uint64_t lapic_cr8_read(const struct lapic *lapic)
{
    return lapic->tpr >> 4;
}

void lapic_cr8_write(struct lapic *lapic, uint64_t value);

/* Highest vector that may interrupt the processor now (priority above PPR), or -1. */
int lapic_pending_vector(const struct lapic *lapic);

/* Priority class (1 to 15) of the highest vector if it is the TPR alone that it waits for; else 0. */
uint8_t lapic_masked_class(const struct lapic *lapic);

/* The processor took `vector` (as just returned by lapic_pending_vector): IRR to ISR. */
void lapic_accept(struct lapic *lapic, unsigned vector);

/* EOI of the highest vector in service. */
void lapic_eoi(struct lapic *lapic);

/* Whether the end of `vector`, in service, is of no consequence: it is the highest, edge-triggered, and no
 * other waits. */
bool lapic_eoi_is_quiet(const struct lapic *lapic, unsigned vector);

/* Let a fixed interrupt arrive. Vectors below 16 are an error in ESR. Ignored when software-disabled. */
void lapic_set_irr(struct lapic *lapic, unsigned vector, bool level);

/* Whether the processor's INTA cycle goes to the 8259 now: APIC off, LINT0 unmasked in ExtINT mode, or an
 * ExtINT message waits. lapic_extint_done ends such a message after the 8259 was asked for its vector. */
bool lapic_accepts_extint(const struct lapic *lapic);
void lapic_extint_done(struct lapic *lapic);

/* As firmware leaves the first processor's: the 8259's interrupts pass through LINT0, LINT1 is the NMI (MP
 * specification 1.4, 3.6.2.2). */
void lapic_wire(struct lapic *lapic);

/* Level of LINT0 (pin 0, the 8259's INTR) and LINT1 (pin 1, NMI); fits irq_line.set. */
void lapic_set_lint(void *lapic, unsigned pin, bool level);

/* Absolute time (ns) of the timer's next event or BUS_NEVER; let what is due at `now` happen: one interrupt,
 * however many periods have passed. */
static inline uint64_t lapic_deadline(const struct lapic *lapic)
{
    return lapic->deadline;
}

void lapic_advance(struct lapic *lapic, uint64_t now);

/* Guest TSC at `now`, and moving it (the guest wrote IA32_TSC or IA32_TSC_ADJUST). */
uint64_t lapic_tsc(const struct lapic *lapic, uint64_t now);
void lapic_tsc_move(struct lapic *lapic, uint64_t delta, uint64_t now);

/* Destination decode (11.6.2, 11.12.10). False for every destination when the APIC is off. */
bool lapic_matches(const struct lapic *lapic, uint32_t destination, bool logical);

/* The same with shorthand and source. */
bool lapic_message_matches(const struct lapic *lapic, const struct lapic_message *message);

/* A message for this LAPIC. False: not accepted (fixed and lowest when software-disabled; reserved modes). */
bool lapic_receive(struct lapic *lapic, const struct lapic_message *message);

/* Deliver to all that match; lowest priority to the one with the lowest PPR. False if none accepted it. */
bool lapic_route(struct lapic *const *lapics, size_t count, const struct lapic_message *message);

/* Decode a message-signalled interrupt (11.11). False if the address is not in 0xfee00000..0xfeefffff. */
__attribute__((warn_unused_result)) bool lapic_message_from_msi(uint64_t address, uint32_t data,
                                                                struct lapic_message *message);

/* For the parts of the model only: raise an error (ESR bit), fire an LVT entry, rearm the timer. */
void lapic_error(struct lapic *lapic, uint32_t bit);
uint32_t lapic_lvt_writable(unsigned entry); /* bits that a guest can write */
void lapic_rescan(struct lapic *lapic);      /* after a change of ISR or TPR from outside */
static inline unsigned lapic_address_bits(const struct lapic *lapic)
{
    return lapic->config.address_bits ? lapic->config.address_bits : 36;
}

void lapic_fire(struct lapic *lapic, unsigned lvt);
void lapic_timer_reset(struct lapic *lapic);
void lapic_timer_set_initial(struct lapic *lapic, uint32_t count, uint64_t now);
void lapic_timer_set_divide(struct lapic *lapic, uint32_t divide, uint64_t now);
void lapic_timer_set_lvt(struct lapic *lapic, uint32_t value, uint64_t now);
void lapic_timer_set_deadline(struct lapic *lapic, uint64_t tsc, uint64_t now);
uint32_t lapic_timer_current(const struct lapic *lapic, uint64_t now);

enum lapic_mode { LAPIC_MODE_OFF, LAPIC_MODE_XAPIC, LAPIC_MODE_X2APIC };

static inline enum lapic_mode lapic_mode(const struct lapic *lapic)
{
    if (!(lapic->base & APIC_BASE_ENABLED))
        return LAPIC_MODE_OFF;
    return lapic->base & APIC_BASE_EXTD ? LAPIC_MODE_X2APIC : LAPIC_MODE_XAPIC;
}
