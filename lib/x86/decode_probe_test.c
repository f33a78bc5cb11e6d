/* SPDX-License-Identifier: ISC */
/*
 * The decoder's lengths against the processor that runs the test. An instruction whose bytes end where a page
 * ends, before a page that cannot be read, faults on the fetch of that page exactly if it is longer than the
 * bytes. So it must not with as many bytes as the decoder says, and must with one less. What the decoder
 * calls undefined must be #UD, and what it calls too long #GP: at the end of the page, or, where the
 * processor fetches more than 15 bytes before it says so, with bytes that it can read behind them.
 *
 * Looked at are the kinds of code on which the decoder and objdump differ, every opcode of the legacy maps
 * with rows of its ModRM byte, and random instructions, by a fixed seed; SLOW=1 in the environment takes all
 * rows, and SLOW_FACTOR times as many random ones. All run in a child process, one instruction at a time,
 * with all registers pointing to scratch memory. A mode that the kernel does not let a program have is
 * skipped with a message.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/x86/native_step.h"
#include "lib/x86/x86.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define ARENA        0x31000000u
#define CODE_END     (ARENA + 0x1000) /* the next page cannot be read */
#define SCRATCH      (ARENA + 0x10000)
#define SCRATCH_SIZE 0x10000u
#define POINTER      (SCRATCH + 0x4000) /* in all registers: XSAVE has room behind it */
#define USED         256u /* bytes there that are cleared each time, so that no selector is valid */
#define BEHIND       64u  /* zeros behind an instruction: more than any processor fetches at once */
#define ARENA_SIZE   0x20000u

#define RANDOM_CASES 8000u
#define OTHER_CASES  70000u
#define OPCODE_STEP  7u
#define SLOW_FACTOR  50u
#define PRINTED_MOST 40u
#define CHILD_LIMIT  600u /* seconds */

struct probe_case {
    uint8_t bytes[X86_INSN_MAX + 1];
};

/* Shared with the child. */
struct verdict {
    volatile uint8_t is_done;
    uint8_t length; /* by the processor: the fewest bytes that it is content with; 16 if 15 are not enough */
    uint8_t vector; /* with all 15 bytes, or as many as the decoder took */
    uint8_t vector_behind; /* if 15 bytes are not enough: with BEHIND zeros that can be read */
};

struct probes {
    enum x86_mode mode;
    uint64_t seed;
    size_t count, room;
    struct probe_case *cases;
    struct verdict *verdicts; /* shared */
    unsigned long agreed, undefined, too_long, explained, different;
};

/* ---- the child ---- */

static bool is_fetch_fault(const struct native_step *step, uint64_t rip)
{
    return step->vector == X86_VECTOR_PF && step->cr2 == CODE_END && step->rip == rip &&
           (step->error & X86_PF_FETCH);
}

/* Runs count bytes, with zeros behind them up to the end of the page; true if more bytes are wanted. */
static bool wants_more(const struct probes *probes, const uint8_t *bytes, unsigned count, unsigned behind,
                       uint8_t *vector)
{
    uint64_t linear = CODE_END - count - behind;
    uint64_t rip = probes->mode == X86_MODE_16 ? linear - ARENA : linear;
    struct native_step step = {.rip = rip, .rflags = X86_RFLAGS_ONE | X86_RFLAGS_IF};

    memcpy((void *)(uintptr_t)linear, bytes, count);
    memset((void *)(uintptr_t)(linear + count), 0, behind);
    memset((void *)(uintptr_t)POINTER, 0, USED);
    for (unsigned i = 0; i < X86_GPR_COUNT; i++)
        step.gpr[i] = POINTER;
    native_step_run(probes->mode, &step);
    *vector = (uint8_t)step.vector;
    return is_fetch_fault(&step, rip);
}

static void probe(const struct probes *probes, const struct probe_case *c, struct verdict *verdict)
{
    struct x86_insn insn;
    enum x86_decode_status status = x86_decode(probes->mode, c->bytes, sizeof(c->bytes), &insn);
    unsigned likely = status == X86_DECODE_OK ? insn.length : X86_INSN_MAX;
    uint8_t vector;

    verdict->length = (uint8_t)likely;
    if (wants_more(probes, c->bytes, likely, 0, &verdict->vector)) {
        do
            verdict->length++;
        while (verdict->length <= X86_INSN_MAX &&
               wants_more(probes, c->bytes, verdict->length, 0, &verdict->vector));
    } else {
        while (verdict->length > 1 && !wants_more(probes, c->bytes, verdict->length - 1u, 0, &vector))
            verdict->length--;
    }
    if (verdict->length > X86_INSN_MAX)
        (void)wants_more(probes, c->bytes, sizeof(c->bytes), BEHIND, &verdict->vector_behind);
    verdict->is_done = 1;
}

