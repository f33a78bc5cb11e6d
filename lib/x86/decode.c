/* SPDX-License-Identifier: ISC */
/*
 * The instruction decoder: prefixes, opcode, ModRM, SIB, displacement and immediates, in the order in which
 * they stand in the code. What follows an opcode is looked up in decode_table.c; the few irregular opcodes
 * are gathered in opcode_properties(). All bytes come through take(), which alone knows how many there are.
 */
#include "lib/x86/decode_table.h"
#include "lib/x86/x86.h"

#include <string.h>

#define TRY(expression)                                                                                      \
    do {                                                                                                     \
        enum x86_decode_status try_status = (expression);                                                    \
        if (try_status != X86_DECODE_OK)                                                                     \
            return try_status;                                                                               \
    } while (0)

struct cursor {
    const uint8_t *bytes;
    size_t available;
    struct x86_insn *insn; /* length is the position */
};

static enum x86_decode_status take(struct cursor *cursor, unsigned count, uint64_t *value)
{
    size_t position = cursor->insn->length;
    size_t end = position + count;
    uint64_t result = 0;

    if (end > cursor->available && cursor->available < X86_INSN_MAX)
        return X86_DECODE_TRUNCATED;
    if (end > X86_INSN_MAX)
        return X86_DECODE_TOO_LONG;
    for (unsigned i = 0; i < count; i++)
        result |= (uint64_t)cursor->bytes[position + i] << (8 * i);
    cursor->insn->length = (uint8_t)end;
    *value = result;
    return X86_DECODE_OK;
}

static enum x86_decode_status take_byte(struct cursor *cursor, uint8_t *value)
{
    uint64_t wide = 0;

    TRY(take(cursor, 1, &wide));
    *value = (uint8_t)wide;
    return X86_DECODE_OK;
}

/* The byte after the last taken: whether C4, C5, 62 and 8F are escapes depends on it. */
static enum x86_decode_status peek_byte(struct cursor *cursor, uint8_t *value)
{
    uint8_t length = cursor->insn->length;

    TRY(take_byte(cursor, value));
    cursor->insn->length = length;
    return X86_DECODE_OK;
}

static uint64_t sign_extend(uint64_t value, unsigned size)
{
    unsigned shift = 64 - 8 * size;

    return (uint64_t)((int64_t)(value << shift) >> shift);
}

static enum x86_decode_status take_signed(struct cursor *cursor, unsigned size, uint64_t *value)
{
    TRY(take(cursor, size, value));
    *value = sign_extend(*value, size);
    return X86_DECODE_OK;
}

static void set_segment(struct x86_insn *insn, enum x86_segment_register segment)
{
    if (insn->mode == X86_MODE_64 && segment < X86_FS)
        return;
    insn->prefixes |= X86_PREFIX_SEGMENT;
    insn->segment = (uint8_t)segment;
}

/* Notes one legacy prefix; false if the byte is none. */
static bool note_prefix(struct x86_insn *insn, uint8_t byte)
{
    switch (byte) {
    case 0x26:
        set_segment(insn, X86_ES);
        return true;
    case 0x2e:
        set_segment(insn, X86_CS);
        return true;
    case 0x36:
        set_segment(insn, X86_SS);
        return true;
    case 0x3e:
        set_segment(insn, X86_DS);
        return true;
    case 0x64:
        set_segment(insn, X86_FS);
        return true;
    case 0x65:
        set_segment(insn, X86_GS);
        return true;
    case 0x66:
        insn->prefixes |= X86_PREFIX_OPERAND;
        return true;
    case 0x67:
        insn->prefixes |= X86_PREFIX_ADDRESS;
        return true;
    case 0xf0:
        insn->prefixes |= X86_PREFIX_LOCK;
        return true;
    case 0xf2:
        insn->prefixes = (uint8_t)((insn->prefixes & ~X86_PREFIX_REP) | X86_PREFIX_REPNE);
        return true;
    case 0xf3:
        insn->prefixes = (uint8_t)((insn->prefixes & ~X86_PREFIX_REPNE) | X86_PREFIX_REP);
        return true;
    default:
        return false;
    }
}

/* All prefixes and the first byte of the opcode. A REX counts only right before the opcode. */
static enum x86_decode_status decode_prefixes(struct cursor *cursor)
{
    struct x86_insn *insn = cursor->insn;

    for (;;) {
        TRY(take_byte(cursor, &insn->opcode));
        if (insn->mode == X86_MODE_64 && (insn->opcode & 0xf0) == 0x40)
            insn->rex = insn->opcode;
        else if (note_prefix(insn, insn->opcode))
            insn->rex = 0;
        else
            return X86_DECODE_OK;
    }
}

