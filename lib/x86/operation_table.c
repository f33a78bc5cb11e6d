/* SPDX-License-Identifier: ISC */
/*
 * Which opcode does what to which operands: the executor's counterpart of decode_table.c. An opcode without a
 * row here decodes, and is answered with X86_UNSUPPORTED.
 */
#include "lib/x86/operation_table.h"

#define LOCK OPERATION_LOCK

#define ROW(function, to, from, arg, flag)                                                                   \
    {                                                                                                        \
        .run = x86_run_##function, .destination = SOURCE_##to, .source = SOURCE_##from, .argument = (arg),   \
        .flags = (flag)                                                                                      \
    }
#define GROUP(rows)                                                                                          \
    {                                                                                                        \
        .group = (rows)                                                                                      \
    }

/* The six forms of an arithmetic operation, from its first opcode. */
#define ALU_FORMS(opcode, arg, flag)                                                                         \
    [(opcode) + 0] = ROW(alu, E, G, arg, flag), [(opcode) + 1] = ROW(alu, E, G, arg, flag),                  \
                [(opcode) + 2] = ROW(alu, G, E, arg, 0), [(opcode) + 3] = ROW(alu, G, E, arg, 0),            \
                [(opcode) + 4] = ROW(alu, A, I, arg, 0), [(opcode) + 5] = ROW(alu, A, I, arg, 0)

#define SHIFT_GROUP(name, from)                                                                              \
    static const struct operation name[8] = {                                                                \
        ROW(shift, E, from, SHIFT_ROL, 0),  ROW(shift, E, from, SHIFT_ROR, 0),                               \
        ROW(shift, E, from, SHIFT_RCL, 0),  ROW(shift, E, from, SHIFT_RCR, 0),                               \
        ROW(shift, E, from, SHIFT_SHL, 0),  ROW(shift, E, from, SHIFT_SHR, 0),                               \
        ROW(shift, E, from, SHIFT_SHL2, 0), ROW(shift, E, from, SHIFT_SAR, 0)}

/* clang-format off */

static const struct operation group1[8] = {
    ROW(alu, E, I, ALU_ADD, LOCK), ROW(alu, E, I, ALU_OR, LOCK),
    ROW(alu, E, I, ALU_ADC, LOCK), ROW(alu, E, I, ALU_SBB, LOCK),
    ROW(alu, E, I, ALU_AND, LOCK), ROW(alu, E, I, ALU_SUB, LOCK),
    ROW(alu, E, I, ALU_XOR, LOCK), ROW(alu, E, I, ALU_CMP, 0)
};

static const struct operation group1a[8] = { ROW(pop, E, NONE, 0, 0) };

SHIFT_GROUP(group2_immediate, I);
SHIFT_GROUP(group2_one, ONE);
SHIFT_GROUP(group2_cl, CL);

static const struct operation group3[8] = {
    ROW(alu, E, I, ALU_TEST, 0), ROW(alu, E, I, ALU_TEST, 0),
    ROW(unary, E, NONE, UNARY_NOT, LOCK), ROW(unary, E, NONE, UNARY_NEG, LOCK),
    ROW(multiply, E, NONE, 0, 0), ROW(multiply, E, NONE, 1, 0),
    ROW(divide, E, NONE, 0, 0), ROW(divide, E, NONE, 1, 0)
};

static const struct operation group4[8] = {
    ROW(unary, E, NONE, UNARY_INC, LOCK), ROW(unary, E, NONE, UNARY_DEC, LOCK)
};

static const struct operation group5[8] = {
    [0] = ROW(unary, E, NONE, UNARY_INC, LOCK),
    [1] = ROW(unary, E, NONE, UNARY_DEC, LOCK),
    [2] = ROW(call, NONE, E, 1, 0),
    [3] = ROW(far_branch, NONE, E, 1, OPERATION_MEMORY),
    [4] = ROW(jump, NONE, E, 1, 0),
    [5] = ROW(far_branch, NONE, E, 0, OPERATION_MEMORY),
    [6] = ROW(push, NONE, E, 0, 0)
};

static const struct operation group7[8] = { [4] = ROW(smsw, E16, NONE, 0, 0) };

