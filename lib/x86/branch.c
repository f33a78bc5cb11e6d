/* SPDX-License-Identifier: ISC */
/*
 * Near branches. A branch checks its target before it changes anything, as processors do: the
 * fault is the branch's own and not the next instruction's.
 */
#include "lib/x86/operation.h"

/* Cuts a target to the operand size, and sets it if it lies within CS, or is canonical. */
static enum x86_result jump_to(struct execution *x, uint64_t target)
{
    target &= x86_size_mask(x->insn->operand_size);
    if (x->insn->mode == X86_MODE_64) {
        if (!x86_is_canonical(&x->cpu, target))
            return x86_raise(x, X86_VECTOR_GP, 0);
    } else if (target > x->cpu.segment[X86_CS].limit) {
        return x86_raise(x, X86_VECTOR_GP, 0);
    }
    x->next_rip = target;
    return X86_DONE;
}

static enum x86_result jump_relative(struct execution *x)
{
    return jump_to(x, x->next_rip + x->insn->immediate);
}

/* Relative (argument 0) or to an operand (1). */
enum x86_result x86_run_jump(struct execution *x, const struct operation *operation)
{
    uint64_t target = 0;

    if (!operation->argument)
        return jump_relative(x);
    DO(x86_operand_read(x, &x->source, &target));
    return jump_to(x, target);
}

enum x86_result x86_run_jcc(struct execution *x, const struct operation *operation)
{
    (void)operation;
    return x86_condition_holds(x->cpu.rflags, x->insn->opcode) ? jump_relative(x) : X86_DONE;
}

enum x86_result x86_run_call(struct execution *x, const struct operation *operation)
{
    uint64_t back = x->next_rip;

    DO(x86_run_jump(x, operation));
    return x86_stack_push(x, x->insn->operand_size, back);
}

/* The immediate, if there is one, releases the caller's arguments. */
enum x86_result x86_run_return(struct execution *x, const struct operation *operation)
{
    uint64_t target = 0;

    (void)operation;
    DO(x86_stack_pop(x, x->insn->operand_size, &target));
    DO(jump_to(x, target));
    x86_stack_release(x, x->insn->immediate);
    return X86_DONE;
}

/* LOOPNE, LOOPE, LOOP and JrCXZ; the counter is as wide as addresses are. */
enum x86_result x86_run_loop(struct execution *x, const struct operation *operation)
{
    unsigned size = x->insn->address_size;
    uint64_t count = x86_register_read(x, X86_RCX, size);
    bool zero = (x->cpu.rflags & X86_RFLAGS_ZF) != 0;
    bool taken;

    if (operation->argument == LOOP_JCXZ)
        return count == 0 ? jump_relative(x) : X86_DONE;
    count = (count - 1) & x86_size_mask(size);
    x86_register_write(x, X86_RCX, size, count);
    taken = count != 0;
    if (operation->argument == LOOP_NE)
        taken = taken && !zero;
    if (operation->argument == LOOP_E)
        taken = taken && zero;
    return taken ? jump_relative(x) : X86_DONE;
}