static bool is_map_defined(const struct x86_insn *insn)
{
    switch (insn->encoding) {
    case X86_ENCODING_VEX:
        return insn->map >= X86_MAP_0F && insn->map <= X86_MAP_0F3A;
    case X86_ENCODING_EVEX:
        return (insn->map >= X86_MAP_0F && insn->map <= X86_MAP_0F3A) || insn->map == X86_MAP_EVEX5 ||
               insn->map == X86_MAP_EVEX6;
    default:
        return insn->map >= X86_MAP_XOP8 && insn->map <= X86_MAP_XOPA;
    }
}

/* REX bits from inverted R, X, B at the top of a VEX, EVEX or XOP payload byte, and W as it stands. */
static uint8_t rex_of_payload(uint8_t rxb, bool w)
{
    return (uint8_t)(0x40 | ((uint8_t)~rxb >> 5) | (w ? X86_REX_W : 0));
}

/* The payload of VEX (C5, C4), XOP (8F) and EVEX (62), then the opcode (APM vol. 3, 1.8; SDM vol. 2, 2.3
 * and 2.7). */
static enum x86_decode_status decode_vector_prefix(struct cursor *cursor, enum x86_encoding encoding)
{
    struct x86_insn *insn = cursor->insn;
    uint8_t escape = insn->opcode;
    uint8_t payload[3] = {0}, middle;
    unsigned count = encoding == X86_ENCODING_EVEX ? 3 : escape == 0xc5 ? 1 : 2;
    const uint8_t forbidden = X86_PREFIX_LOCK | X86_PREFIX_REP | X86_PREFIX_REPNE | X86_PREFIX_OPERAND;
    bool has_prefix = insn->rex != 0 || (insn->prefixes & forbidden) != 0;

    for (unsigned i = 0; i < count; i++)
        TRY(take_byte(cursor, &payload[i]));
    TRY(take_byte(cursor, &insn->opcode));
    insn->encoding = (uint8_t)encoding;
    if (escape == 0xc5) {
        insn->map = X86_MAP_0F;
        insn->rex = rex_of_payload(payload[0] | 0x60, false);
    } else {
        insn->map = payload[0] & (encoding == X86_ENCODING_EVEX ? 0x07 : 0x1f);
        insn->rex = rex_of_payload(payload[0], (payload[1] & 0x80) != 0);
    }
    middle = escape == 0xc5 ? payload[0] : payload[1];
    insn->vector_prefix = middle & 3;
    insn->vector_register = (uint8_t)(~middle >> 3) & 15;
    insn->vector_long = encoding != X86_ENCODING_EVEX && (middle & 4);
    if (insn->mode != X86_MODE_64) {
        insn->rex = 0;
        insn->vector_register &= 7;
    }
    return has_prefix || !is_map_defined(insn) ? X86_DECODE_UNDEFINED : X86_DECODE_OK;
}

/*
 * Finds escapes after the prefixes and ends with map and opcode known. Outside of 64-bit mode LES, LDS and
 * BOUND have a memory operand, so mod 3 there marks VEX and EVEX; POP has reg 0, so a map of 8 and up marks
 * XOP.
 */
static enum x86_decode_status decode_opcode(struct cursor *cursor)
{
    struct x86_insn *insn = cursor->insn;
    uint8_t next = 0;

    switch (insn->opcode) {
    case 0x0f:
        insn->map = X86_MAP_0F;
        TRY(take_byte(cursor, &insn->opcode));
        if (insn->opcode == 0x38 || insn->opcode == 0x3a) {
            insn->map = insn->opcode == 0x38 ? X86_MAP_0F38 : X86_MAP_0F3A;
            TRY(take_byte(cursor, &insn->opcode));
        }
        return X86_DECODE_OK;
    case 0xc4:
    case 0xc5:
    case 0x62:
        TRY(peek_byte(cursor, &next));
        if (insn->mode == X86_MODE_64 || next >= 0xc0)
            return decode_vector_prefix(cursor, insn->opcode == 0x62 ? X86_ENCODING_EVEX : X86_ENCODING_VEX);
        return X86_DECODE_OK;
    case 0x8f:
        TRY(peek_byte(cursor, &next));
        if ((next & 0x1f) >= X86_MAP_XOP8)
            return decode_vector_prefix(cursor, X86_ENCODING_XOP);
        return X86_DECODE_OK;
    default:
        return X86_DECODE_OK;
    }
}

/* Vector instructions are regular: ModRM always, an immediate by map and a few opcodes of map 0F. */
static unsigned vector_properties(const struct x86_insn *insn)
{
    const unsigned with_byte = OPCODE_MODRM | (IMMEDIATE_B << OPCODE_IMMEDIATE_SHIFT);

    switch (insn->map) {
    case X86_MAP_0F:
        if (insn->opcode == 0x77 && insn->encoding == X86_ENCODING_VEX)
            return 0; /* VZEROUPPER, VZEROALL */
        if ((insn->opcode >= 0x70 && insn->opcode <= 0x73) || insn->opcode == 0xc2 ||
            (insn->opcode >= 0xc4 && insn->opcode <= 0xc6))
            return with_byte;
        return OPCODE_MODRM;
    case X86_MAP_0F3A:
    case X86_MAP_XOP8:
        return with_byte;
    case X86_MAP_XOPA:
        return OPCODE_MODRM | (IMMEDIATE_D << OPCODE_IMMEDIATE_SHIFT);
    default:
        return OPCODE_MODRM;
    }
}

