/* SPDX-License-Identifier: ISC */
/*
 * The executor in real and virtual-8086 mode: segments loaded by selector, far branches, software interrupts,
 * the stack instructions that 64-bit mode does not have, and the rules for the interrupt flag.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/x86/x86.h"

#include <stdlib.h>
#include <string.h>

#define MEMORY_SIZE 0x20000u
#define CODE_BASE   0x1000u
#define DATA_BASE   0x2000u
#define STACK_BASE  0x10000u

static uint8_t memory[MEMORY_SIZE];
static uint64_t unwritable; /* the first byte of a range up to the end, or 0 */
static struct x86_cpu cpu;
static struct x86_fault fault;

static enum x86_result read(void *context, uint64_t linear, unsigned size, enum x86_access access,
                            uint64_t *value, struct x86_fault *raised)
{
    (void)context;
    (void)access;
    (void)raised;
    assert_true(linear <= MEMORY_SIZE - size);
    *value = 0;
    memcpy(value, &memory[linear], size);
    return X86_DONE;
}

static enum x86_result probe_write(void *context, uint64_t linear, unsigned size, struct x86_fault *raised)
{
    (void)context;
    (void)size;
    assert_true(linear <= MEMORY_SIZE - size);
    if (unwritable == 0 || linear < unwritable)
        return X86_DONE;
    *raised = (struct x86_fault){.vector = X86_VECTOR_PF, .address = linear};
    return X86_FAULT;
}

static enum x86_result write(void *context, uint64_t linear, unsigned size, uint64_t value,
                             struct x86_fault *raised)
{
    if (probe_write(context, linear, size, raised) != X86_DONE)
        return X86_FAULT;
    memcpy(&memory[linear], &value, size);
    return X86_DONE;
}

static const struct x86_ops ops = {.read = read, .write = write, .probe_write = probe_write};

static void reset(void)
{
    memset(memory, 0, sizeof(memory));
    unwritable = 0;
    cpu = (struct x86_cpu){.rip = 0x100, .rflags = X86_RFLAGS_ONE, .takes_segments = true};
    for (unsigned i = 0; i < X86_SEGMENT_COUNT; i++) {
        uint32_t base = i == X86_CS ? CODE_BASE : i == X86_SS ? STACK_BASE : DATA_BASE;

        cpu.segment[i] = (struct x86_segment){.selector = (uint16_t)(base >> 4),
                                              .attributes = X86_SEGMENT_PRESENT | X86_SEGMENT_S |
                                                            X86_SEGMENT_WRITABLE | X86_SEGMENT_ACCESSED,
                                              .limit = 0xffff,
                                              .base = base};
    }
    cpu.segment[X86_CS].attributes |= X86_SEGMENT_CODE;
    cpu.gpr[X86_RSP] = 0x8000;
    cpu.has_idtr = true;
    cpu.idtr_limit = 0x3ff;
}

static void reset_virtual(unsigned iopl)
{
    reset();
    cpu.cr0 = X86_CR0_PE;
    cpu.cpl = 3;
    cpu.rflags |= X86_RFLAGS_VM | (iopl << 12);
}

static enum x86_result run(const char *text)
{
    uint8_t bytes[16];
    size_t count = 0;
    char *end;
    struct x86_insn insn;

    for (; *text; text = *end ? end + 1 : end)
        bytes[count++] = (uint8_t)strtoul(text, &end, 16);
    assert_int_equal(x86_decode(x86_cpu_mode(&cpu), bytes, count, &insn), X86_DECODE_OK);
    return x86_execute(&cpu, &insn, &ops, NULL, &fault);
}

static void run_done(const char *text)
{
    enum x86_result result = run(text);

    if (result != X86_DONE)
        fail_msg("%s: result %d, vector %u", text, result, fault.vector);
}

static void run_unchanged(const char *text, enum x86_result expected, unsigned vector)
{
    struct x86_cpu before = cpu;
    enum x86_result result = run(text);

    if (result != expected || (result == X86_FAULT && fault.vector != vector))
        fail_msg("%s: result %d, vector %u", text, result, fault.vector);
    assert_memory_equal(&cpu, &before, sizeof(before));
}

static unsigned word(uint32_t linear)
{
    return memory[linear] | (unsigned)memory[linear + 1] << 8;
}

static void set_word(uint32_t linear, unsigned value)
{
    memory[linear] = (uint8_t)value;
    memory[linear + 1] = (uint8_t)(value >> 8);
}

