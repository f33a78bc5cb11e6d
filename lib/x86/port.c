/* SPDX-License-Identifier: ISC */
/*
 * IN and OUT, and the right to use a port (APM vol. 2, 12.2.4 and 13.2).
 */
#include "lib/x86/operation.h"

enum x86_result x86_port_check(struct execution *x, uint16_t port, unsigned size)
{
    unsigned iopl = (unsigned)((x->cpu.rflags & X86_RFLAGS_IOPL) >> 12);
    bool is_virtual = (x->cpu.rflags & X86_RFLAGS_VM) != 0;

    if (!x->ops->port_in || !x->ops->port_out)
        return X86_UNSUPPORTED;
    if (!(x->cpu.cr0 & X86_CR0_PE) || (x->cpu.cpl <= iopl && !is_virtual))
        return X86_DONE;
    if (!x->ops->port_allowed)
        return x86_raise(x, X86_VECTOR_GP, 0);
    return x->ops->port_allowed(x->context, port, size, x->fault);
}

/* There are no 64-bit ports: REX.W changes nothing. */
static unsigned port_size(const struct execution *x)
{
    return x->insn->operand_size == 8 ? 4 : x->insn->operand_size;
}

/* The port is an immediate byte, or DX. */
static uint16_t port_number(const struct execution *x)
{
    return x->insn->immediate_size ? (uint8_t)x->insn->immediate : (uint16_t)x->cpu.gpr[X86_RDX];
}

enum x86_result x86_run_in(struct execution *x, const struct operation *operation)
{
    unsigned size = port_size(x);
    uint16_t port = port_number(x);
    uint32_t value = 0;

    (void)operation;
    DO(x86_port_check(x, port, size));
    DO(x->ops->port_in(x->context, port, size, &value, x->fault));
    x86_register_write(x, X86_RAX, size, value);
    return X86_DONE;
}

enum x86_result x86_run_out(struct execution *x, const struct operation *operation)
{
    unsigned size = port_size(x);
    uint16_t port = port_number(x);

    (void)operation;
    DO(x86_port_check(x, port, size));
    return x->ops->port_out(x->context, port, size, (uint32_t)x86_register_read(x, X86_RAX, size), x->fault);
}
