/* SPDX-License-Identifier: ISC */
/*
 * One virtual CPU: the loop that runs it, and what the exit handlers share.
 *
 * The loop is built around what most exits do not need. The deadline of all clocks is kept, in TSC ticks as
 * the kernel wants it, and is computed anew only when a clock has moved it. The injection decision is taken
 * only after `attention` or the handlers say that something changed. The kernel delivers few
 * register groups with an exit (`want`); a handler that needs more asks with vcpu_need and has the guest
 * repeat the instruction, which exits again with them.
 *
 * Everything here belongs to the one thread that runs the vCPU; what others want of it comes by struct
 * machine_cpu.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "abi/vcpu.h"
#include "lib/x86/x86.h"
#include "vmm/board/machine.h"
#include "vmm/cpu/cpuid.h"
#include "vmm/cpu/msr.h"
#include "vmm/firmware/entry.h"

/* How the loop reaches the kernel: selectors of the vCPU and of the notification that ends its run. */
struct vcpu_link {
    uint64_t vcpu, notification;
    /* Signals arrived. False: the loop is to end. NULL: they only end the vCPU's run. */
    bool (*signal)(void *context, uint64_t bits);
    void *context;
};

enum vcpu_stop {
    VCPU_STOP_REQUEST, /* machine->request says what */
    VCPU_STOP_SIGNAL,  /* link.signal returned false */
    VCPU_STOP_FAILED   /* the kernel refused to run the vCPU; a line was logged */
};

/* A walk of the guest's page tables that was made, and what it read where; see translate.c. */
#define VCPU_WALKS       4 /* of fetches, and as many of other accesses */
#define VCPU_WALK_LEVELS 5
struct vcpu_walk {
    uint64_t page; /* linear, as page number */
    uint64_t cr3, mode, access;
    uint64_t physical; /* of the page */
    const uint64_t *entry[VCPU_WALK_LEVELS];
    uint64_t value[VCPU_WALK_LEVELS];
    unsigned levels; /* 0: none */
};

/* Instructions on device memory that were decoded last. */
#define VCPU_DECODED 8
struct vcpu_decoded {
    bool valid;
    uint8_t bytes[X86_INSN_MAX];
    struct x86_insn insn;
};

#define VCPU_AFTER_EOI  1u /* whether the guest has taken the offer: see vcpu_offer_eoi */
#define VCPU_AFTER_IRET 2u /* whether that of its NMI handler is done: see vcpu_return_from_nmi */
#define VCPU_AFTER_STEP 4u /* an NMI can be taken then: see step.c */

/* The instruction that the guest executes with RFLAGS.TF set. */
struct vcpu_step {
    bool set;
    bool loads;       /* TF */
    uint64_t rip;     /* of it */
    uint64_t tf, dr6; /* the guest's own, before it */
};

struct vcpu {
    struct vcpu_state *state;
    struct machine *machine;
    struct machine_cpu *cpu; /* its part of the machine */
    struct lapic *lapic;
    uint64_t deadline;         /* virtual time of the next event of its clocks */
    uint64_t deadline_tsc;     /* the same as TSC value */
    uint64_t interrupted;      /* to be injected again */
    uint64_t exception;        /* raised by a handler */
    uint64_t iret, iret_stack; /* RIP and RSP of it */
    struct vcpu_step step;
    uint32_t window; /* as last told to the kernel */
    uint8_t number;
    uint8_t cr8; /* as last seen or set */
    bool nmi_masked;
    bool tells_nmi_return; /* the processor: the window opens behind the IRET, not before it */
    uint8_t after;         /* VCPU_AFTER_*: what the next return from the guest is to be looked at for */
    bool waits_for_memory; /* see board/shadow.h */
    bool stale;            /* RIP and RFLAGS in the state page are not those of the guest now */
    bool has_1g_pages;
    bool tells_next_rip; /* the processor, of most exits */
    uint8_t physical_bits;
    uint32_t signature; /* what EDX has after RESET# and INIT: EAX of CPUID 1 */
    struct cpuid_config cpuid;
    uint64_t cr4_offered; /* the bits that the guest may set */
    struct msr_cpu msr;
    struct vcpu_link link;
    struct vcpu_walk walk[2][VCPU_WALKS]; /* 1: of fetches */
    struct vcpu_decoded decoded[VCPU_DECODED];
    uint64_t exits[VCPU_EXITS];
    uint64_t wakes;       /* returns without an exit */
    bool fetched_outside; /* of memory, since its reset: logged once */
    uint32_t unsupported; /* instructions that the executor does not know; logged for the first few */
};

/* The guest is at the IRET that ends its NMI handler: the next NMI is for when it has executed that. */
void vcpu_return_from_nmi(struct vcpu *vcpu);

