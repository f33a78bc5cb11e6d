/* SPDX-License-Identifier: ISC */
/*
 * Operands: registers, memory behind segmentation, and the stack. Every access of an instruction to memory
 * comes through x86_memory_check(), so the rules of segmentation stand in one place.
 */
#include "lib/x86/operation.h"

#define HIGH_BYTE_BASE 16 /* operand.reg of AH */

uint64_t x86_size_mask(unsigned size)
{
    return size >= 8 ? UINT64_MAX : (1ull << (8 * size)) - 1;
}

uint64_t x86_sign_extend(uint64_t value, unsigned size)
{
    unsigned shift = 64 - 8 * size;

    return (uint64_t)((int64_t)(value << shift) >> shift);
}

enum x86_result x86_raise(struct execution *x, enum x86_vector vector, uint32_t error)
{
    bool with_error = vector == X86_VECTOR_SS || vector == X86_VECTOR_GP || vector == X86_VECTOR_AC;

    *x->fault = (struct x86_fault){.vector = (uint8_t)vector};
    if (with_error && (x->cpu.cr0 & X86_CR0_PE)) {
        x->fault->has_error = true;
        x->fault->error = error;
    }
    return X86_FAULT;
}

enum x86_result x86_raise_undefined(struct execution *x)
{
    return x86_raise(x, X86_VECTOR_UD, 0);
}

/* ---- registers ---- */

uint64_t x86_register_read(const struct execution *x, unsigned reg, unsigned size)
{
    if (reg >= HIGH_BYTE_BASE)
        return (x->cpu.gpr[reg & 3] >> 8) & 0xff;
    return x->cpu.gpr[reg] & x86_size_mask(size);
}

/* A 32-bit result clears the upper half, a smaller one leaves the rest alone (APM vol. 1, 3.1.2). */
void x86_register_write(struct execution *x, unsigned reg, unsigned size, uint64_t value)
{
    uint64_t mask = x86_size_mask(size);

    if (reg >= HIGH_BYTE_BASE) {
        x->cpu.gpr[reg & 3] = (x->cpu.gpr[reg & 3] & ~0xff00ull) | ((value & 0xff) << 8);
        return;
    }
    x->cpu.gpr[reg] = size >= 4 ? value & mask : (x->cpu.gpr[reg] & ~mask) | (value & mask);
}

/* ---- memory ---- */

/* Protection of data accesses by the segment's type (APM vol. 2, 4.7); CS can be read if it says so. */
static bool segment_allows(const struct x86_segment *segment, bool write)
{
    unsigned attributes = segment->attributes;

    if (!(attributes & X86_SEGMENT_PRESENT))
        return false;
    if (attributes & X86_SEGMENT_CODE)
        return !write && (attributes & X86_SEGMENT_WRITABLE);
    return !write || (attributes & X86_SEGMENT_WRITABLE);
}

static bool segment_contains(const struct x86_segment *segment, uint64_t offset, unsigned size)
{
    uint64_t last = offset + size - 1;
    bool expand_down =
        (segment->attributes & X86_SEGMENT_EXPAND) && !(segment->attributes & X86_SEGMENT_CODE);

    if (!expand_down)
        return last <= segment->limit;
    return offset > segment->limit &&
           last <= (segment->attributes & X86_SEGMENT_BIG ? UINT32_MAX : UINT16_MAX);
}

bool x86_is_canonical(const struct x86_cpu *cpu, uint64_t linear)
{
    unsigned unused = cpu->cr4 & X86_CR4_LA57 ? 7 : 16;

    return (uint64_t)((int64_t)(linear << unused) >> unused) == linear;
}

/* Linear address of an operand, or the fault that segmentation or alignment raises. */
enum x86_result x86_memory_check(struct execution *x, unsigned segment, uint64_t offset, unsigned size,
                                 bool write, uint64_t *linear)
{
    const struct x86_cpu *cpu = &x->cpu;
    const struct x86_segment *s = &cpu->segment[segment];
    enum x86_vector vector = segment == X86_SS ? X86_VECTOR_SS : X86_VECTOR_GP;
    bool is_protected = (cpu->cr0 & X86_CR0_PE) && !(cpu->rflags & X86_RFLAGS_VM);
    uint64_t address;

    if (x->insn->mode == X86_MODE_64) {
        address = offset + (segment >= X86_FS ? s->base : 0);
        if (!x86_is_canonical(cpu, address) || !x86_is_canonical(cpu, address + size - 1))
            return x86_raise(x, vector, 0);
        if (address + size - 1 < address)
            return X86_UNSUPPORTED; /* likewise */
    } else {
        if (is_protected && !segment_allows(s, write))
            return x86_raise(x, X86_VECTOR_GP, 0);
        if (!segment_contains(s, offset, size))
            return x86_raise(x, vector, 0);
        address = (offset + s->base) & UINT32_MAX;
        if (address + size - 1 > UINT32_MAX)
            return X86_UNSUPPORTED; /* likewise */
    }
    if ((cpu->cr0 & X86_CR0_AM) && (cpu->rflags & X86_RFLAGS_AC) && cpu->cpl == 3 && (address & (size - 1)))
        return x86_raise(x, X86_VECTOR_AC, 0);
    *linear = address;
    return X86_DONE;
}

