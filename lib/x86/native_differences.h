/* SPDX-License-Identifier: ISC */
/*
 * Where a processor may rightly differ from the executor: what the manuals leave undefined (flags, by the
 * rows of native_rows.h and the few instructions that 64-bit mode does not have, and some results), what AMD
 * and Intel do differently, and what an instruction that faults may have done already. A comparison passes
 * over these, and over nothing else.
 */
#ifndef LIB_X86_NATIVE_DIFFERENCES_H
#define LIB_X86_NATIVE_DIFFERENCES_H

#include "lib/x86/native_rows.h"
#include "lib/x86/x86.h"

#include <cpuid.h>
#include <stddef.h>

/* The row's notation of an opcode: escapes, and VEX.pp on top. */
static inline uint32_t native_row_opcode(const struct x86_insn *insn)
{
    static const uint32_t escapes[] = {0, 0x0f00, 0x0f3800, 0x0f3a00};
    uint32_t prefix = insn->encoding == X86_ENCODING_VEX ? (uint32_t)insn->vector_prefix << 24 : 0;

    return prefix | escapes[insn->map & 3] | insn->opcode;
}

static inline bool native_row_matches(const struct row *row, const struct x86_insn *insn)
{
    uint32_t loose =
        (row->flags & PAIR ? 1u : 0) | (row->flags & LOW3 ? 7u : 0) | (row->flags & LOW4 ? 15u : 0);
    bool is_repeated = (insn->prefixes & X86_PREFIX_REP) != 0;
    bool is_count = insn->map == X86_MAP_0F && (insn->opcode == 0xbc || insn->opcode == 0xbd);

    if ((native_row_opcode(insn) | loose) != (row->opcode | loose))
        return false;
    if (((row->flags & VEX) != 0) != (insn->encoding == X86_ENCODING_VEX))
        return false;
    if (is_count && is_repeated != ((row->flags & REPEATED) != 0))
        return false;
    return row->group < 0 || (unsigned)row->group == ((insn->modrm >> 3) & 7u);
}

static inline const struct row *native_row_find(const struct x86_insn *insn)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (native_row_matches(&rows[i], insn))
            return &rows[i];
    return NULL;
}

/* The count of a shift, as it is masked; CL is that of RCX. */
static inline unsigned native_shift_count(const struct x86_insn *insn, uint64_t rcx)
{
    bool is_one = insn->map == X86_MAP_ONE && (insn->opcode & ~1u) == 0xd0;
    uint64_t raw = is_one ? 1 : insn->immediate_size ? insn->immediate : rcx;

    return (unsigned)raw & (insn->operand_size == 8 ? 63 : 31);
}

static inline uint64_t native_shift_undefined(const struct x86_insn *insn, uint64_t rcx)
{
    unsigned count = native_shift_count(insn, rcx);
    bool is_rotate = insn->map == X86_MAP_ONE && ((insn->modrm >> 3) & 7) < 4;
    uint64_t undefined = count > 1 ? OF : 0;

    if (count == 0 || is_rotate)
        return undefined;
    return undefined | AF | (count > 8u * insn->operand_size ? CF : 0);
}

/* Instructions that are undefined in 64-bit mode have no row. */
static inline uint64_t native_undefined_outside64(const struct x86_insn *insn)
{
    switch (insn->opcode) {
    case 0x37: /* AAA, AAS */
    case 0x3f:
        return OF | SF | ZF | PF;
    case 0xd4: /* AAM, AAD */
    case 0xd5:
        return OF | AF | CF;
    case 0x27: /* DAA, DAS */
    case 0x2f:
        return OF;
    case 0x82: {
        unsigned row = (insn->modrm >> 3) & 7;

        return row == 1 || row == 4 || row == 6 ? AF : 0;
    }
    default:
        return 0;
    }
}

