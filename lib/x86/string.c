/* SPDX-License-Identifier: ISC */
/*
 * String instructions. Each step makes all its accesses before it moves a register, so that between steps,
 * and when a step faults, the registers are those of an instruction that was interrupted there and can be
 * started again (APM vol. 3, 1.2.6). One call makes X86_STRING_LIMIT steps at most: a guest's count must not
 * hold its monitor up.
 */
#include "lib/x86/operation.h"

#define PAGE 4096u

struct string {
    unsigned size;         /* of an element */
    unsigned address_size; /* of rSI, rDI and rCX */
    unsigned source_segment;
    uint64_t source; /* offset in source_segment */
    uint64_t target; /* offset in ES */
};

static struct string string_at(const struct execution *x, bool is_port)
{
    const struct x86_insn *insn = x->insn;
    unsigned width = insn->address_size;

    return (struct string){.size = is_port && insn->operand_size == 8 ? 4 : insn->operand_size,
                           .address_size = width,
                           .source_segment = insn->segment,
                           .source = x86_register_read(x, X86_RSI, width),
                           .target = x86_register_read(x, X86_RDI, width)};
}

static void advance(struct execution *x, const struct string *s, bool source, bool target)
{
    uint64_t step = x->cpu.rflags & X86_RFLAGS_DF ? 0ull - s->size : s->size;

    if (source)
        x86_register_write(x, X86_RSI, s->address_size, s->source + step);
    if (target)
        x86_register_write(x, X86_RDI, s->address_size, s->target + step);
}

static enum x86_result read_source(struct execution *x, const struct string *s, uint64_t *value)
{
    return x86_memory_read(x, s->source_segment, s->source, s->size, X86_ACCESS_READ, value);
}

static enum x86_result read_target(struct execution *x, const struct string *s, uint64_t *value)
{
    return x86_memory_read(x, X86_ES, s->target, s->size, X86_ACCESS_READ, value);
}

static enum x86_result write_target(struct execution *x, const struct string *s, uint64_t value)
{
    return x86_memory_write(x, X86_ES, s->target, s->size, value);
}

static enum x86_result step_move(struct execution *x, enum string_argument kind)
{
    struct string s = string_at(x, false);
    uint64_t value = x86_register_read(x, X86_RAX, s.size);

    if (kind != STRING_STOS)
        DO(read_source(x, &s, &value));
    if (kind == STRING_LODS)
        x86_register_write(x, X86_RAX, s.size, value);
    else
        DO(write_target(x, &s, value));
    advance(x, &s, kind != STRING_STOS, kind != STRING_LODS);
    return X86_DONE;
}

/* The target first: so processors decide between two faults. */
static enum x86_result step_compare(struct execution *x, enum string_argument kind)
{
    struct string s = string_at(x, false);
    uint64_t a = x86_register_read(x, X86_RAX, s.size);
    uint64_t b = 0;

    DO(read_target(x, &s, &b));
    if (kind == STRING_CMPS)
        DO(read_source(x, &s, &a));
    x86_alu_compute(ALU_CMP, s.size, a, b, &x->cpu.rflags);
    advance(x, &s, kind == STRING_CMPS, true);
    return X86_DONE;
}

/* The port gives a value away once, so whether it can be stored is asked before. */
static enum x86_result step_in(struct execution *x)
{
    struct string s = string_at(x, true);
    uint16_t port = (uint16_t)x->cpu.gpr[X86_RDX];
    uint32_t value = 0;

    DO(x86_port_check(x, port, s.size));
    DO(x86_memory_probe_write(x, X86_ES, s.target, s.size));
    DO(x->ops->port_in(x->context, port, s.size, &value, x->fault));
    DO(write_target(x, &s, value));
    advance(x, &s, false, true);
    return X86_DONE;
}

static enum x86_result step_out(struct execution *x)
{
    struct string s = string_at(x, true);
    uint16_t port = (uint16_t)x->cpu.gpr[X86_RDX];
    uint64_t value = 0;

    DO(x86_port_check(x, port, s.size));
    DO(read_source(x, &s, &value));
    DO(x->ops->port_out(x->context, port, s.size, (uint32_t)value, x->fault));
    advance(x, &s, true, false);
    return X86_DONE;
}

/*
 * Upwards within a page, many elements are transferred at once. Returns how many were: 0 where anything is out of
 * the ordinary, which a step for one element then finds again.
 */
static uint64_t run_block(struct execution *x, enum string_argument kind, uint64_t count)
{
    struct string s = string_at(x, true);
    bool in = kind == STRING_INS;
    unsigned segment = in ? X86_ES : s.source_segment;
    uint64_t offset = in ? s.target : s.source, linear, room;

    if (!x->ops->port_block || (x->cpu.rflags & X86_RFLAGS_DF) ||
        x86_memory_check(x, segment, offset, s.size, in, &linear) != X86_DONE)
        return 0;
    room = (PAGE - (linear & (PAGE - 1))) / s.size;
    count = count < room ? count : room;
    if (count < 2 || x86_size_mask(s.address_size) - offset < count * s.size ||
        x86_memory_check(x, segment, offset, (unsigned)count * s.size, in, &linear) != X86_DONE)
        return 0;
    count = x->ops->port_block(x->context, (uint16_t)x->cpu.gpr[X86_RDX], s.size, in, linear, count);
    if (count == 0)
        return 0;
    s.size *= (unsigned)count; /* as one element of that size */
    advance(x, &s, !in, in);
    return count;
}

static enum x86_result string_step(struct execution *x, enum string_argument kind)
{
    switch (kind) {
    case STRING_CMPS:
    case STRING_SCAS:
        return step_compare(x, kind);
    case STRING_INS:
        return step_in(x);
    case STRING_OUTS:
        return step_out(x);
    default:
        return step_move(x, kind);
    }
}

/* REPE ends on inequality, REPNE on equality; the other instructions take both prefixes as REP. */
static bool is_ended(const struct execution *x, enum string_argument kind)
{
    bool equal = (x->cpu.rflags & X86_RFLAGS_ZF) != 0;

    if (kind != STRING_CMPS && kind != STRING_SCAS)
        return false;
    return equal != ((x->insn->prefixes & X86_PREFIX_REP) != 0);
}

enum x86_result x86_run_string(struct execution *x, const struct operation *operation)
{
    enum string_argument kind = operation->argument;
    unsigned width = x->insn->address_size;
    bool is_port = kind == STRING_INS || kind == STRING_OUTS;
    uint64_t limit = x->cpu.rflags & X86_RFLAGS_TF ? 1 : X86_STRING_LIMIT; /* a step is one iteration */

    if (!(x->insn->prefixes & (X86_PREFIX_REP | X86_PREFIX_REPNE)))
        return string_step(x, kind);
    if (is_port) /* even if there is nothing to repeat */
        DO(x86_port_check(x, (uint16_t)x->cpu.gpr[X86_RDX], string_at(x, true).size));
    for (uint64_t i = 0, done; i < limit; i += done) {
        uint64_t count = x86_register_read(x, X86_RCX, width);

        if (count == 0)
            return X86_DONE;
        done = is_port ? run_block(x, kind, count < limit - i ? count : limit - i) : 0;
        if (done == 0) {
            DO(string_step(x, kind));
            done = 1;
        }
        x86_register_write(x, X86_RCX, width, count - done);
        if (is_ended(x, kind))
            return X86_DONE;
    }
    return x86_register_read(x, X86_RCX, width) == 0 ? X86_DONE : X86_AGAIN;
}
