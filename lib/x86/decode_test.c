/* SPDX-License-Identifier: ISC */
/*
 * Vectors for the decoder: one or more of each class of encoding, in the modes in which they differ. Lengths
 * are those of the manuals; each vector is also decoded with every byte missing from its end, which must ask
 * for more.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/x86/x86.h"

#include <stdlib.h>
#include <string.h>

struct vector {
    const char *bytes; /* hexadecimal */
    enum x86_mode mode;
    enum x86_decode_status status;
    uint8_t length;
    uint8_t operand_size;
    uint8_t address_size;
};

#define M16 X86_MODE_16
#define M32 X86_MODE_32
#define M64 X86_MODE_64
#define OK  X86_DECODE_OK
#define UD  X86_DECODE_UNDEFINED

static const struct vector vectors[] = {
    /* operand and address size in each mode */
    {"01 c8", M16, OK, 2, 2, 2},
    {"01 c8", M32, OK, 2, 4, 4},
    {"01 c8", M64, OK, 2, 4, 8},
    {"66 01 c8", M16, OK, 3, 4, 2},
    {"66 01 c8", M32, OK, 3, 2, 4},
    {"66 01 c8", M64, OK, 3, 2, 8},
    {"48 01 c8", M64, OK, 3, 8, 8},
    {"66 48 01 c8", M64, OK, 4, 8, 8},
    {"48 66 01 c8", M64, OK, 4, 2, 8}, /* a REX before another prefix is lost */
    {"67 8b 07", M16, OK, 3, 2, 4},
    {"67 8b 07", M32, OK, 3, 4, 2},
    {"67 8b 07", M64, OK, 3, 4, 4},
    /* INC outside of 64-bit mode, REX within */
    {"40", M32, OK, 1, 4, 4},
    {"40 90", M64, OK, 2, 4, 8},
    /* 16-bit addressing */
    {"8b 00", M16, OK, 2, 2, 2},
    {"8b 40 10", M16, OK, 3, 2, 2},
    {"8b 80 34 12", M16, OK, 4, 2, 2},
    {"8b 06 34 12", M16, OK, 4, 2, 2},
    {"8b 46 00", M16, OK, 3, 2, 2},
    {"8b 04", M16, OK, 2, 2, 2}, /* no SIB */
    /* 32 and 64-bit addressing */
    {"8b 04 24", M32, OK, 3, 4, 4},
    {"8b 05 78 56 34 12", M32, OK, 6, 4, 4},
    {"8b 05 78 56 34 12", M64, OK, 6, 4, 8},
    {"8b 04 25 78 56 34 12", M64, OK, 7, 4, 8},
    {"8b 44 24 08", M64, OK, 4, 4, 8},
    {"8b 84 24 78 56 34 12", M64, OK, 7, 4, 8},
    {"41 8b 45 00", M64, OK, 4, 4, 8},
    {"41 8b 05 00 00 00 00", M64, OK, 7, 4, 8},
    {"43 8b 04 a5 00 00 00 00", M64, OK, 8, 4, 8},
    /* immediates */
    {"04 12", M64, OK, 2, 1, 8},
    {"05 78 56 34 12", M64, OK, 5, 4, 8},
    {"66 05 34 12", M64, OK, 4, 2, 8},
    {"05 34 12", M16, OK, 3, 2, 2},
    {"48 05 78 56 34 12", M64, OK, 6, 8, 8},
    {"b8 78 56 34 12", M64, OK, 5, 4, 8},
    {"48 b8 01 02 03 04 05 06 07 08", M64, OK, 10, 8, 8},
    {"66 b8 34 12", M32, OK, 4, 2, 4},
    {"c7 05 00 00 00 00 78 56 34 12", M64, OK, 10, 4, 8},
    {"66 c7 00 34 12", M64, OK, 5, 2, 8},
    {"c6 00 01", M64, OK, 3, 1, 8},
    {"83 00 01", M64, OK, 3, 4, 8},
    {"69 c1 78 56 34 12", M64, OK, 6, 4, 8},
    {"6b c1 12", M64, OK, 3, 4, 8},
    {"68 78 56 34 12", M64, OK, 5, 8, 8},
    {"66 68 34 12", M64, OK, 4, 2, 8},
    {"c2 08 00", M64, OK, 3, 8, 8},
    {"c8 10 00 01", M64, OK, 4, 8, 8},
    {"cd 80", M64, OK, 2, 4, 8},
    /* group 3: only TEST has an immediate */
    {"f6 00 12", M64, OK, 3, 1, 8},
    {"f6 10", M64, OK, 2, 1, 8},
    {"f7 00 78 56 34 12", M64, OK, 6, 4, 8},
    {"f7 c8 78 56 34 12", M64, OK, 6, 4, 8},
    {"f7 18", M64, OK, 2, 4, 8},
    /* direct offsets */
    {"a0 34 12", M16, OK, 3, 1, 2},
    {"a1 78 56 34 12", M32, OK, 5, 4, 4},
    {"a1 01 02 03 04 05 06 07 08", M64, OK, 9, 4, 8},
    {"67 a1 78 56 34 12", M64, OK, 6, 4, 4},
    {"67 a3 34 12", M32, OK, 4, 4, 2},
    /* branches */
    {"74 10", M64, OK, 2, 8, 8},
    {"0f 84 78 56 34 12", M64, OK, 6, 8, 8},
    {"0f 84 34 12", M16, OK, 4, 2, 2},
    {"e8 78 56 34 12", M32, OK, 5, 4, 4},
    {"66 e8 34 12", M32, OK, 4, 2, 4},
    {"ea 78 56 34 12 08 00", M32, OK, 7, 4, 4},
    {"ea 34 12 00 f0", M16, OK, 5, 2, 2},
    {"ea 78 56 34 12 08 00", M64, UD, 1, 0, 0},
    {"ff d0", M64, OK, 2, 8, 8},
    {"ff 10", M64, OK, 2, 8, 8},
    {"ff 18", M64, OK, 2, 4, 8},
    {"ff 30", M64, OK, 2, 8, 8},
    /* not in 64-bit mode */
    {"06", M32, OK, 1, 4, 4},
    {"06", M64, UD, 1, 0, 0},
    {"27", M64, UD, 1, 0, 0},
    {"60", M64, UD, 1, 0, 0},
    {"82 00 01", M64, UD, 1, 0, 0},
    {"82 00 01", M32, OK, 3, 1, 4},
    {"d4 0a", M32, OK, 2, 4, 4},
    /* map 0F */
    {"0f a2", M64, OK, 2, 4, 8},
    {"0f 01 d9", M64, OK, 3, 4, 8},
    {"0f 20 00", M64, OK, 3, 4, 8}, /* mod is ignored: no memory, no displacement */
    {"0f 22 45", M32, OK, 3, 4, 4},
    {"0f b6 00", M64, OK, 3, 4, 8},
    {"0f ba 20 03", M64, OK, 4, 4, 8},
    {"0f a4 c8 05", M64, OK, 4, 4, 8},
    {"0f c7 08", M64, OK, 3, 4, 8},
    {"48 0f c7 08", M64, OK, 4, 8, 8},
    {"0f 1f 84 00 00 00 00 00", M64, OK, 8, 4, 8},
    {"0f 0b", M64, OK, 2, 4, 8},
    {"0f 04", M64, UD, 2, 0, 0},
    {"0f b8 c0", M64, UD, 2, 0, 0},
    {"f3 0f b8 c0", M64, OK, 4, 4, 8},
    {"0f 70 c0 1b", M64, OK, 4, 4, 8},
    {"0f c6 c1 00", M64, OK, 4, 4, 8},
    {"0f 0f c1 9e", M32, OK, 4, 4, 4},
    {"66 0f 78 c0 01 02", M64, OK, 6, 2, 8},
    {"0f 78 c0", M64, OK, 3, 4, 8},
    /* maps 0F 38 and 0F 3A */
    {"0f 38 f0 00", M64, OK, 4, 4, 8},
    {"66 0f 38 00 c1", M64, OK, 5, 2, 8},
    {"66 0f 3a 0f c1 08", M64, OK, 6, 2, 8},
    {"0f 38 50 00", M64, UD, 3, 0, 0},
    {"0f 3a 70 00", M64, UD, 3, 0, 0},
    /* VEX, EVEX, XOP, and what their escapes are without */
    {"c5 f8 77", M64, OK, 3, 4, 8},
    {"c5 f9 6f 00", M64, OK, 4, 4, 8},
    {"c5 f9 70 c0 1b", M64, OK, 5, 4, 8},
    {"c4 e2 79 18 00", M64, OK, 5, 4, 8},
    {"c4 e3 79 0f c1 08", M64, OK, 6, 4, 8},
    {"c4 e2 79 18 00", M32, OK, 5, 4, 4},
    {"c4 00", M32, OK, 2, 4, 4},    /* LES */
    {"c5 45 08", M32, OK, 3, 4, 4}, /* LDS */
    {"c4 e0 79 18 00", M64, UD, 4, 0, 0},
    {"66 c5 f8 77", M64, UD, 4, 0, 0},
    {"48 c5 f8 77", M64, UD, 4, 0, 0},
    {"62 f1 7c 48 10 00", M64, OK, 6, 4, 8},
    {"62 f1 7c 48 10 40 01", M64, OK, 7, 4, 8},
    {"62 f3 fd 48 25 c0 ff", M64, OK, 7, 8, 8},
    {"62 00", M32, OK, 2, 4, 4}, /* BOUND */
    {"8f e9 78 81 c0", M64, OK, 5, 4, 8},
    {"8f ea 78 10 c0 01 02 03 04", M64, OK, 9, 4, 8},
    {"8f 00", M64, OK, 2, 8, 8}, /* POP */
    /* lengths at the limit */
    {"66 66 66 66 66 66 66 66 66 66 66 66 66 66 90", M64, OK, 15, 2, 8},
    {"66 66 66 66 66 66 66 66 66 66 66 66 66 66 66 90", M64, X86_DECODE_TOO_LONG, 15, 0, 0},
    {"66 66 66 66 66 66 66 66 66 66 66 66 66 05 34 12", M64, X86_DECODE_TOO_LONG, 14, 0, 0},
    {"2e 2e 2e 2e 2e 48 c7 84 24 00 00 00 00 01 00 00 00", M64, X86_DECODE_TOO_LONG, 13, 0, 0},
};

