/* SPDX-License-Identifier: ISC */
/*
 * Every instruction with a memory operand, by objdump, which knows them all: it is executed, or x86_refusal()
 * says why it is not, or it belongs to a feature that vmm/cpu/cpuid.c offers no guest. The table of those
 * is below, each with the bit of CPUID that is not given; what is in none of the three fails, and so does a
 * row of the table that nothing needs.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/x86/objdump.h"
#include "lib/x86/x86.h"

#include <fnmatch.h>
#include <unistd.h>

#define CASE 16u /* bytes: header and NOPs */
#define MOST (1u << 19)

struct form {
    uint8_t bytes[CASE];
};

static struct form *forms;
static size_t form_count;

/* Patterns of mnemonics, in AT&T syntax. */
static const struct {
    const char *mnemonic, *feature;
} not_offered[] = {
    {"vmptr*", "VMX: leaf 1 ECX 5"},
    {"vmclear", "VMX"},
    {"vmxon", "VMX"},
    {"vmread", "VMX"},
    {"vmwrite", "VMX"},
    {"invept", "VMX"},
    {"invvpid", "VMX"},
    {"xsaves", "XSAVES: leaf 13, 1 EAX 3"},
    {"xrstors", "XSAVES"},
    {"wrss*", "shadow stacks: leaf 7 ECX 7"},
    {"wruss*", "shadow stacks"},
    {"rstorssp", "shadow stacks"},
    {"movdiri", "MOVDIRI: leaf 7 ECX 27"},
    {"movdir64b", "MOVDIR64B: leaf 7 ECX 28"},
    {"enqcmd*", "ENQCMD: leaf 7 ECX 29"},
    {"aes*wide*kl", "Key Locker: leaf 7 ECX 23"},
    {"aadd", "RAO-INT: leaf 7, 1 EAX 3"},
    {"aand", "RAO-INT"},
    {"aor", "RAO-INT"},
    {"axor", "RAO-INT"},
    {"cmp*xadd", "CMPCCXADD: leaf 7, 1 EAX 7"},
    {"ud[01]", "none: they are #UD"},
};

/* ---- memory that takes anything: 1 divides and is within bounds ---- */

static enum x86_result read_one(void *context, uint64_t linear, unsigned size, enum x86_access access,
                                uint64_t *value, struct x86_fault *fault)
{
    (void)context, (void)linear, (void)size, (void)access, (void)fault;
    *value = 1;
    return X86_DONE;
}

static enum x86_result write_any(void *context, uint64_t linear, unsigned size, uint64_t value,
                                 struct x86_fault *fault)
{
    (void)context, (void)linear, (void)size, (void)value, (void)fault;
    return X86_DONE;
}

static const struct x86_ops ops = {.read = read_one, .write = write_any};

/* As the monitor has it: nothing that would load a segment is taken. */
static enum x86_result execute(enum x86_mode mode, const struct x86_insn *insn)
{
    struct x86_cpu cpu = {.cr0 = X86_CR0_PE, .rflags = X86_RFLAGS_ONE, .gpr = {[X86_RCX] = 1, [X86_RAX] = 1}};
    struct x86_fault fault;

    cpu.efer = mode == X86_MODE_64 ? X86_EFER_LMA | X86_EFER_LME : 0;
    for (unsigned i = 0; i < X86_SEGMENT_COUNT; i++)
        cpu.segment[i] = (struct x86_segment){
            .attributes = (uint16_t)(X86_SEGMENT_PRESENT | X86_SEGMENT_S | X86_SEGMENT_WRITABLE |
                                     (i == X86_CS ? X86_SEGMENT_CODE : 0) |
                                     (mode == X86_MODE_64 ? X86_SEGMENT_LONG : X86_SEGMENT_BIG)),
            .limit = UINT32_MAX};
    cpu.gpr[X86_RSP] = 0x8000;
    return x86_execute(&cpu, insn, &ops, NULL, &fault);
}

/* ---- all forms ---- */

static void describe(const uint8_t *bytes, const char *text)
{
    for (unsigned i = 0; i < CASE / 2; i++)
        print_message("%02x ", bytes[i]);
    print_message(" %s\n", text);
}

static unsigned contradictions, executed, refused;

static void try(enum x86_mode mode, const uint8_t *header, unsigned length)
{
    uint8_t bytes[CASE];
    struct x86_insn insn;
    enum x86_decode_status status;
    const char *reason;

    memset(bytes, 0x90, sizeof(bytes));
    memcpy(bytes, header, length);
    status = x86_decode(mode, bytes, X86_INSN_MAX, &insn);
    assert_true(status == X86_DECODE_OK || status == X86_DECODE_UNDEFINED);
    if (status == X86_DECODE_OK && !insn.is_memory)
        return;
    reason = x86_refusal(&insn);
    if (status == X86_DECODE_OK && execute(mode, &insn) != X86_UNSUPPORTED) {
        executed++;
        if (reason) {
            contradictions++;
            describe(bytes, "is executed and refused");
        }
        return;
    }
    if (reason) {
        refused++;
        return;
    }
    assert_true(form_count < MOST);
    memcpy(forms[form_count++].bytes, bytes, sizeof(bytes));
}

/* All values of ModRM.reg, with a base and an index: some take nothing less. */
static void try_rows(enum x86_mode mode, uint8_t *bytes, unsigned length)
{
    for (unsigned row = 0; row < 8; row++) {
        bytes[length] = (uint8_t)(row << 3 | 4);
        bytes[length + 1] = 0x0b;
        try(mode, bytes, length + 2);
    }
}

