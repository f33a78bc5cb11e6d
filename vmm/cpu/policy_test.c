/* SPDX-License-Identifier: ISC */
/* MSR exits: registers that the processor holds, the TSC, unknown ones; XCR0 and CR4. */
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

    bench->state.gpr[VCPU_RAX] = KVM_LEAF_CLOCK;
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

#define CR4_OFFERED 0x370fffu
#define CR4_PAE     0x20u
#define CR4_PCIDE   0x20000u
#define CR4_PKE     0x400000u

/* MOV to CR4 with this code and RAX; the value it has then, and whether there was an exception. */
static uint64_t write_cr4(struct bench *bench, const char *code, size_t length, uint64_t value, bool *refused)
{
    bench->vcpu.cr4_offered = CR4_OFFERED;
    bench->vcpu.exception = 0;
    put_code(bench, CODE, code, length);
    bench->state.gpr[VCPU_RAX] = value;
    bench->state.rip = CODE;
    bench->state.interruptibility = VCPU_SHADOW;
    assert_true(leave(bench, VCPU_EXIT_CR4, 0, 0));
    *refused = bench->vcpu.exception;
    if (*refused)
        assert_int_equal(bench->vcpu.exception & 0xff, 13);
    else
        assert_int_equal(bench->state.interruptibility, 0);
    assert_int_equal(bench->state.rip, *refused ? CODE : CODE + length);
    assert_int_equal((bench->state.dirty & VCPU_CR) != 0, !*refused);
    return bench->state.cr4;
}

static void test_cr4(void **state)
{
    static const char mov[] = "\x0f\x22\xe0", memory_form[] = "\x2e\x0f\x22\x20",
                      mov_r15[] = "\x41\x0f\x22\xe7";
    struct bench *bench = *state;
    bool refused;

    assert_int_equal(write_cr4(bench, mov, 3, 0xf00000000 | CR4_PAE, &refused), CR4_PAE); /* 32-bit code */
    assert_false(refused);
    assert_int_equal(write_cr4(bench, memory_form, 4, 0x30, &refused), 0x30); /* MOD is not looked at */
    assert_false(refused);
    assert_int_equal(write_cr4(bench, mov, 3, CR4_OFFERED & ~CR4_PCIDE, &refused), CR4_OFFERED & ~CR4_PCIDE);
    for (unsigned bit = 0; bit < 32; bit++) {
        (void)write_cr4(bench, mov, 3, 1u << bit, &refused);
        assert_int_equal(refused, !((CR4_OFFERED & ~CR4_PCIDE) >> bit & 1));
    }
    bench->state.ss.attributes |= 3 << 5;
    (void)write_cr4(bench, mov, 3, 0, &refused);
    assert_true(refused);
    bench->state.ss.attributes &= (uint16_t) ~(3u << 5);

    /* Long mode: 64 bits, PAE stays, PCIDE if CR3 has no PCID yet. */
    bench->state.efer = 0x500;
    bench->state.cs.attributes = 0xa9b;
    bench->state.cr4 = CR4_PAE;
    bench->state.gpr[15] = CR4_PAE | CR4_PKE;
    (void)write_cr4(bench, mov_r15, 4, 0, &refused);
    assert_true(refused);
    bench->state.gpr[15] = 1ull << 32 | CR4_PAE;
    (void)write_cr4(bench, mov_r15, 4, 0, &refused);
    assert_true(refused);
    bench->state.gpr[15] = 0x6a0;
    assert_int_equal(write_cr4(bench, mov_r15, 4, 0, &refused), 0x6a0);
    assert_false(refused);
    (void)write_cr4(bench, mov, 3, 0x680, &refused);
    assert_true(refused);
    bench->state.cr3 = 0x1018;
    (void)write_cr4(bench, mov, 3, CR4_PAE | CR4_PCIDE, &refused);
    assert_true(refused);
    bench->state.cr3 = 0x1000;
    assert_int_equal(write_cr4(bench, mov, 3, CR4_PAE | CR4_PCIDE, &refused), CR4_PAE | CR4_PCIDE);
    bench->state.cr3 = 0x1018; /* it is on already */
    (void)write_cr4(bench, mov, 3, 0xa0 | CR4_PCIDE, &refused);
    assert_false(refused);

    /* Another instruction stands there now, or another register: the guest executes it. */
    put_code(bench, CODE, "\x0f\x22\xd8", 3); /* mov cr3, eax */
    bench->state.rip = CODE;
    assert_true(leave(bench, VCPU_EXIT_CR4, 0, 0));
    assert_int_equal(bench->state.dirty | bench->vcpu.exception, 0);
    put_code(bench, CODE, "\x0f\x20\xe0", 3); /* mov eax, cr4 */
    assert_true(leave(bench, VCPU_EXIT_CR4, 0, 0));
    assert_int_equal(bench->state.dirty | bench->vcpu.exception, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_msrs), TEST(test_cpuid_apic), TEST(test_cpuid_clock),
                                       TEST(test_xsetbv), TEST(test_cr4)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