static void run_child(struct probes *probes, size_t first)
{
    alarm(CHILD_LIMIT);
    native_step_begin((uint8_t *)(uintptr_t)ARENA, SCRATCH);
    native_stepper.has_data_segment = false; /* addresses are right in flat segments */
    for (size_t i = first; i < probes->count; i++)
        probe(probes, &probes->cases[i], &probes->verdicts[i]);
    _exit(0);
}

/* ---- explanations ---- */

struct explanation {
    const char *reason;
    bool (*applies)(const struct x86_insn *insn, enum x86_decode_status status,
                    const struct verdict *verdict);
    unsigned long count;
};

static bool is_near_branch(const struct x86_insn *insn, enum x86_decode_status status,
                           const struct verdict *verdict)
{
    bool is_one = insn->map == X86_MAP_ONE && (insn->opcode == 0xe8 || insn->opcode == 0xe9);
    bool is_jcc = insn->map == X86_MAP_0F && (insn->opcode & 0xf0) == 0x80;
    unsigned length = insn->length + 2u;
    bool is_longer = verdict->length == length || (length > X86_INSN_MAX && verdict->vector == X86_VECTOR_GP);

    return status == X86_DECODE_OK && insn->mode == X86_MODE_64 && insn->encoding == X86_ENCODING_LEGACY &&
           (is_one || is_jcc) && (insn->prefixes & X86_PREFIX_OPERAND) && is_longer;
}

static bool is_no_vector_instruction(const struct x86_insn *insn, enum x86_decode_status status,
                                     const struct verdict *verdict)
{
    return status == X86_DECODE_OK && insn->encoding != X86_ENCODING_LEGACY &&
           verdict->vector == X86_VECTOR_UD;
}

static bool is_refused_early(const struct x86_insn *insn, enum x86_decode_status status,
                             const struct verdict *verdict)
{
    return status == X86_DECODE_OK && verdict->vector == X86_VECTOR_UD && verdict->length < insn->length;
}

/* ModRM, SIB, displacement and a byte make the most of the 7 bytes that may be missing. */
static bool may_be_too_long(const struct x86_insn *insn, enum x86_decode_status status)
{
    return status == X86_DECODE_TOO_LONG ||
           (status == X86_DECODE_UNDEFINED && insn->length + 7 > X86_INSN_MAX);
}

static bool is_undefined_too_long(const struct x86_insn *insn, enum x86_decode_status status,
                                  const struct verdict *verdict)
{
    return status == X86_DECODE_UNDEFINED && verdict->vector == X86_VECTOR_GP &&
           may_be_too_long(insn, status);
}

static bool is_too_long_undefined(const struct x86_insn *insn, enum x86_decode_status status,
                                  const struct verdict *verdict)
{
    (void)insn;
    return status == X86_DECODE_TOO_LONG && verdict->vector == X86_VECTOR_UD;
}

/*
 * A fault of the fetch goes before one of the decoding, among which are #UD and the #GP for more than 15
 * bytes (SDM vol. 3, 6.9; APM vol. 2, 8.5). How many bytes are fetched before the length is judged is not
 * said: some processors stop at the fifteenth, others take all that the instruction would have. The verdict
 * is then the one with bytes behind.
 */
static bool is_fetched_first(const struct x86_insn *insn, enum x86_decode_status status,
                             const struct verdict *verdict)
{
    return may_be_too_long(insn, status) && verdict->length > X86_INSN_MAX &&
           verdict->vector == X86_VECTOR_PF &&
           (verdict->vector_behind == X86_VECTOR_GP || verdict->vector_behind == X86_VECTOR_UD);
}

static struct explanation explanations[] = {
    {"near branches with 66 in 64-bit mode: AMD takes 16 bits, as the decoder does, Intel 32", is_near_branch,
     0},
    {"VEX, EVEX and XOP opcodes without instruction: #UD, and the length is nobody's",
     is_no_vector_instruction, 0},
    {"not this processor's instruction: #UD by its first bytes", is_refused_early, 0},
    {"undefined and too long: #GP goes before #UD", is_undefined_too_long, 0},
    {"too long and undefined: #UD by its first 15 bytes", is_too_long_undefined, 0},
    {"too long: bytes behind the fifteenth are fetched before that is seen", is_fetched_first, 0},
    {NULL, NULL, 0},
};