static void try_legacy(enum x86_mode mode)
{
    static const uint8_t prefixes[] = {0, 0x66, 0xf3, 0xf2};
    static const uint8_t escapes[][2] = {{0, 0}, {0x0f, 0}, {0x0f, 0x38}, {0x0f, 0x3a}};

    for (unsigned i = 0; i < 4 * 4 * 256; i++) {
        uint8_t bytes[CASE], opcode = (uint8_t)i;
        const uint8_t *escape = escapes[i >> 8 & 3];
        unsigned length = 0;

        if (prefixes[i >> 10])
            bytes[length++] = prefixes[i >> 10];
        for (unsigned j = 0; j < 2 && escape[j]; j++)
            bytes[length++] = escape[j];
        bytes[length++] = opcode;
        try_rows(mode, bytes, length);
    }
}

/* VEX by its long form, XOP: each map, VEX.W, VEX.L and prefix. */
static void try_vector(enum x86_mode mode, uint8_t escape, unsigned first, unsigned last)
{
    for (unsigned map = first; map <= last; map++)
        for (unsigned i = 0; i < 16 * 256; i++) {
            uint8_t bytes[CASE] = {escape, (uint8_t)(0xe0 | map),
                                   (uint8_t)(0x78 | (i >> 8 & 3) | (i >> 10 & 1) << 2 | (i >> 11 & 1) << 7),
                                   (uint8_t)i};

            try_rows(mode, bytes, 4);
        }
}

/* ---- what is left ---- */

static bool used[sizeof(not_offered) / sizeof(not_offered[0])];

/* The word behind prefixes, which objdump prints as words of their own. */
static void mnemonic_of(const char *text, char word[32])
{
    static const char *const prefixes[] = {"data16 ", "repz ", "repnz ", "bnd "};

    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
        if (objdump_starts(text, prefixes[i])) {
            mnemonic_of(text + strlen(prefixes[i]), word);
            return;
        }
    snprintf(word, 32, "%.*s", (int)strcspn(text, " "), text);
}

static bool is_not_offered(const char *text)
{
    char word[32];

    mnemonic_of(text, word);
    for (size_t i = 0; i < sizeof(not_offered) / sizeof(not_offered[0]); i++)
        if (fnmatch(not_offered[i].mnemonic, word, 0) == 0) {
            used[i] = true;
            return true;
        }
    return false;
}

/* One line of objdump at the beginning of each form: what follows is padding. */
static unsigned ask_objdump(enum x86_mode mode)
{
    char path[] = "/tmp/refusal.XXXXXX", command[200], text[256];
    int file = mkstemp(path);
    unsigned unexplained = 0;
    struct objdump_line line;
    FILE *output;

    assert_true(file >= 0);
    output = fdopen(file, "wb");
    assert_non_null(output);
    assert_int_equal(fwrite(forms, CASE, form_count, output), form_count);
    assert_int_equal(fclose(output), 0);
    snprintf(command, sizeof(command), "objdump -D -w -b binary -m %s %s", objdump_machine(mode), path);
    output = popen(command, "r");
    assert_non_null(output);
    while (fgets(text, sizeof(text), output)) {
        if (!objdump_parse(text, &line) || line.address % CASE != 0 || objdump_is_bad(&line) ||
            !strchr(line.text, '(') || is_not_offered(line.text))
            continue;
        unexplained++;
        describe(forms[line.address / CASE].bytes, line.text);
    }
    assert_int_equal(pclose(output), 0);
    unlink(path);
    return unexplained;
}

static void try_mode(enum x86_mode mode)
{
    unsigned unexplained;

    if (!objdump_is_installed()) {
        print_message("no objdump: skipped\n");
        skip();
    }
    forms = calloc(MOST, sizeof(*forms));
    assert_non_null(forms);
    form_count = executed = refused = contradictions = 0;
    try_legacy(mode);
    try_vector(mode, 0xc4, X86_MAP_0F, X86_MAP_0F3A);
    try_vector(mode, 0x8f, X86_MAP_XOP8, X86_MAP_XOPA);
    unexplained = ask_objdump(mode);
    print_message("%u-bit mode: %u forms executed, %u refused, %zu left to objdump, %u of them unexplained\n",
                  16u << mode, executed, refused, form_count, unexplained);
    free(forms);
    assert_int_equal(contradictions, 0);
    assert_int_equal(unexplained, 0);
    assert_true(executed > 1000 && refused > 1000);
}

static void in_32_bit_mode(void **state)
{
    (void)state;
    try_mode(X86_MODE_32);
}

static void in_64_bit_mode(void **state)
{
    (void)state;
    try_mode(X86_MODE_64);
}

static void table_is_needed(void **state)
{
    (void)state;
    if (!objdump_is_installed())
        skip();
    for (size_t i = 0; i < sizeof(not_offered) / sizeof(not_offered[0]); i++)
        if (!used[i])
            fail_msg("%s: no form of it was left", not_offered[i].mnemonic);
}

/* Without a ModRM operand: CLZERO has RAX. */
static void clzero(void **state)
{
    static const uint8_t bytes[] = {0x0f, 0x01, 0xfc};
    struct x86_insn insn;

    (void)state;
    assert_int_equal(x86_decode(X86_MODE_64, bytes, sizeof(bytes), &insn), X86_DECODE_OK);
    assert_int_equal(execute(X86_MODE_64, &insn), X86_UNSUPPORTED);
    assert_non_null(x86_refusal(&insn));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_32_bit_mode),
        cmocka_unit_test(in_64_bit_mode),
        cmocka_unit_test(table_is_needed),
        cmocka_unit_test(clzero),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
