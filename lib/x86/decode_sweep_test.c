/* SPDX-License-Identifier: ISC */
/*
 * The decoder's lengths against objdump over made-up code: every opcode of every map, with every ModRM byte
 * and each class of SIB byte, under prefixes, in 16, 32 and 64-bit mode, VEX, EVEX and XOP included. What
 * compilers write (decode_objdump_test.c) is a small part of that. A difference fails unless it is in the
 * reviewed list, explanations[]. By default one case in SAMPLE is looked at, chosen by a fixed seed; with
 * SLOW=1 in the environment all of them are, which takes minutes.
 *
 * The cases of a batch stand one behind the other, each as long as the decoder says. Where objdump reads them
 * so, one line of its output settles a case. What is left is asked again with NOPs behind each case, so that
 * no disagreement can hide another.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/x86/objdump.h"
#include "lib/x86/x86.h"

#include <unistd.h>

#define BATCH        (1u << 18) /* cases that objdump is given at once */
#define PADDING      16u        /* NOPs behind a case that is asked again: no instruction reaches beyond */
#define SAMPLE       32u
#define FILLER       0x90 /* NOP: immediates, displacements and what follows a case */
#define PRINTED_MOST 40u
#define HEADER_MOST  12u /* prefixes, opcode, ModRM and SIB */

struct sweep_case {
    uint8_t bytes[HEADER_MOST + PADDING];
    uint8_t length; /* the decoder's */
    uint8_t status; /* enum x86_decode_status */
    bool is_legacy;
    bool settled;
};

struct sweep {
    enum x86_mode mode;
    unsigned sample;
    uint64_t seed;
    size_t count;
    struct sweep_case *cases; /* BATCH */
    unsigned long total;
    unsigned long not_in_objdump;        /* the decoder gives a length to what is no instruction to objdump */
    unsigned long legacy_not_in_objdump; /* those without VEX, EVEX and XOP among them */
    unsigned long explained;
    unsigned long different;
};

/* ---- explanations ---- */

struct explanation {
    const char *reason;
    bool (*applies)(const struct sweep *sweep, const uint8_t *bytes, const struct x86_insn *insn,
                    enum x86_decode_status status, const struct objdump_line *line);
    unsigned long count;
};

/* The bytes behind what objdump took for prefixes decode to the same instruction: nothing else was lost. */
static bool ends_like(const struct sweep *sweep, const uint8_t *bytes, const struct x86_insn *insn,
                      enum x86_decode_status status, unsigned prefixes)
{
    struct x86_insn rest;

    return x86_decode(sweep->mode, bytes + prefixes, X86_INSN_MAX, &rest) == status &&
           rest.length + prefixes == insn->length;
}

static bool is_dead_rex(const struct sweep *sweep, const uint8_t *bytes, const struct x86_insn *insn,
                        enum x86_decode_status status, const struct objdump_line *line)
{
    return sweep->mode == X86_MODE_64 && objdump_is_only_prefixes(line) && strstr(line->text, "rex") &&
           ends_like(sweep, bytes, insn, status, line->length);
}

static bool is_test_register(const struct sweep *sweep, const uint8_t *bytes, const struct x86_insn *insn,
                             enum x86_decode_status status, const struct objdump_line *line)
{
    (void)bytes;
    return sweep->mode != X86_MODE_64 && status == X86_DECODE_UNDEFINED && insn->map == X86_MAP_0F &&
           (insn->opcode == 0x24 || insn->opcode == 0x26) && strstr(line->text, "%tr");
}

static bool is_prefixed_vector(const struct sweep *sweep, const uint8_t *bytes, const struct x86_insn *insn,
                               enum x86_decode_status status, const struct objdump_line *line)
{
    const unsigned forbidden = X86_PREFIX_LOCK | X86_PREFIX_REP | X86_PREFIX_REPNE | X86_PREFIX_OPERAND;

    (void)sweep;
    (void)bytes;
    (void)line;
    return status == X86_DECODE_UNDEFINED && insn->encoding != X86_ENCODING_LEGACY &&
           (insn->rex || (insn->prefixes & forbidden));
}

