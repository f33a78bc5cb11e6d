/* SPDX-License-Identifier: ISC */
/*
 * Repeated string instructions that fault in their middle, on the processor that runs the test and by the
 * executor: at each of their repetitions, on either pointer, upwards and downwards, before an absent page and
 * before a read-only one, with elements that lie across the border. RCX, RSI and RDI must say how far it
 * came.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/x86/native_lab.h"
#include "lib/x86/x86.h"

#define COUNT          12u /* in RCX; the fault is in one of them, or in none */
#define GOOD_PAGE      0u  /* where the other pointer goes */
#define ABSENT_PAGE    2u
#define READ_ONLY_PAGE 5u

struct string_case {
    const char *name;
    uint8_t opcode; /* of the byte form; the wide one follows */
    bool has_source, has_target, writes, compares;
};

static const struct string_case strings[] = {
    {"movs", 0xa4, true, true, true, false},  {"cmps", 0xa6, true, true, false, true},
    {"stos", 0xaa, false, true, true, false}, {"lods", 0xac, true, false, false, false},
    {"scas", 0xae, false, true, false, true},
};

struct variation {
    unsigned size;
    bool is_repne, is_down, is_address_prefixed, fault_at_target;
    unsigned page;   /* that must not be reached */
    unsigned before; /* elements that come before it */
    unsigned skew;   /* bytes by which they are off its border */
};

/* Length of what is written to the code: prefixes, the opcode, and INT3 to end it. */
static unsigned emit(const struct string_case *string, const struct variation *v)
{
    uint8_t *code = (uint8_t *)(uintptr_t)LAB_INSN;
    bool is_16 = lab.mode == X86_MODE_16;
    unsigned length = 0;

    if (v->is_address_prefixed)
        code[length++] = 0x67;
    if ((v->size == 2 && !is_16) || (v->size == 4 && is_16))
        code[length++] = 0x66;
    code[length++] = v->is_repne ? 0xf2 : 0xf3;
    if (v->size == 8)
        code[length++] = 0x48;
    code[length++] = (uint8_t)(string->opcode | (v->size > 1));
    code[length] = 0xcc;
    return length;
}

/* Upwards the page's first byte is the border, downwards its last. */
static uint32_t faulting_pointer(const struct variation *v)
{
    uint32_t page = LAB_DATA + v->page * LAB_PAGE;

    return v->is_down ? page + LAB_PAGE + (v->before - 1) * v->size + v->skew
                      : page - v->before * v->size - v->skew;
}

/* So that comparisons go on: equal elements for REPE, others for REPNE. */
static void fill(const struct variation *v)
{
    uint8_t *memory = (uint8_t *)(uintptr_t)LAB_DATA;

    for (unsigned i = 0; i < LAB_PAGES; i++)
        if (lab_page_access[i] == LAB_WRITABLE)
            memset(memory + i * LAB_PAGE, i == GOOD_PAGE && v->is_repne ? 0x55 : 0, LAB_PAGE);
    lab_copy_readable(lab.model, memory);
}

static void run_variation(const struct string_case *string, const struct variation *v)
{
    unsigned length = emit(string, v);
    unsigned long different = lab.different;
    struct x86_insn insn;
    struct x86_cpu cpu;
    uint32_t pointer = faulting_pointer(v), other = LAB_DATA + LAB_PAGE / 2;
    uint64_t mask = lab.mode == X86_MODE_16 ? UINT16_MAX : UINT32_MAX;
    unsigned left = v->before < COUNT ? COUNT - v->before : 0;

    fill(v);
    assert_int_equal(x86_decode(lab.mode, (uint8_t *)(uintptr_t)LAB_INSN, length, &insn), X86_DECODE_OK);
    lab_make_cpu(&cpu);
    cpu.rflags = X86_RFLAGS_ONE | X86_RFLAGS_IF | (v->is_down ? X86_RFLAGS_DF : 0);
    cpu.gpr[X86_RAX] = v->is_repne ? 0x5555555555555555 : 0;
    cpu.gpr[X86_RCX] = COUNT;
    cpu.gpr[X86_RSI] = lab_pointer_value(v->fault_at_target ? other : pointer) & mask;
    cpu.gpr[X86_RDI] = lab_pointer_value(v->fault_at_target ? pointer : other) & mask;
    if (lab_run_state(&insn, &cpu) != (left ? X86_FAULT : X86_DONE) || cpu.gpr[X86_RCX] != left)
        fail_msg("%u-bit %s of %u bytes leaves a count of %llu, not %u", 16u << lab.mode, string->name,
                 v->size, (unsigned long long)cpu.gpr[X86_RCX], left);
    if (lab.different != different)
        fail_msg("%u-bit %s of %u bytes: after %u of them, %s, page %u, off by %u", 16u << lab.mode,
                 string->name, v->size, v->before, v->is_down ? "downwards" : "upwards", v->page, v->skew);
}

static void run_string(const struct string_case *string, struct variation *v)
{
    for (v->before = 0; v->before <= COUNT; v->before++)
        for (v->skew = 0; v->skew < v->size; v->skew += 3)
            for (unsigned flags = 0; flags < 16; flags++) {
                v->is_repne = (flags & 1) != 0;
                v->is_down = (flags & 2) != 0;
                v->fault_at_target = (flags & 4) != 0;
                v->is_address_prefixed = (flags & 8) != 0;
                if (!(v->fault_at_target ? string->has_target : string->has_source))
                    continue;
                v->page = ABSENT_PAGE;
                run_variation(string, v);
                v->page = READ_ONLY_PAGE;
                if (string->writes && v->fault_at_target)
                    run_variation(string, v);
            }
}

static void faults_in_mode(enum x86_mode mode)
{
    const char *reason = lab_begin(mode);
    struct variation v = {0};

    if (reason) {
        print_message("%u-bit mode: %s: skipped\n", 16u << mode, reason);
        skip();
    }
    for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++)
        for (v.size = 1; v.size <= (mode == X86_MODE_64 ? 8 : 4); v.size *= 2)
            run_string(&strings[i], &v);
    lab_end();
    print_message("%u-bit mode: %lu string instructions, %lu of them with a fault\n", 16u << mode,
                  lab.compared, lab.faults);
    assert_int_equal(lab.different, 0);
}

static void faults_in_16_bit_mode(void **state)
{
    (void)state;
    faults_in_mode(X86_MODE_16);
}

static void faults_in_32_bit_mode(void **state)
{
    (void)state;
    faults_in_mode(X86_MODE_32);
}

static void faults_in_64_bit_mode(void **state)
{
    (void)state;
    faults_in_mode(X86_MODE_64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults_in_16_bit_mode),
        cmocka_unit_test(faults_in_32_bit_mode),
        cmocka_unit_test(faults_in_64_bit_mode),
    };

    return cmocka_run_group_tests(tests, lab_set_up, NULL);
}
