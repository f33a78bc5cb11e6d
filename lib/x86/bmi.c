/* SPDX-License-Identifier: ISC */
/*
 * The integer instructions with a VEX prefix: BMI1 and BMI2 (APM vol. 3, ANDN to SHRX). They have three
 * operands, of which one is in VEX.vvvv, so they stand in a table of their own.
 */
#include "lib/x86/operation_table.h"

enum bmi_argument {
    BMI_ANDN,
    BMI_BLSR,
    BMI_BLSMSK,
    BMI_BLSI,
    BMI_BZHI,
    BMI_PEXT,
    BMI_PDEP,
    BMI_MULX,
    BMI_BEXTR,
    BMI_SHLX,
    BMI_SARX,
    BMI_SHRX,
    BMI_RORX
};

#define ANY_ROW 0xff
#define NO_66   0 /* values of VEX.pp */
#define WITH_66 1
#define WITH_F3 2
#define WITH_F2 3

struct bmi_row {
    uint8_t map;
    uint8_t opcode;
    uint8_t prefix;
    uint8_t row; /* ModRM.reg */
    struct operation operation;
};

static operation_run run_bmi;

#define BMI(name)                                                                                            \
    {                                                                                                        \
        .run = run_bmi, .source = SOURCE_E, .argument = BMI_##name                                           \
    }

static const struct bmi_row bmi_rows[] = {
    {X86_MAP_0F38, 0xf2, NO_66, ANY_ROW, BMI(ANDN)},   {X86_MAP_0F38, 0xf3, NO_66, 1, BMI(BLSR)},
    {X86_MAP_0F38, 0xf3, NO_66, 2, BMI(BLSMSK)},       {X86_MAP_0F38, 0xf3, NO_66, 3, BMI(BLSI)},
    {X86_MAP_0F38, 0xf5, NO_66, ANY_ROW, BMI(BZHI)},   {X86_MAP_0F38, 0xf5, WITH_F3, ANY_ROW, BMI(PEXT)},
    {X86_MAP_0F38, 0xf5, WITH_F2, ANY_ROW, BMI(PDEP)}, {X86_MAP_0F38, 0xf6, WITH_F2, ANY_ROW, BMI(MULX)},
    {X86_MAP_0F38, 0xf7, NO_66, ANY_ROW, BMI(BEXTR)},  {X86_MAP_0F38, 0xf7, WITH_66, ANY_ROW, BMI(SHLX)},
    {X86_MAP_0F38, 0xf7, WITH_F3, ANY_ROW, BMI(SARX)}, {X86_MAP_0F38, 0xf7, WITH_F2, ANY_ROW, BMI(SHRX)},
    {X86_MAP_0F3A, 0xf0, WITH_F2, ANY_ROW, BMI(RORX)},
};

const struct operation *x86_bmi_operation(const struct x86_insn *insn)
{
    for (size_t i = 0; i < sizeof(bmi_rows) / sizeof(bmi_rows[0]); i++) {
        const struct bmi_row *r = &bmi_rows[i];

        if (r->map == insn->map && r->opcode == insn->opcode && r->prefix == insn->vector_prefix &&
            (r->row == ANY_ROW || r->row == ((insn->modrm >> 3) & 7)))
            return &r->operation;
    }
    return NULL;
}

/* The bits of value that mask selects, put together at the low end. */
static uint64_t extract_bits(uint64_t value, uint64_t mask)
{
    uint64_t result = 0;

    for (uint64_t bit = 1; mask; mask &= mask - 1, bit <<= 1)
        if (value & mask & (0 - mask))
            result |= bit;
    return result;
}

/* And the reverse. */
static uint64_t deposit_bits(uint64_t value, uint64_t mask)
{
    uint64_t result = 0;

    for (; mask; mask &= mask - 1, value >>= 1)
        if (value & 1)
            result |= mask & (0 - mask);
    return result;
}

static uint64_t low_bits(unsigned count)
{
    return count >= 64 ? UINT64_MAX : (1ull << count) - 1;
}