static struct explanation explanations[] = {
    {"66, F0, F2, F3 or REX before VEX, EVEX or XOP: #UD (SDM vol. 2, 2.3.2 to 2.3.5)", is_prefixed_vector,
     0},
    {"a REX before another prefix has no effect; objdump prints it as a line of its own", is_dead_rex, 0},
    {"MOV to and from test registers: #UD since the Pentium", is_test_register, 0},
    {NULL, NULL, 0},
};

static bool explain(const struct sweep *sweep, const struct sweep_case *c, const struct objdump_line *line)
{
    struct x86_insn insn;
    enum x86_decode_status status = x86_decode(sweep->mode, c->bytes, sizeof(c->bytes), &insn);

    for (struct explanation *e = explanations; e->reason; e++) {
        if (e->applies(sweep, c->bytes, &insn, status, line)) {
            e->count++;
            return true;
        }
    }
    return false;
}

/* ---- judging ---- */

static void report(struct sweep *sweep, const struct sweep_case *c, const struct objdump_line *line)
{
    if (sweep->different++ >= PRINTED_MOST)
        return;
    print_error("%u-bit: status %u, length %u; objdump: %u, %s; bytes", 16u << sweep->mode, c->status,
                c->length, line->length, line->text);
    for (unsigned i = 0; i < X86_INSN_MAX; i++)
        print_error(" %02x", c->bytes[i]);
    print_error("\n");
}

/* One line that begins where a case does. The last time nothing may be left. */
static void judge(struct sweep *sweep, struct sweep_case *c, const struct objdump_line *line, bool last)
{
    bool bad = objdump_is_bad(line);

    c->settled = true;
    if (bad ? c->status != X86_DECODE_OK : c->status == X86_DECODE_OK && c->length == line->length)
        return;
    if (bad) {
        sweep->not_in_objdump++;
        sweep->legacy_not_in_objdump += c->is_legacy;
    } else if (!last) {
        c->settled = false;
    } else if (explain(sweep, c, line)) {
        sweep->explained++;
    } else {
        report(sweep, c, line);
    }
}

static size_t size_in_file(const struct sweep_case *c, bool padded)
{
    return padded ? sizeof(c->bytes) : c->length;
}

static void write_cases(const struct sweep *sweep, const char *path, bool padded)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    for (size_t i = 0; i < sweep->count; i++)
        if (!sweep->cases[i].settled)
            fwrite(sweep->cases[i].bytes, 1, size_in_file(&sweep->cases[i], padded), file);
    assert_int_equal(fclose(file), 0);
}

static void ask(struct sweep *sweep, const char *path, bool padded)
{
    char command[256], input[512];
    struct objdump_line line;
    uint64_t position = 0;
    size_t i = 0;
    FILE *objdump;

    write_cases(sweep, path, padded);
    snprintf(command, sizeof(command), "LC_ALL=C objdump -D -w -z -b binary -m %s %s",
             objdump_machine(sweep->mode), path);
    objdump = popen(command, "r");
    assert_non_null(objdump);
    while (fgets(input, sizeof(input), objdump)) {
        if (!objdump_parse(input, &line))
            continue;
        for (; i < sweep->count && (sweep->cases[i].settled || position < line.address); i++)
            if (!sweep->cases[i].settled)
                position += size_in_file(&sweep->cases[i], padded);
        if (i < sweep->count && position == line.address) {
            position += size_in_file(&sweep->cases[i], padded);
            judge(sweep, &sweep->cases[i], &line, padded);
            i++;
        }
    }
    assert_int_equal(pclose(objdump), 0);
}

static void finish_batch(struct sweep *sweep)
{
    char path[] = "/tmp/sweep.XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    close(fd);
    ask(sweep, path, false);
    ask(sweep, path, true);
    unlink(path);
    for (size_t i = 0; i < sweep->count; i++)
        assert_true(sweep->cases[i].settled);
    sweep->total += sweep->count;
    sweep->count = 0;
}

/* ---- the cases ---- */

/* xorshift64* */
static bool is_chosen(struct sweep *sweep)
{
    sweep->seed ^= sweep->seed >> 12;
    sweep->seed ^= sweep->seed << 25;
    sweep->seed ^= sweep->seed >> 27;
    return ((sweep->seed * 0x2545f4914f6cdd1dull) >> 32) % sweep->sample == 0;
}

