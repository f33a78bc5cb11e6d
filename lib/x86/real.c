/* SPDX-License-Identifier: ISC */
/*
 * Segment loads, far branches and software interrupts where they need no descriptor: in real mode, and as far
 * as the same rule holds (base is selector times 16) in virtual-8086 mode. Elsewhere they are
 * X86_UNSUPPORTED.
 */
#include "lib/x86/operation.h"

static bool is_real_mode(const struct execution *x)
{
    return !(x->cpu.cr0 & X86_CR0_PE);
}

static bool is_virtual_8086(const struct execution *x)
{
    return !is_real_mode(x) && (x->cpu.rflags & X86_RFLAGS_VM);
}

/* Limit and attributes stay in real mode: that is how "unreal" mode comes about (APM vol. 2, 4.10). */
enum x86_result x86_segment_load(struct execution *x, unsigned segment, uint16_t selector)
{
    struct x86_segment *s = &x->cpu.segment[segment];

    if (!x->cpu.takes_segments || (!is_real_mode(x) && !is_virtual_8086(x)))
        return X86_UNSUPPORTED;
    s->selector = selector;
    s->base = (uint64_t)selector << 4;
    if (is_virtual_8086(x))
        s->limit = 0xffff;
    if (segment == X86_SS)
        x->cpu.interrupt_shadow = true;
    return X86_DONE;
}

/* MOV to a segment register; CS is #UD. */
enum x86_result x86_run_mov_to_segment(struct execution *x, const struct operation *operation)
{
    unsigned segment = (x->insn->modrm >> 3) & 7;
    uint64_t selector = 0;

    (void)operation;
    if (segment == X86_CS || segment >= X86_SEGMENT_COUNT)
        return x86_raise_undefined(x);
    DO(x86_operand_read(x, &x->source, &selector));
    return x86_segment_load(x, segment, (uint16_t)selector);
}

static enum x86_result far_transfer(struct execution *x, uint16_t selector, uint64_t offset)
{
    if (!is_real_mode(x) && !is_virtual_8086(x))
        return X86_UNSUPPORTED;
    if (is_virtual_8086(x) ? offset > 0xffff : offset > x->cpu.segment[X86_CS].limit)
        return x86_raise(x, X86_VECTOR_GP, 0);
    x->next_rip = offset;
    return x86_segment_load(x, X86_CS, selector);
}

/* A far pointer in memory: the offset in operand size, then the selector. */
static enum x86_result read_far_pointer(struct execution *x, const struct operand *operand, uint64_t *offset,
                                        uint16_t *selector)
{
    uint64_t value = 0;
    uint64_t second = (operand->value + operand->size) & x86_size_mask(x->insn->address_size);

    DO(x86_operand_read(x, operand, offset));
    DO(x86_memory_read(x, operand->segment, second, 2, X86_ACCESS_READ, &value));
    *selector = (uint16_t)value;
    return X86_DONE;
}

/* LDS, LES, LFS, LGS, LSS; argument: the segment register. */
enum x86_result x86_run_load_far(struct execution *x, const struct operation *operation)
{
    uint64_t offset = 0;
    uint16_t selector = 0;

    DO(read_far_pointer(x, &x->source, &offset, &selector));
    DO(x86_segment_load(x, operation->argument, selector));
    return x86_operand_write(x, &x->destination, offset);
}

/* JMP (argument 0) and CALL (1) to an immediate pointer, or to one in memory. */
enum x86_result x86_run_far_branch(struct execution *x, const struct operation *operation)
{
    unsigned size = x->insn->operand_size;
    uint64_t offset = x->insn->immediate, back = x->next_rip;
    uint16_t selector = x->insn->immediate2, old_selector = x->cpu.segment[X86_CS].selector;

    if (x->insn->is_memory)
        DO(read_far_pointer(x, &x->source, &offset, &selector));
    DO(far_transfer(x, selector, offset & x86_size_mask(size)));
    if (!operation->argument)
        return X86_DONE;
    DO(x86_stack_reserve(x, size, 2));
    DO(x86_stack_push(x, size, old_selector));
    return x86_stack_push(x, size, back);
}