static unsigned opcode_properties(const struct x86_insn *insn)
{
    if (insn->encoding != X86_ENCODING_LEGACY)
        return vector_properties(insn);
    switch (insn->map) {
    case X86_MAP_ONE:
        return x86_opcodes_one[insn->opcode];
    case X86_MAP_0F:
        if (insn->opcode == 0xb8 && !(insn->prefixes & X86_PREFIX_REP))
            return OPCODE_UNDEFINED; /* POPCNT has F3; JMPE is Itanium's */
        if (insn->opcode == 0x78 && (insn->prefixes & (X86_PREFIX_OPERAND | X86_PREFIX_REPNE)))
            return OPCODE_MODRM | (IMMEDIATE_BB << OPCODE_IMMEDIATE_SHIFT); /* EXTRQ, INSERTQ; else VMREAD */
        return x86_opcodes_0f[insn->opcode];
    case X86_MAP_0F38:
        return x86_opcodes_0f38[insn->opcode];
    default:
        return x86_opcodes_0f3a[insn->opcode];
    }
}

static void set_sizes(struct x86_insn *insn, unsigned properties)
{
    bool operand_prefix = (insn->prefixes & X86_PREFIX_OPERAND) != 0;
    bool address_prefix = (insn->prefixes & X86_PREFIX_ADDRESS) != 0;

    if (insn->mode == X86_MODE_64) {
        insn->address_size = address_prefix ? 4 : 8;
        insn->operand_size = insn->rex & X86_REX_W           ? 8
                             : operand_prefix                ? 2
                             : properties & OPCODE_DEFAULT64 ? 8
                                                             : 4;
    } else {
        bool wide = insn->mode == X86_MODE_32;

        insn->address_size = wide != address_prefix ? 4 : 2;
        insn->operand_size = wide != operand_prefix ? 4 : 2;
    }
    if (properties & OPCODE_BYTE)
        insn->operand_size = 1;
}

static enum x86_decode_status decode_displacement(struct cursor *cursor, unsigned size)
{
    cursor->insn->displacement_size = (uint8_t)size;
    return size ? take_signed(cursor, size, &cursor->insn->displacement) : X86_DECODE_OK;
}

/* 16-bit addressing (SDM vol. 2, table 2-1). */
static enum x86_decode_status decode_memory16(struct cursor *cursor)
{
    static const uint8_t bases[8] = {X86_RBX, X86_RBX, X86_RBP, X86_RBP, X86_RSI, X86_RDI, X86_RBP, X86_RBX};
    static const uint8_t indexes[4] = {X86_RSI, X86_RDI, X86_RSI, X86_RDI};
    struct x86_insn *insn = cursor->insn;
    unsigned mod = insn->modrm >> 6;
    unsigned rm = insn->modrm & 7;

    if (mod == 0 && rm == 6)
        return decode_displacement(cursor, 2);
    insn->base = bases[rm];
    if (rm < 4)
        insn->index = indexes[rm];
    return decode_displacement(cursor, mod);
}

/* 32 and 64-bit addressing (SDM vol. 2, tables 2-2 and 2-3; RIP-relative: APM vol. 3, 1.7). */
static enum x86_decode_status decode_memory32(struct cursor *cursor)
{
    struct x86_insn *insn = cursor->insn;
    unsigned mod = insn->modrm >> 6;
    unsigned base = insn->modrm & 7;
    unsigned rex_b = insn->rex & X86_REX_B ? 8 : 0;
    bool has_sib = base == 4;

    if (has_sib) {
        uint8_t sib = 0;

        TRY(take_byte(cursor, &sib));
        unsigned index = ((sib >> 3) & 7u) | (insn->rex & X86_REX_X ? 8u : 0u);
        insn->scale = sib >> 6;
        if (index != X86_RSP)
            insn->index = (uint8_t)index;
        base = sib & 7;
    }
    if (mod == 0 && base == 5) {
        insn->is_rip_relative = !has_sib && insn->mode == X86_MODE_64;
        return decode_displacement(cursor, 4);
    }
    insn->base = (uint8_t)(base | rex_b);
    return decode_displacement(cursor, mod == 2 ? 4 : mod);
}

static enum x86_decode_status decode_modrm(struct cursor *cursor, unsigned properties)
{
    struct x86_insn *insn = cursor->insn;

