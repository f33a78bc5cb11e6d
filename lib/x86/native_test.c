/* SPDX-License-Identifier: ISC */
/*
 * The executor against the processor that runs the test: random instructions of each kind, with random
 * registers, flags and memory, are executed both ways, and registers, defined flags and memory must agree.
 * The processor is the reference that no misreading of the manual can share. Needs an x86-64 host; the seed
 * is fixed.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/x86/native_rows.h"
#include "lib/x86/x86.h"

#include <cpuid.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Below 2 GiB, so that 32-bit absolute, RIP-relative and 32-bit addresses all reach it. */
#define ARENA       0x20000000ull
#define CODE        ARENA
#define STATE       (ARENA + 0x1000)
#define DATA        (ARENA + 0x2000)
#define DATA_SIZE   0x4000ull
#define DATA_MIDDLE (DATA + DATA_SIZE / 2)

#define ROUNDS 3000 /* of each table row */

/* What the stub loads and stores, at STATE. */
struct native_state {
    uint64_t gpr[X86_GPR_COUNT];
    uint64_t rflags;
    uint64_t host_rsp;
};

/* ---- random numbers ---- */

static uint64_t seed;

/* xorshift64* */
static uint64_t random64(void)
{
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return seed * 0x2545f4914f6cdd1dull;
}

static unsigned below(unsigned limit)
{
    return (unsigned)((random64() >> 32) % limit);
}

static bool chance(unsigned one_in)
{
    return below(one_in) == 0;
}

/* Values at the edges of each size, as often as any. */
static uint64_t random_value(void)
{
    static const uint64_t edges[] = {0,
                                     1,
                                     2,
                                     0x7f,
                                     0x80,
                                     0xff,
                                     0x7fff,
                                     0x8000,
                                     0xffff,
                                     0x7fffffff,
                                     0x80000000,
                                     0xffffffff,
                                     0x7fffffffffffffff,
                                     0x8000000000000000,
                                     UINT64_MAX};

    switch (below(4)) {
    case 0:
        return edges[below(sizeof(edges) / sizeof(edges[0]))];
    case 1:
        return below(256);
    default:
        return random64();
    }
}

/* ---- the native side ---- */

static sigjmp_buf divide_error;
static uint8_t *code_end;
static uint8_t *code_insn;

static void on_sigfpe(int signal_number)
{
    (void)signal_number;
    siglongjmp(divide_error, 1);
}

static struct native_state *native(void)
{
    return (struct native_state *)STATE;
}

static void emit(const void *bytes, size_t count)
{
    memcpy(code_end, bytes, count);
    code_end += count;
}

static void emit_byte(unsigned byte)
{
    *code_end++ = (uint8_t)byte;
}

/* An instruction on a quadword of the state: opcode, register or row, [absolute address]. */
static void emit_on_state(unsigned opcode, unsigned reg, size_t offset)
{
    uint32_t address = (uint32_t)(STATE + offset);

    emit_byte(0x48 | (reg >= 8 ? 4 : 0));
    emit_byte(opcode);
    emit_byte(((reg & 7) << 3) | 4);
    emit_byte(0x25);
    emit(&address, 4);
}

#define GPR_OFFSET(reg) (offsetof(struct native_state, gpr) + 8 * (reg))

static void emit_prologue(void)
{
    code_end = (uint8_t *)CODE;
    emit("\x53\x55\x41\x54\x41\x55\x41\x56\x41\x57", 10); /* push rbx, rbp, r12 to r15 */
    emit_on_state(0x89, X86_RSP, offsetof(struct native_state, host_rsp));
    emit_on_state(0xff, 6, offsetof(struct native_state, rflags)); /* push */
    emit_byte(0x9d);                                               /* popf */
    for (unsigned reg = 0; reg < X86_GPR_COUNT; reg++) {
        emit_on_state(0x8b, reg, GPR_OFFSET(reg));
    }
    code_insn = code_end;
}

