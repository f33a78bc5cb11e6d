/* SPDX-License-Identifier: ISC */
/*
 * Addition, subtraction, logic and comparison, with their flags (APM vol. 1, 3.1.4), and the exchanges that
 * are built of them.
 */
#include "lib/x86/operation.h"

#define STATUS_FLAGS                                                                                         \
    (X86_RFLAGS_CF | X86_RFLAGS_PF | X86_RFLAGS_AF | X86_RFLAGS_ZF | X86_RFLAGS_SF | X86_RFLAGS_OF)

void x86_flag_assign(uint64_t *rflags, uint64_t flag, bool value)
{
    *rflags = value ? *rflags | flag : *rflags & ~flag;
}

static bool sign_of(unsigned size, uint64_t value)
{
    return (value >> (8 * size - 1)) & 1;
}

/* PF looks at the low byte only, whatever the size. */
static bool is_parity_even(uint64_t value)
{
    unsigned folded = (unsigned)(value & 0xff);

    folded ^= folded >> 4;
    return !((0x6996u >> (folded & 15)) & 1);
}

void x86_flags_set_result(uint64_t *rflags, unsigned size, uint64_t result)
{
    result &= x86_size_mask(size);
    x86_flag_assign(rflags, X86_RFLAGS_ZF, result == 0);
    x86_flag_assign(rflags, X86_RFLAGS_SF, sign_of(size, result));
    x86_flag_assign(rflags, X86_RFLAGS_PF, is_parity_even(result));
}

static uint64_t compute_add(unsigned size, uint64_t a, uint64_t b, bool carry, uint64_t *rflags)
{
    uint64_t result = (a + b + carry) & x86_size_mask(size);

    x86_flags_set_result(rflags, size, result);
    x86_flag_assign(rflags, X86_RFLAGS_CF, carry ? result <= a : result < a);
    x86_flag_assign(rflags, X86_RFLAGS_AF, ((a ^ b ^ result) & 0x10) != 0);
    x86_flag_assign(rflags, X86_RFLAGS_OF, sign_of(size, (a ^ result) & (b ^ result)));
    return result;
}

static uint64_t compute_subtract(unsigned size, uint64_t a, uint64_t b, bool borrow, uint64_t *rflags)
{
    uint64_t result = (a - b - borrow) & x86_size_mask(size);

    x86_flags_set_result(rflags, size, result);
    x86_flag_assign(rflags, X86_RFLAGS_CF, borrow ? a <= b : a < b);
    x86_flag_assign(rflags, X86_RFLAGS_AF, ((a ^ b ^ result) & 0x10) != 0);
    x86_flag_assign(rflags, X86_RFLAGS_OF, sign_of(size, (a ^ b) & (a ^ result)));
    return result;
}

/* AF is undefined after logic; processors clear it. */
static uint64_t compute_logic(unsigned size, uint64_t result, uint64_t *rflags)
{
    *rflags &= ~STATUS_FLAGS;
    x86_flags_set_result(rflags, size, result);
    return result & x86_size_mask(size);
}

uint64_t x86_alu_compute(enum alu_argument operation, unsigned size, uint64_t a, uint64_t b, uint64_t *rflags)
{
    bool carry = (*rflags & X86_RFLAGS_CF) != 0;

    a &= x86_size_mask(size);
    b &= x86_size_mask(size);
    switch (operation) {
    case ALU_ADD:
        return compute_add(size, a, b, false, rflags);
    case ALU_ADC:
        return compute_add(size, a, b, carry, rflags);
    case ALU_SUB:
    case ALU_CMP:
        return compute_subtract(size, a, b, false, rflags);
    case ALU_SBB:
        return compute_subtract(size, a, b, carry, rflags);
    case ALU_OR:
        return compute_logic(size, a | b, rflags);
    case ALU_XOR:
        return compute_logic(size, a ^ b, rflags);
    default:
        return compute_logic(size, a & b, rflags);
    }
}

bool x86_condition_holds(uint64_t rflags, unsigned code)
{
    bool cf = (rflags & X86_RFLAGS_CF) != 0;
    bool zf = (rflags & X86_RFLAGS_ZF) != 0;
    bool sf = (rflags & X86_RFLAGS_SF) != 0;
    bool of = (rflags & X86_RFLAGS_OF) != 0;
    bool pf = (rflags & X86_RFLAGS_PF) != 0;
    const bool conditions[8] = {of, cf, zf, cf || zf, sf, pf, sf != of, zf || sf != of};

    return conditions[(code >> 1) & 7] != (code & 1);
}

enum x86_result x86_run_alu(struct execution *x, const struct operation *operation)
{
    bool writes = operation->argument < ALU_CMP;
    uint64_t a = 0, b = 0, result;

    DO(x86_operand_read(x, &x->source, &b));
    DO(writes ? x86_operand_read_modify(x, &x->destination, &a) : x86_operand_read(x, &x->destination, &a));
    result = x86_alu_compute(operation->argument, x->destination.size, a, b, &x->cpu.rflags);
    return writes ? x86_operand_write_modify(x, &x->destination, false, a, result) : X86_DONE;
}

enum x86_result x86_run_unary(struct execution *x, const struct operation *operation)
{
    unsigned size = x->destination.size;
    uint64_t *rflags = &x->cpu.rflags;
    uint64_t carry = *rflags & X86_RFLAGS_CF;
    uint64_t a = 0, result;

