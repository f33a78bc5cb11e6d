/* SPDX-License-Identifier: ISC */
/*
 * Feeds arbitrary bytes to the decoder, and what decodes to the executor, on a processor and callbacks that
 * the same bytes choose: modes, segments, faults, retries. The sanitizers watch for reads beyond the bytes
 * and undefined arithmetic; the checks below for broken promises.
 */
#include "lib/x86/x86.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct source {
    const uint8_t *data;
    size_t size;
    size_t position;
    unsigned calls;
};

static void require(bool condition)
{
    if (!condition)
        abort();
}

static uint64_t draw(struct source *source, unsigned bytes)
{
    uint64_t value = 0;

    while (bytes-- && source->position < source->size)
        value = (value << 8) | source->data[source->position++];
    return value;
}

static enum x86_result draw_result(struct source *source, struct x86_fault *fault)
{
    uint64_t choice = draw(source, 1);

    source->calls++;
    require(source->calls <= 8 * X86_STRING_LIMIT);
    *fault = (struct x86_fault){.vector = X86_VECTOR_PF, .has_error = true, .error = X86_PF_WRITE};
    return choice == 0xff ? X86_FAULT : choice == 0xfe ? X86_RETRY : X86_DONE;
}

static void require_size(unsigned size)
{
    require(size == 1 || size == 2 || size == 4 || size == 8);
}

static void require_range(uint64_t linear, unsigned size)
{
    require_size(size);
    require(linear + size - 1 >= linear);
}

static enum x86_result fuzz_read(void *context, uint64_t linear, unsigned size, enum x86_access access,
                                 uint64_t *value, struct x86_fault *fault)
{
    (void)access;
    require_range(linear, size);
    *value = linear ^ draw(context, size);
    return draw_result(context, fault);
}

static enum x86_result fuzz_write(void *context, uint64_t linear, unsigned size, uint64_t value,
                                  struct x86_fault *fault)
{
    require_range(linear, size);
    require(size == 8 || value >> (8 * size) == 0);
    return draw_result(context, fault);
}

static enum x86_result fuzz_exchange(void *context, uint64_t linear, unsigned size, uint64_t expected,
                                     uint64_t desired, struct x86_fault *fault)
{
    (void)expected;
    return fuzz_write(context, linear, size, desired, fault);
}

static enum x86_result fuzz_exchange16(void *context, uint64_t linear, const uint64_t expected[2],
                                       const uint64_t desired[2], struct x86_fault *fault)
{
    (void)expected;
    (void)desired;
    require((linear & 15) == 0);
    return draw_result(context, fault);
}

static enum x86_result fuzz_probe(void *context, uint64_t linear, unsigned size, struct x86_fault *fault)
{
    return fuzz_write(context, linear, size, 0, fault);
}

static enum x86_result fuzz_in(void *context, uint16_t port, unsigned size, uint32_t *value,
                               struct x86_fault *fault)
{
    require(size <= 4);
    *value = port;
    return draw_result(context, fault);
}

static enum x86_result fuzz_out(void *context, uint16_t port, unsigned size, uint32_t value,
                                struct x86_fault *fault)
{
    (void)port;
    require(size == 4 || value >> (8 * size) == 0);
    return draw_result(context, fault);
}

static enum x86_result fuzz_allowed(void *context, uint16_t port, unsigned size, struct x86_fault *fault)
{
    (void)port;
    require_size(size);
    return draw_result(context, fault);
}

