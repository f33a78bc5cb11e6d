/* SPDX-License-Identifier: ISC */
/*
 * Instructions that move data and compute nothing, or next to nothing: what device drivers use on their
 * registers more than all others.
 */
#include "lib/x86/operation.h"

enum x86_result x86_run_mov(struct execution *x, const struct operation *operation)
{
    uint64_t value = 0;

    (void)operation;
    DO(x86_operand_read(x, &x->source, &value));
    return x86_operand_write(x, &x->destination, value);
}

/* MOVNTI: there is no form of 16 bits, not even in 16-bit code. */
enum x86_result x86_run_movnti(struct execution *x, const struct operation *operation)
{
    if (x->destination.size < 4) {
        x->destination.size = 4;
        x->source.size = 4;
    }
    return x86_run_mov(x, operation);
}

/* ARPL: raises the destination's requested privilege level to the source's; writes only then, as processors
 * do. */
static enum x86_result adjust_privilege(struct execution *x)
{
    struct operand *destination = &x->source;
    uint64_t source = x86_register_read(x, x->insn->reg, 2) & 3, old = 0;
    bool is_lower;

    if (!(x->cpu.cr0 & X86_CR0_PE) || (x->cpu.rflags & X86_RFLAGS_VM))
        return x86_raise_undefined(x);
    destination->size = 2;
    DO(x86_operand_read(x, destination, &old));
    is_lower = (old & 3) < source;
    x86_flag_assign(&x->cpu.rflags, X86_RFLAGS_ZF, is_lower);
    return is_lower ? x86_operand_write(x, destination, (old & ~3ull) | source) : X86_DONE;
}

/*
 * MOVSX and, with argument 1, MOVSXD, which is ARPL outside of 64-bit mode; with a 16-bit destination the
 * source has 16 too.
 */
enum x86_result x86_run_movsx(struct execution *x, const struct operation *operation)
{
    uint64_t value = 0;

    if (operation->argument && x->insn->mode != X86_MODE_64)
        return adjust_privilege(x);
    if (x->source.size > x->destination.size)
        x->source.size = x->destination.size;
    DO(x86_operand_read(x, &x->source, &value));
    return x86_operand_write(x, &x->destination, x86_sign_extend(value, x->source.size));
}

enum x86_result x86_run_movbe(struct execution *x, const struct operation *operation)
{
    uint64_t value = 0;

    (void)operation;
    DO(x86_operand_read(x, &x->source, &value));
    return x86_operand_write(x, &x->destination, __builtin_bswap64(value) >> (64 - 8 * x->source.size));
}

/* To memory it is always a word; a register gets the selector zero extended. */
enum x86_result x86_run_mov_from_segment(struct execution *x, const struct operation *operation)
{
    unsigned segment = (x->insn->modrm >> 3) & 7;

    (void)operation;
    if (segment >= X86_SEGMENT_COUNT)
        return x86_raise_undefined(x);
    if (x->destination.kind == OPERAND_MEMORY)
        x->destination.size = 2;
    return x86_operand_write(x, &x->destination, x->cpu.segment[segment].selector);
}

/*
 * XCHG with memory is locked without the prefix. 90 without REX.B is NOP and must not clear an upper half;
 * with F3 it is PAUSE in any case.
 */
enum x86_result x86_run_xchg(struct execution *x, const struct operation *operation)
{
    uint64_t a = 0, b = 0;

    (void)operation;
    if (x->insn->opcode == 0x90 && (!(x->insn->rex & X86_REX_B) || (x->insn->prefixes & X86_PREFIX_REP)))
        return X86_DONE;
    DO(x86_operand_read_modify(x, &x->destination, &a));
    DO(x86_operand_read(x, &x->source, &b));
    DO(x86_operand_write_modify(x, &x->destination, true, a, b));
    return x86_operand_write(x, &x->source, a);
}

enum x86_result x86_run_lea(struct execution *x, const struct operation *operation)
{
    (void)operation;
    return x86_operand_write(x, &x->destination, x86_effective_address(x));
}

/* The source is read in any case, and a 32-bit destination loses its upper half in any case. */
enum x86_result x86_run_cmov(struct execution *x, const struct operation *operation)
{
    uint64_t source = 0, old = 0;

    (void)operation;
    DO(x86_operand_read(x, &x->source, &source));
    DO(x86_operand_read(x, &x->destination, &old));
    return x86_operand_write(x, &x->destination,
                             x86_condition_holds(x->cpu.rflags, x->insn->opcode) ? source : old);
}

enum x86_result x86_run_setcc(struct execution *x, const struct operation *operation)
{
    (void)operation;
    return x86_operand_write(x, &x->destination, x86_condition_holds(x->cpu.rflags, x->insn->opcode));
}

enum x86_result x86_run_nop(struct execution *x, const struct operation *operation)
{
    (void)x;
    (void)operation;
    return X86_DONE;
}

/*
 * CLFLUSH, CLFLUSHOPT and CLWB: there is no cache, but the address is checked as that of a read. XSAVEOPT and
 * the fences have the same opcode.
 */
enum x86_result x86_run_flush(struct execution *x, const struct operation *operation)
{
    bool is_xsaveopt = (x->insn->modrm & 0x38) == 0x30 && !(x->insn->prefixes & X86_PREFIX_OPERAND);

    (void)operation;
    if (!x->insn->is_memory || is_xsaveopt)
        return X86_UNSUPPORTED;
    return x86_memory_touch(x, x->destination.segment, x->destination.value);
}

/* SMSW to memory, which is a word there; what a register's other bits get differs by processor. */
enum x86_result x86_run_smsw(struct execution *x, const struct operation *operation)
{
    (void)operation;
    if (!x->insn->is_memory)
        return X86_UNSUPPORTED;
    if (x->cpu.cr4 & X86_CR4_UMIP && x->cpu.cpl != 0)
        return x86_raise(x, X86_VECTOR_GP, 0);
    return x86_operand_write(x, &x->destination, x->cpu.cr0);
}

#define AH_FLAGS (X86_RFLAGS_CF | X86_RFLAGS_PF | X86_RFLAGS_AF | X86_RFLAGS_ZF | X86_RFLAGS_SF)

enum x86_result x86_run_lahf(struct execution *x, const struct operation *operation)
{
    uint64_t flags = (x->cpu.rflags & AH_FLAGS) | X86_RFLAGS_ONE;

    (void)operation;
    x->cpu.gpr[X86_RAX] = (x->cpu.gpr[X86_RAX] & ~0xff00ull) | (flags << 8);
    return X86_DONE;
}

enum x86_result x86_run_sahf(struct execution *x, const struct operation *operation)
{
    (void)operation;
    x->cpu.rflags = (x->cpu.rflags & ~AH_FLAGS) | ((x->cpu.gpr[X86_RAX] >> 8) & AH_FLAGS);
    return X86_DONE;
}

enum x86_result x86_run_xlat(struct execution *x, const struct operation *operation)
{
    uint64_t offset =
        (x->cpu.gpr[X86_RBX] + (x->cpu.gpr[X86_RAX] & 0xff)) & x86_size_mask(x->insn->address_size);
    uint64_t value = 0;

    (void)operation;
    DO(x86_memory_read(x, x->insn->segment, offset, 1, X86_ACCESS_READ, &value));
    x86_register_write(x, X86_RAX, 1, value);
    return X86_DONE;
}
