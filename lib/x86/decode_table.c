/* SPDX-License-Identifier: ISC */
/*
 * The opcode maps of APM vol. 3 appendix A (Intel SDM vol. 2 appendix A), reduced to what decides on an
 * instruction's length. The rows stand in the order of the manual's maps so that they can be held beside
 * them.
 */
#include "lib/x86/decode_table.h"

#define IMM(kind) (IMMEDIATE_##kind << OPCODE_IMMEDIATE_SHIFT)

enum {
    M = OPCODE_MODRM,
    B = OPCODE_BYTE,
    X = OPCODE_NOT64,
    D = OPCODE_DEFAULT64,
    U = OPCODE_UNDEFINED,
    R = OPCODE_MODRM | OPCODE_REGISTER,
    P = OPCODE_PREFIX,
    Ib = IMM(B),
    Iw = IMM(W),
    Iz = IMM(Z),
    Iv = IMM(V),
    Ap = IMM(FAR),
    O_ = IMM(OFFSET)
};

/* clang-format off */

/* ADD, OR, ADC, SBB, AND, SUB, XOR and CMP have the same six forms. */
#define ARITHMETIC M | B, M, M | B, M, B | Ib, Iz

const uint16_t x86_opcodes_one[256] = {
    /* 00 */ ARITHMETIC, X, X,                 ARITHMETIC, X, P,
    /* 10 */ ARITHMETIC, X, X,                 ARITHMETIC, X, X,
    /* 20 */ ARITHMETIC, P, X,                 ARITHMETIC, P, X,
    /* 30 */ ARITHMETIC, P, X,                 ARITHMETIC, P, X,
    /* 40: REX in 64-bit mode */
    /* 40 */ X, X, X, X, X, X, X, X,           X, X, X, X, X, X, X, X,
    /* 50 */ D, D, D, D, D, D, D, D,           D, D, D, D, D, D, D, D,
    /* 60 */ X, X, X | M, M, P, P, P, P,       D | Iz, M | Iz, D | Ib, M | Ib, B, 0, B, 0,
    /* 70 */ D | Ib, D | Ib, D | Ib, D | Ib, D | Ib, D | Ib, D | Ib, D | Ib,
             D | Ib, D | Ib, D | Ib, D | Ib, D | Ib, D | Ib, D | Ib, D | Ib,
    /* 80 */ M | B | Ib, M | Iz, X | M | B | Ib, M | Ib, M | B, M, M | B, M,
             M | B, M, M | B, M, M, M, M, M | D,
    /* 90 */ 0, 0, 0, 0, 0, 0, 0, 0,           0, 0, X | Ap, 0, D, D, 0, 0,
    /* A0 */ B | O_, O_, B | O_, O_, B, 0, B, 0, B | Ib, Iz, B, 0, B, 0, B, 0,
    /* B0 */ B | Ib, B | Ib, B | Ib, B | Ib, B | Ib, B | Ib, B | Ib, B | Ib,
             Iv, Iv, Iv, Iv, Iv, Iv, Iv, Iv,
    /* C0 */ M | B | Ib, M | Ib, D | Iw, D, X | M, X | M, M | B | Ib, M | Iz,
             D | IMM(WB), D, Iw, 0, 0, Ib, X, 0,
    /* D0 */ M | B, M, M | B, M, X | Ib, X | Ib, X, B, M, M, M, M, M, M, M, M,
    /* E0 */ D | Ib, D | Ib, D | Ib, D | Ib, B | Ib, Ib, B | Ib, Ib,
             D | Iz, D | Iz, X | Ap, D | Ib, B, 0, B, 0,
    /* F0 */ P, 0, P, P, 0, 0, M | B | IMM(GROUP3B), M | IMM(GROUP3Z), 0, 0, 0, 0, 0, 0, M | B, M
};