static size_t parse(const char *text, uint8_t *bytes)
{
    size_t count = 0;
    char *end;

    for (; *text && count < 32; text = *end ? end + 1 : end)
        bytes[count++] = (uint8_t)strtoul(text, &end, 16);
    return count;
}

static void vectors_decode(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        const struct vector *v = &vectors[i];
        struct x86_insn insn;
        uint8_t bytes[32] = {0};
        size_t count = parse(v->bytes, bytes);
        enum x86_decode_status status = x86_decode(v->mode, bytes, count, &insn);

        if (status != v->status || insn.length != v->length)
            fail_msg("%s: status %d, length %u", v->bytes, status, insn.length);
        if (status != OK)
            continue;
        if (insn.operand_size != v->operand_size || insn.address_size != v->address_size)
            fail_msg("%s: operand size %u, address size %u", v->bytes, insn.operand_size, insn.address_size);
    }
}

/* The bytes lie at the end of an allocation, so that the sanitizer sees a read beyond them. */
static void truncated_asks_for_more(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        const struct vector *v = &vectors[i];
        uint8_t bytes[32];

        parse(v->bytes, bytes);
        for (size_t length = 0; v->status == OK && length < v->length; length++) {
            uint8_t *copy = malloc(length ? length : 1);
            struct x86_insn insn;

            memcpy(copy, bytes, length);
            if (x86_decode(v->mode, copy, length, &insn) != X86_DECODE_TRUNCATED)
                fail_msg("%s with %zu bytes", v->bytes, length);
            free(copy);
        }
    }
}