static bool explain(const struct x86_insn *insn, enum x86_decode_status status, const struct verdict *verdict)
{
    for (struct explanation *e = explanations; e->reason; e++) {
        if (e->applies(insn, status, verdict)) {
            e->count++;
            return true;
        }
    }
    return false;
}

/* ---- judging ---- */

static void report(struct probes *probes, const struct probe_case *c, const struct x86_insn *insn,
                   enum x86_decode_status status, const struct verdict *verdict)
{
    if (probes->different++ >= PRINTED_MOST)
        return;
    print_error("%u-bit: status %u, length %u; processor: %u, vector %u; bytes", 16u << probes->mode, status,
                insn->length, verdict->length, verdict->vector);
    for (unsigned i = 0; i < X86_INSN_MAX; i++)
        print_error(" %02x", c->bytes[i]);
    print_error("\n");
}

static void judge(struct probes *probes, const struct probe_case *c, const struct verdict *verdict)
{
    struct x86_insn insn;
    enum x86_decode_status status = x86_decode(probes->mode, c->bytes, sizeof(c->bytes), &insn);

    if (status == X86_DECODE_OK && verdict->length == insn.length)
        probes->agreed++;
    else if (status == X86_DECODE_UNDEFINED && verdict->vector == X86_VECTOR_UD)
        probes->undefined++;
    else if (status == X86_DECODE_TOO_LONG && verdict->vector == X86_VECTOR_GP)
        probes->too_long++;
    else if (explain(&insn, status, verdict))
        probes->explained++;
    else
        report(probes, c, &insn, status, verdict);
}

/* A child that ends before its time has died of the first case without a verdict. */
static void run_all(struct probes *probes)
{
    size_t first = 0;
    unsigned died = 0;

    while (first < probes->count) {
        int status;
        pid_t child = fork();

        assert_true(child >= 0);
        if (child == 0)
            run_child(probes, first);
        assert_int_equal(waitpid(child, &status, 0), child);
        while (first < probes->count && probes->verdicts[first].is_done)
            judge(probes, &probes->cases[first], &probes->verdicts[first]), first++;
        if (first == probes->count)
            break;
        print_error("the processor's child ended with status %x at", (unsigned)status);
        for (unsigned i = 0; i < X86_INSN_MAX; i++)
            print_error(" %02x", probes->cases[first].bytes[i]);
        print_error("\n");
        first++;
        assert_true(died++ < PRINTED_MOST);
    }
    assert_int_equal(died, 0);
}

/* ---- the cases ---- */

/* xorshift64* */
static unsigned below(struct probes *probes, unsigned limit)
{
    probes->seed ^= probes->seed >> 12;
    probes->seed ^= probes->seed << 25;
    probes->seed ^= probes->seed >> 27;
    return (unsigned)((probes->seed * 0x2545f4914f6cdd1dull >> 32) % limit);
}

static void add_case(struct probes *probes, const uint8_t *bytes, size_t count)
{
    assert_true(probes->count < probes->room && count <= X86_INSN_MAX + 1);
    memcpy(probes->cases[probes->count++].bytes, bytes, count);
}

/* What decoder and objdump see differently, and what is known to differ between processors. */
static void add_differing(struct probes *probes)
{
    static const char *const texts[] = {
        "9b d9 30", /* FWAIT is an instruction */
        "48 66 8b 05",
        "48 66 b8",
        "4f f3 a4",
        "48 40 8a 90", /* dead REX */
        "0f 24 c0",
        "0f 26 c0", /* test registers */
        "66 c5 f8 77",
        "f3 c5 f8 77",
        "f2 c4 e2 78 f2 c0",
        "f0 c5 f8 77",
        "48 c5 f8 77", /* prefixed VEX */
        "66 62 f1 7c 48 10 00",
        "2e c5 f8 77",
        "67 c5 f8 77",
        "66 e8",
        "66 e9",
        "66 0f 84",
        "66 74",
        "66 c2",
        "66 c3", /* AMD and Intel differ in 64-bit mode */
        "0f b8 c0",
        "0f ff c0",
        "0f b9 c0",
        "0f 0b",
        "0f 0f c1 9e",
        "8f e9 78 81 c0",
        "d6",
        "f1",
        "82 c0",
        "0f 78 c0",
        "66 0f 78 c0 00 00",
        "c8",
        "9a",
        "ea",
        "a0",
        "67 a0",
        "62 c0",
        "62 00",
        "c4 00",
        "c5 00",
        "0f 01 d9",
        "0f 01 c1",
        "0f 05",
        "0f 34",
        "cd 00",
        "ce",
        "0f a6 c0",
        "0f a7 c0",
        "0f 04",
        "0f 0a",
        "0f 0c",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        uint8_t bytes[X86_INSN_MAX + 1] = {0};
        size_t count = 0;
        char *end = NULL;

        for (const char *text = texts[i]; *text; text = *end ? end + 1 : end)
            bytes[count++] = (uint8_t)strtoul(text, &end, 16);
        add_case(probes, bytes, sizeof(bytes));
    }
}