static void add_case(struct sweep *sweep, const uint8_t *header, size_t count)
{
    struct sweep_case *c = &sweep->cases[sweep->count];
    struct x86_insn insn;

    if (!is_chosen(sweep))
        return;
    memset(c->bytes, FILLER, sizeof(c->bytes));
    memcpy(c->bytes, header, count);
    c->status = (uint8_t)x86_decode(sweep->mode, c->bytes, sizeof(c->bytes), &insn);
    c->length = insn.length;
    c->is_legacy = insn.encoding == X86_ENCODING_LEGACY;
    c->settled = false;
    if (++sweep->count == BATCH)
        finish_batch(sweep);
}

static bool has_modrm(const struct sweep *sweep, const uint8_t *header, size_t count)
{
    uint8_t bytes[X86_INSN_MAX];
    struct x86_insn insn;

    memset(bytes, FILLER, sizeof(bytes));
    memcpy(bytes, header, count);
    return x86_decode(sweep->mode, bytes, sizeof(bytes), &insn) == X86_DECODE_OK && insn.has_modrm;
}

/*
 * Every step-th ModRM byte, with SIB bytes of each class; a few, where the decoder knows of no ModRM byte. An
 * odd step meets all rows of a group and all forms of address, if not each of them in each.
 */
static void add_modrms(struct sweep *sweep, uint8_t *header, size_t count, unsigned step)
{
    static const uint8_t sibs[] = {0x00, 0x24, 0x05, 0x65, 0xfd}; /* base 5 has a displacement with mod 0 */

    if (!has_modrm(sweep, header, count))
        step = 0x45;
    for (unsigned modrm = 0; modrm < 256; modrm += step) {
        bool sib = (modrm & 7) == 4 && modrm < 0xc0;

        header[count] = (uint8_t)modrm;
        for (size_t i = 0; i < (sib ? sizeof(sibs) : 1); i++) {
            header[count + 1] = sibs[i];
            add_case(sweep, header, count + (sib ? 2 : 1));
        }
    }
}

struct prefixes {
    uint8_t count;
    uint8_t bytes[3];
    bool only64;
};

static const struct prefixes prefix_sets[] = {
    {0, {0}, false},          {1, {0x66}, false},       {1, {0x67}, false},       {1, {0xf2}, false},
    {1, {0xf3}, false},       {1, {0xf0}, false},       {1, {0x2e}, false},       {1, {0x65}, false},
    {2, {0x66, 0x67}, false}, {2, {0x66, 0xf2}, false}, {2, {0x66, 0xf3}, false}, {2, {0xf2, 0xf3}, false},
    {2, {0xf3, 0xf2}, false}, {1, {0x40}, true},        {1, {0x48}, true},        {1, {0x4f}, true},
    {2, {0x66, 0x48}, true},  {2, {0x48, 0x66}, true},  {2, {0x67, 0x48}, true},  {2, {0xf3, 0x48}, true},
    {2, {0xf2, 0x41}, true},
};

static void sweep_legacy(struct sweep *sweep)
{
    static const struct {
        uint8_t count;
        uint8_t bytes[2];
    } escapes[] = {{0, {0}}, {1, {0x0f}}, {2, {0x0f, 0x38}}, {2, {0x0f, 0x3a}}};

    for (size_t p = 0; p < sizeof(prefix_sets) / sizeof(prefix_sets[0]); p++) {
        const struct prefixes *set = &prefix_sets[p];

        if (set->only64 && sweep->mode != X86_MODE_64)
            continue;
        for (size_t e = 0; e < sizeof(escapes) / sizeof(escapes[0]); e++) {
            uint8_t header[HEADER_MOST];
            size_t count = set->count + escapes[e].count;

            memcpy(header, set->bytes, set->count);
            memcpy(header + set->count, escapes[e].bytes, escapes[e].count);
            for (unsigned opcode = 0; opcode < 256; opcode++) {
                header[count] = (uint8_t)opcode;
                add_modrms(sweep, header, count + 1, 1);
            }
        }
    }
}