/* An NMI waits for the end of the instruction at RIP; `behind`: of the delivery of the event that is
 * injected. Whatever ends the guest's next run, or keeps it from being entered, ends the step, too; `exited`:
 * by an exit. The NMI is then to be decided on again, which the caller sees to. */
void vcpu_step_begin(struct vcpu *vcpu, bool behind);
void vcpu_step_end(struct vcpu *vcpu, bool exited);

/* Before the first start. `state` is the vCPU's page; `number` is below machine->cpus. */
void vcpu_init(struct vcpu *vcpu, unsigned number, struct vcpu_state *state, struct machine *machine,
               const struct vcpu_link *link);

/* What the host's processor decides of the guest's. xsave: the kernel switches the guest's state by XSAVE. */
void vcpu_init_policy(struct vcpu *vcpu, bool xsave);

/* Power-up: no events, no windows, the TSC as machine_start_tsc has set it. Then vcpu_start says where the
 * guest begins; another processor than the first waits for STARTUP instead. */
void vcpu_reset(struct vcpu *vcpu);
void vcpu_start(struct vcpu *vcpu, const struct guest_entry *entry);

/* By its own thread: INIT, after which it waits for STARTUP; and STARTUP, whose vector is the page where it
 * begins. */
void vcpu_reset_init(struct vcpu *vcpu);
void vcpu_startup(struct vcpu *vcpu, uint8_t vector);

/* Entries for other guests than Linux: real mode at an address below 1 MiB; flat 32-bit protected mode
 * without a GDT. */
struct guest_entry vcpu_entry_real(uint64_t address);
struct guest_entry vcpu_entry_reset(void); /* at the ROM's last 16 bytes below 4 GiB */
struct guest_entry vcpu_entry_protected(uint64_t address);

/* Runs the guest until something else is to be done. */
enum vcpu_stop vcpu_loop(struct vcpu *vcpu);

/* The loop's first step: decides what the guest takes at its next entry and tells the kernel, in the state
 * page. */
void vcpu_inject(struct vcpu *vcpu);

/* One line with the number of exits by reason, to the log. */
void vcpu_log_profile(const struct vcpu *vcpu);

#define VCPU_RFLAGS_TF (1ull << 8)

/* ---- for the handlers
 * ----------------------------------------------------------------------------------------- */

/* What a handler returns: whether the loop goes on. */
static inline bool vcpu_runs(const struct vcpu *vcpu)
{
    return __atomic_load_n(&vcpu->machine->request, __ATOMIC_RELAXED) == MACHINE_RUNS;
}

/* The injection decision is to be taken again; by the vCPU's own thread. */
static inline void vcpu_attend(struct vcpu *vcpu)
{
    vcpu->cpu->attention = true;
}

/* True if all groups are valid. Else they are asked for at the next exit of this reason, and the handler is
 * to return without having changed anything. */
static inline bool vcpu_need(struct vcpu *vcpu, uint32_t groups)
{
    struct vcpu_state *state = vcpu->state;

    if ((state->valid & groups) == groups)
        return true;
    state->want[state->exit] |= groups;
    return false;
}

/* The instruction is done; the next is at rip. Ends the shadow of STI, raises the trap of single-stepping. */
void vcpu_single_step(struct vcpu *vcpu);
/* Once a guest steps, DR6 comes with every exit. */
void vcpu_want_debug(struct vcpu *vcpu);

static inline void vcpu_set_rip(struct vcpu *vcpu, uint64_t rip)
{
    struct vcpu_state *state = vcpu->state;

    state->rip = rip;
    state->rflags &= ~X86_RFLAGS_RF;
    state->interruptibility = 0;
    state->dirty |= VCPU_RIP;
    if (__builtin_expect((state->rflags & VCPU_RFLAGS_TF) != 0, 0))
        vcpu_single_step(vcpu);
}

/* Where the instruction that exited ends. False: not known now; the handler is to return without having
 * changed anything (see vcpu_need), or an exception was raised. */
bool vcpu_find_next(struct vcpu *vcpu, uint64_t *next);

static inline bool vcpu_can_skip(struct vcpu *vcpu, uint64_t *next)
{
    *next = vcpu->state->next_rip;
    return *next || vcpu_find_next(vcpu, next);
}

/* Raise an exception. A triple fault becomes a request for reset. */
void vcpu_raise(struct vcpu *vcpu, unsigned vector);
void vcpu_raise_error(struct vcpu *vcpu, unsigned vector, uint32_t error);

/* After an access to devices: the next deadline may be another. */
void vcpu_update_deadline(struct vcpu *vcpu);

/* The guest's TSC has been moved in the local APIC: the processor's offset follows. */
void vcpu_reload_tsc(struct vcpu *vcpu);

/* The interrupt that is injected may be ended by the guest without an exit. Once the guest has run: whether
 * it was; the offer is over. See eoi.c. */
