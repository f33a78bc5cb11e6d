/* SPDX-License-Identifier: ISC */
/* MSR policy: values accepted and refused, registers with an effect, and all numbers near the known ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "vmm/cpu/msr.h"

#define RAM_SIZE 0x10000u

static uint8_t low[RAM_SIZE];
static const struct guest_ram ram = {.low = low, .low_size = RAM_SIZE};
static struct lapic lapic;
static struct kvmclock clock_state;
static struct msr_cpu cpu;
static unsigned notes;

static void send(void *sink, const struct lapic_message *message)
{
    (void)sink;
    (void)message;
}

static void count_note(void *sink, bool write, uint32_t msr, uint64_t value)
{
    (void)sink;
    (void)write;
    (void)msr;
    (void)value;
    notes++;
}

static int setup(void **state)
{
    struct lapic_config config = {.bsp = true, .x2apic = true, .tsc_khz = 2500000};
    struct lapic_link link = {.send = send};

    (void)state;
    lapic_init(&lapic, &config, &link);
    kvmclock_init(&clock_state, &ram, 2500000, 0, 0, true);
    memset(&cpu, 0, sizeof cpu);
    cpu.lapic = &lapic;
    cpu.clock = &clock_state;
    cpu.note = count_note;
    notes = 0;
    msr_reset(&cpu);
    return 0;
}

static uint64_t get(uint32_t msr)
{
    uint64_t value = 0;

    assert_true(msr_read(&cpu, msr, 1000, &value));
    return value;
}

static bool put(uint32_t msr, uint64_t value)
{
    return msr_write(&cpu, msr, value, 1000);
}

static void addresses(void **state)
{
    static const uint32_t bases[] = {0x175,      0x176,      0xc0000082, 0xc0000083,
                                     0xc0000100, 0xc0000101, 0xc0000102};

    (void)state;
    for (size_t i = 0; i < sizeof bases / sizeof *bases; i++) {
        assert_true(put(bases[i], 0xffff800000000000ull + i));
        assert_false(put(bases[i], 0x800000000000ull));
        assert_false(put(bases[i], 0xffff7fffffffffffull));
        assert_true(get(bases[i]) == 0xffff800000000000ull + i);
    }
    assert_true(cpu.state.sysenter_esp == 0xffff800000000000ull);
    assert_true(cpu.state.sysenter_eip == 0xffff800000000001ull);
    assert_true(cpu.state.cstar == 0xffff800000000003ull);
    assert_true(cpu.state.kernel_gs_base == 0xffff800000000006ull);
}

static void efer(void **state)
{
    (void)state;
    assert_true(put(0xc0000080, 0x901));
    assert_true(get(0xc0000080) == 0x901);
    assert_false(put(0xc0000080, 1 << 12)); /* SVME */
    assert_false(put(0xc0000080, 1 << 14)); /* FFXSR not offered */
    assert_false(put(0xc0000080, 1ull << 63));
    cpu.config.ffxsr = true;
    assert_true(put(0xc0000080, 1 << 14 | 0x100));
    cpu.state.efer |= 1 << 10;
    cpu.paging = true;
    assert_false(put(0xc0000080, 0));
    assert_true(put(0xc0000080, 0x100));
    assert_int_equal(get(0xc0000080), 0x500); /* LMA is the processor's */
}

static void memory_types(void **state)
{
    (void)state;
    assert_true(get(0x277) == 0x0007040600070406ull);
    assert_true(put(0x277, 0x0407050600070106ull));
    assert_false(put(0x277, 0x02));
    assert_false(put(0x277, 0x0300000000000000ull));
    assert_false(put(0x277, 0x08));
    assert_true(put(0x250, 0x0606060606060606ull));
    assert_false(put(0x26f, 0x07)); /* UC- is none of the MTRRs' */
    assert_true(put(0x26f, 0x05));
    assert_true(cpu.state.mtrr_fixed[10] == 5);
    assert_int_equal(get(0x2ff), 0x806); /* as firmware leaves it */
    assert_true(put(0x2ff, 0xc06));
    assert_false(put(0x2ff, 0x1000));
    assert_false(put(0x2ff, 2));
    assert_int_equal(get(0x2ff), 0xc06);
    assert_int_equal(get(0xfe), 0x500);
    assert_false(put(0xfe, 0x500));
    assert_false(put(0x200, 0)); /* no variable ranges */
}

static void tsc(void **state)
{
    (void)state;
    assert_int_equal(get(0x10), 2500);
    assert_true(put(0x10, 0));
    assert_int_equal(get(0x10), 0);
    assert_true(get(0x3b) == (uint64_t)-2500);
    assert_true(cpu.tsc_moved);
    assert_true(put(0x3b, 0));
    assert_int_equal(get(0x10), 2500);
    assert_true(put(0xc0000103, UINT32_MAX));
    assert_false(put(0xc0000103, 1ull << 32));
}

