/* SPDX-License-Identifier: ISC */
/*
 * The answer to each exit. A handler either changes the guest's state and moves RIP, or changes nothing and
 * has the guest repeat the instruction (vcpu_need). Port accesses are the hot path and ask the kernel for
 * nothing but what always comes.
 */
#include "vmm/cpu/vcpu.h"

#include "base/include/log.h"

#include <string.h>

enum { VECTOR_DB = 1, VECTOR_DF = 8, VECTOR_TS = 10, VECTOR_CP = 21 };

/* The instruction of each exit that has only one encoding but for prefixes. */
struct encoding {
    uint8_t length;
    uint8_t bytes[3], other[3]; /* other: a second instruction with the same exit */
};

static const struct encoding encodings[VCPU_EXITS] = {
    [VCPU_EXIT_CPUID] = {2, {0x0f, 0xa2}, {0x0f, 0xa2}},
    [VCPU_EXIT_RDMSR] = {2, {0x0f, 0x32}, {0x0f, 0x32}},
    [VCPU_EXIT_WRMSR] = {2, {0x0f, 0x30}, {0x0f, 0x30}},
    [VCPU_EXIT_HLT] = {1, {0xf4}, {0xf4}},
    [VCPU_EXIT_HYPERCALL] = {3, {0x0f, 0x01, 0xc1}, {0x0f, 0x01, 0xd9}},
    [VCPU_EXIT_XSETBV] = {3, {0x0f, 0x01, 0xd1}, {0x0f, 0x01, 0xd1}},
    [VCPU_EXIT_WBINVD] = {2, {0x0f, 0x09}, {0x0f, 0x08}},
    [VCPU_EXIT_RDPMC] = {2, {0x0f, 0x33}, {0x0f, 0x33}},
    [VCPU_EXIT_PAUSE] = {2, {0xf3, 0x90}, {0xf3, 0x90}},
};

/* One to three bytes: a call would cost more than they do. */
static inline bool starts_with(const uint8_t *bytes, const uint8_t *wanted, unsigned length)
{
    for (unsigned i = 0; i < length; i++)
        if (bytes[i] != wanted[i])
            return false;
    return true;
}

static bool is_encoding(const struct encoding *encoding, const uint8_t *bytes)
{
    return starts_with(bytes, encoding->bytes, encoding->length) ||
           starts_with(bytes, encoding->other, encoding->length);
}

/* What was decoded is what exited, but for prefixes. */
static bool is_instruction(const struct encoding *encoding, const struct x86_insn *insn)
{
    const uint8_t *first = encoding->bytes, *second = encoding->other;

    if (encoding->length == 0 || insn->encoding != X86_ENCODING_LEGACY)
        return false;
    if (first[0] != 0x0f) /* HLT, PAUSE */
        return insn->map == X86_MAP_ONE && insn->opcode == first[encoding->length - 1];
    if (insn->map != X86_MAP_0F || (insn->opcode != first[1] && insn->opcode != second[1]))
        return false;
    return encoding->length == 2 || insn->modrm == first[2] || insn->modrm == second[2];
}

/*
 * For processors that do not tell the next RIP. The guest's bytes decide, as they stand where the address
 * leads now: it may have put prefixes before the instruction, changed it, or mapped another page there.
 * Returns the length, 0: an exception, or another instruction, which the guest is to execute.
 */
static unsigned instruction_length(struct vcpu *vcpu)
{
    const struct encoding *encoding = &encodings[vcpu->state->exit];
    const uint8_t *code = encoding->length ? vcpu_code(vcpu, vcpu_linear_rip(vcpu), encoding->length) : NULL;
    struct x86_insn insn;

    if (code && is_encoding(encoding, code))
        return encoding->length;
    return vcpu_decode(vcpu, &insn) && is_instruction(encoding, &insn) ? insn.length : 0;
}

bool vcpu_find_next(struct vcpu *vcpu, uint64_t *next)
{
    struct vcpu_state *state = vcpu->state;
    unsigned length;

    /* Of a port access it is always told: it is 0, for the access ends where 32-bit code does. */
    *next = 0;
    if (state->exit == VCPU_EXIT_IO)
        return true;
    if (!vcpu_need(vcpu, VCPU_FETCH_GROUPS))
        return false;
    length = instruction_length(vcpu);
    *next = vcpu_rip_behind(state, length);
    return length != 0;
}

static bool exit_none(struct vcpu *vcpu)
{
    return vcpu_runs(vcpu);
}

static void merge_rax(struct vcpu_state *state, unsigned size, uint32_t value)
{
    uint64_t *rax = &state->gpr[VCPU_RAX];

    if (size == 4)
        *rax = value;
    else if (size == 2)
        *rax = (*rax & ~0xffffull) | value;
    else
        *rax = (*rax & ~0xffull) | value;
}