static void emit_epilogue(void)
{
    for (unsigned reg = 0; reg < X86_GPR_COUNT; reg++)
        emit_on_state(0x89, reg, GPR_OFFSET(reg));
    emit_on_state(0x8b, X86_RSP, offsetof(struct native_state, host_rsp));
    emit_byte(0x9c);                                               /* pushf */
    emit_on_state(0x8f, 0, offsetof(struct native_state, rflags)); /* pop */
    emit_byte(0xfc);                                               /* cld */
    emit("\x41\x5f\x41\x5e\x41\x5d\x41\x5c\x5d\x5b\xc3", 11);
}

/* False after a divide error. */
static bool native_run(void)
{
    if (sigsetjmp(divide_error, 1))
        return false;
    ((void (*)(void))CODE)();
    return true;
}

/* ---- the executor's side ---- */

static uint8_t model[DATA_SIZE];

static bool in_data(uint64_t linear, unsigned size)
{
    return linear >= DATA && linear - DATA <= DATA_SIZE - size;
}

static enum x86_result model_read(void *context, uint64_t linear, unsigned size, enum x86_access access,
                                  uint64_t *value, struct x86_fault *fault)
{
    (void)context;
    (void)access;
    (void)fault;
    assert_true(in_data(linear, size));
    *value = 0;
    memcpy(value, &model[linear - DATA], size);
    return X86_DONE;
}

static enum x86_result model_write(void *context, uint64_t linear, unsigned size, uint64_t value,
                                   struct x86_fault *fault)
{
    (void)context;
    (void)fault;
    assert_true(in_data(linear, size));
    memcpy(&model[linear - DATA], &value, size);
    return X86_DONE;
}

/* ---- one instruction ---- */

struct test_case {
    const struct row *row;
    unsigned opcode;
    unsigned size; /* of operands, in bytes */
    unsigned rex;
    bool address32;
    bool is_memory;
    bool is_rip_relative;
    unsigned reg, rm, base, index, scale;
    unsigned immediate_size;
    uint64_t target; /* of a memory operand */
};

static void choose_size(struct test_case *t)
{
    unsigned flags = t->row->flags;

    t->size = flags & ONLY_WIDE ? 4u << below(2) : flags & NO_WIDE64 ? 4 : 2u << below(3);
    if (flags & WIDE16)
        t->size = 8;
    if (flags & PAIR) {
        bool wide = !chance(3);

        t->opcode |= wide;
        t->size = wide ? t->size : 1;
    }
    t->immediate_size = flags & IMM8 ? 1 : 0;
    if (flags & IMMZ)
        t->immediate_size = t->size == 8 ? 4 : t->size;
    if (flags & IMMV)
        t->immediate_size = t->size;
}

/* Base and index differ from each other and from the register operand of BT; the sum hits the data's middle.
 */
static void choose_memory(struct test_case *t)
{
    t->target = DATA_MIDDLE + below(256);
    if (t->row->flags & WIDE16)
        t->target &= ~15ull;
    t->is_rip_relative = chance(8);
    do {
        t->base = below(16);
        t->index = below(16);
    } while (t->base == t->index ||
             ((t->row->flags & SMALL_REG) && (t->base == t->reg || t->index == t->reg)) ||
             ((t->row->flags & STACK) && (t->base == X86_RSP || t->index == X86_RSP)));
    t->scale = below(4);
}

static void choose_case(struct test_case *t, const struct row *row)
{
    *t = (struct test_case){.row = row, .opcode = row->opcode & 0xff};
    if (row->flags & LOW3)
        t->opcode |= below(8);
    if (row->flags & LOW4)
        t->opcode |= below(16);
    choose_size(t);
    t->reg = row->group >= 0 ? (unsigned)row->group : below(16);
    t->rm = below(16);
    t->is_memory = !(row->flags & NO_MODRM) && ((row->flags & MEMORY) || chance(2));
    t->address32 = chance(6);
    if (t->is_memory)
        choose_memory(t);
    if (row->flags & NO_MODRM)
        t->rm = below(16);
    t->rex = (t->size == 8 ? X86_REX_W : 0) | (t->reg >= 8 ? X86_REX_R : 0);
    if (t->is_memory && !t->is_rip_relative)
        t->rex |= (t->base >= 8 ? X86_REX_B : 0) | (t->index >= 8 ? X86_REX_X : 0);
    else if (!t->is_memory)
        t->rex |= t->rm >= 8 ? X86_REX_B : 0;
}

