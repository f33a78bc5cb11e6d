/* SPDX-License-Identifier: ISC */
/*
 * Instructions on the stack. One that pushes several values first looks whether each has room, so that a
 * fault or a repetition does not find its own operands overwritten.
 */
#include "lib/x86/operation.h"

enum x86_result x86_run_push(struct execution *x, const struct operation *operation)
{
    uint64_t value = 0;

    (void)operation;
    DO(x86_operand_read(x, &x->source, &value));
    return x86_stack_push(x, x->insn->operand_size, value);
}

/* An address with rSP in it is computed after the pop (APM vol. 3, POP), so the operand is resolved anew. */
enum x86_result x86_run_pop(struct execution *x, const struct operation *operation)
{
    uint64_t value = 0;

    DO(x86_stack_pop(x, x->insn->operand_size, &value));
    x->destination = x86_operand_resolve(x, operation->destination);
    return x86_operand_write(x, &x->destination, value);
}

enum x86_result x86_run_leave(struct execution *x, const struct operation *operation)
{
    uint64_t value = 0;

    (void)operation;
    x86_stack_set(x, x->cpu.gpr[X86_RBP]);
    DO(x86_stack_pop(x, x->insn->operand_size, &value));
    x86_register_write(x, X86_RBP, x->insn->operand_size, value);
    return X86_DONE;
}

/* PUSH of a segment register: the rest of a wider slot is zero (APM vol. 3, PUSH). */
enum x86_result x86_run_push_segment(struct execution *x, const struct operation *operation)
{
    return x86_stack_push(x, x->insn->operand_size, x->cpu.segment[operation->argument].selector);
}

enum x86_result x86_run_pop_segment(struct execution *x, const struct operation *operation)
{
    uint64_t selector = 0;

    DO(x86_stack_pop(x, x->insn->operand_size, &selector));
    return x86_segment_load(x, operation->argument, (uint16_t)selector);
}

enum x86_result x86_stack_reserve(struct execution *x, unsigned size, unsigned count)
{
    uint64_t rsp = x->cpu.gpr[X86_RSP];
    enum x86_result result = X86_DONE;

    for (unsigned i = 0; i < count && result == X86_DONE; i++) {
        x86_stack_release(x, 0ull - size);
        result = x86_memory_probe_write(x, X86_SS, x86_stack_top(x), size);
    }
    x->cpu.gpr[X86_RSP] = rsp;
    return result;
}

/* The stack pointer goes in as it was before the first push. */
enum x86_result x86_run_pusha(struct execution *x, const struct operation *operation)
{
    unsigned size = x->insn->operand_size;
    uint64_t rsp = x->cpu.gpr[X86_RSP];

    (void)operation;
    DO(x86_stack_reserve(x, size, 8));
    for (unsigned reg = X86_RAX; reg <= X86_RDI; reg++)
        DO(x86_stack_push(x, size, reg == X86_RSP ? rsp : x->cpu.gpr[reg]));
    return X86_DONE;
}

enum x86_result x86_run_popa(struct execution *x, const struct operation *operation)
{
    unsigned size = x->insn->operand_size;

    (void)operation;
    for (unsigned reg = X86_RDI + 1; reg-- > X86_RAX;) {
        uint64_t value = 0;

        DO(x86_stack_pop(x, size, &value));
        if (reg != X86_RSP)
            x86_register_write(x, reg, size, value);
    }
    return X86_DONE;
}

/*
 * ENTER: the old frame's pointers, then this frame's own. Like processors, it looks whether the last byte
 * that it allots could be written.
 */
enum x86_result x86_run_enter(struct execution *x, const struct operation *operation)
{
    unsigned size = x->insn->operand_size;
    unsigned level = x->insn->immediate2 & 31;
    uint64_t frame;

    (void)operation;
    DO(x86_stack_reserve(x, size, level + 1));
    DO(x86_stack_push(x, size, x->cpu.gpr[X86_RBP]));
    frame = x->cpu.gpr[X86_RSP]; /* all of it, even if the stack is not as wide as the operand */
    for (unsigned i = 1; i < level; i++) {
        uint64_t pointer = x->cpu.gpr[X86_RBP] - (uint64_t)i * size, value = 0;

        pointer = x86_stack_address(x, pointer);
        DO(x86_memory_read(x, X86_SS, pointer, size, X86_ACCESS_READ, &value));
        DO(x86_stack_push(x, size, value));
    }
    if (level > 0)
        DO(x86_stack_push(x, size, frame));
    x86_stack_release(x, 0 - x->insn->immediate);
    DO(x86_memory_probe_write(x, X86_SS, x86_stack_top(x), size));
    x86_register_write(x, X86_RBP, size, frame);
    return X86_DONE;
}