static void segment_loads(void **state)
{
    (void)state;
    reset();
    cpu.segment[X86_DS].limit = 0xffffffff; /* stays: "unreal" mode */
    cpu.gpr[X86_RAX] = 0x1234;
    run_done("8e d8"); /* mov ds, ax */
    assert_int_equal(cpu.segment[X86_DS].selector, 0x1234);
    assert_int_equal(cpu.segment[X86_DS].base, 0x12340);
    assert_int_equal(cpu.segment[X86_DS].limit, 0xffffffff);
    assert_false(cpu.interrupt_shadow);
    run_unchanged("8e c8", X86_FAULT, X86_VECTOR_UD); /* mov cs, ax */
    run_unchanged("8e f8", X86_FAULT, X86_VECTOR_UD);
    run_done("1e"); /* push ds */
    run_done("07"); /* pop es */
    assert_int_equal(cpu.segment[X86_ES].base, 0x12340);
    assert_int_equal(cpu.gpr[X86_RSP], 0x8000);
    run_done("0e");    /* push cs */
    run_done("0f a1"); /* pop fs */
    assert_int_equal(cpu.segment[X86_FS].base, CODE_BASE);
    run_done("66 16"); /* push ss: four bytes */
    assert_int_equal(cpu.gpr[X86_RSP], 0x7ffc);
    run_done("66 17"); /* pop ss */
    assert_true(cpu.interrupt_shadow);
    run_done("90");
    assert_false(cpu.interrupt_shadow);
    set_word(CODE_BASE + 0x10, 0x5678);
    set_word(CODE_BASE + 0x12, 0x0abc);
    run_done("2e c4 1e 10 00"); /* les bx, [cs:10] */
    assert_int_equal(cpu.gpr[X86_RBX], 0x5678);
    assert_int_equal(cpu.segment[X86_ES].base, 0xabc0);
    run_done("2e 0f b5 1e 10 00"); /* lgs */
    assert_int_equal(cpu.segment[X86_GS].selector, 0x0abc);
    cpu.takes_segments = false;
    run_unchanged("8e d8", X86_UNSUPPORTED, 0);
    run_unchanged("07", X86_UNSUPPORTED, 0);
    run_done("06");
    cpu.takes_segments = true;
    cpu.cr0 = X86_CR0_PE; /* a descriptor would be needed */
    run_unchanged("8e d8", X86_UNSUPPORTED, 0);
    run_unchanged("ea 00 01 00 02", X86_UNSUPPORTED, 0);
    run_unchanged("cb", X86_UNSUPPORTED, 0);
    run_unchanged("cf", X86_UNSUPPORTED, 0);
    run_unchanged("cd 10", X86_UNSUPPORTED, 0);
    reset_virtual(0);
    cpu.segment[X86_ES].limit = 0;
    cpu.gpr[X86_RAX] = 0x1234;
    run_done("8e c0");
    assert_int_equal(cpu.segment[X86_ES].base, 0x12340);
    assert_int_equal(cpu.segment[X86_ES].limit, 0xffff);
}

static void far_branches(void **state)
{
    (void)state;
    reset();
    run_done("9a 00 01 00 03"); /* call 0300:0100 */
    assert_int_equal(cpu.rip, 0x100);
    assert_int_equal(cpu.segment[X86_CS].base, 0x3000);
    assert_int_equal(word(STACK_BASE + 0x7ffe), CODE_BASE >> 4);
    assert_int_equal(word(STACK_BASE + 0x7ffc), 0x105);
    run_done("ca 04 00"); /* retf 4 */
    assert_int_equal(cpu.rip, 0x105);
    assert_int_equal(cpu.segment[X86_CS].base, CODE_BASE);
    assert_int_equal(cpu.gpr[X86_RSP], 0x8004);
    set_word(DATA_BASE + 0x20, 0x0042);
    set_word(DATA_BASE + 0x22, 0x0777);
    run_done("ff 2e 20 00"); /* jmp far [20] */
    assert_int_equal(cpu.rip, 0x42);
    assert_int_equal(cpu.segment[X86_CS].selector, 0x777);
    run_done("ff 1e 20 00"); /* call far [20] */
    run_done("cb");
    assert_int_equal(cpu.rip, 0x46);
    run_unchanged("66 ea 00 00 01 00 00 03", X86_FAULT, X86_VECTOR_GP); /* beyond the limit */
    run_unchanged("ff e8", X86_FAULT, X86_VECTOR_UD);                   /* jmp far ax */
    cpu.gpr[X86_RSP] = 2; /* room for one word only: SP wraps, and the next word is whole again */
    run_done("9a 00 01 00 03");
    assert_int_equal(cpu.gpr[X86_RSP], 0xfffe);
    cpu.gpr[X86_RSP] = 3; /* the second word lies at FFFF */
    set_word(STACK_BASE + 1, 0);
    run_unchanged("9a 00 01 00 03", X86_FAULT, X86_VECTOR_SS);
    assert_int_equal(word(STACK_BASE + 1), 0);
}

