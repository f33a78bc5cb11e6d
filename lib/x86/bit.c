/* SPDX-License-Identifier: ISC */
/*
 * Bit test, bit scan and byte swap. A bit offset in a register reaches beyond the operand when that is in
 * memory: it is a signed index into a bit string (APM vol. 3, BT).
 */
#include "lib/x86/operation.h"

/* Moves a memory operand to the word of the bit string that holds the bit. */
static void bit_string_seek(struct execution *x, uint64_t offset)
{
    struct operand *operand = &x->destination;
    int64_t bit = (int64_t)x86_sign_extend(offset, operand->size);
    int64_t word = bit >> (operand->size == 8 ? 6 : operand->size == 4 ? 5 : 4);

    operand->value += (uint64_t)word * operand->size;
    operand->value &= x86_size_mask(x->insn->address_size);
}

enum x86_result x86_run_bit(struct execution *x, const struct operation *operation)
{
    struct operand *operand = &x->destination;
    uint64_t offset = 0, value = 0, mask, result;

    DO(x86_operand_read(x, &x->source, &offset));
    if (operand->kind == OPERAND_MEMORY && x->source.kind == OPERAND_REGISTER)
        bit_string_seek(x, offset);
    mask = 1ull << (offset & (8u * operand->size - 1));
    if (operation->argument == BIT_TEST) {
        DO(x86_operand_read(x, operand, &value));
        x86_flag_assign(&x->cpu.rflags, X86_RFLAGS_CF, (value & mask) != 0);
        return X86_DONE;
    }
    DO(x86_operand_read_modify(x, operand, &value));
    x86_flag_assign(&x->cpu.rflags, X86_RFLAGS_CF, (value & mask) != 0);
    result = operation->argument == BIT_SET     ? value | mask
             : operation->argument == BIT_RESET ? value & ~mask
                                                : value ^ mask;
    return x86_operand_write_modify(x, operand, false, value, result);
}

/* TZCNT (from the right) and LZCNT: BSF and BSR with F3. A source of zero gives the operand's width. */
static enum x86_result count_zeros(struct execution *x, bool from_right)
{
    unsigned bits = 8u * x->source.size, count;
    uint64_t value = 0;

    DO(x86_operand_read(x, &x->source, &value));
    if (value == 0)
        count = bits;
    else if (from_right)
        count = (unsigned)__builtin_ctzll(value);
    else
        count = (unsigned)__builtin_clzll(value) - (64 - bits);
    x86_flag_assign(&x->cpu.rflags, X86_RFLAGS_CF, value == 0);
    x86_flag_assign(&x->cpu.rflags, X86_RFLAGS_ZF, count == 0);
    return x86_operand_write(x, &x->destination, count);
}

/* The decoder knows this opcode with F3 only. */
enum x86_result x86_run_popcnt(struct execution *x, const struct operation *operation)
{
    uint64_t value = 0, count = 0;

    (void)operation;
    DO(x86_operand_read(x, &x->source, &value));
    for (uint64_t rest = value; rest; rest &= rest - 1)
        count++;
    x->cpu.rflags &=
        ~(X86_RFLAGS_CF | X86_RFLAGS_PF | X86_RFLAGS_AF | X86_RFLAGS_ZF | X86_RFLAGS_SF | X86_RFLAGS_OF);
    x86_flag_assign(&x->cpu.rflags, X86_RFLAGS_ZF, value == 0);
    return x86_operand_write(x, &x->destination, count);
}

/* With a source of zero the destination stays (APM vol. 3; Intel's processors do the same). */
enum x86_result x86_run_bit_scan(struct execution *x, const struct operation *operation)
{
    uint64_t value = 0;
    unsigned index;

    if (x->insn->prefixes & X86_PREFIX_REP)
        return count_zeros(x, operation->argument == DIRECTION_LEFT);
    if (x->insn->prefixes & X86_PREFIX_REPNE)
        return X86_UNSUPPORTED;
    DO(x86_operand_read(x, &x->source, &value));
    x86_flag_assign(&x->cpu.rflags, X86_RFLAGS_ZF, value == 0);
    if (value == 0)
        return X86_DONE;
    index = (unsigned)(operation->argument == DIRECTION_LEFT ? __builtin_ctzll(value)
                                                             : 63 - __builtin_clzll(value));
    return x86_operand_write(x, &x->destination, index);
}

/* With 16-bit operands the result is undefined; processors give zero. */
enum x86_result x86_run_bswap(struct execution *x, const struct operation *operation)
{
    uint64_t value = 0;

    (void)operation;
    DO(x86_operand_read(x, &x->destination, &value));
    switch (x->destination.size) {
    case 8:
        return x86_operand_write(x, &x->destination, __builtin_bswap64(value));
    case 4:
        return x86_operand_write(x, &x->destination, __builtin_bswap32((uint32_t)value));
    default:
        return x86_operand_write(x, &x->destination, 0);
    }
}