static size_t put_escape(uint8_t *bytes, unsigned map)
{
    static const uint8_t escapes[4][2] = {{0}, {0x0f}, {0x0f, 0x38}, {0x0f, 0x3a}};
    static const size_t counts[4] = {0, 1, 2, 2};

    memcpy(bytes, escapes[map], counts[map]);
    return counts[map];
}

/* Each opcode, plain and with 66, F2 and F3; of its rows, with register and with memory, one in step. */
static void add_opcodes(struct probes *probes, unsigned step)
{
    static const uint8_t prefixes[] = {0, 0x66, 0xf2, 0xf3};

    for (unsigned map = 0; map < 4; map++)
        for (unsigned opcode = 0; opcode < 256; opcode++)
            for (unsigned prefix = 0; prefix < sizeof(prefixes); prefix++)
                for (unsigned row = 0; row < 16; row++) {
                    uint8_t bytes[X86_INSN_MAX + 1] = {prefixes[prefix]};
                    size_t count = prefix ? 1 : 0;

                    if ((row + opcode + prefix) % step != 0)
                        continue;
                    count += put_escape(bytes + count, map);
                    bytes[count++] = (uint8_t)opcode;
                    bytes[count++] = (uint8_t)((row & 7) << 3 | (row & 8 ? 0xc1 : 0x42));
                    add_case(probes, bytes, sizeof(bytes));
                }
}

/* The bytes behind ModRM and SIB are zero: displacements and immediates lead nowhere else. */
static void add_random(struct probes *probes)
{
    static const uint8_t prefixes[] = {0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x2e, 0x3e, 0x64, 0x65, 0x26, 0x36};
    uint8_t bytes[2 * X86_INSN_MAX] = {0};
    unsigned prefix_count = below(probes, 64) ? below(probes, 4) : below(probes, 13);
    size_t count = 0;

    for (unsigned i = 0; i < prefix_count; i++)
        bytes[count++] = prefixes[below(probes, sizeof(prefixes))];
    if (probes->mode == X86_MODE_64 && below(probes, 2))
        bytes[count++] = (uint8_t)(0x40 | below(probes, 16));
    if (below(probes, 4)) {
        count += put_escape(bytes + count, below(probes, 4));
    } else if (below(probes, 3) == 0) { /* EVEX */
        bytes[count++] = 0x62;
        bytes[count++] = (uint8_t)(0xf0 | below(probes, 8));
        bytes[count++] = (uint8_t)(0x7c | below(probes, 4) | below(probes, 2) << 7);
        bytes[count++] = (uint8_t)(8 | below(probes, 256));
    } else if (below(probes, 2)) {
        bytes[count++] = 0xc4;
        bytes[count++] = (uint8_t)(0xe0 | (1 + below(probes, 3)));
        bytes[count++] = (uint8_t)(0x78 | below(probes, 8) | below(probes, 2) << 7);
    } else {
        bytes[count++] = 0xc5;
        bytes[count++] = (uint8_t)(0xf8 | below(probes, 8));
    }
    for (unsigned i = 0; i < 3; i++)
        bytes[count++] = (uint8_t)below(probes, 256);
    add_case(probes, bytes, X86_INSN_MAX + 1);
}

static void *shared(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_true(memory != MAP_FAILED);
    return memory;
}

static bool mode_is_there(enum x86_mode mode)
{
    bool there;

    native_step_begin((uint8_t *)(uintptr_t)ARENA, SCRATCH);
    there = native_stepper.has_mode[mode];
    native_step_end();
    return there;
}

