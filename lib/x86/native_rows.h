/* SPDX-License-Identifier: ISC */
/*
 * The instructions that native_test.c compares with the processor, and what it must know to make them up.
 */
#ifndef LIB_X86_NATIVE_ROWS_H
#define LIB_X86_NATIVE_ROWS_H

#include "lib/x86/x86.h"

#define CF       X86_RFLAGS_CF
#define PF       X86_RFLAGS_PF
#define AF       X86_RFLAGS_AF
#define ZF       X86_RFLAGS_ZF
#define SF       X86_RFLAGS_SF
#define OF       X86_RFLAGS_OF
#define STATUS   (CF | PF | AF | ZF | SF | OF)
#define COMPARED (STATUS | X86_RFLAGS_DF)

enum row_flag {
    PAIR = 1 << 0, /* opcode and opcode + 1 are the byte and the wide form */
    LOCKABLE = 1 << 1,
    MEMORY = 1 << 2, /* memory operand only */
    NO_MODRM = 1 << 3,
    LOW3 = 1 << 4, /* the opcode's low three bits are random: a register */
    LOW4 = 1 << 5, /* the low four bits: a condition */
    IMM8 = 1 << 6,
    IMMZ = 1 << 7,
    IMMV = 1 << 8,
    STACK = 1 << 9,      /* rSP points into the data */
    SMALL_REG = 1 << 10, /* the register operand is a small number: BT */
    SHIFT = 1 << 11,     /* flags are undefined by count */
    STRING = 1 << 12,
    ONLY_WIDE = 1 << 13, /* 32 and 64 bits only */
    NO_WIDE64 = 1 << 14, /* not with REX.W */
    BYTE_REG = 1 << 15,  /* one operand is a byte: REX or not decides on AH */
    XLAT = 1 << 16,
    REPEATED = 1 << 17, /* F3 makes it this instruction */
    FRAME = 1 << 18,    /* rBP points into the data too; the immediates are those of ENTER */
    POPPED_FLAGS = 1 << 19,
    VEX = 1 << 20,    /* the opcode's top byte is VEX.pp */
    WIDE16 = 1 << 21, /* CMPXCHG16B */
    RORX = 1 << 22    /* vvvv is unused */
};

struct row {
    const char *name;
    uint32_t opcode; /* 0x0fXX, 0x0f38XX: with escapes */
    int group;       /* ModRM.reg, or -1 */
    unsigned flags;
    uint64_t undefined;
};

#define ALU(name, opcode, group, undefined)                                                                  \
    {name " E,G", opcode, -1, PAIR | LOCKABLE, undefined}, {name " G,E", opcode + 2, -1, PAIR, undefined},   \
        {name " A,I", opcode + 4, -1, PAIR | NO_MODRM | IMMZ, undefined},                                    \
        {name " E,I", 0x80, group, PAIR | LOCKABLE | IMMZ, undefined},                                       \
    {                                                                                                        \
        name " E,Ib", 0x83, group, LOCKABLE | IMM8, undefined                                                \
    }
#define SHIFTS(name, group)                                                                                  \
    {name " E,I", 0xc0, group, PAIR | IMM8 | SHIFT, 0}, {name " E,1", 0xd0, group, PAIR | SHIFT, 0},         \
    {                                                                                                        \
        name " E,CL", 0xd2, group, PAIR | SHIFT, 0                                                           \
    }