static void interrupts(void **state)
{
    const uint64_t flags = X86_RFLAGS_ONE | X86_RFLAGS_IF | X86_RFLAGS_CF | X86_RFLAGS_OF;

    (void)state;
    reset();
    cpu.rflags = flags;
    set_word(4 * 0x10, 0x0200);
    set_word(4 * 0x10 + 2, 0x0400);
    run_done("cd 10");
    assert_int_equal(cpu.rip, 0x200);
    assert_int_equal(cpu.segment[X86_CS].base, 0x4000);
    assert_int_equal(cpu.rflags, flags & ~X86_RFLAGS_IF);
    assert_int_equal(word(STACK_BASE + 0x7ffe), flags);
    assert_int_equal(word(STACK_BASE + 0x7ffa), 0x102);
    run_done("cf"); /* iret */
    assert_int_equal(cpu.rip, 0x102);
    assert_int_equal(cpu.segment[X86_CS].base, CODE_BASE);
    assert_int_equal(cpu.rflags, flags);
    assert_int_equal(cpu.gpr[X86_RSP], 0x8000);
    set_word(4 * 4, 0x0300);
    run_done("ce"); /* into */
    assert_int_equal(cpu.rip, 0x300);
    run_done("cf");
    cpu.rflags &= ~X86_RFLAGS_OF;
    run_done("ce");
    assert_int_equal(cpu.rip, 0x104);
    set_word(4 * 3, 0x0500);
    run_done("cc");
    assert_int_equal(cpu.rip, 0x500);
    cpu.idtr_limit = 4 * 0x10 + 2;
    run_unchanged("cd 10", X86_FAULT, X86_VECTOR_GP);
    cpu.has_idtr = false;
    run_unchanged("cd 10", X86_UNSUPPORTED, 0);
    reset_virtual(3);
    run_unchanged("cd 10", X86_UNSUPPORTED, 0);
    run_unchanged("cf", X86_UNSUPPORTED, 0);
}

static void interrupt_flag(void **state)
{
    (void)state;
    reset();
    run_done("fb");
    assert_true(cpu.rflags & X86_RFLAGS_IF);
    assert_true(cpu.interrupt_shadow);
    run_done("fb"); /* was set before: no shadow */
    assert_false(cpu.interrupt_shadow);
    run_done("fa");
    assert_false(cpu.rflags & X86_RFLAGS_IF);
    cpu.takes_segments = false; /* nobody would keep the shadow */
    run_unchanged("fb", X86_UNSUPPORTED, 0);
    reset_virtual(2);
    run_unchanged("fa", X86_FAULT, X86_VECTOR_GP);
    run_unchanged("9c", X86_FAULT, X86_VECTOR_GP);
    run_unchanged("9d", X86_FAULT, X86_VECTOR_GP);
    cpu.cr4 = X86_CR4_VME;
    run_done("fb");
    assert_true(cpu.rflags & X86_RFLAGS_VIF);
    assert_false(cpu.rflags & X86_RFLAGS_IF);
    run_done("fa");
    assert_false(cpu.rflags & X86_RFLAGS_VIF);
    cpu.rflags |= X86_RFLAGS_VIP;
    run_unchanged("fb", X86_FAULT, X86_VECTOR_GP);
    run_unchanged("9c", X86_UNSUPPORTED, 0);
    reset_virtual(3);
    run_done("fb");
    assert_true(cpu.rflags & X86_RFLAGS_IF);
    run_done("66 9c"); /* pushfd: VM is not shown */
    assert_int_equal(word(STACK_BASE + 0x7ffe), 0);
}

