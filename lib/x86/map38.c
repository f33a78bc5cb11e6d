/* SPDX-License-Identifier: ISC */
/*
 * The integer instructions of map 0F 38 without VEX: MOVBE, CRC32 and ADX. A prefix that means size or
 * repetition elsewhere is a part of the opcode here.
 */
#include "lib/x86/operation_table.h"

#define CRC32C 0x82f63b78u /* the polynomial, bits reversed */

/* Bit by bit: at most 64 steps. */
static enum x86_result run_crc32(struct execution *x, const struct operation *operation)
{
    uint64_t value = 0;
    uint32_t crc = (uint32_t)x86_register_read(x, x->insn->reg, 4);

    (void)operation;
    DO(x86_operand_read(x, &x->source, &value));
    for (unsigned i = 0; i < 8u * x->source.size; i++) {
        uint32_t low = (crc ^ (uint32_t)value) & 1;

        crc = (crc >> 1) ^ (low ? CRC32C : 0);
        value >>= 1;
    }
    x86_register_write(x, x->insn->reg, 4, crc);
    return X86_DONE;
}

/* ADCX and ADOX; argument: the flag that is carry, and is the only one that changes. */
static enum x86_result run_adx(struct execution *x, const struct operation *operation)
{
    uint64_t flag = operation->argument == 0 ? X86_RFLAGS_CF : X86_RFLAGS_OF;
    unsigned size = x->insn->rex & X86_REX_W ? 8 : 4;
    bool carry = (x->cpu.rflags & flag) != 0;
    uint64_t a = x86_register_read(x, x->insn->reg, size), b = 0, sum;

    x->source.size = (uint8_t)size;
    DO(x86_operand_read(x, &x->source, &b));
    sum = (a + b + carry) & x86_size_mask(size);
    x86_flag_assign(&x->cpu.rflags, flag, carry ? sum <= a : sum < a);
    x86_register_write(x, x->insn->reg, size, sum);
    return X86_DONE;
}

const struct operation *x86_map38_operation(const struct x86_insn *insn)
{
    static const struct operation load = {
        .run = x86_run_movbe, .destination = SOURCE_G, .source = SOURCE_E, .flags = OPERATION_MEMORY};
    static const struct operation store = {
        .run = x86_run_movbe, .destination = SOURCE_E, .source = SOURCE_G, .flags = OPERATION_MEMORY};
    static const struct operation crc32_byte = {.run = run_crc32, .source = SOURCE_E8};
    static const struct operation crc32_wide = {.run = run_crc32, .source = SOURCE_E};
    static const struct operation adcx = {.run = run_adx, .source = SOURCE_E, .argument = 0};
    static const struct operation adox = {.run = run_adx, .source = SOURCE_E, .argument = 1};
    unsigned repeat = insn->prefixes & (X86_PREFIX_REP | X86_PREFIX_REPNE);

    switch (insn->opcode) {
    case 0xf0:
        return repeat == X86_PREFIX_REPNE ? &crc32_byte : repeat ? NULL : &load;
    case 0xf1:
        return repeat == X86_PREFIX_REPNE ? &crc32_wide : repeat ? NULL : &store;
    case 0xf6:
        if (repeat)
            return repeat == X86_PREFIX_REP ? &adox : NULL;
        return insn->prefixes & X86_PREFIX_OPERAND ? &adcx : NULL;
    default:
        return NULL;
    }
}