static const struct operation group15[8] = {
    [6] = ROW(flush, E8, NONE, 0, OPERATION_NO_REP), /* CLWB */
    [7] = ROW(flush, E8, NONE, 0, OPERATION_NO_REP)  /* CLFLUSH, CLFLUSHOPT */
};

static const struct operation group8[8] = {
    [4] = ROW(bit, E, I, BIT_TEST, 0),
    [5] = ROW(bit, E, I, BIT_SET, LOCK),
    [6] = ROW(bit, E, I, BIT_RESET, LOCK),
    [7] = ROW(bit, E, I, BIT_COMPLEMENT, LOCK)
};

static const struct operation group9[8] = {
    [1] = ROW(cmpxchg8b, E, NONE, 0, LOCK | OPERATION_MEMORY)
};

static const struct operation group11[8] = { ROW(mov, E, I, 0, 0) };

const struct operation x86_operations_one[256] = {
    ALU_FORMS(0x00, ALU_ADD, LOCK), ALU_FORMS(0x08, ALU_OR, LOCK),
    ALU_FORMS(0x10, ALU_ADC, LOCK), ALU_FORMS(0x18, ALU_SBB, LOCK),
    ALU_FORMS(0x20, ALU_AND, LOCK), ALU_FORMS(0x28, ALU_SUB, LOCK),
    ALU_FORMS(0x30, ALU_XOR, LOCK), ALU_FORMS(0x38, ALU_CMP, 0),
    [0x06] = ROW(push_segment, NONE, NONE, X86_ES, 0),
    [0x07] = ROW(pop_segment, NONE, NONE, X86_ES, 0),
    [0x0e] = ROW(push_segment, NONE, NONE, X86_CS, 0),
    [0x16] = ROW(push_segment, NONE, NONE, X86_SS, 0),
    [0x17] = ROW(pop_segment, NONE, NONE, X86_SS, 0),
    [0x1e] = ROW(push_segment, NONE, NONE, X86_DS, 0),
    [0x1f] = ROW(pop_segment, NONE, NONE, X86_DS, 0),
    [0x27] = ROW(decimal_adjust, NONE, NONE, 0, 0),
    [0x2f] = ROW(decimal_adjust, NONE, NONE, 1, 0),
    [0x37] = ROW(ascii_adjust, NONE, NONE, 0, 0),
    [0x3f] = ROW(ascii_adjust, NONE, NONE, 1, 0),
    [0x40 ... 0x47] = ROW(unary, Z, NONE, UNARY_INC, 0),
    [0x48 ... 0x4f] = ROW(unary, Z, NONE, UNARY_DEC, 0),
    [0x50 ... 0x57] = ROW(push, NONE, Z, 0, 0),
    [0x58 ... 0x5f] = ROW(pop, Z, NONE, 0, 0),
    [0x60] = ROW(pusha, NONE, NONE, 0, 0),
    [0x61] = ROW(popa, NONE, NONE, 0, 0),
    [0x62] = ROW(bound, G, E, 0, OPERATION_MEMORY),
    [0x63] = ROW(movsx, G, E32, 1, 0),
    [0x68] = ROW(push, NONE, I, 0, 0),
    [0x69] = ROW(imul, G, E, 1, 0),
    [0x6a] = ROW(push, NONE, I, 0, 0),
    [0x6b] = ROW(imul, G, E, 1, 0),
    [0x6c ... 0x6d] = ROW(string, NONE, NONE, STRING_INS, OPERATION_STRING),
    [0x6e ... 0x6f] = ROW(string, NONE, NONE, STRING_OUTS, OPERATION_STRING),
    [0x70 ... 0x7f] = ROW(jcc, NONE, NONE, 0, 0),
    [0x80 ... 0x83] = GROUP(group1),
    [0x84 ... 0x85] = ROW(alu, E, G, ALU_TEST, 0),
    [0x86 ... 0x87] = ROW(xchg, E, G, 0, LOCK),
    [0x88 ... 0x89] = ROW(mov, E, G, 0, 0),
    [0x8a ... 0x8b] = ROW(mov, G, E, 0, 0),
    [0x8c] = ROW(mov_from_segment, E, NONE, 0, 0),
    [0x8d] = ROW(lea, G, NONE, 0, OPERATION_MEMORY),
    [0x8e] = ROW(mov_to_segment, NONE, E16, 0, 0),
    [0x8f] = GROUP(group1a),
    [0x90 ... 0x97] = ROW(xchg, Z, A, 0, 0),
    [0x98] = ROW(convert_a, NONE, NONE, 0, 0),
    [0x99] = ROW(convert_d, NONE, NONE, 0, 0),
    [0x9a] = ROW(far_branch, NONE, NONE, 1, 0),
    [0x9c] = ROW(pushf, NONE, NONE, 0, 0),
    [0x9d] = ROW(popf, NONE, NONE, 0, 0),
    [0x9e] = ROW(sahf, NONE, NONE, 0, 0),
    [0x9f] = ROW(lahf, NONE, NONE, 0, 0),
    [0xa0 ... 0xa1] = ROW(mov, A, O, 0, 0),
    [0xa2 ... 0xa3] = ROW(mov, O, A, 0, 0),
    [0xa4 ... 0xa5] = ROW(string, NONE, NONE, STRING_MOVS, OPERATION_STRING),
    [0xa6 ... 0xa7] = ROW(string, NONE, NONE, STRING_CMPS, OPERATION_STRING),
    [0xa8 ... 0xa9] = ROW(alu, A, I, ALU_TEST, 0),
    [0xaa ... 0xab] = ROW(string, NONE, NONE, STRING_STOS, OPERATION_STRING),
    [0xac ... 0xad] = ROW(string, NONE, NONE, STRING_LODS, OPERATION_STRING),
    [0xae ... 0xaf] = ROW(string, NONE, NONE, STRING_SCAS, OPERATION_STRING),
    [0xb0 ... 0xbf] = ROW(mov, Z, I, 0, 0),
    [0xc0 ... 0xc1] = GROUP(group2_immediate),
    [0xc2 ... 0xc3] = ROW(return, NONE, NONE, 0, 0),
    [0xc4] = ROW(load_far, G, E, X86_ES, OPERATION_MEMORY),
    [0xc5] = ROW(load_far, G, E, X86_DS, OPERATION_MEMORY),
    [0xc6 ... 0xc7] = GROUP(group11),
    [0xc8] = ROW(enter, NONE, NONE, 0, 0),
    [0xc9] = ROW(leave, NONE, NONE, 0, 0),
    [0xca ... 0xcb] = ROW(far_return, NONE, NONE, 0, 0),
    [0xcc] = ROW(interrupt, NONE, NONE, X86_VECTOR_BP, 0),
    [0xcd] = ROW(interrupt, NONE, NONE, 0, 0),
    [0xce] = ROW(interrupt, NONE, NONE, X86_VECTOR_OF, 0),
    [0xcf] = ROW(interrupt_return, NONE, NONE, 0, 0),
    [0xd0 ... 0xd1] = GROUP(group2_one),
    [0xd2 ... 0xd3] = GROUP(group2_cl),
    [0xd4] = ROW(ascii_multiply, NONE, NONE, 0, 0),
    [0xd5] = ROW(ascii_multiply, NONE, NONE, 1, 0),
    [0xd6] = ROW(salc, NONE, NONE, 0, 0),
    [0xd7] = ROW(xlat, NONE, NONE, 0, 0),
    [0xe0] = ROW(loop, NONE, NONE, LOOP_NE, 0),
    [0xe1] = ROW(loop, NONE, NONE, LOOP_E, 0),
    [0xe2] = ROW(loop, NONE, NONE, LOOP_ALWAYS, 0),
    [0xe3] = ROW(loop, NONE, NONE, LOOP_JCXZ, 0),
    [0xe4 ... 0xe5] = ROW(in, NONE, NONE, 0, 0),
    [0xe6 ... 0xe7] = ROW(out, NONE, NONE, 0, 0),
    [0xe8] = ROW(call, NONE, NONE, 0, 0),
    [0xe9] = ROW(jump, NONE, NONE, 0, 0),
    [0xea] = ROW(far_branch, NONE, NONE, 0, 0),
    [0xeb] = ROW(jump, NONE, NONE, 0, 0),
    [0xec ... 0xed] = ROW(in, NONE, NONE, 0, 0),
    [0xee ... 0xef] = ROW(out, NONE, NONE, 0, 0),
    [0xf5] = ROW(flag, NONE, NONE, FLAG_CMC, 0),
    [0xf6 ... 0xf7] = GROUP(group3),
    [0xf8] = ROW(flag, NONE, NONE, FLAG_CLC, 0),
    [0xf9] = ROW(flag, NONE, NONE, FLAG_STC, 0),
    [0xfa] = ROW(interrupt_flag, NONE, NONE, 0, 0),
    [0xfb] = ROW(interrupt_flag, NONE, NONE, 1, 0),
    [0xfc] = ROW(flag, NONE, NONE, FLAG_CLD, 0),
    [0xfd] = ROW(flag, NONE, NONE, FLAG_STD, 0),
    [0xfe] = GROUP(group4),
    [0xff] = GROUP(group5)
};

