/* SPDX-License-Identifier: ISC */
/*
 * An instruction from one state in two ways, by the executor and by the processor that runs the test: vector,
 * error code, CR2, registers, defined flags, memory and the next instruction's address must agree. The memory
 * is some pages of which one is absent and one is read-only, in the midst of addresses where nothing is; what
 * would reach beyond them is not run.
 */
#ifndef LIB_X86_NATIVE_LAB_H
#define LIB_X86_NATIVE_LAB_H

#include "lib/x86/native_differences.h"
#include "lib/x86/native_step.h"
#include "lib/x86/x86.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

/* What an instruction may reach is ours: all is absent but a page of code and the pages of data. */
#define LAB_RESERVE      0x40000000u
#define LAB_RESERVE_SIZE 0x10000000u
#define LAB_CODE         LAB_RESERVE
#define LAB_INSN         (LAB_CODE + 0x800)
#define LAB_SEGMENT      (LAB_RESERVE + 0x8000000u) /* where DS, ES and SS begin but in 64-bit mode */
#define LAB_DATA         (LAB_SEGMENT + 0x4000)
#define LAB_PAGE         0x1000u
#define LAB_PAGES        8u
#define LAB_DATA_SIZE    (LAB_PAGES * LAB_PAGE)
#define LAB_GS_BASE      0x40u

#define LAB_PRINTED_MOST 30u

enum lab_access { LAB_ABSENT, LAB_READ_ONLY, LAB_WRITABLE };
static const uint8_t lab_page_access[LAB_PAGES] = {LAB_WRITABLE, LAB_WRITABLE,  LAB_ABSENT,   LAB_WRITABLE,
                                                   LAB_WRITABLE, LAB_READ_ONLY, LAB_WRITABLE, LAB_WRITABLE};

struct native_lab {
    enum x86_mode mode;
    uint64_t seed;
    uint8_t model[LAB_DATA_SIZE];
    bool is_trial; /* all memory is there, none is changed, and ports are allowed */
    bool is_wild;  /* the executor has reached beyond the reserve */
    unsigned long compared, faults, different, skipped;
};

static struct native_lab lab;

/* ---- random numbers ---- */

/* xorshift64* */
static inline uint64_t lab_random64(void)
{
    lab.seed ^= lab.seed >> 12;
    lab.seed ^= lab.seed << 25;
    lab.seed ^= lab.seed >> 27;
    return lab.seed * 0x2545f4914f6cdd1dull;
}

static inline unsigned lab_below(unsigned limit)
{
    return (unsigned)((lab_random64() >> 32) % limit);
}

/* Within the data, half of the time at a border where access ends or begins. */
static inline uint32_t lab_random_pointer(void)
{
    static const uint8_t borders[] = {2, 3, 5, 6};

    if (lab_below(2))
        return LAB_DATA + LAB_PAGE / 2 + lab_below(LAB_PAGE) / 16 * 16;
    return LAB_DATA + borders[lab_below(sizeof(borders))] * LAB_PAGE - 20 + lab_below(32);
}

static inline uint64_t lab_random_value(void)
{
    switch (lab_below(4)) {
    case 0:
        return lab_below(256);
    case 1:
        return (1ull << lab_below(64)) - lab_below(2);
    case 2:
        return (uint64_t)(int64_t)(int32_t)lab_random64();
    default:
        return lab_random64();
    }
}

/* ---- the executor's memory ---- */

static inline enum x86_result lab_model_check(uint64_t linear, unsigned size, bool write,
                                              struct x86_fault *fault)
{
    if (lab.is_trial)
        return X86_DONE;
    if (linear < LAB_RESERVE || linear + size > LAB_RESERVE + LAB_RESERVE_SIZE ||
        linear < LAB_CODE + LAB_PAGE) {
        lab.is_wild = true;
        return X86_RETRY;
    }
    for (uint64_t byte = linear; byte < linear + size; byte++) {
        bool is_data = byte >= LAB_DATA && byte < LAB_DATA + LAB_DATA_SIZE;
        enum lab_access access = is_data ? lab_page_access[(byte - LAB_DATA) / LAB_PAGE] : LAB_ABSENT;

        if (access == LAB_WRITABLE || (access == LAB_READ_ONLY && !write))
            continue;
        *fault = (struct x86_fault){.vector = X86_VECTOR_PF,
                                    .has_error = true,
                                    .error = X86_PF_USER | (write ? X86_PF_WRITE : 0) |
                                             (access == LAB_READ_ONLY ? X86_PF_PRESENT : 0),
                                    .address = byte};
        return X86_FAULT;
    }
    return X86_DONE;
}