enum x86_result x86_run_far_return(struct execution *x, const struct operation *operation)
{
    unsigned size = x->insn->operand_size;
    uint64_t offset = 0, selector = 0;

    (void)operation;
    DO(x86_stack_pop(x, size, &offset));
    DO(x86_stack_pop(x, size, &selector));
    DO(far_transfer(x, (uint16_t)selector, offset));
    x86_stack_release(x, x->insn->immediate);
    return X86_DONE;
}

/* IRET in real mode; in virtual-8086 mode it has rules of its own. */
enum x86_result x86_run_interrupt_return(struct execution *x, const struct operation *operation)
{
    unsigned size = x->insn->operand_size;
    uint64_t offset = 0, selector = 0, flags = 0;

    (void)operation;
    if (!is_real_mode(x))
        return X86_UNSUPPORTED;
    DO(x86_stack_pop(x, size, &offset));
    DO(x86_stack_pop(x, size, &selector));
    DO(x86_stack_pop(x, size, &flags));
    DO(far_transfer(x, (uint16_t)selector, offset));
    x86_flags_load(x, size, flags);
    return X86_DONE;
}

/* Through the interrupt vector table of real mode (APM vol. 2, 8.6.1). */
static enum x86_result interrupt(struct execution *x, unsigned vector)
{
    uint16_t old_selector = x->cpu.segment[X86_CS].selector;
    uint64_t entry = 0, flags = x->cpu.rflags, back = x->next_rip;
    uint64_t linear = (x->cpu.idtr_base + 4 * vector) & UINT32_MAX;

    if (!is_real_mode(x) || !x->cpu.has_idtr || linear > UINT32_MAX - 3)
        return X86_UNSUPPORTED;
    if (4 * vector + 3 > x->cpu.idtr_limit)
        return x86_raise(x, X86_VECTOR_GP, 0);
    DO(x->ops->read(x->context, linear, 4, X86_ACCESS_READ, &entry, x->fault));
    DO(far_transfer(x, (uint16_t)(entry >> 16), entry & 0xffff));
    DO(x86_stack_reserve(x, 2, 3));
    DO(x86_stack_push(x, 2, flags));
    DO(x86_stack_push(x, 2, old_selector));
    DO(x86_stack_push(x, 2, back));
    x->cpu.rflags &= ~(X86_RFLAGS_IF | X86_RFLAGS_TF | X86_RFLAGS_AC | X86_RFLAGS_RF);
    return X86_DONE;
}

/* INT n, INT3 and INTO: argument is the vector, or 0 for the immediate. */
enum x86_result x86_run_interrupt(struct execution *x, const struct operation *operation)
{
    if (operation->argument == X86_VECTOR_OF && !(x->cpu.rflags & X86_RFLAGS_OF))
        return X86_DONE;
    return interrupt(x, operation->argument ? operation->argument : (uint8_t)x->insn->immediate);
}

/* The index is signed, the bounds belong to the range. The upper one is not read if the lower one decides. */
enum x86_result x86_run_bound(struct execution *x, const struct operation *operation)
{
    const struct operand *bounds = &x->source;
    unsigned size = bounds->size;
    uint64_t index = 0, low = 0, high = 0;
    uint64_t second = (bounds->value + size) & x86_size_mask(x->insn->address_size);

    (void)operation;
    DO(x86_operand_read(x, &x->destination, &index));
    DO(x86_operand_read(x, bounds, &low));
    if ((int64_t)x86_sign_extend(index, size) < (int64_t)x86_sign_extend(low, size))
        return x86_raise(x, X86_VECTOR_BR, 0);
    DO(x86_memory_read(x, bounds->segment, second, size, X86_ACCESS_READ, &high));
    if ((int64_t)x86_sign_extend(index, size) > (int64_t)x86_sign_extend(high, size))
        return x86_raise(x, X86_VECTOR_BR, 0);
    return X86_DONE;
}