static void flags_privilege(void **state)
{
    (void)state;
    reset();
    set_word(STACK_BASE + 0x8000, 0xffff & ~0x100u);
    run_done("9d"); /* popf: all that is not reserved */
    assert_int_equal(cpu.rflags, 0x7ed7);
    reset();
    cpu.cr0 = X86_CR0_PE;
    cpu.cpl = 1;
    set_word(STACK_BASE + 0x8000, 0x3202);
    run_done("9d");
    assert_int_equal(cpu.rflags, X86_RFLAGS_ONE); /* neither IF nor IOPL */
    cpu.rflags |= 1u << 12;
    cpu.gpr[X86_RSP] = 0x8000;
    run_done("9d");
    assert_int_equal(cpu.rflags, 0x1202);
}

static void all_registers(void **state)
{
    (void)state;
    reset();
    for (unsigned i = 0; i < 8; i++)
        if (i != X86_RSP)
            cpu.gpr[i] = 0xaaaa0000 + i;
    run_done("60");
    assert_int_equal(cpu.gpr[X86_RSP], 0x7ff0);
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(word(STACK_BASE + 0x7ffe - 2 * i), i == X86_RSP ? 0x8000 : i);
    for (unsigned i = 0; i < 8; i++)
        if (i != X86_RSP)
            cpu.gpr[i] = 0xbbbbbbbb;
    run_done("61");
    assert_int_equal(cpu.gpr[X86_RSP], 0x8000);
    assert_int_equal(cpu.gpr[X86_RDI], 0xbbbb0007);
    assert_int_equal(cpu.gpr[X86_RAX], 0xbbbb0000);
    cpu.gpr[X86_RSP] = 7; /* the fourth word crosses the segment's end */
    run_unchanged("60", X86_FAULT, X86_VECTOR_SS);
    assert_int_equal(word(STACK_BASE + 5), 0); /* nothing was pushed */
}

static void bounds(void **state)
{
    (void)state;
    reset();
    set_word(DATA_BASE + 0x40, 0xfffe); /* -2 */
    set_word(DATA_BASE + 0x42, 5);
    cpu.gpr[X86_RAX] = 0xfffe;
    run_done("62 06 40 00");
    cpu.gpr[X86_RAX] = 5;
    run_done("62 06 40 00");
    cpu.gpr[X86_RAX] = 6;
    run_unchanged("62 06 40 00", X86_FAULT, X86_VECTOR_BR);
    cpu.gpr[X86_RAX] = 0xfffd;
    run_unchanged("62 06 40 00", X86_FAULT, X86_VECTOR_BR);
}

static void decimal(void **state)
{
    (void)state;
    reset();
    cpu.gpr[X86_RAX] = 0x0079;
    run_done("04 35"); /* 79 + 35 = 114 */
    run_done("27");
    assert_int_equal(cpu.gpr[X86_RAX], 0x14);
    assert_true(cpu.rflags & X86_RFLAGS_CF);
    run_done("d6"); /* salc */
    assert_int_equal(cpu.gpr[X86_RAX], 0xff);
    cpu.rflags = X86_RFLAGS_ONE;
    cpu.gpr[X86_RAX] = 0x35;
    run_done("2c 47"); /* 35 - 47 = -12 */
    run_done("2f");
    assert_int_equal(cpu.gpr[X86_RAX], 0x88);
    assert_true(cpu.rflags & X86_RFLAGS_CF);
    cpu.gpr[X86_RAX] = 63;
    run_done("d4 0a");
    assert_int_equal(cpu.gpr[X86_RAX], 0x0603);
    run_done("d5 0a");
    assert_int_equal(cpu.gpr[X86_RAX], 63);
    run_unchanged("d4 00", X86_FAULT, X86_VECTOR_DE);
    cpu.rflags = X86_RFLAGS_ONE;
    cpu.gpr[X86_RAX] = 0x020b;
    run_done("37"); /* aaa */
    assert_int_equal(cpu.gpr[X86_RAX], 0x0301);
    run_done("3f"); /* aas, with AF from before */
    assert_int_equal(cpu.gpr[X86_RAX], 0x010b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(segment_loads),  cmocka_unit_test(far_branches),    cmocka_unit_test(interrupts),
        cmocka_unit_test(interrupt_flag), cmocka_unit_test(flags_privilege), cmocka_unit_test(all_registers),
        cmocka_unit_test(bounds),         cmocka_unit_test(decimal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
