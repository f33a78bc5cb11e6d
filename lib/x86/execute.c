/* SPDX-License-Identifier: ISC */
/*
 * The executor's frame: finds an opcode's row, checks what all instructions have in common, runs the handler
 * on a copy of the processor, and keeps the copy or throws it away.
 *
 * Privileged and real-mode instructions belong into handlers of their own with rows in operation_table.c;
 * what they need of the processor goes into struct x86_cpu.
 */
#include "lib/x86/operation_table.h"

enum x86_mode x86_cpu_mode(const struct x86_cpu *cpu)
{
    unsigned attributes = cpu->segment[X86_CS].attributes;

    if ((cpu->efer & X86_EFER_LMA) && (attributes & X86_SEGMENT_LONG))
        return X86_MODE_64;
    return attributes & X86_SEGMENT_BIG ? X86_MODE_32 : X86_MODE_16;
}

static const struct operation *find_operation(const struct x86_insn *insn)
{
    const struct operation *operation;

    if (insn->encoding == X86_ENCODING_VEX)
        return x86_bmi_operation(insn);
    if (insn->encoding != X86_ENCODING_LEGACY)
        return NULL;
    switch (insn->map) {
    case X86_MAP_ONE:
        operation = &x86_operations_one[insn->opcode];
        break;
    case X86_MAP_0F:
        operation = &x86_operations_0f[insn->opcode];
        break;
    case X86_MAP_0F38:
        return x86_map38_operation(insn);
    default:
        return NULL;
    }
    if (operation->group)
        operation = &operation->group[(insn->modrm >> 3) & 7];
    return operation->run ? operation : NULL;
}

static bool is_known(const struct operation *operation, const struct x86_insn *insn)
{
    if ((operation->flags & OPERATION_NO_REP) && (insn->prefixes & (X86_PREFIX_REP | X86_PREFIX_REPNE)))
        return false;
    return !((operation->flags & OPERATION_NO_66) && (insn->prefixes & X86_PREFIX_OPERAND));
}

/* #UD for LOCK where it is not allowed, and for a register where there must be memory (APM vol. 3, 1.2.5). */
static bool is_form_valid(const struct operation *operation, const struct x86_insn *insn)
{
    if ((insn->prefixes & X86_PREFIX_LOCK) && !((operation->flags & OPERATION_LOCK) && insn->is_memory))
        return false;
    return !(operation->flags & OPERATION_MEMORY) || insn->is_memory;
}

/*
 * Behind the instruction RIP has 32 bits in 16-bit code, too, where only branches cut it to 16: what runs
 * past 0xffff goes on at 0x10000 or, that being beyond the segment's limit, gets #GP there.
 */
static uint64_t following_rip(const struct x86_cpu *cpu, const struct x86_insn *insn)
{
    return (cpu->rip + insn->length) & x86_size_mask(insn->mode == X86_MODE_64 ? 8 : 4);
}

enum x86_result x86_execute(struct x86_cpu *cpu, const struct x86_insn *insn, const struct x86_ops *ops,
                            void *context, struct x86_fault *fault)
{
    const struct operation *operation = find_operation(insn);
    struct execution x = {.cpu = *cpu, .insn = insn, .ops = ops, .context = context, .fault = fault};
    enum x86_result result;

    if (insn->mode != x86_cpu_mode(cpu) || !operation || !is_known(operation, insn))
        return X86_UNSUPPORTED;
    if (!is_form_valid(operation, insn))
        return x86_raise_undefined(&x);
    x.next_rip = following_rip(cpu, insn);
    x.cpu.interrupt_shadow = false;
    x.destination = x86_operand_resolve(&x, operation->destination);
    x.source = x86_operand_resolve(&x, operation->source);
    result = operation->run(&x, operation);
    if (result == X86_DONE) {
        x.cpu.rip = x.next_rip;
        x.cpu.rflags &= ~X86_RFLAGS_RF;
    }
    if (result == X86_DONE || (operation->flags & OPERATION_STRING))
        *cpu = x.cpu;
    return result;
}
