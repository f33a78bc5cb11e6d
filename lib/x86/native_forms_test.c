/* SPDX-License-Identifier: ISC */
/*
 * Every form of instruction that the executor claims and user mode can run, on the processor that runs the
 * test, in 64, 32 and 16-bit mode. A form is an opcode with its row, register or memory, operand size,
 * address size, LOCK and REP; forms are not listed here but found, by offering the executor all opcodes.
 * States are random, with operands about the borders of pages that are absent or read-only, so that much of
 * it faults.
 *
 * A claimed form that was never done natively fails, unless native_hole_reason() knows why. By default each
 * form is tried ROUNDS times under each set of prefixes, by a fixed seed; with SLOW=1 in the environment,
 * SLOW_FACTOR times as often. native_test.c goes deeper into arithmetic; faults of privilege and real mode
 * are in execute_test.c and real_test.c.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/x86/native_lab.h"
#include "lib/x86/operation_table.h"
#include "lib/x86/x86.h"

#include <stdlib.h>

#define ROUNDS      1u
#define TRIES_MOST  100u
#define SLOW_FACTOR 50u

struct form {
    struct x86_insn insn;
    bool is_claimed; /* the executor does it where nothing stands in its way */
    bool is_done;    /* so has the processor, with the same outcome */
};

#define FORM_COUNT (5u << 18)

static struct form *forms; /* FORM_COUNT of them */

/* ---- states ---- */

static bool is_bit_string(const struct x86_insn *insn)
{
    return insn->encoding == X86_ENCODING_LEGACY && insn->map == X86_MAP_0F && insn->is_memory &&
           (insn->opcode & 0xe7) == 0xa3;
}

static void make_registers(struct x86_cpu *cpu, const struct x86_insn *insn)
{
    static const uint8_t pointers[] = {X86_RSP, X86_RBP, X86_RSI, X86_RDI};

    for (unsigned i = 0; i < X86_GPR_COUNT; i++)
        cpu->gpr[i] = lab_random_value();
    for (size_t i = 0; i < sizeof(pointers); i++)
        cpu->gpr[pointers[i]] = lab_pointer_value(lab_random_pointer());
    if (lab_below(2)) /* a dividend that often fits, a count of repetitions */
        cpu->gpr[X86_RDX] = lab_below(2) ? 0 : UINT64_MAX;
    if (lab_below(4))
        cpu->gpr[X86_RCX] = lab_below(48);
    if (insn->map == X86_MAP_ONE && insn->opcode == 0xd7)
        cpu->gpr[X86_RBX] = lab_pointer_value(lab_random_pointer() - 128);
    if (is_bit_string(insn) && insn->reg != insn->base)
        cpu->gpr[insn->reg] = (uint64_t)((int64_t)lab_below(4000) - 2000);
    if (insn->is_memory && insn->index < X86_GPR_COUNT && insn->index != insn->base)
        cpu->gpr[insn->index] = lab_below(64);
    if (insn->is_memory && insn->base < X86_GPR_COUNT)
        cpu->gpr[insn->base] = lab_pointer_value(lab_random_pointer());
    if (lab.mode != X86_MODE_64)
        for (unsigned i = 0; i < X86_GPR_COUNT; i++)
            cpu->gpr[i] = i < X86_R8 ? (uint32_t)cpu->gpr[i] : 0;
}

/* Writes a little-endian number into the code. */
static void put(uint8_t *bytes, uint64_t value, unsigned size)
{
    memcpy(bytes, &value, size);
}

/* Gives the instruction a displacement that leads somewhere, and an immediate. */
static void fill_in(uint8_t *bytes, struct x86_insn *insn)
{
    unsigned immediate_at = insn->length - insn->immediate_size;
    unsigned displacement_at = immediate_at - insn->displacement_size;
    uint64_t displacement = (uint64_t)((int64_t)lab_below(64) - 32);

    if (insn->is_rip_relative)
        displacement = lab_random_pointer() - (LAB_INSN + insn->length);
    else if (insn->is_memory && insn->base == X86_REGISTER_NONE)
        displacement = lab_pointer_value(lab_random_pointer());
    put(bytes + displacement_at, displacement, insn->displacement_size);
    put(bytes + immediate_at, lab_below(2) ? lab_below(64) : lab_random64(), insn->immediate_size);
    if (insn->map == X86_MAP_ONE && insn->opcode == 0xc8) { /* ENTER: within the data, mostly */
        put(bytes + immediate_at, lab_below(64), 2);
        bytes[immediate_at + 2] = (uint8_t)(lab_below(2) ? lab_below(3) : lab_below(256));
    }
    assert_int_equal(x86_decode(lab.mode, bytes, X86_INSN_MAX, insn), X86_DECODE_OK);
}