static inline enum x86_result lab_model_read(void *context, uint64_t linear, unsigned size,
                                             enum x86_access access, uint64_t *value, struct x86_fault *fault)
{
    enum x86_result result = lab_model_check(linear, size, access == X86_ACCESS_MODIFY, fault);

    (void)context;
    *value = 0;
    if (lab.is_trial)
        *value = 1; /* which divides, and is within bounds */
    else if (result == X86_DONE)
        memcpy(value, &lab.model[linear - LAB_DATA], size);
    return result;
}

static inline enum x86_result lab_model_write(void *context, uint64_t linear, unsigned size, uint64_t value,
                                              struct x86_fault *fault)
{
    enum x86_result result = lab_model_check(linear, size, true, fault);

    (void)context;
    if (result == X86_DONE && !lab.is_trial)
        memcpy(&lab.model[linear - LAB_DATA], &value, size);
    return result;
}

static inline enum x86_result lab_model_probe(void *context, uint64_t linear, unsigned size,
                                              struct x86_fault *fault)
{
    (void)context;
    return lab_model_check(linear, size, true, fault);
}

static inline enum x86_result lab_model_touch(void *context, uint64_t linear, struct x86_fault *fault)
{
    (void)context;
    return lab_model_check(linear, 1, false, fault);
}

/* Only a trial has a right to ports. */
static inline enum x86_result lab_model_in(void *context, uint16_t port, unsigned size, uint32_t *value,
                                           struct x86_fault *fault)
{
    (void)context;
    (void)fault;
    *value = 0;
    if (!lab.is_trial)
        fail_msg("IN of %u bytes at %x", size, port);
    return X86_DONE;
}

static inline enum x86_result lab_model_out(void *context, uint16_t port, unsigned size, uint32_t value,
                                            struct x86_fault *fault)
{
    (void)context;
    (void)value;
    (void)fault;
    if (!lab.is_trial)
        fail_msg("OUT of %u bytes at %x", size, port);
    return X86_DONE;
}

static const struct x86_ops lab_ops = {.read = lab_model_read,
                                       .write = lab_model_write,
                                       .probe_write = lab_model_probe,
                                       .touch = lab_model_touch,
                                       .port_in = lab_model_in,
                                       .port_out = lab_model_out};

/* ---- states ---- */

static inline struct x86_segment lab_make_segment(uint16_t selector, unsigned attributes, uint64_t base)
{
    bool is_16 = lab.mode == X86_MODE_16;

    return (struct x86_segment){.selector = selector,
                                .attributes =
                                    (uint16_t)(X86_SEGMENT_PRESENT | X86_SEGMENT_S | X86_SEGMENT_WRITABLE |
                                               attributes | (is_16 ? 0 : X86_SEGMENT_BIG)),
                                .limit = is_16 ? 0xffff : UINT32_MAX,
                                .base = base};
}

/* The processor as Linux has programs see it. FS and GS hold null selectors; in 64-bit mode they have bases.
 */
static inline void lab_make_cpu(struct x86_cpu *cpu)
{
    static const uint16_t code[] = {
        [X86_MODE_16] = NATIVE_CS16, [X86_MODE_32] = NATIVE_CS32, [X86_MODE_64] = NATIVE_CS64};

    *cpu = (struct x86_cpu){.cr0 = X86_CR0_PE | X86_CR0_PG | X86_CR0_AM,
                            .efer = X86_EFER_LMA | X86_EFER_LME,
                            .cpl = 3,
                            .rip = lab.mode == X86_MODE_16 ? LAB_INSN - LAB_CODE : LAB_INSN};
    cpu->segment[X86_CS] =
        lab_make_segment(code[lab.mode], X86_SEGMENT_CODE, lab.mode == X86_MODE_16 ? LAB_CODE : 0);
    cpu->segment[X86_DS] = lab_make_segment(native_data_selector(lab.mode), 0, LAB_SEGMENT);
    cpu->segment[X86_ES] = cpu->segment[X86_DS];
    cpu->segment[X86_SS] = cpu->segment[X86_DS];
    if (lab.mode == X86_MODE_64) {
        cpu->segment[X86_CS].attributes ^= X86_SEGMENT_BIG | X86_SEGMENT_LONG;
        cpu->segment[X86_FS].base = native_stepper.fs_base;
        cpu->segment[X86_GS].base = LAB_GS_BASE;
    }
    cpu->rflags =
        X86_RFLAGS_ONE | X86_RFLAGS_IF | (lab_random64() & COMPARED) | (lab_below(8) ? 0 : X86_RFLAGS_AC);
}