static inline uint64_t native_flags_undefined(const struct x86_insn *insn, uint64_t rcx)
{
    const struct row *row = native_row_find(insn);

    if (!row)
        return insn->map == X86_MAP_ONE ? native_undefined_outside64(insn) : 0;
    return row->flags & SHIFT ? native_shift_undefined(insn, rcx) : row->undefined;
}

/* PUSH of a segment register as 32 bits: some processors write two bytes, some four (SDM vol. 2, PUSH). */
static inline bool native_pushes_selector32(const struct x86_insn *insn)
{
    bool is_push = insn->map == X86_MAP_ONE ? insn->opcode == 0x06 || insn->opcode == 0x16 ||
                                                  insn->opcode == 0x0e || insn->opcode == 0x1e
                                            : insn->map == X86_MAP_0F && (insn->opcode & 0xf7) == 0xa0;

    return insn->encoding == X86_ENCODING_LEGACY && insn->operand_size == 4 && is_push;
}

static inline bool native_is_bswap16(const struct x86_insn *insn)
{
    return insn->encoding == X86_ENCODING_LEGACY && insn->map == X86_MAP_0F &&
           (insn->opcode & 0xf8) == 0xc8 && insn->operand_size == 2;
}

/* SHLD and SHRD of words by more than 16, and the two above. */
static inline bool native_result_is_undefined(const struct x86_insn *insn, uint64_t rcx)
{
    if (native_pushes_selector32(insn) || native_is_bswap16(insn))
        return true;
    if (insn->map != X86_MAP_0F || insn->encoding != X86_ENCODING_LEGACY || insn->operand_size != 2)
        return false;
    return (insn->opcode & 0xf6) == 0xa4 && native_shift_count(insn, rcx) > 16;
}

static inline bool native_is_string(const struct x86_insn *insn)
{
    unsigned opcode = insn->opcode;

    return insn->encoding == X86_ENCODING_LEGACY && insn->map == X86_MAP_ONE &&
           ((opcode >= 0x6c && opcode <= 0x6f) || (opcode >= 0xa4 && opcode <= 0xa7) ||
            (opcode >= 0xaa && opcode <= 0xaf));
}

static inline bool native_host_is_intel(void)
{
    unsigned a, b, c, d;

    return __get_cpuid(0, &a, &b, &c, &d) && b == signature_INTEL_ebx;
}

/* Near branches with 66 in 64-bit mode: AMD takes 16 bits, Intel ignores it. The executor is like AMD. */
static inline bool native_differs_by_vendor(const struct x86_insn *insn)
{
    unsigned opcode = insn->opcode, row = (insn->modrm >> 3) & 7;
    bool is_branch = insn->map == X86_MAP_0F
                         ? (opcode & 0xf0) == 0x80
                         : (opcode & 0xf0) == 0x70 || (opcode & 0xfe) == 0xc2 || (opcode & 0xfc) == 0xe0 ||
                               opcode == 0xe8 || opcode == 0xe9 || opcode == 0xeb ||
                               (opcode == 0xff && (row == 2 || row == 4));

    return insn->encoding == X86_ENCODING_LEGACY && insn->map <= X86_MAP_0F && is_branch &&
           insn->mode == X86_MODE_64 && insn->operand_size == 2 && native_host_is_intel();
}

/* CLFLUSHOPT and CLWB, if the processor does not have them; SMSW, which user-mode instruction prevention
 * makes #GP and the kernel answers itself then. */
static inline bool native_is_missing(const struct x86_insn *insn)
{
    unsigned a, b = 0, c, d, row = (insn->modrm >> 3) & 7;

    if (insn->encoding != X86_ENCODING_LEGACY || insn->map != X86_MAP_0F)
        return false;
    if (insn->opcode == 0x01)
        return row == 4;
    return insn->opcode == 0xae && insn->prefixes & X86_PREFIX_OPERAND &&
           !(__get_cpuid_count(7, 0, &a, &b, &c, &d) && b >> (row == 7 ? 23 : 24) & 1);
}

