/* SPDX-License-Identifier: ISC */
/* Instructions on device memory, string I/O, fetches, and what hostile code gets. */
#include "vmm/cpu/test_bench.h"

#define TABLES 0x300000u

static void set_table(struct bench *bench, uint64_t table, unsigned entry, uint64_t value)
{
    memcpy(bench->ram + table + entry * 8, &value, 8);
}

/* Long mode with 2 MiB pages one to one, and linear 0x40000000 by 4 KiB pages. */
static void enter_long_mode(struct bench *bench)
{
    set_table(bench, TABLES, 0, (TABLES + 0x1000) | 7);
    set_table(bench, TABLES + 0x1000, 0, (TABLES + 0x2000) | 7);
    set_table(bench, TABLES + 0x1000, 1, (TABLES + 0x3000) | 7);
    set_table(bench, TABLES + 0x1000, 3, 0xc0000000 | 0x83 | 0); /* 1 GiB */
    for (unsigned i = 0; i < 512; i++)
        set_table(bench, TABLES + 0x2000, i, (uint64_t)i << 21 | 0x87);
    set_table(bench, TABLES + 0x3000, 0, (TABLES + 0x4000) | 7);
    set_table(bench, TABLES + 0x4000, 0, (CODE + 0x5000) | 7);
    set_table(bench, TABLES + 0x4000, 1, (CODE + 0x1000) | 7);
    bench->state.cr0 = 0x80000011;
    bench->state.cr3 = TABLES;
    bench->state.cr4 = 0x20;
    bench->state.efer = 0x500;
    bench->state.cs.attributes = 0xa9b;
    bench->vcpu.has_1g_pages = true;
}

static void test_mmio_read_write(void **state)
{
    struct bench *bench = *state;

    /* mov eax, [rbx]; mov dword [rbx + 0x50], 0x1ff (SVR is at 0xf0). */
    put_code(bench, CODE, "\x8b\x03\xc7\x43\x50\xff\x01\x00\x00", 9);
    bench->state.gpr[VCPU_RBX] = 0xfee00030;
    assert_true(leave(bench, VCPU_EXIT_MMIO, 0xfee00030, 0));
    assert_int_equal(bench->state.rip, CODE + 2);
    assert_int_equal(bench->state.gpr[VCPU_RAX] & 0xff, 0x14);
    bench->state.gpr[VCPU_RBX] = 0xfee000a0;
    bench->machine.attention = false;
    assert_true(leave(bench, VCPU_EXIT_MMIO, 0xfee000f0, 0));
    assert_int_equal(bench->state.rip, CODE + 9);
    assert_int_equal(bench->machine.lapic.svr, 0x1ff);
    assert_true(bench->machine.attention);
}

/* mov [rbx], eax with its bytes in two pages that do not lie together; the second is then taken away. */
static void test_fetch_across_pages(void **state)
{
    struct bench *bench = *state;

    enter_long_mode(bench);
    put_code(bench, CODE + 0x5ffe, "\xc7\x03", 2);
    put_code(bench, CODE + 0x1000, "\xff\x01\x00\x00", 4);
    bench->state.rip = 0x40000ffe;
    bench->state.gpr[VCPU_RBX] = 0xfee000f0;
    assert_true(leave(bench, VCPU_EXIT_MMIO, 0xfee000f0, 0));
    assert_int_equal(bench->state.rip, 0x40001004);
    assert_int_equal(bench->machine.lapic.svr, 0x1ff);

    set_table(bench, TABLES + 0x4000, 1, 0);
    bench->state.rip = 0x40000ffe;
    assert_true(leave(bench, VCPU_EXIT_MMIO, 0xfee000f0, 0));
    assert_int_equal(bench->state.rip, 0x40000ffe);
    assert_int_equal(bench->state.cr2, 0x40001000);
    assert_int_equal(bench->vcpu.exception & 0xff, 14);
    assert_true(bench->vcpu.exception & VCPU_EVENT_ERROR);
    assert_true(bench->state.dirty & VCPU_CR);
}

static void test_rep_outs(void **state)
{
    struct bench *bench = *state;

    put_code(bench, CODE, "\xf3\x6e", 2);
    put_code(bench, CODE + 0x100, "hello", 5);
    bench->state.gpr[VCPU_RSI] = CODE + 0x100;
    bench->state.gpr[VCPU_RCX] = 5;
    bench->state.gpr[VCPU_RDX] = 0x3f8;
    assert_true(leave(bench, VCPU_EXIT_IO, io_info(0x3f8, 1, VCPU_IO_STRING | VCPU_IO_REP), CODE + 2));
    assert_int_equal(bench->state.rip, CODE); /* more groups are needed */
    assert_true(leave(bench, VCPU_EXIT_IO, io_info(0x3f8, 1, VCPU_IO_STRING | VCPU_IO_REP), CODE + 2));
    assert_string_equal(console, "hello");
    assert_int_equal(bench->state.rip, CODE + 2);
    assert_int_equal(bench->state.gpr[VCPU_RCX], 0);
    assert_true(bench->state.want[VCPU_EXIT_IO] != 0);
    assert_true(leave(bench, VCPU_EXIT_IO, io_info(0x80, 1, 0), CODE + 4));
    assert_int_equal(bench->state.want[VCPU_EXIT_IO], 0);
}

/* Execution in device memory: ones, which are no instruction. */
static void test_execute_from_device(void **state)
{
    struct bench *bench = *state;

    bench->state.rip = 0xfee00000;
    assert_true(leave(bench, VCPU_EXIT_MMIO, 0xfee00000, 0));
    assert_int_equal(bench->vcpu.exception, VCPU_EVENT_VALID | VCPU_EVENT_EXCEPTION | 6);
    assert_int_equal(bench->state.rip, 0xfee00000);
}

static void test_unknown_instruction(void **state)
{
    struct bench *bench = *state;

    put_code(bench, CODE, "\x0f\xae\x03", 3); /* FXSAVE */
    bench->state.gpr[VCPU_RBX] = 0xfee00000;
    assert_true(leave(bench, VCPU_EXIT_MMIO, 0xfee00000, 0));
    assert_int_equal(bench->vcpu.exception & 0xff, 6);
    assert_non_null(strstr(logged, "not known"));
}

static void test_prefix_flood(void **state)
{
    struct bench *bench = *state;

    memset(bench->ram + CODE, 0x66, 64);
    assert_true(leave(bench, VCPU_EXIT_MMIO, 0xfee00000, 0));
    assert_int_equal(bench->vcpu.exception & 0xff, 13);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_mmio_read_write),     TEST(test_fetch_across_pages),  TEST(test_rep_outs),
        TEST(test_execute_from_device), TEST(test_unknown_instruction), TEST(test_prefix_flood),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
