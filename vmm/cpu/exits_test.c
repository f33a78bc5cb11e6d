/* SPDX-License-Identifier: ISC */
/* Port accesses, instruction lengths, HLT, hypercalls, and what ends a run. */
#include "vmm/cpu/test_bench.h"

static void test_out(void **state)
{
    struct bench *bench = *state;

    bench->state.gpr[VCPU_RAX] = 0x1141;
    bench->state.interruptibility = VCPU_SHADOW;
    assert_true(leave(bench, VCPU_EXIT_IO, io_info(0x3f8, 1, 0), CODE + 1));
    assert_string_equal(console, "A");
    assert_int_equal(bench->state.rip, CODE + 1);
    assert_int_equal(bench->state.interruptibility, 0);
    assert_int_equal(bench->state.dirty, VCPU_RIP);
    assert_int_equal(bench->state.want[VCPU_EXIT_IO], 0);
}

static void test_in_sizes(void **state)
{
    struct bench *bench = *state;
    uint64_t *rax = &bench->state.gpr[VCPU_RAX];

    *rax = 0x1122334455667788;
    assert_true(leave(bench, VCPU_EXIT_IO, io_info(0x300, 1, VCPU_IO_IN), CODE + 1));
    assert_int_equal(*rax, 0x11223344556677ff);
    assert_true(leave(bench, VCPU_EXIT_IO, io_info(0x300, 2, VCPU_IO_IN), CODE + 2));
    assert_int_equal(*rax, 0x112233445566ffff);
    assert_true(leave(bench, VCPU_EXIT_IO, io_info(0x300, 4, VCPU_IO_IN), CODE + 3));
    assert_int_equal(*rax, 0xffffffff);
}

/* Without a next RIP the bytes are read; the groups for that are asked for once. */
static void test_cpuid_length(void **state)
{
    struct bench *bench = *state;

    put_code(bench, CODE, "\x0f\xa2\x66\x0f\xa2", 5);
    bench->state.gpr[VCPU_RAX] = 0x40000000;
    assert_true(leave(bench, VCPU_EXIT_CPUID, 0, 0));
    assert_int_equal(bench->state.rip, CODE);
    assert_int_equal(bench->state.want[VCPU_EXIT_CPUID], VCPU_FETCH_GROUPS);
    assert_true(leave(bench, VCPU_EXIT_CPUID, 0, 0));
    assert_int_equal(bench->state.rip, CODE + 2);
    assert_int_equal(bench->state.gpr[VCPU_RBX], 0x4b4d564b);
    bench->state.gpr[VCPU_RAX] = 0x40000000;
    assert_true(leave(bench, VCPU_EXIT_CPUID, 0, 0));
    assert_int_equal(bench->state.rip, CODE + 5);

    /* The place is remembered; its bytes count all the same. */
    bench->state.rip = CODE;
    put_code(bench, CODE, "\x66\x0f\xa2", 3);
    assert_true(leave(bench, VCPU_EXIT_CPUID, 0, 0));
    assert_int_equal(bench->state.rip, CODE + 3);
}

/* CPUID as the last instruction of a segment: RIP behind it has 32 bits in 16-bit code, too, and wraps at no
 * less. */
static void test_end_of_code(void **state)
{
    static const struct {
        uint16_t attributes;
        uint64_t rip, next;
    } rows[] = {{0xc9b, 0xfffffffe, 0}, {0x9b, 0xfffe, 0x10000}, {0x89b, 0xfffffffe, 0}};
    struct bench *bench = *state;

    put_code(bench, CODE, "\x0f\xa2", 2);
    bench->state.want[VCPU_EXIT_CPUID] = VCPU_FETCH_GROUPS;
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        bench->state.cs = (struct vcpu_segment){
            .attributes = rows[i].attributes, .limit = UINT32_MAX, .base = (uint32_t)(CODE - rows[i].rip)};
        bench->state.rip = rows[i].rip;
        bench->state.gpr[VCPU_RAX] = 0x40000000;
        assert_true(leave(bench, VCPU_EXIT_CPUID, 0, 0));
        assert_int_equal(bench->state.rip, rows[i].next);
        assert_int_equal(bench->vcpu.exception, 0);
    }
    bench->state.rip = 0xfffffffe;
    assert_true(leave(bench, VCPU_EXIT_IO, io_info(0x80, 1, 0), 0));
    assert_int_equal(bench->state.rip, 0);
}

static void test_resets(void **state)
{
    struct bench *bench = *state;

    bench->state.gpr[VCPU_RAX] = 6;
    assert_false(leave(bench, VCPU_EXIT_IO, io_info(0xcf9, 1, 0), CODE + 1));
    assert_int_equal(bench->machine.request, MACHINE_RESET);
    machine_reset(&bench->machine, 0);
    assert_int_equal(bench->machine.request, MACHINE_RUNS);
    bench->state.gpr[VCPU_RAX] = 0xfe;
    assert_false(leave(bench, VCPU_EXIT_IO, io_info(0x64, 1, 0), CODE + 1));
    machine_reset(&bench->machine, 0);
    bench->state.gpr[VCPU_RAX] = 1;
    assert_false(leave(bench, VCPU_EXIT_IO, io_info(0x92, 1, 0), CODE + 1));
    machine_reset(&bench->machine, 0);
    assert_false(leave(bench, VCPU_EXIT_SHUTDOWN, 0, 0));
    assert_string_equal(bench->machine.reason, "triple fault");
}

static void test_power_off(void **state)
{
    struct bench *bench = *state;

    bench->state.gpr[VCPU_RAX] = 5 << 10 | 1 << 13; /* SLP_TYP of \_S5, SLP_EN */
    assert_false(leave(bench, VCPU_EXIT_IO, io_info(MACHINE_PM_BASE + 4, 2, 0), CODE + 1));
    assert_int_equal(bench->machine.request, MACHINE_POWER_OFF);
}

/* Memory is detached while it changes: whoever meets that goes on once it is there, with the event that was on its
 * way. Writes that reach no RAM are no such case. */
static void test_detached_memory(void **state)
{
    struct bench *bench = *state;

    bench->machine.ram.shadow = 1u << (RAM_SEGMENTS + 12);
    bench->state.interrupted = VCPU_EVENT_VALID | 0x20;
    assert_true(leave(bench, VCPU_EXIT_MMIO, 0xf0000, 0));
    assert_true(leave(bench, VCPU_EXIT_MMIO, 0x3000, 0));
    assert_true(leave_write(bench, 0x3000));
    assert_int_equal(bench->machine.request, MACHINE_RUNS);
    assert_int_equal(bench->state.rip, CODE);
    bench->state.info[1] = VCPU_MMIO_WRITE;
    assert_false(leave(bench, VCPU_EXIT_MMIO, 0xf0000, 0));
    assert_int_equal(bench->machine.request, MACHINE_RESET);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_out),
        TEST(test_in_sizes),
        TEST(test_cpuid_length),
        TEST(test_end_of_code),
        TEST(test_resets),
        TEST(test_power_off),
        cmocka_unit_test_setup_teardown(test_detached_memory, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