static void draw_cpu(struct source *source, enum x86_mode mode, struct x86_cpu *cpu)
{
    for (unsigned i = 0; i < X86_GPR_COUNT; i++)
        cpu->gpr[i] = draw(source, 1) & 1 ? draw(source, 8) : draw(source, 2);
    cpu->rip = draw(source, 4);
    cpu->rflags = draw(source, 3);
    cpu->cr0 = draw(source, 4);
    cpu->cr4 = draw(source, 3);
    cpu->cpl = draw(source, 1) & 3;
    for (unsigned i = 0; i < X86_SEGMENT_COUNT; i++) {
        cpu->segment[i].attributes = (uint16_t)draw(source, 2);
        cpu->segment[i].limit = (uint32_t)draw(source, 4);
        cpu->segment[i].base = draw(source, 1) & 1 ? draw(source, 8) : 0;
    }
    cpu->takes_segments = draw(source, 1) & 1;
    cpu->has_idtr = draw(source, 1) & 1;
    cpu->idtr_limit = (uint16_t)draw(source, 2);
    cpu->idtr_base = draw(source, 4);
    cpu->efer = mode == X86_MODE_64 ? X86_EFER_LMA : 0;
    cpu->segment[X86_CS].attributes &= (uint16_t) ~(X86_SEGMENT_LONG | X86_SEGMENT_BIG);
    if (mode != X86_MODE_16)
        cpu->segment[X86_CS].attributes |= mode == X86_MODE_64 ? X86_SEGMENT_LONG : X86_SEGMENT_BIG;
}

static bool is_string(const struct x86_insn *insn)
{
    unsigned opcode = insn->opcode;

    return insn->encoding == X86_ENCODING_LEGACY && insn->map == X86_MAP_ONE &&
           ((opcode >= 0x6c && opcode <= 0x6f) || (opcode >= 0xa4 && opcode <= 0xa7) ||
            (opcode >= 0xaa && opcode <= 0xaf));
}

/* What is not done has changed nothing, but for whole repetitions of a string instruction. */
static void require_unchanged(const struct x86_insn *insn, const struct x86_cpu *before, struct x86_cpu after)
{
    static const uint8_t moving[] = {X86_RAX, X86_RCX, X86_RSI, X86_RDI};

    if (is_string(insn) && (insn->prefixes & (X86_PREFIX_REP | X86_PREFIX_REPNE))) {
        for (size_t i = 0; i < sizeof(moving); i++)
            after.gpr[moving[i]] = before->gpr[moving[i]];
        after.rflags = before->rflags;
    }
    require(memcmp(&after, before, sizeof(after)) == 0);
}

static void execute(struct source *source, enum x86_mode mode, const struct x86_insn *insn)
{
    static const struct x86_ops ops = {.read = fuzz_read,
                                       .write = fuzz_write,
                                       .compare_exchange = fuzz_exchange,
                                       .compare_exchange16 = fuzz_exchange16,
                                       .probe_write = fuzz_probe,
                                       .port_in = fuzz_in,
                                       .port_out = fuzz_out,
                                       .port_allowed = fuzz_allowed};
    struct x86_cpu cpu = {0}, before;
    struct x86_fault fault = {0};
    enum x86_result result;

    draw_cpu(source, mode, &cpu);
    before = cpu;
    result = x86_execute(&cpu, insn, &ops, source, &fault);
    require(result <= X86_UNSUPPORTED);
    require(result == X86_DONE || cpu.rip == before.rip);
    require(cpu.takes_segments || !cpu.interrupt_shadow);
    require(cpu.takes_segments || memcmp(cpu.segment, before.segment, sizeof(cpu.segment)) == 0);
    if (result != X86_DONE)
        require_unchanged(insn, &before, cpu);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct source source = {.data = data, .size = size};
    enum x86_mode mode = (enum x86_mode)(draw(&source, 1) % 3);
    size_t count = size > 1 ? (size - 1 < 20 ? size - 1 : 20) : 0;
    uint8_t *bytes = malloc(count ? count : 1);
    struct x86_insn insn;
    enum x86_decode_status status;

    if (!bytes)
        return 0;
    if (count)
        memcpy(bytes, data + 1, count);
    status = x86_decode(mode, bytes, count, &insn);
    require(insn.length <= X86_INSN_MAX && insn.length <= count);
    require(status != X86_DECODE_TRUNCATED || count < X86_INSN_MAX);
    source.position += count;
    if (status == X86_DECODE_OK) {
        struct x86_insn again;

        require(x86_decode(mode, bytes, insn.length, &again) == X86_DECODE_OK);
        require(memcmp(&insn, &again, sizeof(insn)) == 0);
        execute(&source, mode, &insn);
    }
    free(bytes);
    return 0;
}
