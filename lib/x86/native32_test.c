/* SPDX-License-Identifier: ISC */
/*
 * As native_test.c, for what 64-bit mode does not have: the instructions run on the processor in
 * compatibility mode, through a far call into the 32-bit code segment that Linux offers every process. Where
 * it does not (no CONFIG_IA32_EMULATION), the test is skipped.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/x86/x86.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ARENA       0x30000000u
#define CODE        ARENA
#define CODE32      (ARENA + 0x800)
#define STATE       (ARENA + 0x1000)
#define STACK_TOP   (ARENA + 0x3000)
#define DATA        (ARENA + 0x3000)
#define DATA_SIZE   0x2000u
#define DATA_MIDDLE (DATA + DATA_SIZE / 2)

#define ROUNDS 3000
#define CS32   0x23 /* Linux: __USER32_CS and __USER_DS */
#define DS32   0x2b

#define CF       X86_RFLAGS_CF
#define PF       X86_RFLAGS_PF
#define AF       X86_RFLAGS_AF
#define ZF       X86_RFLAGS_ZF
#define SF       X86_RFLAGS_SF
#define OF       X86_RFLAGS_OF
#define COMPARED (CF | PF | AF | ZF | SF | OF | X86_RFLAGS_DF)

struct native_state {
    uint32_t gpr[8];
    uint32_t rflags;
    uint32_t stack; /* ESP on entry to the 32-bit code */
    uint64_t host_rsp;
    uint32_t entry_offset; /* far pointer to the 32-bit code */
    uint16_t entry_selector;
};

/* Bytes in hexadecimal: ?? is any but 0, Xr any with X as its high digit, MM a ModRM byte of two registers.
 */
struct row {
    const char *name;
    const char *bytes;
    uint64_t undefined;
};

static const struct row rows[] = {
    {"aaa", "37", OF | SF | ZF | PF},
    {"aas", "3f", OF | SF | ZF | PF},
    {"aam", "d4 ??", OF | AF | CF},
    {"aad", "d5 ??", OF | AF | CF},
    {"daa", "27", OF},
    {"das", "2f", OF},
    {"salc", "d6", 0},
    {"inc, dec", "4r", 0},
    {"inc, dec 16", "66 4r", 0},
    {"pusha", "60", 0},
    {"pusha 16", "66 60", 0},
    {"popa", "61", 0},
    {"popa 16", "66 61", 0},
    {"push, pop", "5r", 0},
    {"push, pop 16", "66 5r", 0},
    {"push es 16", "66 06", 0},
    {"push cs 16", "66 0e", 0},
    {"push ss 16", "66 16", 0},
    {"push ds 16", "66 1e", 0},
    {"pushf", "9c", 0},
    {"pushf 16", "66 9c", 0},
    {"enter", "c8 ?? 00 0r", 0},
    {"enter 16", "66 c8 ?? 00 0r", 0},
    {"leave", "c9", 0},
    {"leave 16", "66 c9", 0},
    {"add E,I (82)", "82 cr ??", 0},
    {"adc", "11 MM", 0},
    {"sbb 16", "66 19 MM", 0},
    {"mov from segment", "8c dr", 0},
    {"lea 16: disp8", "67 8d 4r ??", 0},
    {"lea 16: disp16", "67 8d 9r ?? ??", 0},
    {"lea 16: no base", "67 8d 1e ?? ??", 0},
    {"cwd", "99", 0},
    {"bsf 16", "66 0f bc MM", CF | OF | SF | AF | PF},
    {"andn, W ignored", "c4 e2 e8 f2 MM", AF | PF},
    {"andn, vvvv[3] ignored", "c4 e2 20 f2 MM", AF | PF},
};

static uint64_t seed = 0x9e3779b97f4a7c15;
static uint8_t model[DATA_SIZE];
static uint8_t *code_end, *code_insn;
static sigjmp_buf no_segment;

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

static struct native_state *native(void)
{
    return (struct native_state *)(uintptr_t)STATE;
}

/* ---- the native side ---- */

static void emit(const void *bytes, size_t count)
{
    memcpy(code_end, bytes, count);
    code_end += count;
}

static void emit_byte(unsigned byte)
{
    *code_end++ = (uint8_t)byte;
}

/* An instruction with a field of the state as its memory operand; in 64-bit code by SIB, else plain. */
static void emit_on_state(bool is_64, unsigned opcode, unsigned reg, size_t offset)
{
    uint32_t address = (uint32_t)(STATE + offset);

    emit_byte(opcode);
    emit_byte((reg << 3) | (is_64 ? 4 : 5));
    if (is_64)
        emit_byte(0x25);
    emit(&address, 4);
}

