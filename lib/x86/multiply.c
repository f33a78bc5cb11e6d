/* SPDX-License-Identifier: ISC */
/*
 * Multiplication, division and the sign extensions that prepare it. The 128-bit division is done by hand,
 * since the compiler would call a run-time library that freestanding code does not have.
 */
#include "lib/x86/operation.h"

/* Splits a double-width result: AX for bytes, else rDX:rAX. */
static void write_wide(struct execution *x, unsigned size, uint64_t high, uint64_t low)
{
    if (size == 1) {
        x86_register_write(x, X86_RAX, 2, ((high & 0xff) << 8) | (low & 0xff));
        return;
    }
    x86_register_write(x, X86_RAX, size, low);
    x86_register_write(x, X86_RDX, size, high);
}

static uint64_t read_high(const struct execution *x, unsigned size)
{
    return size == 1 ? (x->cpu.gpr[X86_RAX] >> 8) & 0xff : x86_register_read(x, X86_RDX, size);
}

/* Full signed product: low half returned in the operand's size, high likewise; true if high says more than a
 * sign. */
static bool multiply_signed(unsigned size, uint64_t a, uint64_t b, uint64_t *high, uint64_t *low)
{
    __int128 product = (__int128)(int64_t)x86_sign_extend(a, size) * (int64_t)x86_sign_extend(b, size);

    *low = (uint64_t)product & x86_size_mask(size);
    *high = (uint64_t)(product >> (8 * size)) & x86_size_mask(size);
    return product != (int64_t)x86_sign_extend(*low, size);
}

static void set_carry_overflow(struct execution *x, bool value)
{
    x86_flag_assign(&x->cpu.rflags, X86_RFLAGS_CF, value);
    x86_flag_assign(&x->cpu.rflags, X86_RFLAGS_OF, value);
}

/* MUL (argument 0) and IMUL (1) of the accumulator. */
enum x86_result x86_run_multiply(struct execution *x, const struct operation *operation)
{
    unsigned size = x->destination.size;
    uint64_t a = x86_register_read(x, X86_RAX, size);
    uint64_t b = 0, high, low;
    bool overflow;

    DO(x86_operand_read(x, &x->destination, &b));
    if (operation->argument) {
        overflow = multiply_signed(size, a, b, &high, &low);
    } else {
        unsigned __int128 product = (unsigned __int128)a * b;

        low = (uint64_t)product & x86_size_mask(size);
        high = (uint64_t)(product >> (8 * size)) & x86_size_mask(size);
        overflow = high != 0;
    }
    write_wide(x, size, high, low);
    set_carry_overflow(x, overflow);
    return X86_DONE;
}

/* IMUL with two operands (argument 0), or with an immediate as the third (1). */
enum x86_result x86_run_imul(struct execution *x, const struct operation *operation)
{
    unsigned size = x->destination.size;
    uint64_t a = 0, b = x->insn->immediate;
    uint64_t high, low;

    DO(x86_operand_read(x, &x->source, &a));
    if (!operation->argument)
        DO(x86_operand_read(x, &x->destination, &b));
    set_carry_overflow(x, multiply_signed(size, a, b, &high, &low));
    return x86_operand_write(x, &x->destination, low);
}

/* 128 by 64 bits; high must be less than the divisor, so the quotient fits. */
static uint64_t divide_wide(uint64_t high, uint64_t low, uint64_t divisor, uint64_t *remainder)
{
    for (unsigned i = 0; i < 64; i++) {
        bool carry = high >> 63;

        high = (high << 1) | (low >> 63);
        low <<= 1;
        if (carry || high >= divisor) {
            high -= divisor;
            low |= 1;
        }
    }
    *remainder = high;
    return low;
}

/* The dividend as 128 bits, extended by its sign if is_signed. */
static unsigned __int128 read_dividend(const struct execution *x, unsigned size, bool is_signed)
{
    uint64_t low = x86_register_read(x, X86_RAX, size);
    uint64_t high = read_high(x, size);
    unsigned __int128 dividend;

    if (is_signed)
        high = x86_sign_extend(high, size);
    dividend = (unsigned __int128)high << (8 * size);
    if (is_signed && size < 8 && (high >> 63))
        dividend |= ~(unsigned __int128)0 << (16 * size);
    return dividend | low;
}

static enum x86_result divide_unsigned(struct execution *x, unsigned size, uint64_t divisor)
{
    unsigned __int128 dividend = read_dividend(x, size, false);
    uint64_t quotient, remainder = 0;

    if ((uint64_t)(dividend >> 64) >= divisor)
        return x86_raise(x, X86_VECTOR_DE, 0);
    quotient = divide_wide((uint64_t)(dividend >> 64), (uint64_t)dividend, divisor, &remainder);
    if (quotient > x86_size_mask(size))
        return x86_raise(x, X86_VECTOR_DE, 0);
    write_wide(x, size, remainder, quotient);
    return X86_DONE;
}

/* By magnitudes; the quotient truncates towards zero and the remainder has the dividend's sign. */
static enum x86_result divide_signed(struct execution *x, unsigned size, uint64_t divisor)
{
    unsigned __int128 dividend = read_dividend(x, size, true);
    bool negative_dividend = dividend >> 127;
    bool negative_divisor = x86_sign_extend(divisor, size) >> 63;
    bool negative = negative_dividend != negative_divisor;
    uint64_t limit = (x86_size_mask(size) >> 1) + (negative ? 1 : 0);
    uint64_t quotient, remainder = 0;

    divisor = x86_sign_extend(divisor, size);
    if (negative_divisor)
        divisor = 0 - divisor;
    if (negative_dividend)
        dividend = 0 - dividend;
    if ((uint64_t)(dividend >> 64) >= divisor)
        return x86_raise(x, X86_VECTOR_DE, 0);
    quotient = divide_wide((uint64_t)(dividend >> 64), (uint64_t)dividend, divisor, &remainder);
    if (quotient > limit)
        return x86_raise(x, X86_VECTOR_DE, 0);
    write_wide(x, size, negative_dividend ? 0 - remainder : remainder, negative ? 0 - quotient : quotient);
    return X86_DONE;
}

/* DIV (argument 0) and IDIV (1). A divisor of 0 is the case high >= divisor. */
enum x86_result x86_run_divide(struct execution *x, const struct operation *operation)
{
    unsigned size = x->destination.size;
    uint64_t divisor = 0;

    DO(x86_operand_read(x, &x->destination, &divisor));
    return operation->argument ? divide_signed(x, size, divisor) : divide_unsigned(x, size, divisor);
}

/* CBW, CWDE, CDQE: the lower half of the accumulator fills the whole. */
enum x86_result x86_run_convert_a(struct execution *x, const struct operation *operation)
{
    unsigned size = x->insn->operand_size;

    (void)operation;
    x86_register_write(x, X86_RAX, size, x86_sign_extend(x->cpu.gpr[X86_RAX], size / 2));
    return X86_DONE;
}

/* CWD, CDQ, CQO: the accumulator's sign fills rDX. */
enum x86_result x86_run_convert_d(struct execution *x, const struct operation *operation)
{
    unsigned size = x->insn->operand_size;
    bool negative = x86_sign_extend(x->cpu.gpr[X86_RAX], size) >> 63;

    (void)operation;
    x86_register_write(x, X86_RDX, size, negative ? UINT64_MAX : 0);
    return X86_DONE;
}