/* The payload after C5, C4, 62 or 8F, then all opcodes. */
static void add_vector(struct sweep *sweep, const uint8_t *prefix, size_t count)
{
    uint8_t header[HEADER_MOST];

    memcpy(header, prefix, count);
    for (unsigned opcode = 0; opcode < 256; opcode++) {
        header[count] = (uint8_t)opcode;
        add_modrms(sweep, header, count + 1, 7);
    }
}

/* RXB in all forms that leave 32-bit code an escape; W, L and pp in all; vvvv unused. */
static void sweep_vex(struct sweep *sweep)
{
    for (unsigned low = 0; low < 8; low++)
        add_vector(sweep, (const uint8_t[]){0xc5, (uint8_t)(0xf8 | low)}, 2);
    for (unsigned map = 0; map < 6; map++)
        for (unsigned wlpp = 0; wlpp < 16; wlpp++) {
            uint8_t third = (uint8_t)(0x78 | (wlpp & 7) | (wlpp & 8) << 4);

            add_vector(sweep, (const uint8_t[]){0xc4, (uint8_t)(0xe0 | map), third}, 3);
            if (sweep->mode == X86_MODE_64 && (wlpp & 4) == 0)
                add_vector(sweep, (const uint8_t[]){0xc4, (uint8_t)map, third}, 3);
        }
}

static void sweep_xop(struct sweep *sweep)
{
    for (unsigned map = 7; map < 12; map++)
        for (unsigned wl = 0; wl < 4; wl++)
            add_vector(sweep,
                       (const uint8_t[]){0x8f, (uint8_t)(0xe0 | map),
                                         (uint8_t)(0x78 | (wl & 1) << 2 | (wl & 2) << 6)},
                       3);
}

/* The last payload byte: zeroing, L'L, broadcast, V', mask. */
static void sweep_evex(struct sweep *sweep)
{
    static const uint8_t last[] = {0x08, 0x48, 0x18, 0xc9};

    for (unsigned map = 0; map < 8; map++)
        for (unsigned wpp = 0; wpp < 8; wpp++)
            for (size_t i = 0; i < sizeof(last); i++)
                add_vector(sweep,
                           (const uint8_t[]){0x62, (uint8_t)(0xf0 | map),
                                             (uint8_t)(0x7c | (wpp & 3) | (wpp & 4) << 5), last[i]},
                           4);
}

static void sweep_mode(enum x86_mode mode)
{
    const char *slow = getenv("SLOW");
    struct sweep sweep = {.mode = mode,
                          .sample = slow && strcmp(slow, "1") == 0 ? 1 : SAMPLE,
                          .seed = 0x9e3779b97f4a7c15,
                          .cases = malloc(BATCH * sizeof(struct sweep_case))};

    if (!objdump_is_installed()) {
        print_message("objdump (package binutils) is not installed: skipped\n");
        free(sweep.cases);
        skip();
    }
    assert_non_null(sweep.cases);
    for (struct explanation *e = explanations; e->reason; e++)
        e->count = 0;
    sweep_legacy(&sweep);
    sweep_vex(&sweep);
    sweep_xop(&sweep);
    sweep_evex(&sweep);
    finish_batch(&sweep);
    free(sweep.cases);
    print_message(
        "%u-bit mode: %lu cases; %lu of them, %lu without VEX, EVEX and XOP, have a length here and are no "
        "instruction to objdump; %lu explained, %lu others\n",
        16u << mode, sweep.total, sweep.not_in_objdump, sweep.legacy_not_in_objdump, sweep.explained,
        sweep.different);
    for (struct explanation *e = explanations; e->reason; e++)
        if (e->count)
            print_message("  %lu: %s\n", e->count, e->reason);
    assert_int_equal(sweep.different, 0);
}

static void lengths_in_16_bit_mode(void **state)
{
    (void)state;
    sweep_mode(X86_MODE_16);
}

static void lengths_in_32_bit_mode(void **state)
{
    (void)state;
    sweep_mode(X86_MODE_32);
}

static void lengths_in_64_bit_mode(void **state)
{
    (void)state;
    sweep_mode(X86_MODE_64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lengths_in_16_bit_mode),
        cmocka_unit_test(lengths_in_32_bit_mode),
        cmocka_unit_test(lengths_in_64_bit_mode),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