/*
 * A pointer as this mode's registers hold it. 16-bit code has noise above it; in 64-bit code it is not
 * canonical now and then.
 */
static inline uint64_t lab_pointer_value(uint32_t linear)
{
    switch (lab.mode) {
    case X86_MODE_16:
        return (linear - LAB_SEGMENT) | (lab_below(8) ? 0 : (lab_random64() & 0xffff0000));
    case X86_MODE_32:
        return linear - LAB_SEGMENT;
    default:
        return linear | (lab_below(64) ? 0 : 1ull << (47 + lab_below(17)));
    }
}

/* ---- comparing ---- */

static inline void lab_describe(const struct x86_insn *insn, const char *what, uint64_t ours, uint64_t theirs)
{
    const uint8_t *bytes = (const uint8_t *)(uintptr_t)LAB_INSN;

    if (lab.different++ >= LAB_PRINTED_MOST)
        return;
    print_error("%u-bit: %s is %llx, should be %llx:", 16u << lab.mode, what, (unsigned long long)ours,
                (unsigned long long)theirs);
    for (unsigned i = 0; i < insn->length; i++)
        print_error(" %02x", bytes[i]);
    print_error("\n");
}

static inline void lab_compare_state(const struct x86_insn *insn, const struct x86_cpu *cpu,
                                     const struct native_step *step, uint64_t undefined)
{
    static const char *const names[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                        "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
    uint64_t mask = (COMPARED | X86_RFLAGS_NT | X86_RFLAGS_AC | X86_RFLAGS_ID) & ~undefined;

    for (unsigned i = 0; i < (lab.mode == X86_MODE_64 ? 16 : 8); i++)
        if (cpu->gpr[i] != step->gpr[i] &&
            !(native_clears_upper_halves(insn) && step->gpr[i] == (uint32_t)cpu->gpr[i]))
            lab_describe(insn, names[i], cpu->gpr[i], step->gpr[i]);
    if (cpu->rip != step->rip)
        lab_describe(insn, "rip", cpu->rip, step->rip);
    if ((cpu->rflags & mask) != (step->rflags & mask))
        lab_describe(insn, "rflags", cpu->rflags & mask, step->rflags & mask);
}

static inline void lab_compare_fault(const struct x86_insn *insn, const struct x86_fault *fault,
                                     const struct native_step *step)
{
    if (native_has_two_faults(insn, fault->vector, step->vector))
        return;
    if (fault->vector != step->vector)
        lab_describe(insn, "vector", fault->vector, step->vector);
    else if (fault->has_error && fault->error != step->error)
        lab_describe(insn, "error code", fault->error, step->error);
    else if (fault->vector == X86_VECTOR_PF && fault->address != step->cr2)
        lab_describe(insn, "cr2", fault->address, step->cr2);
}

static inline void lab_copy_readable(uint8_t *to, const uint8_t *from)
{
    for (unsigned i = 0; i < LAB_PAGES; i++)
        if (lab_page_access[i] == LAB_WRITABLE)
            memcpy(to + i * LAB_PAGE, from + i * LAB_PAGE, LAB_PAGE);
}

static inline void lab_compare_memory(const struct x86_insn *insn)
{
    uint8_t *memory = (uint8_t *)(uintptr_t)LAB_DATA;

    for (unsigned i = 0; i < LAB_PAGES; i++) {
        if (lab_page_access[i] == LAB_ABSENT ||
            memcmp(lab.model + i * LAB_PAGE, memory + i * LAB_PAGE, LAB_PAGE) == 0)
            continue;
        lab_describe(insn, "memory of the page", i, i);
        lab_copy_readable(lab.model, memory);
    }
}

/* From the same state: what the processor does, and what the executor has done, are the same. */
static inline void lab_run_natively(const struct x86_insn *insn, const struct x86_cpu *before,
                                    const struct x86_cpu *after, enum x86_result result,
                                    const struct x86_fault *fault)
{
    struct native_step step = {.rip = before->rip,
                               .rflags = before->rflags & ~X86_RFLAGS_TF,
                               .runs_freely = !(before->rflags & X86_RFLAGS_TF)};
    uint64_t undefined = native_flags_undefined(insn, before->gpr[X86_RCX]);

    memcpy(step.gpr, before->gpr, sizeof(step.gpr));
    native_step_run(lab.mode, &step);
    if (step.runs_freely && step.vector == X86_VECTOR_BP) {
        step.vector = NATIVE_VECTOR_DB;
        step.rip--;
    }
    if (native_keeps_other_flags(insn, result))
        undefined |= STATUS;
    if (native_leaves_registers(insn, result))
        memcpy(step.gpr, before->gpr, sizeof(step.gpr));
    if (native_leaves_writes(insn, result))
        lab_copy_readable(lab.model, (const uint8_t *)(uintptr_t)LAB_DATA);
    lab.compared++;
    if (result == X86_FAULT) {
        lab.faults++;
        lab_compare_fault(insn, fault, &step);
    } else if (step.vector != NATIVE_VECTOR_DB) {
        lab_describe(insn, "vector", NATIVE_VECTOR_DB, step.vector);
    }
    lab_compare_state(insn, after, &step, undefined);
    lab_compare_memory(insn);
}

/*
 * Runs the instruction that stands at LAB_INSN, in both ways, and leaves the executor's outcome in cpu.
 * X86_DONE or X86_FAULT, or else nothing was compared.
 */
static inline enum x86_result lab_run_state(const struct x86_insn *insn, struct x86_cpu *cpu)
{
    struct x86_cpu before = *cpu;
    struct x86_fault fault = {0};
    enum x86_result result;

    lab.is_wild = false;
    do
        result = x86_execute(cpu, insn, &lab_ops, NULL, &fault);
    while (result == X86_AGAIN);
    if (result == X86_UNSUPPORTED || lab.is_wild || native_differs_by_vendor(insn) ||
        native_is_missing(insn) || native_result_is_undefined(insn, before.gpr[X86_RCX])) {
        lab.skipped += result != X86_UNSUPPORTED;
        lab_copy_readable(lab.model, (const uint8_t *)(uintptr_t)LAB_DATA);
        return X86_UNSUPPORTED;
    }
    lab_run_natively(insn, &before, cpu, result, &fault);
    return result;
}

/* ---- begin and end ---- */

/* CMPXCHG16B, SSE4.2, MOVBE, POPCNT; LZCNT; BMI1, BMI2, ADX (APM vol. 3, appendix D). */
static inline bool lab_host_has_all(void)
{
    const unsigned leaf1 = 1u << 13 | 1u << 20 | 1u << 22 | 1u << 23;
    const unsigned leaf7 = 1u << 3 | 1u << 8 | 1u << 19;
    unsigned a, b, c, d;

    return __get_cpuid(1, &a, &b, &c, &d) && (c & leaf1) == leaf1 &&
           __get_cpuid(0x80000001, &a, &b, &c, &d) && (c & 1u << 5) &&
           __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & leaf7) == leaf7;
}