    DO(x86_operand_read_modify(x, &x->destination, &a));
    switch (operation->argument) {
    case UNARY_NOT:
        result = ~a;
        break;
    case UNARY_NEG:
        result = compute_subtract(size, 0, a, false, rflags);
        break;
    case UNARY_INC:
        result = compute_add(size, a, 1, false, rflags);
        x86_flag_assign(rflags, X86_RFLAGS_CF, carry != 0); /* INC and DEC leave it alone */
        break;
    default:
        result = compute_subtract(size, a, 1, false, rflags);
        x86_flag_assign(rflags, X86_RFLAGS_CF, carry != 0);
        break;
    }
    return x86_operand_write_modify(x, &x->destination, false, a, result);
}

/* With one register as both operands the sum stays, so it is written last. */
enum x86_result x86_run_xadd(struct execution *x, const struct operation *operation)
{
    uint64_t a = 0, b = 0, sum;

    (void)operation;
    DO(x86_operand_read_modify(x, &x->destination, &a));
    DO(x86_operand_read(x, &x->source, &b));
    sum = x86_alu_compute(ALU_ADD, x->destination.size, a, b, &x->cpu.rflags);
    DO(x86_operand_write(x, &x->source, a));
    return x86_operand_write_modify(x, &x->destination, false, a, sum);
}

/*
 * Memory gets a write in both cases, as on hardware: a bus device sees it. A register does not, and keeps its
 * upper half when a 32-bit comparison fails.
 */
enum x86_result x86_run_cmpxchg(struct execution *x, const struct operation *operation)
{
    unsigned size = x->destination.size;
    uint64_t accumulator = x86_register_read(x, X86_RAX, size);
    uint64_t old = 0, desired = 0;

    (void)operation;
    DO(x86_operand_read_modify(x, &x->destination, &old));
    DO(x86_operand_read(x, &x->source, &desired));
    x86_alu_compute(ALU_CMP, size, accumulator, old, &x->cpu.rflags);
    if (old == accumulator)
        return x86_operand_write_modify(x, &x->destination, false, old, desired);
    if (x->destination.kind == OPERAND_MEMORY)
        DO(x86_operand_write_modify(x, &x->destination, false, old, old));
    x86_register_write(x, X86_RAX, size, old);
    return X86_DONE;
}

/* Must be aligned, so the two halves lie in one page and fault together. */
static enum x86_result compare_exchange16(struct execution *x)
{
    const struct operand *memory = &x->destination;
    uint64_t *gpr = x->cpu.gpr;
    const uint64_t desired[2] = {gpr[X86_RBX], gpr[X86_RCX]};
    uint64_t old[2] = {0, 0};
    bool equal;

    if ((x->insn->prefixes & X86_PREFIX_LOCK) && x->ops->compare_exchange && !x->ops->compare_exchange16)
        return X86_UNSUPPORTED;
    if (!x86_memory_is_aligned(x, memory, 16))
        return x86_raise(x, X86_VECTOR_GP, 0);
    DO(x86_memory_read(x, memory->segment, memory->value, 8, X86_ACCESS_MODIFY, &old[0]));
    DO(x86_memory_read(x, memory->segment, memory->value + 8, 8, X86_ACCESS_MODIFY, &old[1]));
    equal = old[0] == gpr[X86_RAX] && old[1] == gpr[X86_RDX];
    DO(x86_memory_exchange16(x, memory, old, equal ? desired : old));
    x86_flag_assign(&x->cpu.rflags, X86_RFLAGS_ZF, equal);
    gpr[X86_RAX] = old[0];
    gpr[X86_RDX] = old[1];
    return X86_DONE;
}

/* CMPXCHG8B and, with REX.W, CMPXCHG16B. */
enum x86_result x86_run_cmpxchg8b(struct execution *x, const struct operation *operation)
{
    uint64_t *gpr = x->cpu.gpr;
    uint64_t expected = (gpr[X86_RDX] << 32) | (uint32_t)gpr[X86_RAX];
    uint64_t desired = (gpr[X86_RCX] << 32) | (uint32_t)gpr[X86_RBX];
    uint64_t old = 0;

    (void)operation;
    if (x->insn->operand_size == 8)
        return compare_exchange16(x);
    x->destination.size = 8;
    DO(x86_operand_read_modify(x, &x->destination, &old));
    x86_flag_assign(&x->cpu.rflags, X86_RFLAGS_ZF, old == expected);
    DO(x86_operand_write_modify(x, &x->destination, false, old, old == expected ? desired : old));
    if (old != expected) {
        x86_register_write(x, X86_RAX, 4, old);
        x86_register_write(x, X86_RDX, 4, old >> 32);
    }
    return X86_DONE;
}

enum x86_result x86_run_flag(struct execution *x, const struct operation *operation)
{
    uint64_t *rflags = &x->cpu.rflags;

    switch (operation->argument) {
    case FLAG_CMC:
        *rflags ^= X86_RFLAGS_CF;
        break;
    case FLAG_CLC:
    case FLAG_STC:
        x86_flag_assign(rflags, X86_RFLAGS_CF, operation->argument == FLAG_STC);
        break;
    default:
        x86_flag_assign(rflags, X86_RFLAGS_DF, operation->argument == FLAG_STD);
        break;
    }
    return X86_DONE;
}