/* ---- forms ---- */

static bool is_group(const struct x86_insn *insn)
{
    if (insn->encoding == X86_ENCODING_VEX)
        return insn->map == X86_MAP_0F38 && insn->opcode == 0xf3;
    return (insn->map == X86_MAP_ONE && x86_operations_one[insn->opcode].group) ||
           (insn->map == X86_MAP_0F && x86_operations_0f[insn->opcode].group) || insn->opcode == 0x82;
}

static unsigned log2_of(unsigned size)
{
    return size == 8 ? 3 : size == 4 ? 2 : size == 2 ? 1 : 0;
}

static struct form *form_of(const struct x86_insn *insn)
{
    unsigned space = insn->encoding == X86_ENCODING_VEX ? (insn->map == X86_MAP_0F38 ? 3 : 4) : insn->map;
    unsigned row = is_group(insn) ? (insn->modrm >> 3) & 7u : 0;
    unsigned repeat = insn->prefixes & X86_PREFIX_REP ? 1 : insn->prefixes & X86_PREFIX_REPNE ? 2 : 0;
    bool has_memory = insn->has_modrm && insn->is_memory;
    unsigned index = space;
    struct form *form;

    if (insn->encoding == X86_ENCODING_VEX)
        repeat = insn->vector_prefix;
    index = index << 8 | insn->opcode;
    index = index << 3 | row;
    index = index << 2 | log2_of(insn->operand_size);
    index = index << 2 | repeat;
    index = index << 1 | has_memory;
    index = index << 1 | (has_memory && (insn->prefixes & X86_PREFIX_LOCK));
    index = index << 1 | ((insn->is_memory || native_is_string(insn)) && insn->address_size == 4);
    assert_true(index < FORM_COUNT);
    form = &forms[index];
    form->insn = *insn;
    return form;
}

static struct form *run_round(const uint8_t *bytes)
{
    uint8_t *code = (uint8_t *)(uintptr_t)LAB_INSN;
    struct x86_insn insn;
    struct x86_cpu cpu;
    struct form *form;

    memcpy(code, bytes, X86_INSN_MAX);
    assert_int_equal(x86_decode(lab.mode, code, X86_INSN_MAX, &insn), X86_DECODE_OK);
    fill_in(code, &insn);
    lab_make_cpu(&cpu);
    make_registers(&cpu, &insn);
    if (native_is_string(&insn) && (insn.prefixes & (X86_PREFIX_REP | X86_PREFIX_REPNE)))
        code[insn.length] = 0xcc;
    else
        cpu.rflags |= X86_RFLAGS_TF; /* PUSHF stores it */
    form = form_of(&insn);
    if (lab_run_state(&insn, &cpu) == X86_DONE)
        form->is_done = true;
    return form;
}

/* ---- all opcodes ---- */

/* Is there an instruction for the executor, and does it do it? The answer goes with its form. */
static bool is_known(const uint8_t *bytes)
{
    struct x86_insn insn;
    struct x86_cpu cpu;
    struct x86_fault fault;
    enum x86_result result;

    if (x86_decode(lab.mode, bytes, X86_INSN_MAX, &insn) != X86_DECODE_OK)
        return false;
    lab_make_cpu(&cpu);
    make_registers(&cpu, &insn);
    for (unsigned i = 0; i < X86_GPR_COUNT; i++)
        cpu.gpr[i] &= 0x7ff0;
    cpu.rflags = X86_RFLAGS_ONE | X86_RFLAGS_IF | X86_RFLAGS_IOPL;
    lab.is_trial = true;
    result = x86_execute(&cpu, &insn, &lab_ops, NULL, &fault);
    lab.is_trial = false;
    if (result == X86_DONE)
        form_of(&insn)->is_claimed = true;
    return result != X86_UNSUPPORTED;
}