/* Far call with all segments usable: DS and ES are null in a 64-bit process. */
static void emit_entry(void)
{
    code_end = (uint8_t *)(uintptr_t)CODE;
    emit("\x53\x55\x41\x54\x41\x55\x41\x56\x41\x57\x48", 11); /* push rbx, rbp, r12 to r15; REX.W of: */
    emit_on_state(true, 0x89, X86_RSP, offsetof(struct native_state, host_rsp));
    emit("\xb8\x2b\x00\x00\x00\x8e\xd8\x8e\xc0", 9); /* mov eax, DS32; mov ds, eax; mov es, eax */
    emit_on_state(true, 0x8b, X86_RSP, offsetof(struct native_state, stack));
    emit_on_state(true, 0xff, 3, offsetof(struct native_state, entry_offset));
    emit("\x31\xc0\x8e\xd8\x8e\xc0\x48", 7); /* xor eax, eax; mov ds, eax; mov es, eax; REX.W of: */
    emit_on_state(true, 0x8b, X86_RSP, offsetof(struct native_state, host_rsp));
    emit("\x41\x5f\x41\x5e\x41\x5d\x41\x5c\x5d\x5b\xc3", 11);
}

static void emit_prologue32(void)
{
    code_end = (uint8_t *)(uintptr_t)CODE32;
    emit_on_state(false, 0x89, X86_RSP, offsetof(struct native_state, stack));
    emit_on_state(false, 0xff, 6, offsetof(struct native_state, rflags)); /* push */
    emit_byte(0x9d);                                                      /* popf */
    for (unsigned reg = 0; reg < 8; reg++)
        emit_on_state(false, 0x8b, reg, 4 * reg);
    code_insn = code_end;
}

static void emit_epilogue32(void)
{
    for (unsigned reg = 0; reg < 8; reg++)
        emit_on_state(false, 0x89, reg, 4 * reg);
    emit_on_state(false, 0x8b, X86_RSP, offsetof(struct native_state, stack));
    emit_byte(0x9c);                                                      /* pushf */
    emit_on_state(false, 0x8f, 0, offsetof(struct native_state, rflags)); /* pop */
    emit("\xfc\xcb", 2);                                                  /* cld; retf */
}

static unsigned hexadecimal(char digit)
{
    return digit <= '9' ? (unsigned)(digit - '0') : (unsigned)(digit - 'a' + 10);
}

static void emit_row(const struct row *row)
{
    emit_prologue32();
    for (const char *text = row->bytes; *text; text += text[2] ? 3 : 2) {
        if (text[0] == '?')
            emit_byte(1 + below(255));
        else if (text[0] == 'M')
            emit_byte(0xc0 + below(64));
        else
            emit_byte((hexadecimal(text[0]) << 4) | (text[1] == 'r' ? below(16) : hexadecimal(text[1])));
    }
    emit_epilogue32();
}

static void native_run(uint32_t stack)
{
    native()->stack = stack;
    native()->entry_offset = CODE32;
    native()->entry_selector = CS32;
    ((void (*)(void))(uintptr_t)CODE)();
}

/* ---- the executor's side ---- */

static enum x86_result model_read(void *context, uint64_t linear, unsigned size, enum x86_access access,
                                  uint64_t *value, struct x86_fault *fault)
{
    (void)context;
    (void)access;
    (void)fault;
    assert_true(linear >= DATA && linear - DATA <= DATA_SIZE - size);
    *value = 0;
    memcpy(value, &model[linear - DATA], size);
    return X86_DONE;
}

static enum x86_result model_write(void *context, uint64_t linear, unsigned size, uint64_t value,
                                   struct x86_fault *fault)
{
    (void)context;
    (void)fault;
    assert_true(linear >= DATA && linear - DATA <= DATA_SIZE - size);
    memcpy(&model[linear - DATA], &value, size);
    return X86_DONE;
}

