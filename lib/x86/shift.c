/* SPDX-License-Identifier: ISC */
/*
 * Shifts and rotations. Counts are masked to 5 bits, or 6 for 64-bit operands; with a masked count of 0 no
 * flag changes. OF is defined for a count of 1 only and is computed the same way for the others.
 */
#include "lib/x86/operation.h"

struct shifted {
    uint64_t result;
    bool carry;
    bool overflow;
};

static bool bit_of(uint64_t value, unsigned bit)
{
    return (value >> bit) & 1;
}

static struct shifted rotate(unsigned bits, uint64_t a, unsigned count, bool left)
{
    unsigned turn = (left ? count : bits - count % bits) % bits;
    uint64_t result = turn ? (a << turn) | (a >> (bits - turn)) : a;
    bool top = bit_of(result, bits - 1);

    result &= x86_size_mask(bits / 8);
    if (left)
        return (struct shifted){result, result & 1, top != (result & 1)};
    return (struct shifted){result, top, top != bit_of(result, bits - 2)};
}

/* One bit at a time: at most 63 steps. */
static struct shifted rotate_carry(unsigned bits, uint64_t a, unsigned count, bool left, bool carry)
{
    for (unsigned i = 0; i < count; i++) {
        bool out = left ? bit_of(a, bits - 1) : a & 1;

        a = left ? (a << 1) | carry : (a >> 1) | ((uint64_t)carry << (bits - 1));
        a &= x86_size_mask(bits / 8);
        carry = out;
    }
    bool top = bit_of(a, bits - 1);
    return (struct shifted){a, carry, left ? top != carry : top != bit_of(a, bits - 2)};
}

static struct shifted shift_left(unsigned bits, uint64_t a, unsigned count)
{
    uint64_t result = count < bits ? (a << count) & x86_size_mask(bits / 8) : 0;
    bool carry = count <= bits && bit_of(a, bits - count);

    return (struct shifted){result, carry, bit_of(result, bits - 1) != carry};
}

static struct shifted shift_right(unsigned bits, uint64_t a, unsigned count)
{
    return (struct shifted){a >> count, bit_of(a, count - 1), bit_of(a, bits - 1)};
}

static struct shifted shift_arithmetic(unsigned bits, uint64_t a, unsigned count)
{
    int64_t wide = (int64_t)x86_sign_extend(a, bits / 8);

    return (struct shifted){(uint64_t)(wide >> count) & x86_size_mask(bits / 8), (wide >> (count - 1)) & 1,
                            false};
}

static unsigned shift_count(const struct execution *x, uint64_t count)
{
    return (unsigned)count & (x->destination.size == 8 ? 63 : 31);
}

static void set_carry_overflow(struct execution *x, const struct shifted *shifted)
{
    x86_flag_assign(&x->cpu.rflags, X86_RFLAGS_CF, shifted->carry);
    x86_flag_assign(&x->cpu.rflags, X86_RFLAGS_OF, shifted->overflow);
}

static struct shifted shift_compute(enum shift_argument kind, unsigned bits, uint64_t a, unsigned count,
                                    bool carry)
{
    switch (kind) {
    case SHIFT_ROL:
    case SHIFT_ROR:
        return rotate(bits, a, count, kind == SHIFT_ROL);
    case SHIFT_RCL:
    case SHIFT_RCR:
        return rotate_carry(bits, a, count, kind == SHIFT_RCL, carry);
    case SHIFT_SHR:
        return shift_right(bits, a, count);
    case SHIFT_SAR:
        return shift_arithmetic(bits, a, count);
    default:
        return shift_left(bits, a, count);
    }
}

enum x86_result x86_run_shift(struct execution *x, const struct operation *operation)
{
    enum shift_argument kind = operation->argument;
    unsigned size = x->destination.size;
    struct shifted shifted;
    uint64_t a = 0, raw = 0;
    unsigned count;

    DO(x86_operand_read(x, &x->source, &raw));
    DO(x86_operand_read_modify(x, &x->destination, &a));
    count = shift_count(x, raw);
    if (kind == SHIFT_RCL || kind == SHIFT_RCR)
        count %= 8 * size + 1;
    if (count == 0)
        return x86_operand_write_modify(x, &x->destination, false, a, a);
    shifted = shift_compute(kind, 8 * size, a, count, (x->cpu.rflags & X86_RFLAGS_CF) != 0);
    set_carry_overflow(x, &shifted);
    if (kind >= SHIFT_SHL)
        x86_flags_set_result(&x->cpu.rflags, size, shifted.result);
    return x86_operand_write_modify(x, &x->destination, false, a, shifted.result);
}

/* A count above 16 of a 16-bit operand has no defined result; here it only has to stay within the width. */
enum x86_result x86_run_double_shift(struct execution *x, const struct operation *operation)
{
    unsigned size = x->destination.size;
    unsigned bits = 8 * size;
    struct shifted shifted;
    uint64_t a = 0, b, raw;
    unsigned count;

    DO(x86_operand_read_modify(x, &x->destination, &a));
    b = x86_register_read(x, x->insn->reg, size);
    raw = x->source.kind == OPERAND_CONSTANT ? x->source.value : x86_register_read(x, X86_RCX, 1);
    count = shift_count(x, raw);
    if (count > bits)
        count -= bits;
    if (count == 0)
        return x86_operand_write_modify(x, &x->destination, false, a, a);
    if (operation->argument == DIRECTION_LEFT) {
        shifted.result = ((a << count) | (b >> (bits - count))) & x86_size_mask(size);
        shifted.carry = bit_of(a, bits - count);
    } else {
        shifted.result = ((a >> count) | (b << (bits - count))) & x86_size_mask(size);
        shifted.carry = bit_of(a, count - 1);
    }
    shifted.overflow = bit_of(shifted.result ^ a, bits - 1);
    set_carry_overflow(x, &shifted);
    x86_flags_set_result(&x->cpu.rflags, size, shifted.result);
    return x86_operand_write_modify(x, &x->destination, false, a, shifted.result);
}