const uint16_t x86_opcodes_0f[256] = {
    /* 00 */ M, M, M, M, U, 0, 0, 0,           0, 0, U, 0, U, M, 0, M | Ib,
    /* 10 */ M, M, M, M, M, M, M, M,           M, M, M, M, M, M, M, M,
    /* 20 */ R, R, R, R, U, U, U, U,           M, M, M, M, M, M, M, M,
    /* 30 */ 0, 0, 0, 0, 0, 0, U, 0,           P, U, P, U, U, U, U, U,
    /* 40 */ M, M, M, M, M, M, M, M,           M, M, M, M, M, M, M, M,
    /* 50 */ M, M, M, M, M, M, M, M,           M, M, M, M, M, M, M, M,
    /* 60 */ M, M, M, M, M, M, M, M,           M, M, M, M, M, M, M, M,
    /* 70 */ M | Ib, M | Ib, M | Ib, M | Ib, M, M, M, 0, M, M, U, U, M, M, M, M,
    /* 80 */ D | Iz, D | Iz, D | Iz, D | Iz, D | Iz, D | Iz, D | Iz, D | Iz,
             D | Iz, D | Iz, D | Iz, D | Iz, D | Iz, D | Iz, D | Iz, D | Iz,
    /* 90 */ M | B, M | B, M | B, M | B, M | B, M | B, M | B, M | B,
             M | B, M | B, M | B, M | B, M | B, M | B, M | B, M | B,
    /* A0 */ D, D, 0, M, M | Ib, M, U, U,      D, D, 0, M, M | Ib, M, M, M,
    /* B0 */ M | B, M, M, M, M, M, M, M,       M, M, M | Ib, M, M, M, M, M,
    /* C0 */ M | B, M, M | Ib, M, M | Ib, M | Ib, M | Ib, M, 0, 0, 0, 0, 0, 0, 0, 0,
    /* D0 */ M, M, M, M, M, M, M, M,           M, M, M, M, M, M, M, M,
    /* E0 */ M, M, M, M, M, M, M, M,           M, M, M, M, M, M, M, M,
    /* F0 */ M, M, M, M, M, M, M, M,           M, M, M, M, M, M, M, M
};

/* SSSE3, SSE4, AES, SHA, INVEPT, CRC32, MOVBE, ADX, MOVDIRI, Key Locker: legacy encodings only. */
const uint16_t x86_opcodes_0f38[256] = {
    /* 00 */ M, M, M, M, M, M, M, M,           M, M, M, M, U, U, U, U,
    /* 10 */ M, U, U, U, M, M, U, M,           U, U, U, U, M, M, M, U,
    /* 20 */ M, M, M, M, M, M, U, U,           M, M, M, M, U, U, U, U,
    /* 30 */ M, M, M, M, M, M, U, M,           M, M, M, M, M, M, M, M,
    /* 40 */ M, M, U, U, U, U, U, U,           U, U, U, U, U, U, U, U,
    /* 50 */ U, U, U, U, U, U, U, U,           U, U, U, U, U, U, U, U,
    /* 60 */ U, U, U, U, U, U, U, U,           U, U, U, U, U, U, U, U,
    /* 70 */ U, U, U, U, U, U, U, U,           U, U, U, U, U, U, U, U,
    /* 80 */ M, M, M, U, U, U, U, U,           U, U, U, U, U, U, U, U,
    /* 90 */ U, U, U, U, U, U, U, U,           U, U, U, U, U, U, U, U,
    /* A0 */ U, U, U, U, U, U, U, U,           U, U, U, U, U, U, U, U,
    /* B0 */ U, U, U, U, U, U, U, U,           U, U, U, U, U, U, U, U,
    /* C0 */ U, U, U, U, U, U, U, U,           M, M, M, M, M, M, U, M,
    /* D0 */ U, U, U, U, U, U, U, U,           M, U, U, M, M, M, M, M,
    /* E0 */ U, U, U, U, U, U, U, U,           U, U, U, U, U, U, U, U,
    /* F0 */ M, M, U, U, U, M, M, U,           M, M, M, M, M, U, U, U
};

#define N M | Ib
const uint16_t x86_opcodes_0f3a[256] = {
    /* 00 */ U, U, U, U, U, U, U, U,           N, N, N, N, N, N, N, N,
    /* 10 */ U, U, U, U, N, N, N, N,           U, U, U, U, U, U, U, U,
    /* 20 */ N, N, N, U, U, U, U, U,           U, U, U, U, U, U, U, U,
    /* 30 */ U, U, U, U, U, U, U, U,           U, U, U, U, U, U, U, U,
    /* 40 */ N, N, N, U, N, U, U, U,           U, U, U, U, U, U, U, U,
    /* 50 */ U, U, U, U, U, U, U, U,           U, U, U, U, U, U, U, U,
    /* 60 */ N, N, N, N, U, U, U, U,           U, U, U, U, U, U, U, U,
    /* 70 */ U, U, U, U, U, U, U, U,           U, U, U, U, U, U, U, U,
    /* 80 */ U, U, U, U, U, U, U, U,           U, U, U, U, U, U, U, U,
    /* 90 */ U, U, U, U, U, U, U, U,           U, U, U, U, U, U, U, U,
    /* A0 */ U, U, U, U, U, U, U, U,           U, U, U, U, U, U, U, U,
    /* B0 */ U, U, U, U, U, U, U, U,           U, U, U, U, U, U, U, U,
    /* C0 */ U, U, U, U, U, U, U, U,           U, U, U, U, N, U, N, N,
    /* D0 */ U, U, U, U, U, U, U, U,           U, U, U, U, U, U, U, N,
    /* E0 */ U, U, U, U, U, U, U, U,           U, U, U, U, U, U, U, U,
    /* F0 */ N, U, U, U, U, U, U, U,           U, U, U, U, U, U, U, U
};
#undef N

/* clang-format on */