static uint64_t extract_field(uint64_t value, uint64_t control)
{
    unsigned start = control & 0xff, length = (control >> 8) & 0xff;

    return start >= 64 ? 0 : (value >> start) & low_bits(length);
}

/* MULX: first the low half, for the high half wins when both go to one register. */
static enum x86_result multiply_extended(struct execution *x, unsigned size, uint64_t factor)
{
    unsigned __int128 product = (unsigned __int128)x86_register_read(x, X86_RDX, size) * factor;

    x86_register_write(x, x->insn->vector_register, size, (uint64_t)product);
    x86_register_write(x, x->insn->reg, size, (uint64_t)(product >> (8 * size)));
    return X86_DONE;
}

/* Shifts and moves of bits that leave the flags alone. */
static uint64_t compute_plain(const struct execution *x, unsigned argument, unsigned size, uint64_t e,
                              uint64_t v)
{
    unsigned mask = 8 * size - 1, count = (unsigned)v & mask;

    switch (argument) {
    case BMI_PEXT:
        return extract_bits(v, e);
    case BMI_PDEP:
        return deposit_bits(v, e);
    case BMI_SHLX:
        return e << count;
    case BMI_SHRX:
        return e >> count;
    case BMI_SARX:
        return (uint64_t)((int64_t)x86_sign_extend(e, size) >> count);
    default:
        count = (unsigned)x->insn->immediate & mask;
        return count ? (e >> count) | (e << (mask + 1 - count)) : e;
    }
}

/* The others: *carry is their CF. */
static uint64_t compute_logical(unsigned argument, unsigned size, uint64_t e, uint64_t v, bool *carry)
{
    unsigned bits = 8 * size, index = (uint8_t)v;

    *carry = false;
    switch (argument) {
    case BMI_ANDN:
        return ~v & e;
    case BMI_BLSR:
        *carry = e == 0;
        return (e - 1) & e;
    case BMI_BLSMSK:
        *carry = e == 0;
        return (e - 1) ^ e;
    case BMI_BLSI:
        *carry = e != 0;
        return (0 - e) & e;
    case BMI_BZHI:
        *carry = index >= bits;
        return e & low_bits(index);
    default:
        return extract_field(e, v);
    }
}

/* A VEX prefix is #UD in real and virtual-8086 mode, and so is L here. */
static enum x86_result run_bmi(struct execution *x, const struct operation *operation)
{
    const struct x86_insn *insn = x->insn;
    unsigned size = x->source.size == 8 ? 8 : 4, argument = operation->argument;
    bool in_reg = argument < BMI_BLSR || argument > BMI_BLSI, carry;
    uint64_t *rflags = &x->cpu.rflags;
    uint64_t e = 0, v = x86_register_read(x, insn->vector_register, size), result;

    if (!(x->cpu.cr0 & X86_CR0_PE) || (*rflags & X86_RFLAGS_VM) || insn->vector_long ||
        (argument == BMI_RORX && insn->vector_register != 0))
        return x86_raise_undefined(x);
    x->source.size = (uint8_t)size; /* not of 16 bits, not even in 16-bit code */
    DO(x86_operand_read(x, &x->source, &e));
    if (argument == BMI_MULX)
        return multiply_extended(x, size, e);
    if (argument >= BMI_PEXT && argument != BMI_BEXTR) {
        result = compute_plain(x, argument, size, e, v);
    } else {
        result = compute_logical(argument, size, e, v, &carry) & x86_size_mask(size);
        x86_flag_assign(rflags, X86_RFLAGS_CF, carry);
        x86_flag_assign(rflags, X86_RFLAGS_ZF, result == 0);
        x86_flag_assign(rflags, X86_RFLAGS_SF, (result >> (8 * size - 1)) != 0 && argument != BMI_BEXTR);
        x86_flag_assign(rflags, X86_RFLAGS_OF, false);
    }
    x86_register_write(x, in_reg ? insn->reg : insn->vector_register, size, result);
    return X86_DONE;
}