static const struct row rows[] = {
    ALU("add", 0x00, 0, 0),
    ALU("or", 0x08, 1, AF),
    ALU("adc", 0x10, 2, 0),
    ALU("sbb", 0x18, 3, 0),
    ALU("and", 0x20, 4, AF),
    ALU("sub", 0x28, 5, 0),
    ALU("xor", 0x30, 6, AF),
    {"cmp E,G", 0x38, -1, PAIR, 0},
    {"cmp G,E", 0x3a, -1, PAIR, 0},
    {"cmp A,I", 0x3c, -1, PAIR | NO_MODRM | IMMZ, 0},
    {"cmp E,I", 0x80, 7, PAIR | IMMZ, 0},
    {"cmp E,Ib", 0x83, 7, IMM8, 0},
    {"test E,G", 0x84, -1, PAIR, AF},
    {"test A,I", 0xa8, -1, PAIR | NO_MODRM | IMMZ, AF},
    {"test E,I", 0xf6, 0, PAIR | IMMZ, AF},
    {"test E,I (1)", 0xf6, 1, PAIR | IMMZ, AF},
    {"not", 0xf6, 2, PAIR | LOCKABLE, 0},
    {"neg", 0xf6, 3, PAIR | LOCKABLE, 0},
    {"mul", 0xf6, 4, PAIR, SF | ZF | AF | PF},
    {"imul", 0xf6, 5, PAIR, SF | ZF | AF | PF},
    {"div", 0xf6, 6, PAIR, STATUS},
    {"idiv", 0xf6, 7, PAIR, STATUS},
    {"inc", 0xfe, 0, PAIR | LOCKABLE, 0},
    {"dec", 0xfe, 1, PAIR | LOCKABLE, 0},
    {"imul G,E,I", 0x69, -1, IMMZ, SF | ZF | AF | PF},
    {"imul G,E,Ib", 0x6b, -1, IMM8, SF | ZF | AF | PF},
    {"imul G,E", 0x0faf, -1, 0, SF | ZF | AF | PF},
    SHIFTS("rol", 0),
    SHIFTS("ror", 1),
    SHIFTS("rcl", 2),
    SHIFTS("rcr", 3),
    SHIFTS("shl", 4),
    SHIFTS("shr", 5),
    SHIFTS("sal", 6),
    SHIFTS("sar", 7),
    {"shld I", 0x0fa4, -1, IMM8 | SHIFT, 0},
    {"shld CL", 0x0fa5, -1, SHIFT, 0},
    {"shrd I", 0x0fac, -1, IMM8 | SHIFT, 0},
    {"shrd CL", 0x0fad, -1, SHIFT, 0},
    {"bt", 0x0fa3, -1, SMALL_REG, OF | SF | AF | PF},
    {"bts", 0x0fab, -1, SMALL_REG | LOCKABLE, OF | SF | AF | PF},
    {"btr", 0x0fb3, -1, SMALL_REG | LOCKABLE, OF | SF | AF | PF},
    {"btc", 0x0fbb, -1, SMALL_REG | LOCKABLE, OF | SF | AF | PF},
    {"bt I", 0x0fba, 4, IMM8, OF | SF | AF | PF},
    {"bts I", 0x0fba, 5, IMM8 | LOCKABLE, OF | SF | AF | PF},
    {"btr I", 0x0fba, 6, IMM8 | LOCKABLE, OF | SF | AF | PF},
    {"btc I", 0x0fba, 7, IMM8 | LOCKABLE, OF | SF | AF | PF},
    {"bsf", 0x0fbc, -1, 0, CF | OF | SF | AF | PF},
    {"bsr", 0x0fbd, -1, 0, CF | OF | SF | AF | PF},
    {"tzcnt", 0x0fbc, -1, REPEATED, OF | SF | AF | PF},
    {"lzcnt", 0x0fbd, -1, REPEATED, OF | SF | AF | PF},
    {"popcnt", 0x0fb8, -1, REPEATED, 0},
    {"andn", 0x0f38f2, -1, VEX | ONLY_WIDE, AF | PF},
    {"blsr", 0x0f38f3, 1, VEX | ONLY_WIDE, AF | PF},
    {"blsmsk", 0x0f38f3, 2, VEX | ONLY_WIDE, AF | PF},
    {"blsi", 0x0f38f3, 3, VEX | ONLY_WIDE, AF | PF},
    {"bzhi", 0x0f38f5, -1, VEX | ONLY_WIDE, AF | PF},
    {"pext", 0x20f38f5, -1, VEX | ONLY_WIDE, 0},
    {"pdep", 0x30f38f5, -1, VEX | ONLY_WIDE, 0},
    {"mulx", 0x30f38f6, -1, VEX | ONLY_WIDE, 0},
    {"bextr", 0x0f38f7, -1, VEX | ONLY_WIDE, AF | PF | SF},
    {"shlx", 0x10f38f7, -1, VEX | ONLY_WIDE, 0},
    {"sarx", 0x20f38f7, -1, VEX | ONLY_WIDE, 0},
    {"shrx", 0x30f38f7, -1, VEX | ONLY_WIDE, 0},
    {"rorx", 0x30f3af0, -1, VEX | ONLY_WIDE | IMM8 | RORX, 0},
    {"bswap", 0x0fc8, -1, NO_MODRM | LOW3 | ONLY_WIDE, 0},
    {"xchg E,G", 0x86, -1, PAIR | LOCKABLE, 0},
    {"xchg Z,A", 0x90, -1, NO_MODRM | LOW3, 0},
    {"xadd", 0x0fc0, -1, PAIR | LOCKABLE, 0},
    {"cmpxchg", 0x0fb0, -1, PAIR | LOCKABLE, 0},
    {"cmpxchg8b", 0x0fc7, 1, MEMORY | LOCKABLE | NO_WIDE64, 0},
    {"cmpxchg16b", 0x0fc7, 1, MEMORY | LOCKABLE | WIDE16, 0},
    {"mov E,G", 0x88, -1, PAIR, 0},
    {"mov G,E", 0x8a, -1, PAIR, 0},
    {"mov E,I", 0xc6, 0, PAIR | IMMZ, 0},
    {"mov Zb,I", 0xb0, -1, NO_MODRM | LOW3 | IMM8 | BYTE_REG, 0},
    {"mov Z,I", 0xb8, -1, NO_MODRM | LOW3 | IMMV, 0},
    {"movzx b", 0x0fb6, -1, BYTE_REG, 0},
    {"movzx w", 0x0fb7, -1, 0, 0},
    {"movsx b", 0x0fbe, -1, BYTE_REG, 0},
    {"movsx w", 0x0fbf, -1, 0, 0},
    {"movsxd", 0x63, -1, 0, 0},
    {"movnti", 0x0fc3, -1, MEMORY | ONLY_WIDE, 0},
    {"movbe G,M", 0x0f38f0, -1, MEMORY, 0},
    {"movbe M,G", 0x0f38f1, -1, MEMORY, 0},
    {"lea", 0x8d, -1, MEMORY, 0},
    {"cmovcc", 0x0f40, -1, LOW4, 0},
    {"setcc", 0x0f90, -1, LOW4 | BYTE_REG, 0},
    {"cbw", 0x98, -1, NO_MODRM, 0},
    {"cwd", 0x99, -1, NO_MODRM, 0},
    {"sahf", 0x9e, -1, NO_MODRM, 0},
    {"lahf", 0x9f, -1, NO_MODRM, 0},
    {"cmc", 0xf5, -1, NO_MODRM, 0},
    {"clc, stc", 0xf8, -1, NO_MODRM | PAIR, 0},
    {"cld, std", 0xfc, -1, NO_MODRM | PAIR, 0},
    {"xlat", 0xd7, -1, NO_MODRM | XLAT, 0},
    {"push Z", 0x50, -1, NO_MODRM | LOW3 | STACK, 0},
    {"pop Z", 0x58, -1, NO_MODRM | LOW3 | STACK, 0},
    {"push I", 0x68, -1, NO_MODRM | IMMZ | STACK, 0},
    {"push Ib", 0x6a, -1, NO_MODRM | IMM8 | STACK, 0},
    {"push E", 0xff, 6, STACK, 0},
    {"pop E", 0x8f, 0, STACK, 0},
    {"pushf", 0x9c, -1, NO_MODRM | STACK, 0},
    {"popf", 0x9d, -1, NO_MODRM | STACK | POPPED_FLAGS, 0},
    {"enter", 0xc8, -1, NO_MODRM | STACK | FRAME, 0},
    {"leave", 0xc9, -1, NO_MODRM | STACK | FRAME, 0},
    {"push fs", 0x0fa0, -1, NO_MODRM | STACK, 0},
    {"push gs", 0x0fa8, -1, NO_MODRM | STACK, 0},
    {"movs", 0xa4, -1, NO_MODRM | PAIR | STRING, 0},
    {"cmps", 0xa6, -1, NO_MODRM | PAIR | STRING, 0},
    {"stos", 0xaa, -1, NO_MODRM | PAIR | STRING, 0},
    {"lods", 0xac, -1, NO_MODRM | PAIR | STRING, 0},
    {"scas", 0xae, -1, NO_MODRM | PAIR | STRING, 0},
};

#endif