/* A claimed form is tried more often until it was done once. */
static bool wants_another(const struct form *form, unsigned tries, unsigned rounds)
{
    return tries < rounds ||
           (tries < TRIES_MOST && form->is_claimed && !form->is_done && !native_hole_reason(&form->insn));
}

/* Every row with every mod, with any register or base. */
static void try_opcode(const uint8_t *header, size_t count, unsigned rounds)
{
    uint8_t bytes[2 * X86_INSN_MAX] = {0};
    const struct form *form = NULL;
    struct x86_insn insn;

    memcpy(bytes, header, count);
    if (x86_decode(lab.mode, bytes, X86_INSN_MAX, &insn) == X86_DECODE_OK && insn.opcode != header[count - 1])
        return; /* a prefix, or an escape */
    if (insn.length && !insn.has_modrm) {
        for (unsigned i = 0; is_known(bytes) && (i == 0 || wants_another(form, i, 2 * rounds)); i++)
            form = run_round(bytes);
        return;
    }
    for (unsigned row = 0; row < 32; row++) {
        for (unsigned i = 0; i == 0 || wants_another(form, i, rounds); i++) {
            bytes[count] = (uint8_t)((row & 0x18) << 3 | (row & 7) << 3 | lab_below(8));
            bytes[count + 1] = (uint8_t)lab_random64();
            if (!is_known(bytes))
                break;
            form = run_round(bytes);
        }
    }
}

struct prefixes {
    uint8_t count;
    uint8_t bytes[3];
    bool only64;
};

static const struct prefixes prefix_sets[] = {
    {0, {0}, false},
    {1, {0x66}, false},
    {1, {0x67}, false},
    {1, {0xf2}, false},
    {1, {0xf3}, false},
    {1, {0xf0}, false},
    {2, {0xf0, 0x66}, false},
    {2, {0xf0, 0x67}, false},
    {2, {0xf3, 0x66}, false},
    {2, {0xf2, 0x66}, false},
    {2, {0xf3, 0x67}, false},
    {2, {0xf2, 0x67}, false},
    {3, {0xf0, 0x66, 0x67}, false},
    {3, {0xf3, 0x66, 0x67}, false},
    {3, {0xf2, 0x66, 0x67}, false},
    {2, {0x66, 0x67}, false},
    {1, {0x65}, false},
    {1, {0x2e}, false},
    {1, {0x36}, false},
    {2, {0xf2, 0xf0}, false},
    {2, {0xf3, 0xf0}, false},
    {1, {0x48}, true},
    {1, {0x40}, true},
    {1, {0x4d}, true},
    {1, {0x45}, true},
    {2, {0x66, 0x4f}, true},
    {2, {0xf0, 0x48}, true},
    {2, {0xf3, 0x48}, true},
    {2, {0xf2, 0x48}, true},
    {2, {0x67, 0x49}, true},
    {3, {0xf0, 0x67, 0x48}, true},
    {3, {0xf3, 0x67, 0x48}, true},
    {3, {0xf2, 0x67, 0x48}, true},
    {2, {0x65, 0x48}, true},
    {3, {0xf2, 0xf0, 0x48}, true},
    {3, {0xf3, 0xf0, 0x48}, true},
};

static void try_all(unsigned rounds)
{
    static const struct prefixes escapes[] = {{0, {0}, false}, {1, {0x0f}, false}, {2, {0x0f, 0x38}, false}};

    for (size_t p = 0; p < sizeof(prefix_sets) / sizeof(prefix_sets[0]); p++) {
        const struct prefixes *set = &prefix_sets[p];

        for (size_t e = 0; e < 3 && (!set->only64 || lab.mode == X86_MODE_64); e++) {
            uint8_t header[8];
            size_t count = set->count + escapes[e].count;

            memcpy(header, set->bytes, set->count);
            memcpy(header + set->count, escapes[e].bytes, escapes[e].count);
            for (unsigned opcode = 0; opcode < 256; opcode++) {
                header[count] = (uint8_t)opcode;
                try_opcode(header, count + 1, rounds);
            }
        }
    }
}