static struct x86_insn decode(enum x86_mode mode, const char *text)
{
    struct x86_insn insn;
    uint8_t bytes[32];
    size_t count = parse(text, bytes);

    assert_int_equal(x86_decode(mode, bytes, count, &insn), OK);
    return insn;
}

static void memory_operands(void **state)
{
    struct x86_insn insn;

    (void)state;
    insn = decode(M64, "4e 8b 64 b8 f0"); /* mov r12, [rax + r15*4 - 16] */
    assert_true(insn.is_memory);
    assert_int_equal(insn.reg, X86_R12);
    assert_int_equal(insn.base, X86_RAX);
    assert_int_equal(insn.index, X86_R15);
    assert_int_equal(insn.scale, 2);
    assert_true(insn.displacement == (uint64_t)-16);
    assert_int_equal(insn.segment, X86_DS);

    insn = decode(M64, "42 8b 04 20"); /* r12 can be an index, rsp cannot */
    assert_int_equal(insn.index, X86_R12);
    insn = decode(M64, "8b 04 20");
    assert_int_equal(insn.index, X86_REGISTER_NONE);
    assert_int_equal(insn.base, X86_RAX);

    insn = decode(M64, "8b 05 fc ff ff ff");
    assert_true(insn.is_rip_relative);
    assert_int_equal(insn.base, X86_REGISTER_NONE);
    assert_false(decode(M32, "8b 05 fc ff ff ff").is_rip_relative);
    assert_false(decode(M64, "8b 04 25 00 00 00 00").is_rip_relative);

    insn = decode(M16, "8b 42 10"); /* [bp + si + 16] */
    assert_int_equal(insn.base, X86_RBP);
    assert_int_equal(insn.index, X86_RSI);
    assert_int_equal(insn.segment, X86_SS);

    insn = decode(M64, "a1 01 02 03 04 05 06 07 88");
    assert_true(insn.is_memory);
    assert_true(insn.displacement == 0x8807060504030201);
    assert_int_equal(insn.displacement_size, 8);
}