void vcpu_offer_eoi(struct vcpu *vcpu, unsigned vector);
void vcpu_take_eoi(struct vcpu *vcpu);

/* CR8 and the local APIC's TPR are one register, and the guest writes CR8 without an exit. Before whatever
 * depends on it: what CR8 is now; after it: CR8 follows. The latter needs VCPU_CR. */
void vcpu_take_cr8(struct vcpu *vcpu);
void vcpu_give_cr8(struct vcpu *vcpu);

static inline void vcpu_sync_tpr(struct vcpu *vcpu)
{
    if (__builtin_expect(vcpu->state->cr8 != vcpu->cr8, 0))
        vcpu_take_cr8(vcpu);
}

static inline void vcpu_update_tpr(struct vcpu *vcpu)
{
    if (__builtin_expect(vcpu->state->cr8 != lapic_cr8_read(vcpu->lapic), 0))
        vcpu_give_cr8(vcpu);
}

/* Decodes the instruction at RIP; needs VCPU_FETCH_GROUPS. False: an exception was raised, or the guest is to
 * execute the instruction once more. */
bool vcpu_decode(struct vcpu *vcpu, struct x86_insn *insn);

/* Decodes and executes the instruction at RIP: for MMIO and string I/O. Needs VCPU_EMULATE_GROUPS. */
void vcpu_emulate(struct vcpu *vcpu);

/* Executes the instruction at RIP, which is this one, though it has not exited. Needs VCPU_EMULATE_GROUPS.
 * False: the guest is to execute it. */
bool vcpu_execute(struct vcpu *vcpu, const struct x86_insn *insn) X86_MUST_USE;

/* The same for an access to device memory, with a short way for MOV. Needs VCPU_FETCH_GROUPS and asks for the
 * others if it must. */
void vcpu_emulate_mmio(struct vcpu *vcpu);

/* The privilege level; needs VCPU_CS_SS and VCPU_CR. */
static inline unsigned vcpu_cpl(const struct vcpu_state *state)
{
    if (!(state->cr0 & X86_CR0_PE))
        return 0;
    return state->rflags & X86_RFLAGS_VM ? 3 : state->ss.attributes >> 5 & 3;
}

/* In 64-bit mode; needs VCPU_CS_SS and VCPU_EFER. */
static inline bool vcpu_is_64bit(const struct vcpu_state *state)
{
    return state->efer & X86_EFER_LMA && state->cs.attributes & X86_SEGMENT_LONG;
}

/* Where an instruction of this length ends; needs VCPU_CS_SS and VCPU_EFER. */
static inline uint64_t vcpu_rip_behind(const struct vcpu_state *state, unsigned length)
{
    uint64_t next = state->rip + length;

    return vcpu_is_64bit(state) ? next : (uint32_t)next;
}

/* The guest-physical address of a linear one: X86_DONE, X86_FAULT (*fault is set) or X86_RETRY. Sets accessed
 * and dirty bits. Needs VCPU_FETCH_GROUPS. */
enum x86_result vcpu_translate(struct vcpu *vcpu, uint64_t linear, struct x86_walk_access access,
                               uint64_t *physical, struct x86_fault *fault) X86_MUST_USE;

#define VCPU_EMULATE_GROUPS (VCPU_CS_SS | VCPU_DS_ES | VCPU_FS_GS | VCPU_CR | VCPU_EFER)
#define VCPU_FETCH_GROUPS   (VCPU_CS_SS | VCPU_CR | VCPU_EFER)

/* The code of so many bytes (15 at most) at a linear address as it stands in memory; NULL if it does not lie in
 * one page of it, or something stands against fetching it: vcpu_fetch then does what is to be done. Needs
 * VCPU_FETCH_GROUPS. */
const uint8_t *vcpu_code(struct vcpu *vcpu, uint64_t linear, unsigned size);

/* Linear address of RIP; needs VCPU_FETCH_GROUPS. */
uint64_t vcpu_linear_rip(const struct vcpu *vcpu);

/* Reads up to `size` (15 at most) bytes of code at a linear address; returns how many were read, 0 if an
 * exception was raised instead. Needs VCPU_FETCH_GROUPS. */
unsigned vcpu_fetch(struct vcpu *vcpu, uint64_t linear, unsigned size, uint8_t *bytes);

/* False: the loop ends, machine->request is set. */
typedef bool vcpu_exit_handler(struct vcpu *vcpu);
vcpu_exit_handler vcpu_exit_cpuid, vcpu_exit_rdmsr, vcpu_exit_wrmsr, vcpu_exit_xsetbv, vcpu_exit_cr4,
    vcpu_exit_hypercall;
extern vcpu_exit_handler *const vcpu_exit_handlers[VCPU_EXITS];