static void choose_registers(const struct test_case *t, struct native_state *state)
{
    for (unsigned i = 0; i < X86_GPR_COUNT; i++)
        state->gpr[i] = random_value();
    state->rflags = X86_RFLAGS_ONE | X86_RFLAGS_IF | (random64() & COMPARED);
    if ((t->row->opcode | 1) == 0xf7 && chance(2)) { /* a dividend that often fits */
        state->gpr[X86_RDX] = chance(2) ? 0 : UINT64_MAX;
        if (chance(2))
            state->gpr[X86_RAX] = below(256);
    }
    if (t->row->flags & SMALL_REG) {
        uint64_t noise = t->size == 4 ? random64() << 32 : 0;

        state->gpr[t->reg] = ((uint64_t)below(16000) - 8000) ^ noise;
    }
    if (t->row->flags & STACK)
        state->gpr[X86_RSP] = DATA_MIDDLE + below(512);
    if ((t->row->flags & WIDE16) && chance(2)) {
        memcpy(&state->gpr[X86_RAX], &model[t->target - DATA], 8);
        memcpy(&state->gpr[X86_RDX], &model[t->target - DATA + 8], 8);
    }
    if (t->row->flags & FRAME)
        state->gpr[X86_RBP] = DATA_MIDDLE + 512 + below(512);
    if (t->row->flags & POPPED_FLAGS) { /* single stepping must not be popped */
        uint64_t flags = random64() & COMPARED;

        memcpy((void *)(state->gpr[X86_RSP]), &flags, 8);
        memcpy(&model[state->gpr[X86_RSP] - DATA], &flags, 8);
    }
    if (t->row->flags & XLAT)
        state->gpr[X86_RBX] = DATA_MIDDLE;
}

static void choose_string(struct native_state *state)
{
    state->gpr[X86_RCX] = 1 + below(24);
    state->gpr[X86_RSI] = DATA_MIDDLE + below(512);
    state->gpr[X86_RDI] = DATA_MIDDLE + below(512);
    if (chance(2))
        state->gpr[X86_RAX] = 0;
}

/* ModRM, SIB and displacement of a memory operand; sets the base so that they meet the target. */
static void emit_memory(struct test_case *t, struct native_state *state)
{
    unsigned mod = chance(2) ? 1 : 2;
    int32_t displacement = mod == 1 ? (int8_t)random64() : (int32_t)below(1u << 28) - (1 << 27);
    bool has_index = t->index != X86_RSP;
    uint64_t index;

    if (t->is_rip_relative) {
        emit_byte(((t->reg & 7) << 3) | 5);
        displacement = (int32_t)(t->target - ((uint64_t)code_end + 4 + t->immediate_size));
        emit(&displacement, 4);
        return;
    }
    if (has_index && t->index != X86_RAX) /* RAX is compared and divided */
        state->gpr[t->index] = below(1000);
    index = has_index ? state->gpr[t->index] << t->scale : 0;
    state->gpr[t->base] = t->target - (uint64_t)(int64_t)displacement - index;
    if (t->address32)
        state->gpr[t->base] ^= random64() << 32;
    emit_byte((mod << 6) | ((t->reg & 7) << 3) | 4);
    emit_byte((t->scale << 6) | ((t->index & 7) << 3) | (t->base & 7));
    emit(&displacement, mod == 1 ? 1 : 4);
}

static void emit_prefixes(const struct test_case *t)
{
    unsigned flags = t->row->flags;

    if (t->size == 2)
        emit_byte(0x66);
    if (t->address32 && (t->is_memory || (flags & (STRING | XLAT))))
        emit_byte(0x67);
    if (t->is_memory && (flags & LOCKABLE) && chance(3) && !(t->row->opcode == 0x38))
        emit_byte(0xf0);
    if (flags & REPEATED)
        emit_byte(0xf3);
    if ((flags & STRING) && !chance(3))
        emit_byte(chance(2) ? 0xf2 : 0xf3);
    if (t->rex || chance(3))
        emit_byte(0x40 | t->rex);
}