const struct operation x86_operations_0f[256] = {
    [0x01] = GROUP(group7),
    [0x0d] = ROW(nop, NONE, NONE, 0, 0),        /* PREFETCH */
    [0x18 ... 0x1f] = ROW(nop, NONE, NONE, 0, 0), /* PREFETCHh and the hint space, ENDBR with it */
    [0x40 ... 0x4f] = ROW(cmov, G, E, 0, 0),
    [0x80 ... 0x8f] = ROW(jcc, NONE, NONE, 0, 0),
    [0x90 ... 0x9f] = ROW(setcc, E, NONE, 0, 0),
    [0xa0] = ROW(push_segment, NONE, NONE, X86_FS, 0),
    [0xa1] = ROW(pop_segment, NONE, NONE, X86_FS, 0),
    [0xa3] = ROW(bit, E, G, BIT_TEST, 0),
    [0xa4] = ROW(double_shift, E, I, DIRECTION_LEFT, 0),
    [0xa5] = ROW(double_shift, E, CL, DIRECTION_LEFT, 0),
    [0xa8] = ROW(push_segment, NONE, NONE, X86_GS, 0),
    [0xa9] = ROW(pop_segment, NONE, NONE, X86_GS, 0),
    [0xab] = ROW(bit, E, G, BIT_SET, LOCK),
    [0xac] = ROW(double_shift, E, I, DIRECTION_RIGHT, 0),
    [0xad] = ROW(double_shift, E, CL, DIRECTION_RIGHT, 0),
    [0xae] = GROUP(group15),
    [0xaf] = ROW(imul, G, E, 0, 0),
    [0xb0 ... 0xb1] = ROW(cmpxchg, E, G, 0, LOCK),
    [0xb2] = ROW(load_far, G, E, X86_SS, OPERATION_MEMORY),
    [0xb3] = ROW(bit, E, G, BIT_RESET, LOCK),
    [0xb4] = ROW(load_far, G, E, X86_FS, OPERATION_MEMORY),
    [0xb5] = ROW(load_far, G, E, X86_GS, OPERATION_MEMORY),
    [0xb6] = ROW(mov, G, E8, 0, 0), /* MOVZX: reading an operand zero extends */
    [0xb7] = ROW(mov, G, E16, 0, 0),
    [0xb8] = ROW(popcnt, G, E, 0, 0),
    [0xba] = GROUP(group8),
    [0xbb] = ROW(bit, E, G, BIT_COMPLEMENT, LOCK),
    [0xbc] = ROW(bit_scan, G, E, DIRECTION_LEFT, 0),
    [0xbd] = ROW(bit_scan, G, E, DIRECTION_RIGHT, 0),
    [0xbe] = ROW(movsx, G, E8, 0, 0),
    [0xbf] = ROW(movsx, G, E16, 0, 0),
    [0xc0 ... 0xc1] = ROW(xadd, E, G, 0, LOCK),
    [0xc3] = ROW(movnti, E, G, 0, OPERATION_MEMORY | OPERATION_NO_REP | OPERATION_NO_66),
    [0xc7] = GROUP(group9),
    [0xc8 ... 0xcf] = ROW(bswap, Z, NONE, 0, 0)
};

/* clang-format on */
