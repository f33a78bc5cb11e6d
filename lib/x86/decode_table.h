/* SPDX-License-Identifier: ISC */
/*
 * Per-opcode properties: all that the decoder must know of an opcode to find the instruction's length and
 * sizes. What an opcode does is no business of these tables; see operation.h for that.
 */
#ifndef LIB_X86_DECODE_TABLE_H
#define LIB_X86_DECODE_TABLE_H

#include <stdint.h>

#define OPCODE_MODRM     (1u << 0) /* ModRM byte follows */
#define OPCODE_BYTE      (1u << 1) /* operands are bytes */
#define OPCODE_NOT64     (1u << 2) /* undefined in 64-bit mode */
#define OPCODE_DEFAULT64 (1u << 3) /* operands are 64 bits wide in 64-bit mode without REX.W */
#define OPCODE_UNDEFINED (1u << 4)
#define OPCODE_REGISTER  (1u << 5) /* ModRM.mod is ignored and taken as 3: MOV to and from CR, DR */
#define OPCODE_PREFIX    (1u << 6) /* a prefix or an escape: consumed before the tables are asked */

#define OPCODE_IMMEDIATE_SHIFT 8

/* Kinds of immediate. Z is 2 or 4 bytes by operand size, V is 2, 4 or 8. */
enum opcode_immediate {
    IMMEDIATE_NONE,
    IMMEDIATE_B,
    IMMEDIATE_W,
    IMMEDIATE_Z,
    IMMEDIATE_V,
    IMMEDIATE_D,       /* 4 bytes always: XOP map A */
    IMMEDIATE_WB,      /* ENTER */
    IMMEDIATE_BB,      /* EXTRQ, INSERTQ */
    IMMEDIATE_FAR,     /* Z, then a selector */
    IMMEDIATE_OFFSET,  /* a direct memory offset of address size */
    IMMEDIATE_GROUP3B, /* B, but only for ModRM.reg 0 and 1 (TEST) */
    IMMEDIATE_GROUP3Z  /* Z, likewise */
};

extern const uint16_t x86_opcodes_one[256];
extern const uint16_t x86_opcodes_0f[256];
extern const uint16_t x86_opcodes_0f38[256];
extern const uint16_t x86_opcodes_0f3a[256];

#endif