/* The three-byte prefix, in place of REX and escapes. */
static void emit_vex(const struct test_case *t)
{
    unsigned pp = t->row->opcode >> 24;
    unsigned map = (t->row->opcode >> 8 & 0xff) == 0x38 ? 2 : 3;
    unsigned vvvv = t->row->flags & RORX ? 0 : below(16);

    if (t->address32 && t->is_memory)
        emit_byte(0x67);
    emit_byte(0xc4);
    emit_byte(((~t->rex & 7) << 5) | map);
    emit_byte((t->size == 8 ? 0x80 : 0) | ((~vvvv & 15) << 3) | pp);
    emit_byte(t->opcode);
}

static void emit_opcode(const struct test_case *t)
{
    uint32_t escape = t->row->opcode >> 8;

    emit_prefixes(t);
    if (escape > 0xff)
        emit_byte(escape >> 8);
    if (escape)
        emit_byte(escape);
    emit_byte(t->opcode);
}

static void emit_case(struct test_case *t, struct native_state *state)
{
    uint64_t immediate = random_value();

    emit_prologue();
    if (t->row->flags & VEX)
        emit_vex(t);
    else
        emit_opcode(t);
    if (t->is_memory)
        emit_memory(t, state);
    else if (!(t->row->flags & NO_MODRM))
        emit_byte(0xc0 | ((t->reg & 7) << 3) | (t->rm & 7));
    if (t->opcode == 0xc8 && (t->row->flags & FRAME)) {
        emit_byte(below(256));
        emit_byte(0);
        emit_byte(chance(2) ? below(3) : below(256));
    }
    emit(&immediate, t->immediate_size);
    emit_epilogue();
}

/* Flags that a shift leaves undefined; false if its result is. */
static bool shift_undefined(const struct test_case *t, const struct x86_insn *insn, uint64_t rcx,
                            uint64_t *undefined)
{
    bool is_double = t->row->opcode >= 0x0f00;
    bool is_one = !is_double && (t->opcode & ~1u) == 0xd0;
    uint64_t raw = is_one ? 1 : insn->immediate_size ? insn->immediate : rcx;
    unsigned count = (unsigned)raw & (t->size == 8 ? 63 : 31);
    bool is_rotate = !is_double && t->row->group < 4;

    *undefined = 0;
    if (count == 0)
        return true;
    if (count != 1)
        *undefined |= OF;
    if (!is_rotate)
        *undefined |= AF;
    if (count > 8 * t->size && !is_rotate)
        *undefined |= CF;
    return !(is_double && count > 8 * t->size);
}

static void long_mode_cpu(struct x86_cpu *cpu, const struct native_state *state)
{
    *cpu = (struct x86_cpu){.rip = (uint64_t)code_insn,
                            .rflags = state->rflags,
                            .cr0 = X86_CR0_PE | X86_CR0_PG,
                            .efer = X86_EFER_LMA | X86_EFER_LME,
                            .cpl = 3};
    memcpy(cpu->gpr, state->gpr, sizeof(cpu->gpr));
    cpu->segment[X86_CS].attributes =
        X86_SEGMENT_PRESENT | X86_SEGMENT_S | X86_SEGMENT_CODE | X86_SEGMENT_LONG;
}

static void describe_and_fail(const struct test_case *t, const char *what, uint64_t ours, uint64_t theirs)
{
    char bytes[3 * X86_INSN_MAX + 1] = "";

    for (unsigned i = 0; i < X86_INSN_MAX; i++) {
        static const char digits[] = "0123456789abcdef";

        bytes[3 * i] = digits[code_insn[i] >> 4];
        bytes[3 * i + 1] = digits[code_insn[i] & 15];
        bytes[3 * i + 2] = ' ';
    }
    fail_msg("%s (%s): %s is %llx, should be %llx", t->row->name, bytes, what, (unsigned long long)ours,
             (unsigned long long)theirs);
}

