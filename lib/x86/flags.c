/* SPDX-License-Identifier: ISC */
/*
 * Instructions on RFLAGS as a whole and on the interrupt flag, with the rules of privilege: I/O privilege
 * level, virtual-8086 mode, and the virtual interrupt flag (APM vol. 2, 8.10).
 */
#include "lib/x86/operation.h"

/* Reserved flags keep their value; RF and VM are never written from the stack here. */
#define POPPED                                                                                               \
    (X86_RFLAGS_CF | X86_RFLAGS_PF | X86_RFLAGS_AF | X86_RFLAGS_ZF | X86_RFLAGS_SF | X86_RFLAGS_TF |         \
     X86_RFLAGS_DF | X86_RFLAGS_OF | X86_RFLAGS_NT | X86_RFLAGS_AC | X86_RFLAGS_ID)

static bool is_virtual_8086(const struct execution *x)
{
    return (x->cpu.rflags & X86_RFLAGS_VM) != 0;
}

static unsigned io_privilege(const struct execution *x)
{
    return (unsigned)((x->cpu.rflags & X86_RFLAGS_IOPL) >> 12);
}

/* CPL, as the rules of this file see it: real mode has none, that is 0. */
static unsigned privilege(const struct execution *x)
{
    if (!(x->cpu.cr0 & X86_CR0_PE))
        return 0;
    return is_virtual_8086(x) ? 3 : x->cpu.cpl;
}

void x86_flags_load(struct execution *x, unsigned size, uint64_t value)
{
    uint64_t mask = POPPED;

    if (privilege(x) == 0)
        mask |= X86_RFLAGS_IOPL;
    if (privilege(x) <= io_privilege(x))
        mask |= X86_RFLAGS_IF;
    mask &= x86_size_mask(size);
    x->cpu.rflags = (x->cpu.rflags & ~mask) | (value & mask);
}

/* In virtual-8086 mode with an IOPL below 3, PUSHF and POPF are #GP(0), or with CR4.VME work on VIF. */
static enum x86_result check_virtual(struct execution *x)
{
    if (!is_virtual_8086(x) || io_privilege(x) == 3)
        return X86_DONE;
    return x->cpu.cr4 & X86_CR4_VME ? X86_UNSUPPORTED : x86_raise(x, X86_VECTOR_GP, 0);
}

enum x86_result x86_run_pushf(struct execution *x, const struct operation *operation)
{
    (void)operation;
    DO(check_virtual(x));
    return x86_stack_push(x, x->insn->operand_size, x->cpu.rflags & ~(X86_RFLAGS_VM | X86_RFLAGS_RF));
}

enum x86_result x86_run_popf(struct execution *x, const struct operation *operation)
{
    uint64_t value = 0;

    (void)operation;
    DO(check_virtual(x));
    DO(x86_stack_pop(x, x->insn->operand_size, &value));
    x86_flags_load(x, x->insn->operand_size, value);
    return X86_DONE;
}

/* CLI (argument 0) and STI (1). */
enum x86_result x86_run_interrupt_flag(struct execution *x, const struct operation *operation)
{
    uint64_t *rflags = &x->cpu.rflags;
    bool set = operation->argument != 0;
    bool has_virtual_flag = is_virtual_8086(x) ? (x->cpu.cr4 & X86_CR4_VME) != 0
                                               : privilege(x) == 3 && (x->cpu.cr4 & X86_CR4_PVI);

    if (privilege(x) <= io_privilege(x)) {
        x->cpu.interrupt_shadow = set && !(*rflags & X86_RFLAGS_IF);
        if (x->cpu.interrupt_shadow && !x->cpu.takes_segments)
            return X86_UNSUPPORTED;
        x86_flag_assign(rflags, X86_RFLAGS_IF, set);
        return X86_DONE;
    }
    if (!has_virtual_flag || (set && (*rflags & X86_RFLAGS_VIP)))
        return x86_raise(x, X86_VECTOR_GP, 0);
    x86_flag_assign(rflags, X86_RFLAGS_VIF, set);
    return X86_DONE;
}