static void clocks(void **state)
{
    (void)state;
    assert_true(put(0x4b564d00, 0x1000));
    assert_true(put(0x4b564d01, 0x2001));
    assert_int_equal(get(0x12), 0x2001);
    assert_int_equal(low[0x201d], 1);
    assert_true(put(0x10, 0));
    assert_int_equal(low[0x201d], 0); /* its TSC is no longer the others' */
    assert_false(put(0x4b564d01, RAM_SIZE + 1));
    assert_false(put(0x4b564d02, 0));
    assert_true(put(0x4b564d04, 0x3005));
    assert_int_equal(get(0x4b564d04), 0x3005);
    assert_false(put(0x4b564d04, 0x3003)); /* four bytes, at a multiple of them, of RAM */
    assert_false(put(0x4b564d04, RAM_SIZE + 1));
    assert_true(put(0x4b564d04, RAM_SIZE));
    cpu.clock = NULL;
    assert_false(put(0x11, 0x1000));
    assert_false(put(0x4b564d04, 0));
    assert_true(put(0x10, 99));
}

static void local_apic(void **state)
{
    uint64_t value;

    (void)state;
    assert_int_equal(get(0x1b), 0xfee00900);
    assert_false(msr_read(&cpu, 0x802, 0, &value));
    assert_true(put(0x1b, 0xfee00d00));
    assert_int_equal(get(0x803), 0x01050014);
    assert_false(put(0x80b, 1));
    assert_true(put(0x6e0, 5));
    assert_int_equal(notes, 0);
}

static void speculation(void **state)
{
    uint64_t value;

    (void)state;
    assert_false(put(0x48, 1));
    assert_false(put(0x49, 1));
    cpu.config.spec_ctrl = true;
    assert_true(put(0x48, 7));
    assert_false(put(0x48, 8));
    assert_int_equal(get(0x48), 7);
    assert_false(cpu.barrier);
    assert_true(put(0x49, 1));
    assert_true(cpu.barrier);
    assert_false(put(0x49, 2));
    assert_false(msr_read(&cpu, 0x49, 0, &value));
}

static void vendors(void **state)
{
    uint64_t value;

    (void)state;
    assert_int_equal(get(0x8b), 0x01000065);
    assert_int_equal(get(0xc0010015), 1 << 24);
    assert_int_equal(get(0xc0011029), 2);
    assert_int_equal(get(0xc0010114), 0x18);
    assert_false(msr_read(&cpu, 0x1a0, 0, &value));
    assert_false(put(0x8b, 0));
    cpu.config.intel = true;
    msr_reset(&cpu);
    assert_true(get(0x8b) == 1ull << 32);
    assert_true(put(0x8b, 0));
    assert_int_equal(get(0x1a0), 0x1801);
    assert_true(put(0x1a0, get(0x1a0)));
    assert_int_equal(get(0x3a), 1);
    assert_false(msr_read(&cpu, 0xc0010015, 0, &value));
    assert_int_equal(get(0x179), 0);
    assert_false(put(0x179, 1));
}

static void unknown_is_noted_a_few_times(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 1000; i++)
        assert_false(put(0x12345678 + i, 0));
    assert_int_equal(notes, MSR_NOTES_MAX);
}

/* Whatever is accepted can be read back or is fixed; nothing outside the state is touched. */
static void sweep(void **state)
{
    static const uint32_t starts[] = {0,          0x4b564c00, 0xbffffe00, 0xc0000000,
                                      0xc0010000, 0xc0011000, 0xfffffc00};
    static const uint64_t values[] = {0, 1, 6, 0x0606060606060606ull, 0x123456789abcdef0ull, UINT64_MAX};
    uint64_t value;
    unsigned known = 0;

    (void)state;
    for (unsigned vendor = 0; vendor < 2; vendor++) {
        cpu.config.intel = vendor;
        for (size_t s = 0; s < sizeof starts / sizeof *starts; s++)
            for (uint32_t i = 0; i < 0x1000; i++) {
                for (size_t v = 0; v < sizeof values / sizeof *values; v++)
                    known += put(starts[s] + i, values[v]);
                known += msr_read(&cpu, starts[s] + i, 1000, &value);
            }
    }
    assert_true(known > 100);
    assert_ptr_equal(cpu.lapic, &lapic);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(addresses, setup),
        cmocka_unit_test_setup(efer, setup),
        cmocka_unit_test_setup(memory_types, setup),
        cmocka_unit_test_setup(tsc, setup),
        cmocka_unit_test_setup(clocks, setup),
        cmocka_unit_test_setup(local_apic, setup),
        cmocka_unit_test_setup(speculation, setup),
        cmocka_unit_test_setup(vendors, setup),
        cmocka_unit_test_setup(unknown_is_noted_a_few_times, setup),
        cmocka_unit_test_setup(sweep, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