static void compare(const struct test_case *t, const struct x86_cpu *cpu, uint64_t undefined)
{
    static const char *const names[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                        "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
    uint64_t mask = COMPARED & ~undefined;

    for (unsigned i = 0; i < X86_GPR_COUNT; i++)
        if (cpu->gpr[i] != native()->gpr[i])
            describe_and_fail(t, names[i], cpu->gpr[i], native()->gpr[i]);
    if ((cpu->rflags & mask) != (native()->rflags & mask))
        describe_and_fail(t, "rflags", cpu->rflags & mask, native()->rflags & mask);
    if (memcmp(model, (void *)DATA, DATA_SIZE) != 0)
        describe_and_fail(t, "memory", 0, 0);
}

/* Few values in memory, so that comparisons meet equal elements. */
static void fill_memory(bool is_string)
{
    for (size_t i = 0; i < DATA_SIZE; i += 8) {
        uint64_t value = is_string ? (chance(2) ? 0 : random64() & 0x0101) : random_value();

        memcpy(&model[i], &value, 8);
    }
    memcpy((void *)DATA, model, DATA_SIZE);
}

static void run_case(const struct row *row)
{
    static const struct x86_ops ops = {.read = model_read, .write = model_write};
    struct test_case t;
    struct native_state state = {0};
    struct x86_cpu cpu;
    struct x86_insn insn;
    struct x86_fault fault;
    enum x86_result result;
    uint64_t undefined = row->undefined;

    choose_case(&t, row);
    choose_registers(&t, &state);
    if (row->flags & STRING)
        choose_string(&state);
    emit_case(&t, &state);
    assert_int_equal(x86_decode(X86_MODE_64, code_insn, X86_INSN_MAX, &insn), X86_DECODE_OK);
    if ((row->flags & SHIFT) && !shift_undefined(&t, &insn, state.gpr[X86_RCX], &undefined))
        return;
    *native() = state;
    long_mode_cpu(&cpu, &state);
    result = x86_execute(&cpu, &insn, &ops, NULL, &fault);
    if (!native_run()) {
        if (result != X86_FAULT || fault.vector != X86_VECTOR_DE)
            describe_and_fail(&t, "result", result, X86_FAULT);
        memcpy((void *)DATA, model, DATA_SIZE);
        return;
    }
    if (result != X86_DONE)
        describe_and_fail(&t, "result", result, X86_DONE);
    assert_true(cpu.rip == (uint64_t)code_insn + insn.length);
    compare(&t, &cpu, undefined);
}

/* Not in set_up: cmocka takes SIGFPE for itself before each test. The handler must not use a random RSP. */
static void catch_divide_errors(void)
{
    static uint8_t signal_stack[65536];
    const stack_t alternate = {.ss_sp = signal_stack, .ss_size = sizeof(signal_stack)};
    const struct sigaction action = {.sa_handler = on_sigfpe, .sa_flags = SA_ONSTACK};

    assert_int_equal(sigaltstack(&alternate, NULL), 0);
    assert_int_equal(sigaction(SIGFPE, &action, NULL), 0);
}

/* POPCNT, CMPXCHG16B; LZCNT; BMI1 and BMI2 (APM vol. 3, appendix D). */
static bool host_runs(const struct row *row)
{
    unsigned a, b, c, d;

    if (row->flags & VEX)
        return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & 1u << 3) && (b & 1u << 8);
    if (row->flags & (REPEATED | WIDE16)) {
        if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & 1u << 23) || !(c & 1u << 13))
            return false;
        if (!__get_cpuid(0x80000001, &a, &b, &c, &d) || !(c & 1u << 5))
            return false;
        return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & 1u << 3);
    }
    return true;
}

static void agrees_with_processor(void **state)
{
    (void)state;
    catch_divide_errors();
    seed = 0x9e3779b97f4a7c15;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (!host_runs(&rows[i])) {
            print_message("%s: not known to this processor\n", rows[i].name);
            continue;
        }
        for (unsigned round = 0; round < ROUNDS; round++) {
            if (round % 100 == 0)
                fill_memory((rows[i].flags & STRING) != 0);
            run_case(&rows[i]);
        }
    }
}

static int set_up(void **state)
{
    void *arena = mmap((void *)ARENA, DATA - ARENA + DATA_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

    (void)state;
    return arena == (void *)ARENA ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_processor),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
