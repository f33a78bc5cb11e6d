/* SPDX-License-Identifier: ISC */
/* The registers at a start: both entries, and a reset that leaves nothing behind. */
#include "vmm/cpu/test_bench.h"

static void test_protected_entry(void **state)
{
    const struct bench *bench = *state;

    assert_int_equal(bench->state.rip, CODE);
    assert_int_equal(bench->state.cr0, 0x11);
    assert_int_equal(bench->state.cs.attributes, 0xc9b);
    assert_int_equal(bench->state.cs.limit, UINT32_MAX);
    assert_int_equal(bench->state.rflags, 2);
    assert_int_equal(bench->state.dirty, VCPU_GROUPS);
}

static void test_real_entry(void **state)
{
    struct bench *bench = *state;
    struct guest_entry entry = vcpu_entry_real(0x7c05);

    vcpu_start(&bench->vcpu, &entry);
    assert_int_equal(bench->state.cs.base + bench->state.rip, 0x7c05);
    assert_int_equal(bench->state.cs.selector, 0x7c0);
    assert_int_equal(bench->state.cs.limit, 0xffff);
    assert_int_equal(bench->state.cr0 & 1, 0);
}

static void test_reset(void **state)
{
    struct bench *bench = *state;
    uint64_t tsc;

    bench->state.gpr[VCPU_RBX] = 5;
    bench->state.activity = VCPU_HALTED;
    bench->vcpu.nmi_masked = true;
    bench->vcpu.interrupted = VCPU_EVENT_VALID | 0x30;
    bench->vcpu.window = VCPU_WINDOW_INTERRUPT;
    bench->state.want[VCPU_EXIT_IO] = VCPU_CR;
    vcpu_reset(&bench->vcpu);
    assert_int_equal(bench->state.gpr[VCPU_RBX], 0);
    assert_int_equal(bench->state.activity, VCPU_ACTIVE);
    assert_int_equal(bench->vcpu.interrupted, 0);
    assert_int_equal(bench->vcpu.window, 0);
    assert_false(bench->vcpu.nmi_masked);
    assert_int_equal(bench->state.want[VCPU_EXIT_IO], 0);
    tsc = clock_read_tsc() + bench->state.tsc_offset;
    assert_true(tsc < 1ull << 40);
    assert_int_equal(bench->machine.kvmclock.tsc_at_zero, bench->machine.cpu[0].lapic.config.tsc_at_zero);
}

/* INIT: what the guest has told us to write to is whoever's is started next. */
static void test_init_writes_nowhere(void **state)
{
    struct bench *bench = *state;

    bench->vcpu.msr.kvm.eoi = 0x3000 | KVM_EOI_ENABLED;
    bench->vcpu.msr.kvm.clock.msr = 0x4001;
    vcpu_reset_init(&bench->vcpu);
    assert_int_equal(bench->vcpu.msr.kvm.eoi, 0);
    assert_int_equal(bench->vcpu.msr.kvm.clock.msr, 0);
}

/* A processor that does not tell the next RIP: what is needed to fetch comes with the first exit. */
static void test_no_next_rip(void **state)
{
    struct bench *bench = *state;

    assert_int_equal(bench->state.want[VCPU_EXIT_HLT], 0);
    bench->vcpu.tells_next_rip = false;
    vcpu_reset(&bench->vcpu);
    assert_int_equal(bench->state.want[VCPU_EXIT_HLT], VCPU_FETCH_GROUPS);
    assert_int_equal(bench->state.want[VCPU_EXIT_CPUID], VCPU_FETCH_GROUPS);
    assert_int_equal(bench->state.want[VCPU_EXIT_IO], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_protected_entry), TEST(test_real_entry), TEST(test_reset),
                                       TEST(test_init_writes_nowhere), TEST(test_no_next_rip)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