enum x86_result x86_memory_read(struct execution *x, unsigned segment, uint64_t offset, unsigned size,
                                enum x86_access access, uint64_t *value)
{
    uint64_t linear = 0;

    *value = 0;
    DO(x86_memory_check(x, segment, offset, size, access == X86_ACCESS_MODIFY, &linear));
    DO(x->ops->read(x->context, linear, size, access, value, x->fault));
    *value &= x86_size_mask(size);
    return X86_DONE;
}

enum x86_result x86_memory_write(struct execution *x, unsigned segment, uint64_t offset, unsigned size,
                                 uint64_t value)
{
    uint64_t linear = 0;

    DO(x86_memory_check(x, segment, offset, size, true, &linear));
    return x->ops->write(x->context, linear, size, value & x86_size_mask(size), x->fault);
}

enum x86_result x86_memory_probe_write(struct execution *x, unsigned segment, uint64_t offset, unsigned size)
{
    uint64_t linear = 0;

    DO(x86_memory_check(x, segment, offset, size, true, &linear));
    return x->ops->probe_write ? x->ops->probe_write(x->context, linear, size, x->fault) : X86_DONE;
}

enum x86_result x86_memory_touch(struct execution *x, unsigned segment, uint64_t offset)
{
    uint64_t linear = 0;

    DO(x86_memory_check(x, segment, offset, 1, false, &linear));
    return x->ops->touch ? x->ops->touch(x->context, linear, x->fault) : X86_DONE;
}

uint64_t x86_effective_address(const struct execution *x)
{
    const struct x86_insn *insn = x->insn;
    uint64_t address = insn->displacement;

    if (insn->base != X86_REGISTER_NONE)
        address += x->cpu.gpr[insn->base];
    if (insn->index != X86_REGISTER_NONE)
        address += x->cpu.gpr[insn->index] << insn->scale;
    if (insn->is_rip_relative)
        address += x->cpu.rip + insn->length;
    return address & x86_size_mask(insn->address_size);
}

/* ---- operands ---- */

static struct operand register_operand(const struct x86_insn *insn, unsigned reg, unsigned size)
{
    if (size == 1 && insn->rex == 0 && reg >= X86_RSP && reg <= X86_RDI)
        reg = HIGH_BYTE_BASE + (reg - X86_RSP);
    return (struct operand){.kind = OPERAND_REGISTER, .size = (uint8_t)size, .reg = (uint8_t)reg};
}

static struct operand constant_operand(unsigned size, uint64_t value)
{
    return (struct operand){
        .kind = OPERAND_CONSTANT, .size = (uint8_t)size, .value = value & x86_size_mask(size)};
}

static struct operand rm_operand(const struct execution *x, unsigned size)
{
    const struct x86_insn *insn = x->insn;

    if (!insn->is_memory)
        return register_operand(insn, insn->rm, size);
    return (struct operand){.kind = OPERAND_MEMORY,
                            .size = (uint8_t)size,
                            .segment = insn->segment,
                            .value = x86_effective_address(x)};
}

struct operand x86_operand_resolve(const struct execution *x, enum operand_source source)
{
    const struct x86_insn *insn = x->insn;
    unsigned size = insn->operand_size;

    switch (source) {
    case SOURCE_E:
    case SOURCE_O:
        return rm_operand(x, size);
    case SOURCE_E8:
        return rm_operand(x, 1);
    case SOURCE_E16:
        return rm_operand(x, 2);
    case SOURCE_E32:
        return rm_operand(x, 4);
    case SOURCE_G:
        return register_operand(insn, insn->reg, size);
    case SOURCE_Z:
        return register_operand(insn, (insn->opcode & 7u) | (insn->rex & X86_REX_B ? 8u : 0u), size);
    case SOURCE_A:
        return (struct operand){.kind = OPERAND_REGISTER, .size = (uint8_t)size, .reg = X86_RAX};
    case SOURCE_I:
        return constant_operand(size, insn->immediate);
    case SOURCE_ONE:
        return constant_operand(1, 1);
    case SOURCE_CL:
        return (struct operand){.kind = OPERAND_REGISTER, .size = 1, .reg = X86_RCX};
    default:
        return constant_operand(size, 0);
    }
}