    TRY(take_byte(cursor, &insn->modrm));
    insn->has_modrm = true;
    insn->reg = (uint8_t)(((insn->modrm >> 3) & 7) | (insn->rex & X86_REX_R ? 8 : 0));
    if (insn->modrm >= 0xc0 || (properties & OPCODE_REGISTER)) {
        insn->rm = (uint8_t)((insn->modrm & 7) | (insn->rex & X86_REX_B ? 8 : 0));
        return X86_DECODE_OK;
    }
    insn->is_memory = true;
    TRY(insn->address_size == 2 ? decode_memory16(cursor) : decode_memory32(cursor));
    if (!(insn->prefixes & X86_PREFIX_SEGMENT) && (insn->base == X86_RBP || insn->base == X86_RSP))
        insn->segment = X86_SS;
    return X86_DECODE_OK;
}

static enum x86_decode_status decode_immediate_signed(struct cursor *cursor, unsigned size)
{
    cursor->insn->immediate_size = (uint8_t)size;
    return take_signed(cursor, size, &cursor->insn->immediate);
}

/* A first immediate of size bytes, zero extended, and a second of size2. */
static enum x86_decode_status decode_immediate_pair(struct cursor *cursor, unsigned size, unsigned size2)
{
    struct x86_insn *insn = cursor->insn;
    uint64_t second = 0;

    insn->immediate_size = (uint8_t)(size + size2);
    TRY(take(cursor, size, &insn->immediate));
    TRY(take(cursor, size2, &second));
    insn->immediate2 = (uint16_t)second;
    return X86_DECODE_OK;
}

static enum x86_decode_status decode_immediate(struct cursor *cursor, unsigned properties)
{
    struct x86_insn *insn = cursor->insn;
    unsigned z = insn->operand_size == 2 ? 2 : 4;
    bool is_test = (insn->modrm & 0x30) == 0; /* row 0 and 1 of group 3 */

    switch (properties >> OPCODE_IMMEDIATE_SHIFT) {
    case IMMEDIATE_B:
        return decode_immediate_signed(cursor, 1);
    case IMMEDIATE_W:
        return decode_immediate_pair(cursor, 2, 0);
    case IMMEDIATE_Z:
        return decode_immediate_signed(cursor, z);
    case IMMEDIATE_V:
        return decode_immediate_signed(cursor, insn->operand_size);
    case IMMEDIATE_D:
        return decode_immediate_signed(cursor, 4);
    case IMMEDIATE_WB:
        return decode_immediate_pair(cursor, 2, 1);
    case IMMEDIATE_BB:
        return decode_immediate_pair(cursor, 1, 1);
    case IMMEDIATE_FAR:
        return decode_immediate_pair(cursor, z, 2);
    case IMMEDIATE_OFFSET:
        insn->is_memory = true;
        insn->displacement_size = insn->address_size;
        return take(cursor, insn->address_size, &insn->displacement);
    case IMMEDIATE_GROUP3B:
        return is_test ? decode_immediate_signed(cursor, 1) : X86_DECODE_OK;
    case IMMEDIATE_GROUP3Z:
        return is_test ? decode_immediate_signed(cursor, z) : X86_DECODE_OK;
    default:
        return X86_DECODE_OK;
    }
}

/* In FF, the near branches and PUSH default to 64 bits, the rest of the group does not. */
static bool is_wide_group5(const struct x86_insn *insn)
{
    unsigned row = (insn->modrm >> 3) & 7;

    return insn->encoding == X86_ENCODING_LEGACY && insn->map == X86_MAP_ONE && insn->opcode == 0xff &&
           (row == 2 || row == 4 || row == 6);
}

enum x86_decode_status x86_decode(enum x86_mode mode, const uint8_t *bytes, size_t available,
                                  struct x86_insn *insn)
{
    struct cursor cursor = {.bytes = bytes, .available = available, .insn = insn};
    unsigned properties;

    memset(insn, 0, sizeof(*insn));
    insn->mode = (uint8_t)mode;
    insn->segment = X86_DS;
    insn->base = X86_REGISTER_NONE;
    insn->index = X86_REGISTER_NONE;

    TRY(decode_prefixes(&cursor));
    TRY(decode_opcode(&cursor));
    properties = opcode_properties(insn);
    if (properties & (OPCODE_UNDEFINED | OPCODE_PREFIX))
        return X86_DECODE_UNDEFINED;
    if ((properties & OPCODE_NOT64) && mode == X86_MODE_64)
        return X86_DECODE_UNDEFINED;
    set_sizes(insn, properties);
    if (properties & OPCODE_MODRM)
        TRY(decode_modrm(&cursor, properties));
    if (is_wide_group5(insn))
        set_sizes(insn, properties | OPCODE_DEFAULT64);
    return decode_immediate(&cursor, properties);
}