static void segments_and_repeats(void **state)
{
    (void)state;
    assert_int_equal(decode(M32, "8b 45 00").segment, X86_SS);
    assert_int_equal(decode(M32, "3e 8b 45 00").segment, X86_DS);
    assert_int_equal(decode(M32, "26 8b 00").segment, X86_ES);
    assert_int_equal(decode(M64, "26 8b 00").segment, X86_DS); /* ignored */
    assert_int_equal(decode(M64, "65 8b 00").segment, X86_GS);
    assert_int_equal(decode(M64, "64 26 8b 00").segment, X86_FS);
    assert_int_equal(decode(M64, "41 8b 45 00").segment, X86_DS); /* r13 is no rbp */
    assert_int_equal(decode(M64, "f2 f3 a4").prefixes, X86_PREFIX_REP);
    assert_int_equal(decode(M64, "f3 f2 a4").prefixes, X86_PREFIX_REPNE);
    assert_int_equal(decode(M64, "f0 48 ff 00").prefixes, X86_PREFIX_LOCK);
}

static void immediates(void **state)
{
    struct x86_insn insn;

    (void)state;
    assert_true(decode(M64, "83 c0 ff").immediate == UINT64_MAX);
    assert_true(decode(M64, "48 05 00 00 00 80").immediate == 0xffffffff80000000);
    assert_true(decode(M64, "48 b8 01 02 03 04 05 06 07 88").immediate == 0x8807060504030201);
    assert_true(decode(M64, "c2 ff ff").immediate == 0xffff);
    assert_true(decode(M64, "eb fe").immediate == (uint64_t)-2);
    insn = decode(M64, "c8 34 12 05");
    assert_true(insn.immediate == 0x1234);
    assert_int_equal(insn.immediate2, 5);
    insn = decode(M16, "9a 34 12 00 f0");
    assert_true(insn.immediate == 0x1234);
    assert_int_equal(insn.immediate2, 0xf000);
    assert_int_equal(insn.immediate_size, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_decode),  cmocka_unit_test(truncated_asks_for_more),
        cmocka_unit_test(memory_operands), cmocka_unit_test(segments_and_repeats),
        cmocka_unit_test(immediates),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