enum x86_result x86_operand_read(struct execution *x, const struct operand *operand, uint64_t *value)
{
    switch (operand->kind) {
    case OPERAND_REGISTER:
        *value = x86_register_read(x, operand->reg, operand->size);
        return X86_DONE;
    case OPERAND_MEMORY:
        return x86_memory_read(x, operand->segment, operand->value, operand->size, X86_ACCESS_READ, value);
    default:
        *value = operand->value;
        return X86_DONE;
    }
}

enum x86_result x86_operand_write(struct execution *x, const struct operand *operand, uint64_t value)
{
    if (operand->kind == OPERAND_MEMORY)
        return x86_memory_write(x, operand->segment, operand->value, operand->size, value);
    x86_register_write(x, operand->reg, operand->size, value);
    return X86_DONE;
}

enum x86_result x86_operand_read_modify(struct execution *x, const struct operand *operand, uint64_t *value)
{
    if (operand->kind == OPERAND_MEMORY)
        return x86_memory_read(x, operand->segment, operand->value, operand->size, X86_ACCESS_MODIFY, value);
    return x86_operand_read(x, operand, value);
}

enum x86_result x86_operand_write_modify(struct execution *x, const struct operand *operand, bool locked,
                                         uint64_t old, uint64_t value)
{
    uint64_t linear = 0;

    if (operand->kind != OPERAND_MEMORY || !x->ops->compare_exchange ||
        !(locked || (x->insn->prefixes & X86_PREFIX_LOCK)))
        return x86_operand_write(x, operand, value);
    DO(x86_memory_check(x, operand->segment, operand->value, operand->size, true, &linear));
    return x->ops->compare_exchange(x->context, linear, operand->size, old,
                                    value & x86_size_mask(operand->size), x->fault);
}

/* ---- 16 bytes ---- */

bool x86_memory_is_aligned(const struct execution *x, const struct operand *operand, unsigned alignment)
{
    uint64_t base = operand->segment >= X86_FS ? x->cpu.segment[operand->segment].base : 0;

    return ((operand->value + base) & (alignment - 1)) == 0;
}

enum x86_result x86_memory_exchange16(struct execution *x, const struct operand *operand,
                                      const uint64_t old[2], const uint64_t value[2])
{
    uint64_t linear = 0;

    if (!(x->insn->prefixes & X86_PREFIX_LOCK) || !x->ops->compare_exchange) {
        DO(x86_memory_write(x, operand->segment, operand->value, 8, value[0]));
        return x86_memory_write(x, operand->segment, operand->value + 8, 8, value[1]);
    }
    DO(x86_memory_check(x, operand->segment, operand->value, 8, true, &linear));
    return x->ops->compare_exchange16(x->context, linear, old, value, x->fault);
}

/* ---- stack ---- */

/* Width of the stack pointer: SS.B, or 64-bit mode (APM vol. 2, 4.7.3). */
static unsigned stack_address_size(const struct execution *x)
{
    if (x->insn->mode == X86_MODE_64)
        return 8;
    return x->cpu.segment[X86_SS].attributes & X86_SEGMENT_BIG ? 4 : 2;
}

enum x86_result x86_stack_push(struct execution *x, unsigned size, uint64_t value)
{
    unsigned width = stack_address_size(x);
    uint64_t top = (x->cpu.gpr[X86_RSP] - size) & x86_size_mask(width);

    DO(x86_memory_write(x, X86_SS, top, size, value));
    x86_register_write(x, X86_RSP, width, top);
    return X86_DONE;
}

enum x86_result x86_stack_pop(struct execution *x, unsigned size, uint64_t *value)
{
    unsigned width = stack_address_size(x);
    uint64_t top = x->cpu.gpr[X86_RSP] & x86_size_mask(width);

    DO(x86_memory_read(x, X86_SS, top, size, X86_ACCESS_READ, value));
    x86_register_write(x, X86_RSP, width, top + size);
    return X86_DONE;
}

uint64_t x86_stack_address(const struct execution *x, uint64_t offset)
{
    return offset & x86_size_mask(stack_address_size(x));
}

uint64_t x86_stack_top(const struct execution *x)
{
    return x86_stack_address(x, x->cpu.gpr[X86_RSP]);
}

void x86_stack_set(struct execution *x, uint64_t top)
{
    x86_register_write(x, X86_RSP, stack_address_size(x), top);
}

void x86_stack_release(struct execution *x, uint64_t bytes)
{
    x86_stack_set(x, x->cpu.gpr[X86_RSP] + bytes);
}