static void probe_mode(enum x86_mode mode)
{
    const char *slow = getenv("SLOW");
    bool all = slow && strcmp(slow, "1") == 0;
    unsigned random_cases = RANDOM_CASES * (all ? SLOW_FACTOR : 1);
    struct probes probes = {.mode = mode, .seed = 0x9e3779b97f4a7c15, .room = OTHER_CASES + random_cases};

    if (!mode_is_there(mode)) {
        print_message("the kernel lets no program run %u-bit code here: skipped\n", 16u << mode);
        skip();
    }
    probes.cases = calloc(probes.room, sizeof(struct probe_case));
    probes.verdicts = shared(probes.room * sizeof(struct verdict));
    assert_non_null(probes.cases);
    add_differing(&probes);
    add_opcodes(&probes, all ? 1 : OPCODE_STEP);
    for (unsigned i = 0; i < random_cases; i++)
        add_random(&probes);
    run_all(&probes);
    print_message("%u-bit mode: %zu instructions: %lu of the same length, %lu undefined and %lu too long for "
                  "both, %lu explained, %lu others\n",
                  16u << mode, probes.count, probes.agreed, probes.undefined, probes.too_long,
                  probes.explained, probes.different);
    for (struct explanation *e = explanations; e->reason; e++) {
        if (e->count)
            print_message("  %lu: %s\n", e->count, e->reason);
        e->count = 0;
    }
    munmap(probes.verdicts, probes.room * sizeof(struct verdict));
    free(probes.cases);
    assert_int_equal(probes.different, 0);
}

static void lengths_in_16_bit_mode(void **state)
{
    (void)state;
    probe_mode(X86_MODE_16);
}

static void lengths_in_32_bit_mode(void **state)
{
    (void)state;
    probe_mode(X86_MODE_32);
}

static void lengths_in_64_bit_mode(void **state)
{
    (void)state;
    probe_mode(X86_MODE_64);
}

/* The processor that runs this test may be another one: its verdicts are written down here. */
static void fetch_before_length(void **state)
{
    static const struct {
        enum x86_mode mode;
        uint8_t bytes[X86_INSN_MAX + 1];
        struct verdict verdict;
        bool is_explained;
    } rows[] = {
        {X86_MODE_64,
         {0xf2, 0x3e, 0x65, 0x64, 0xf3, 0x26, 0x2e, 0xf0, 0x26, 0x67, 0x64, 0xf3, 0x66, 0x29, 0x74},
         {.length = 16, .vector = X86_VECTOR_PF, .vector_behind = X86_VECTOR_GP},
         true},
        {X86_MODE_32,
         {0xf0, 0x67, 0x65, 0xf0, 0x66, 0x36, 0xf3, 0x26, 0xf3, 0xf0, 0x66, 0x26, 0x0f, 0x89, 0x25},
         {.length = 16, .vector = X86_VECTOR_PF, .vector_behind = X86_VECTOR_GP},
         true},
        /* undefined, and too long where its ModRM byte counts */
        {X86_MODE_64,
         {0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x0f, 0xff, 0x84, 0x24},
         {.length = 16, .vector = X86_VECTOR_PF, .vector_behind = X86_VECTOR_UD},
         true},
        /* it is executed, or wants ever more: the decoder is wrong */
        {X86_MODE_64,
         {0xf2, 0x3e, 0x65, 0x64, 0xf3, 0x26, 0x2e, 0xf0, 0x26, 0x67, 0x64, 0xf3, 0x66, 0x29, 0x74},
         {.length = 16, .vector = X86_VECTOR_PF, .vector_behind = NATIVE_VECTOR_DB},
         false},
        {X86_MODE_64,
         {0xf2, 0x3e, 0x65, 0x64, 0xf3, 0x26, 0x2e, 0xf0, 0x26, 0x67, 0x64, 0xf3, 0x66, 0x29, 0x74},
         {.length = 16, .vector = X86_VECTOR_PF, .vector_behind = X86_VECTOR_PF},
         false},
        /* NOP, and undefined without a prefix: no processor has a reason to want 16 bytes */
        {X86_MODE_64, {0x90}, {.length = 16, .vector = X86_VECTOR_PF, .vector_behind = X86_VECTOR_GP}, false},
        {X86_MODE_64,
         {0x0f, 0x04},
         {.length = 16, .vector = X86_VECTOR_PF, .vector_behind = X86_VECTOR_UD},
         false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct x86_insn insn;
        enum x86_decode_status status = x86_decode(rows[i].mode, rows[i].bytes, sizeof(rows[i].bytes), &insn);

        assert_int_equal(explain(&insn, status, &rows[i].verdict), rows[i].is_explained);
    }
    for (struct explanation *e = explanations; e->reason; e++)
        e->count = 0;
}

static int set_up(void **state)
{
    void *wanted = (void *)(uintptr_t)ARENA;

    (void)state;
    if (mmap(wanted, ARENA_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != wanted)
        return -1;
    return mprotect((void *)(uintptr_t)CODE_END, 0x1000, PROT_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lengths_in_16_bit_mode),
        cmocka_unit_test(lengths_in_32_bit_mode),
        cmocka_unit_test(lengths_in_64_bit_mode),
        cmocka_unit_test(fetch_before_length),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