/* Apart, so that a port that nothing decodes does not pay for the registers that this needs. */
static __attribute__((noinline)) void access_port(struct vcpu *vcpu, uint64_t info)
{
    struct vcpu_state *state = vcpu->state;
    struct machine *machine = vcpu->machine;
    uint64_t now = clock_now(&machine->clock);
    uint16_t port = VCPU_IO_PORT(info);
    uint8_t size = VCPU_IO_SIZE(info);

    if (info & VCPU_IO_IN)
        merge_rax(state, size, (uint32_t)bus_read(&machine->bus, BUS_PORT, port, size, vcpu->number, now));
    else
        bus_write(&machine->bus, BUS_PORT, port, size, (uint32_t)state->gpr[VCPU_RAX], vcpu->number, now);
    vcpu_update_deadline(vcpu);
}

static bool exit_io(struct vcpu *vcpu)
{
    struct vcpu_state *state = vcpu->state;
    uint64_t info = state->info[0], next;
    uint8_t size = VCPU_IO_SIZE(info);

    if (__builtin_expect((info & VCPU_IO_STRING) != 0, 0)) {
        if (vcpu_need(vcpu, VCPU_EMULATE_GROUPS)) {
            vcpu_sync_tpr(vcpu); /* its memory may be the local APIC's */
            vcpu_emulate(vcpu);
            vcpu_update_tpr(vcpu);
        }
        return vcpu_runs(vcpu);
    }
    if (!vcpu_can_skip(vcpu, &next))
        return vcpu_runs(vcpu);
    /* A string access before this one has asked for more than this one needs. */
    state->want[VCPU_EXIT_IO] &= VCPU_DR;
    if (bus_port_decodes(&vcpu->machine->bus, VCPU_IO_PORT(info), size))
        access_port(vcpu, info);
    else if (info & VCPU_IO_IN)
        merge_rax(state, size, size == 4 ? UINT32_MAX : (1u << size * 8) - 1);
    vcpu_set_rip(vcpu, next);
    return vcpu_runs(vcpu);
}

/* What has ended the guest, and where: the last that is known of it. */
static void log_end(const struct vcpu *vcpu, const char *what)
{
    const struct vcpu_state *state = vcpu->state;

    log_line("vm %s: %s of vCPU %u at %04x:%lx, SP %lx, CR0 %lx, CR2 %lx, CR3 %lx, CR4 %lx, IDT %lx:%x",
             vcpu->machine->name, what, (unsigned)vcpu->number, (unsigned)state->cs.selector,
             (unsigned long)state->rip, (unsigned long)state->gpr[VCPU_RSP], (unsigned long)state->cr0,
             (unsigned long)state->cr2, (unsigned long)state->cr3, (unsigned long)state->cr4,
             (unsigned long)state->idtr.base, (unsigned)state->idtr.limit);
}

/* An access of event delivery (IDT, stack, TSS) is not one that an instruction made: nothing can be emulated.
 */
static __attribute__((noinline)) void lose_event(struct vcpu *vcpu)
{
    char what[64];

    format_text(what, sizeof(what), "event %02x through device memory at %lx",
                (unsigned)(vcpu->state->interrupted & 0xff), (unsigned long)vcpu->state->info[0]);
    log_end(vcpu, what);
    machine_request(vcpu->machine, MACHINE_RESET, "event delivery outside of memory");
}

/* Memory that the holder of the lock has detached for a moment. What was interrupted is delivered again. */
static bool is_detached(const struct vcpu *vcpu)
{
    const struct vcpu_state *state = vcpu->state;

    if (guest_ram_is_hole(&vcpu->machine->ram, state->info[0]))
        return false;
    if (state->info[1] & VCPU_MMIO_WRITE)
        return machine_ram(vcpu->machine, state->info[0], 1) != NULL;
    return machine_to_read(vcpu->machine, state->info[0], 1) != NULL;
}

static bool exit_mmio(struct vcpu *vcpu)
{
    struct machine *machine = vcpu->machine;

    if (__builtin_expect(is_detached(vcpu), 0)) {
        machine_lock(machine, vcpu->number);
        machine_unlock(machine, vcpu->number);
        return vcpu_runs(vcpu);
    }
    if (vcpu->state->interrupted & VCPU_EVENT_VALID) {
        lose_event(vcpu);
        return false;
    }
    if (vcpu_need(vcpu, VCPU_FETCH_GROUPS)) {
        vcpu_sync_tpr(vcpu);
        vcpu_emulate_mmio(vcpu);
        vcpu_update_tpr(vcpu);
    }
    return vcpu_runs(vcpu);
}

static bool exit_hlt(struct vcpu *vcpu)
{
    uint64_t next;

    if (!vcpu_can_skip(vcpu, &next))
        return vcpu_runs(vcpu);
    vcpu_set_rip(vcpu, next);
    vcpu->state->activity = VCPU_HALTED;
    vcpu_attend(vcpu); /* what waits already ends it at once */
    return true;
}

