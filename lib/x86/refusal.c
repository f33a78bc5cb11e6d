/* SPDX-License-Identifier: ISC */
/*
 * Why the executor leaves an instruction alone. A monitor that meets one on device memory has to refuse it,
 * and should say more than its opcode. refusal_test.c goes through all instructions with memory operands and
 * wants each to be executed, to have a row here, or to belong to a feature that no guest is offered.
 */
#include "lib/x86/x86.h"

#define ALL_ROWS 0xffu

/* The moves of SSE and AVX among them, with which C libraries copy memory: a frame buffer has to be memory
 * for them. */
static const char state[] = "it uses the registers of x87, MMX, SSE or AVX, which a monitor does not have";
static const char descriptor[] = "it reads a descriptor";
static const char system[] = "it is about control registers, descriptor tables or the TLB";
static const char line[] = "it writes a line of 64 bytes at once";
static const char amd[] = "it belongs to TBM or LWP, extensions of some processors of AMD";

struct refusal {
    uint8_t encoding;
    uint8_t map;
    uint8_t first, last; /* opcodes */
    uint8_t rows;        /* a bit for each value of ModRM.reg */
    const char *reason;
};

static const struct refusal refusals[] = {
    {X86_ENCODING_LEGACY, X86_MAP_ONE, 0x8e, 0x8e, 0x3d, descriptor},     /* MOV to a segment register */
    {X86_ENCODING_LEGACY, X86_MAP_ONE, 0xc4, 0xc5, ALL_ROWS, descriptor}, /* LES, LDS */
    {X86_ENCODING_LEGACY, X86_MAP_ONE, 0xd8, 0xdf, ALL_ROWS, state},
    {X86_ENCODING_LEGACY, X86_MAP_ONE, 0xff, 0xff, 0x28, descriptor},    /* far CALL and JMP */
    {X86_ENCODING_LEGACY, X86_MAP_0F, 0x00, 0x00, 0x03, system},         /* SLDT, STR */
    {X86_ENCODING_LEGACY, X86_MAP_0F, 0x00, 0x00, 0x3c, descriptor},     /* LLDT, LTR, VERR, VERW */
    {X86_ENCODING_LEGACY, X86_MAP_0F, 0x01, 0x01, 0xcf, system},         /* SGDT to LIDT, LMSW, INVLPG */
    {X86_ENCODING_LEGACY, X86_MAP_0F, 0x02, 0x03, ALL_ROWS, descriptor}, /* LAR, LSL */
    {X86_ENCODING_LEGACY, X86_MAP_0F, 0x0f, 0x0f, ALL_ROWS, state},      /* 3DNow! */
    {X86_ENCODING_LEGACY, X86_MAP_0F, 0x10, 0x17, ALL_ROWS, state},
    {X86_ENCODING_LEGACY, X86_MAP_0F, 0x28, 0x2f, ALL_ROWS, state},
    {X86_ENCODING_LEGACY, X86_MAP_0F, 0x50, 0x77, ALL_ROWS, state},
    {X86_ENCODING_LEGACY, X86_MAP_0F, 0x7c, 0x7f, ALL_ROWS, state},
    {X86_ENCODING_LEGACY, X86_MAP_0F, 0xae, 0xae, 0x3f, state},          /* FXSAVE to XRSTOR */
    {X86_ENCODING_LEGACY, X86_MAP_0F, 0xb2, 0xb2, ALL_ROWS, descriptor}, /* LSS, LFS, LGS */
    {X86_ENCODING_LEGACY, X86_MAP_0F, 0xb4, 0xb5, ALL_ROWS, descriptor},
    {X86_ENCODING_LEGACY, X86_MAP_0F, 0xc2, 0xc2, ALL_ROWS, state},
    {X86_ENCODING_LEGACY, X86_MAP_0F, 0xc4, 0xc6, ALL_ROWS, state},
    {X86_ENCODING_LEGACY, X86_MAP_0F, 0xc7, 0xc7, 0x10, state}, /* XSAVEC */
    {X86_ENCODING_LEGACY, X86_MAP_0F, 0xd0, 0xfe, ALL_ROWS, state},
    {X86_ENCODING_LEGACY, X86_MAP_0F38, 0x00, 0x41, ALL_ROWS, state},
    {X86_ENCODING_LEGACY, X86_MAP_0F38, 0x82, 0x82, ALL_ROWS, system}, /* INVPCID */
    {X86_ENCODING_LEGACY, X86_MAP_0F38, 0xc8, 0xcf, ALL_ROWS, state},  /* SHA, GFNI */
    {X86_ENCODING_LEGACY, X86_MAP_0F38, 0xdb, 0xdf, ALL_ROWS, state},  /* AES */
    {X86_ENCODING_LEGACY, X86_MAP_0F3A, 0x00, 0xef, ALL_ROWS, state},
    {X86_ENCODING_VEX, X86_MAP_0F, 0x00, 0xff, ALL_ROWS, state},
    {X86_ENCODING_VEX, X86_MAP_0F38, 0x00, 0xdf, ALL_ROWS, state},
    {X86_ENCODING_VEX, X86_MAP_0F3A, 0x00, 0xef, ALL_ROWS, state},
    {X86_ENCODING_XOP, X86_MAP_XOP8, 0x00, 0xff, ALL_ROWS, state},
    {X86_ENCODING_XOP, X86_MAP_XOP9, 0x01, 0x02, ALL_ROWS, amd},
    {X86_ENCODING_XOP, X86_MAP_XOP9, 0x80, 0xff, ALL_ROWS, state},
    {X86_ENCODING_XOP, X86_MAP_XOPA, 0x10, 0x12, ALL_ROWS, amd},
};

static bool is_clzero(const struct x86_insn *insn)
{
    return insn->encoding == X86_ENCODING_LEGACY && insn->map == X86_MAP_0F && insn->opcode == 0x01 &&
           insn->modrm == 0xfc;
}

/* With 66 it is CLWB. */
static bool is_xsaveopt(const struct x86_insn *insn)
{
    return insn->encoding == X86_ENCODING_LEGACY && insn->map == X86_MAP_0F && insn->opcode == 0xae &&
           (insn->modrm & 0x38) == 0x30 && !(insn->prefixes & X86_PREFIX_OPERAND);
}

const char *x86_refusal(const struct x86_insn *insn)
{
    if (is_clzero(insn))
        return line;
    if (is_xsaveopt(insn))
        return state;
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        const struct refusal *r = &refusals[i];

        if (r->encoding == insn->encoding && r->map == insn->map && insn->opcode >= r->first &&
            insn->opcode <= r->last && r->rows >> ((insn->modrm >> 3) & 7) & 1)
            return r->reason;
    }
    return NULL;
}