/* Why user mode cannot have it done; NULL for no reason. */
static inline const char *native_hole_reason(const struct x86_insn *insn)
{
    bool is_plain = insn->encoding == X86_ENCODING_LEGACY && insn->map == X86_MAP_ONE;

    if (native_differs_by_vendor(insn))
        return "near branches with 66 in 64-bit mode: AMD takes 16 bits as the executor does, Intel does not";
    if (is_plain && ((insn->opcode >= 0x6c && insn->opcode <= 0x6f) ||
                     ((insn->opcode & 0xf4) == 0xe4 && (insn->opcode & 0xf) >= 4)))
        return "ports: a program gets #GP";
    if (is_plain && (insn->opcode == 0xfa || insn->opcode == 0xfb))
        return "CLI and STI: a program gets #GP";
    if (native_is_missing(insn))
        return "SMSW: the kernel answers; CLFLUSHOPT, CLWB: the processor does not have them";
    if (native_is_bswap16(insn))
        return "BSWAP of a word: undefined";
    if (native_pushes_selector32(insn))
        return "PUSH of a segment register as 32 bits: two or four bytes, by processor";
    return NULL;
}

static inline bool native_is_one(const struct x86_insn *insn, unsigned opcode)
{
    return insn->encoding == X86_ENCODING_LEGACY && insn->map == X86_MAP_ONE && insn->opcode == opcode;
}

static inline bool native_is_near_call(const struct x86_insn *insn)
{
    return native_is_one(insn, 0xe8) || (native_is_one(insn, 0xff) && (insn->modrm & 0x38) == 0x10);
}

/*
 * A repeated comparison that faults: Intel's processors give the flags back that it began with (SDM vol. 2,
 * REP), the executor those of the last comparison. Neither is an input of it when it is started again.
 */
static inline bool native_keeps_other_flags(const struct x86_insn *insn, enum x86_result result)
{
    return result == X86_FAULT && native_is_string(insn) && (insn->opcode & 0x06) == 0x06 &&
           (insn->prefixes & (X86_PREFIX_REP | X86_PREFIX_REPNE));
}

/*
 * Instructions with several writes may have done some of them when they fault, and a CALL its push when its
 * target is wrong: the stack pointer says that nothing was pushed. The executor writes all or nothing.
 */
static inline bool native_leaves_writes(const struct x86_insn *insn, enum x86_result result)
{
    return result == X86_FAULT &&
           (native_is_one(insn, 0x60) || native_is_one(insn, 0xc8) || native_is_near_call(insn));
}

/* POPA may have loaded some registers when it faults. It loads them again when it is started again. */
static inline bool native_leaves_registers(const struct x86_insn *insn, enum x86_result result)
{
    return result == X86_FAULT && native_is_one(insn, 0x61);
}

/*
 * A CALL to a wrong target without room on the stack: the manuals look at the target first, Intel at the
 * stack. An ENTER that can neither read the old frame nor write the new one: processors go from one to the
 * other, the executor looks at all that is written first.
 */
static inline bool native_has_two_faults(const struct x86_insn *insn, unsigned ours, unsigned theirs)
{
    bool is_stack = theirs == X86_VECTOR_PF || theirs == X86_VECTOR_AC || theirs == X86_VECTOR_SS;

    if (native_is_one(insn, 0xc8))
        return is_stack && (ours == X86_VECTOR_PF || ours == X86_VECTOR_AC || ours == X86_VECTOR_SS);
    return native_is_near_call(insn) && is_stack && ours == X86_VECTOR_GP;
}

/*
 * REP with 32-bit addresses in 64-bit mode: Intel's processors clear the upper halves of RCX, RSI and RDI
 * even if nothing is repeated, AMD's do it with the first repetition.
 */
static inline bool native_clears_upper_halves(const struct x86_insn *insn)
{
    return insn->mode == X86_MODE_64 && insn->address_size == 4 && native_is_string(insn) &&
           (insn->prefixes & (X86_PREFIX_REP | X86_PREFIX_REPNE)) && native_host_is_intel();
}

#endif