/* NULL, or why this mode cannot be tested here. */
static inline const char *lab_begin(enum x86_mode mode)
{
    uint8_t *memory = (uint8_t *)(uintptr_t)LAB_DATA;

    if (!lab_host_has_all())
        return "the processor lacks instructions of the executor";
    native_step_begin((uint8_t *)(uintptr_t)LAB_CODE, LAB_SEGMENT);
    if (!native_stepper.has_mode[mode] || (mode != X86_MODE_64 && !native_stepper.has_data_segment)) {
        native_step_end();
        return "the kernel lets no program run code of this mode here";
    }
    native_arch_prctl(ARCH_SET_GS, LAB_GS_BASE);
    memset(&lab, 0, sizeof(lab));
    lab.mode = mode;
    lab.seed = 0x9e3779b97f4a7c15;
    mprotect(memory, LAB_DATA_SIZE, PROT_READ | PROT_WRITE);
    for (size_t i = 0; i < LAB_DATA_SIZE; i++)
        lab.model[i] = memory[i] = (uint8_t)(lab_below(4) ? lab_random64() : 0);
    for (unsigned i = 0; i < LAB_PAGES; i++)
        if (lab_page_access[i] != LAB_WRITABLE)
            mprotect(memory + i * LAB_PAGE, LAB_PAGE,
                     lab_page_access[i] == LAB_READ_ONLY ? PROT_READ : PROT_NONE);
    return NULL;
}

static inline void lab_end(void)
{
    native_step_end();
}

/* For cmocka: the addresses, before the first test. */
static inline int lab_set_up(void **state)
{
    void *wanted = (void *)(uintptr_t)LAB_RESERVE;

    (void)state;
    if (mmap(wanted, LAB_RESERVE_SIZE, PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0) != wanted)
        return -1;
    return mprotect((void *)(uintptr_t)LAB_CODE, LAB_PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
}

#endif