/* BMI1 and BMI2: R, X and B of no effect outside of 64-bit mode, where they would make it another opcode. */
static void try_vex(unsigned rounds)
{
    for (unsigned map = 2; map <= 3; map++)
        for (unsigned wpp = 0; wpp < 8; wpp++)
            for (unsigned opcode = 0xf0; opcode < 0x100; opcode++)
                for (unsigned address = 0; address < 2; address++) {
                    unsigned rxb = lab.mode == X86_MODE_64 ? lab_below(8) << 5 : 0xe0;
                    unsigned vvvv = map == 3 || lab_below(8) == 0 ? 15 : lab_below(16);
                    uint8_t header[] = {0x67, 0xc4, (uint8_t)(rxb | map),
                                        (uint8_t)((wpp & 4) << 5 | vvvv << 3 | (wpp & 3)), (uint8_t)opcode};

                    try_opcode(header + !address, sizeof(header) - !address, 4 * rounds);
                }
}

/* Counts by reason, which is one of few constants. */
struct reasons {
    const char *text[8];
    unsigned count[8];
};

static void count_reason(struct reasons *reasons, const char *text)
{
    unsigned i = 0;

    while (i < 7 && reasons->text[i] && strcmp(reasons->text[i], text) != 0)
        i++;
    reasons->text[i] = text;
    reasons->count[i]++;
}

static void describe_hole(const struct x86_insn *insn)
{
    print_error("never done natively: encoding %u, map %u, opcode %02x, ModRM %02x, size %u, prefixes %x\n",
                insn->encoding, insn->map, insn->opcode, insn->modrm, insn->operand_size, insn->prefixes);
}

static void report_forms(void)
{
    unsigned claimed = 0, done = 0, explained = 0;
    struct reasons reasons = {0};

    for (size_t i = 0; i < FORM_COUNT; i++) {
        const struct form *form = &forms[i];
        const char *reason = native_hole_reason(&form->insn);

        claimed += form->is_claimed;
        done += form->is_claimed && form->is_done;
        if (!form->is_claimed || form->is_done)
            continue;
        explained += reason != NULL;
        if (reason)
            count_reason(&reasons, reason);
        else
            describe_hole(&form->insn);
    }
    print_message(
        "%u-bit mode: %u of %u claimed forms compared natively, %u explained; %lu instructions, %lu of "
        "them faults; %lu others beyond reach or undefined\n",
        16u << lab.mode, done, claimed, explained, lab.compared, lab.faults, lab.skipped);
    for (unsigned i = 0; i < 8 && reasons.text[i]; i++)
        print_message("  %u: %s\n", reasons.count[i], reasons.text[i]);
    assert_true(done > 0);
    assert_int_equal(done + explained, claimed);
}

static unsigned rounds_wanted(void)
{
    const char *slow = getenv("SLOW");

    return ROUNDS * (slow && strcmp(slow, "1") == 0 ? SLOW_FACTOR : 1);
}

static void compare_forms(enum x86_mode mode)
{
    const char *reason = lab_begin(mode);

    if (reason) {
        print_message("%u-bit mode: %s: skipped\n", 16u << mode, reason);
        skip();
    }
    forms = calloc(FORM_COUNT, sizeof(struct form));
    assert_non_null(forms);
    try_all(rounds_wanted());
    try_vex(rounds_wanted());
    lab_end();
    report_forms();
    free(forms);
    assert_int_equal(lab.different, 0);
}

static void forms_in_16_bit_mode(void **state)
{
    (void)state;
    compare_forms(X86_MODE_16);
}

static void forms_in_32_bit_mode(void **state)
{
    (void)state;
    compare_forms(X86_MODE_32);
}

static void forms_in_64_bit_mode(void **state)
{
    (void)state;
    compare_forms(X86_MODE_64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms_in_16_bit_mode),
        cmocka_unit_test(forms_in_32_bit_mode),
        cmocka_unit_test(forms_in_64_bit_mode),
    };

    return cmocka_run_group_tests(tests, lab_set_up, NULL);
}