/* The kernel has closed both windows. */
static bool exit_interrupt_window(struct vcpu *vcpu)
{
    vcpu->window = 0;
    vcpu_attend(vcpu);
    return true;
}

static bool exit_nmi_window(struct vcpu *vcpu)
{
    vcpu->window = 0;
    vcpu_return_from_nmi(vcpu);
    return true;
}

/* Intercepted only so that a guest cannot hang the processor in the delivery, or does not see a TF that is
 * not its own (step.c); it gets what it would have got. */
static bool exit_exception(struct vcpu *vcpu)
{
    const struct vcpu_state *state = vcpu->state;
    unsigned vector = (unsigned)state->info[0] & 31;
    bool real = state->valid & VCPU_CR && !(state->cr0 & X86_CR0_PE);
    bool error = vector == VECTOR_DF || (vector >= VECTOR_TS && vector <= X86_VECTOR_PF) ||
                 vector == X86_VECTOR_AC || vector == VECTOR_CP;

    if (vector == VECTOR_DB)
        vcpu_want_debug(vcpu);
    if (error && !real)
        vcpu_raise_error(vcpu, vector, (uint32_t)vcpu->state->info[1]);
    else
        vcpu_raise(vcpu, vector);
    return vcpu_runs(vcpu);
}

static bool exit_shutdown(struct vcpu *vcpu)
{
    log_end(vcpu, "triple fault");
    machine_request(vcpu->machine, MACHINE_RESET, "triple fault");
    return false;
}

static bool exit_ignored(struct vcpu *vcpu)
{
    uint64_t next;

    if (vcpu_can_skip(vcpu, &next))
        vcpu_set_rip(vcpu, next);
    return vcpu_runs(vcpu);
}

static bool exit_rdpmc(struct vcpu *vcpu)
{
    vcpu_raise_error(vcpu, X86_VECTOR_GP, 0);
    return vcpu_runs(vcpu);
}

static bool exit_undefined(struct vcpu *vcpu)
{
    vcpu_raise(vcpu, X86_VECTOR_UD);
    return vcpu_runs(vcpu);
}

static bool exit_task_switch(struct vcpu *vcpu)
{
    log_line("vm %s: task switch to selector %04x: not supported", vcpu->machine->name,
             (unsigned)(vcpu->state->info[0] & 0xffff));
    machine_request(vcpu->machine, MACHINE_RESET, "task switch");
    return false;
}

static bool exit_invalid_state(struct vcpu *vcpu)
{
    log_line("vm %s: invalid guest state: group %lx, RIP %lx", vcpu->machine->name,
             (unsigned long)vcpu->state->info[0], (unsigned long)vcpu->state->rip);
    machine_request(vcpu->machine, MACHINE_RESET, "invalid state");
    return false;
}

static bool exit_other(struct vcpu *vcpu)
{
    log_line("vm %s: unknown exit %u, code %lx, RIP %lx", vcpu->machine->name, vcpu->state->exit,
             (unsigned long)vcpu->state->info[0], (unsigned long)vcpu->state->rip);
    machine_request(vcpu->machine, MACHINE_RESET, "unknown exit");
    return false;
}

vcpu_exit_handler *const vcpu_exit_handlers[VCPU_EXITS] = {
    [VCPU_EXIT_NONE] = exit_none,
    [VCPU_EXIT_IO] = exit_io,
    [VCPU_EXIT_MMIO] = exit_mmio,
    [VCPU_EXIT_CPUID] = vcpu_exit_cpuid,
    [VCPU_EXIT_RDMSR] = vcpu_exit_rdmsr,
    [VCPU_EXIT_WRMSR] = vcpu_exit_wrmsr,
    [VCPU_EXIT_HLT] = exit_hlt,
    [VCPU_EXIT_INTERRUPT_WINDOW] = exit_interrupt_window,
    [VCPU_EXIT_NMI_WINDOW] = exit_nmi_window,
    [VCPU_EXIT_EXCEPTION] = exit_exception,
    [VCPU_EXIT_SHUTDOWN] = exit_shutdown,
    [VCPU_EXIT_HYPERCALL] = vcpu_exit_hypercall,
    [VCPU_EXIT_XSETBV] = vcpu_exit_xsetbv,
    [VCPU_EXIT_WBINVD] = exit_ignored,
    [VCPU_EXIT_RDPMC] = exit_rdpmc,
    [VCPU_EXIT_PAUSE] = exit_ignored,
    [VCPU_EXIT_TASK_SWITCH] = exit_task_switch,
    [VCPU_EXIT_UNDEFINED] = exit_undefined,
    [VCPU_EXIT_INVALID_STATE] = exit_invalid_state,
    [VCPU_EXIT_OTHER] = exit_other,
    [VCPU_EXIT_CR4] = vcpu_exit_cr4,
};