static void compatibility_cpu(struct x86_cpu *cpu)
{
    *cpu = (struct x86_cpu){.rip = (uintptr_t)code_insn,
                            .rflags = native()->rflags,
                            .cr0 = X86_CR0_PE | X86_CR0_PG,
                            .efer = X86_EFER_LMA | X86_EFER_LME,
                            .cpl = 3};
    for (unsigned i = 0; i < 8; i++)
        cpu->gpr[i] = native()->gpr[i];
    for (unsigned i = 0; i < X86_SEGMENT_COUNT; i++)
        cpu->segment[i] = (struct x86_segment){.selector = i == X86_CS ? CS32 : DS32,
                                               .attributes = X86_SEGMENT_PRESENT | X86_SEGMENT_S |
                                                             X86_SEGMENT_WRITABLE | X86_SEGMENT_BIG,
                                               .limit = UINT32_MAX};
    cpu->segment[X86_CS].attributes |= X86_SEGMENT_CODE;
}

static void compare(const struct row *row, const struct x86_cpu *cpu)
{
    uint64_t mask = COMPARED & ~row->undefined;

    for (unsigned i = 0; i < 8; i++)
        if (cpu->gpr[i] != native()->gpr[i])
            fail_msg("%s: register %u is %llx, should be %x", row->name, i, (unsigned long long)cpu->gpr[i],
                     native()->gpr[i]);
    if ((cpu->rflags & mask) != (native()->rflags & mask))
        fail_msg("%s: flags are %llx, should be %llx", row->name, (unsigned long long)(cpu->rflags & mask),
                 (unsigned long long)(native()->rflags & mask));
    if (memcmp(model, (void *)(uintptr_t)DATA, DATA_SIZE) != 0)
        fail_msg("%s: memory differs", row->name);
}

static void run_case(const struct row *row)
{
    static const struct x86_ops ops = {.read = model_read, .write = model_write};
    struct x86_cpu cpu;
    struct x86_insn insn;
    struct x86_fault fault;

    for (unsigned i = 0; i < 8; i++)
        native()->gpr[i] = (uint32_t)(below(3) ? random64() : random64() & 0xff);
    native()->gpr[X86_RSP] = DATA_MIDDLE + below(512);
    native()->gpr[X86_RBP] = DATA_MIDDLE + 512 + below(512);
    native()->rflags = (uint32_t)(X86_RFLAGS_ONE | X86_RFLAGS_IF | (random64() & COMPARED));
    emit_row(row);
    if (x86_decode(X86_MODE_32, code_insn, X86_INSN_MAX, &insn) != X86_DECODE_OK)
        fail_msg("%s does not decode", row->name);
    compatibility_cpu(&cpu);
    if (x86_execute(&cpu, &insn, &ops, NULL, &fault) != X86_DONE)
        fail_msg("%s is not executed", row->name);
    native_run(STACK_TOP);
    assert_true(cpu.rip == (uintptr_t)code_insn + insn.length);
    compare(row, &cpu);
}

static void on_fault(int signal_number)
{
    (void)signal_number;
    __asm__ volatile("mov %0, %%ds; mov %0, %%es" : : "r"(0));
    siglongjmp(no_segment, 1);
}

/* Runs a NOP in the 32-bit segment. */
static bool has_compatibility_mode(void)
{
    static uint8_t signal_stack[65536];
    static const struct row nop = {"nop", "90", 0};
    const stack_t alternate = {.ss_sp = signal_stack, .ss_size = sizeof(signal_stack)};
    const struct sigaction action = {.sa_handler = on_fault, .sa_flags = SA_ONSTACK};
    struct sigaction before;

    assert_int_equal(sigaltstack(&alternate, NULL), 0);
    assert_int_equal(sigaction(SIGSEGV, &action, &before), 0);
    if (sigsetjmp(no_segment, 1))
        return false;
    native()->rflags = X86_RFLAGS_ONE | X86_RFLAGS_IF;
    emit_row(&nop);
    native_run(STACK_TOP);
    return sigaction(SIGSEGV, &before, NULL) == 0;
}

static void agrees_with_processor(void **state)
{
    (void)state;
    emit_entry();
    if (!has_compatibility_mode()) {
        print_message("no 32-bit code segment here: skipped\n");
        skip();
    }
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (unsigned round = 0; round < ROUNDS; round++) {
            if (round % 100 == 0) {
                for (size_t at = 0; at < DATA_SIZE; at++)
                    model[at] = (uint8_t)random64();
                memcpy((void *)(uintptr_t)DATA, model, DATA_SIZE);
            }
            run_case(&rows[i]);
        }
    }
}

static int set_up(void **state)
{
    void *wanted = (void *)(uintptr_t)ARENA;

    (void)state;
    return mmap(wanted, DATA - ARENA + DATA_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == wanted
               ? 0
               : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_processor),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
