/* SPDX-License-Identifier: ISC */
/* MSR exits: registers that the processor holds, the TSC, unknown ones. */
#include "vmm/cpu/test_bench.h"

static void test_msrs(void **state)
{
    struct bench *bench = *state;

    /* EFER depends on CR0.PG: asked for, then written. */
    bench->state.gpr[VCPU_RCX] = 0xc0000080;
    bench->state.gpr[VCPU_RAX] = 0x901;
    assert_true(leave(bench, VCPU_EXIT_WRMSR, 1, CODE + 2));
    assert_int_equal(bench->state.rip, CODE);
    assert_true(leave(bench, VCPU_EXIT_WRMSR, 1, CODE + 2));
    assert_int_equal(bench->state.rip, CODE + 2);
    assert_int_equal(bench->state.efer, 0x901);
    assert_int_equal(bench->state.dirty, VCPU_RIP | VCPU_EFER);
    assert_true(leave(bench, VCPU_EXIT_RDMSR, 0, CODE + 4));
    assert_true(leave(bench, VCPU_EXIT_RDMSR, 0, CODE + 4));
    assert_int_equal(bench->state.gpr[VCPU_RAX], 0x901);

    /* The TSC: the offset follows. */
    bench->state.gpr[VCPU_RCX] = 0x10;
    bench->state.gpr[VCPU_RAX] = 0;
    bench->state.gpr[VCPU_RDX] = 0x1000;
    assert_true(leave(bench, VCPU_EXIT_WRMSR, 1, CODE + 6));
    assert_true(bench->state.dirty & VCPU_TSC);
    assert_true((clock_read_tsc() + bench->state.tsc_offset) >> 40 == 0x10);

    /* None such. */
    bench->state.gpr[VCPU_RCX] = 0x12345;
    assert_true(leave(bench, VCPU_EXIT_WRMSR, 1, CODE + 8));
    assert_int_equal(bench->state.rip, CODE + 6);
    assert_int_equal(bench->vcpu.exception & 0xff, 13);
    assert_non_null(strstr(logged, "12345"));
}

/* CPUID's APIC bit follows the APIC's base MSR. */
static void test_cpuid_apic(void **state)
{
    struct bench *bench = *state;

    for (unsigned i = 0; i < 2; i++) {
        bench->state.gpr[VCPU_RAX] = 1;
        bench->state.rip = CODE;
        (void)leave(bench, VCPU_EXIT_CPUID, 0, CODE + 2);
        if (bench->state.rip == CODE) /* it has asked for more */
            assert_true(leave(bench, VCPU_EXIT_CPUID, 0, CODE + 2));
        assert_int_equal(bench->state.gpr[VCPU_RDX] >> 9 & 1, i == 0);
        bench->machine.cpu[0].lapic.base &= ~0x800ull;
    }
}

/* The frequencies are the machine's, and the APIC timer's is what a guest counts. */
static void test_cpuid_clock(void **state)
{
    struct bench *bench = *state;
    struct lapic *lapic = &bench->machine.cpu[0].lapic;

    bench->state.gpr[VCPU_RAX] = CPUID_CLOCK_LEAF;
    assert_true(leave(bench, VCPU_EXIT_CPUID, 0, CODE + 2));
    assert_int_equal(bench->state.gpr[VCPU_RAX], lapic->config.tsc_khz);
    lapic_timer_set_divide(lapic, 0xb, 0); /* by one */
    lapic_timer_set_initial(lapic, UINT32_MAX, 0);
    assert_int_equal(UINT32_MAX - lapic_timer_current(lapic, 1000000), bench->state.gpr[VCPU_RBX]);
}

/* XCR0 is its kernel's: a program's attempt is #GP and changes nothing. */
static void test_xsetbv(void **state)
{
    struct bench *bench = *state;

    bench->vcpu.cpuid.xcr0 = 7;
    bench->state.gpr[VCPU_RCX] = 0;
    bench->state.gpr[VCPU_RAX] = 7;
    bench->state.gpr[VCPU_RDX] = 0;
    bench->state.ss.attributes |= 3 << 5;
    for (unsigned i = 0; i < 2 && !bench->vcpu.exception; i++) /* the first may ask for more */
        assert_true(leave(bench, VCPU_EXIT_XSETBV, 0, CODE + 3));
    assert_int_equal(bench->vcpu.exception & 0xff, 13);
    assert_int_equal(bench->state.rip, CODE);
    assert_int_equal(bench->state.xcr0, 1);
    bench->vcpu.exception = 0;
    bench->state.ss.attributes &= (uint16_t) ~(3u << 5);
    assert_true(leave(bench, VCPU_EXIT_XSETBV, 0, CODE + 3));
    assert_int_equal(bench->vcpu.exception, 0);
    assert_int_equal(bench->state.rip, CODE + 3);
    assert_int_equal(bench->state.xcr0, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_msrs), TEST(test_cpuid_apic), TEST(test_cpuid_clock),
                                       TEST(test_xsetbv)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
