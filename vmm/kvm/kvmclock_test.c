/* SPDX-License-Identifier: ISC */
/* The paravirtual clock, read as a guest reads it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "vmm/kvm/kvmclock.h"

#define RAM_SIZE 0x20000u

static uint8_t low[RAM_SIZE];
static const struct guest_ram ram = {.low = low, .low_size = RAM_SIZE};

static uint64_t get(uint64_t gpa, unsigned width)
{
    uint64_t value = 0;

    memcpy(&value, low + gpa, width);
    return value;
}

/* The guest's formula. */
static uint64_t guest_time(uint64_t gpa, uint64_t tsc)
{
    uint64_t delta = tsc - get(gpa + 8, 8);
    int8_t shift = (int8_t)low[gpa + 28];

    assert_int_equal(get(gpa, 4) & 1, 0);
    delta = shift < 0 ? delta >> -shift : delta << shift;
    return get(gpa + 16, 8) + (uint64_t)((unsigned __int128)delta * get(gpa + 24, 4) >> 32);
}

static void scale(void **state)
{
    static const uint32_t khz[] = {1,       2,       1000,    999999,  1000000,  1000001,   2000000,
                                   2394453, 2500000, 4000000, 5123456, 16000001, UINT32_MAX};
    uint32_t mul;
    int8_t shift;

    (void)state;
    for (size_t i = 0; i < sizeof khz / sizeof *khz; i++) {
        unsigned __int128 exact, approximate;

        kvmclock_scale(khz[i], &mul, &shift);
        assert_true(mul >> 31);
        /* One second of ticks in units of 2^-32 ns, scaled by 2^12 to have room for shifts to the right. */
        exact = (unsigned __int128)1000000000 << 44;
        approximate = (unsigned __int128)khz[i] * 1000 * mul;
        approximate = shift < 0 ? approximate << 12 >> -shift : approximate << 12 << shift;
        assert_true((exact > approximate ? exact - approximate : approximate - exact) <= (exact >> 32) + 1);
    }
    kvmclock_scale(1000000, &mul, &shift);
    assert_true(mul == 1u << 31);
    assert_int_equal(shift, 1);
    kvmclock_scale(2000000, &mul, &shift);
    assert_true(mul == 1u << 31);
    assert_int_equal(shift, 0);
}

static void wall(void **state)
{
    struct kvmclock clock;

    (void)state;
    memset(low, 0, sizeof low);
    kvmclock_init(&clock, &ram, 2500000, 0, 1700000000123456789ull, true);
    assert_true(kvmclock_set_wall(&clock, 0x1004));
    assert_int_equal(get(0x1004, 4), 2);
    assert_int_equal(get(0x1008, 4), 1700000000);
    assert_int_equal(get(0x100c, 4), 123456789);
    assert_true(kvmclock_set_wall(&clock, 0x1004));
    assert_int_equal(get(0x1004, 4), 4);
    assert_false(kvmclock_set_wall(&clock, 0x1002));
    assert_false(kvmclock_set_wall(&clock, RAM_SIZE - 8));
    assert_false(kvmclock_set_wall(&clock, UINT64_MAX - 3));
}

static void system_time(void **state)
{
    struct kvmclock_cpu cpu = {0, 0, false}, other = {0, 0, false};
    struct kvmclock clock;
    const uint64_t day = 86400ull * 1000000000, ticks = 86400ull * 2394453000;

    (void)state;
    memset(low, 0, sizeof low);
    kvmclock_init(&clock, &ram, 2394453, 77, 0, true);
    assert_true(kvmclock_set_system(&clock, &cpu, 0x2001, 5000, 77 + 11972));
    assert_true(kvmclock_set_system(&clock, &other, 0x3001, 9000, 77 + 21550));
    assert_int_equal(low[0x201d], 1);
    assert_memory_equal(low + 0x2000, low + 0x3000, 32); /* one clock */
    assert_int_equal(guest_time(0x2000, 77), 0);
    assert_in_range(guest_time(0x2000, 77 + ticks), day - 20000, day + 20000);
    cpu.moved = true;
    kvmclock_update(&clock, &cpu, 12345, 1);
    assert_int_equal(low[0x201d], 0);
    assert_int_equal(guest_time(0x2000, 1), 12345);
    assert_int_equal(get(0x2000, 4), 4);
    assert_true(kvmclock_set_system(&clock, &cpu, 0x2000, 0, 0));
    memset(low, 0, sizeof low);
    kvmclock_update(&clock, &cpu, 1, 1); /* off: nothing is written */
    for (size_t i = 0; i < sizeof low; i++)
        assert_int_equal(low[i], 0);
    assert_false(kvmclock_set_system(&clock, &cpu, 0x2003, 0, 0));
    assert_false(kvmclock_set_system(&clock, &cpu, RAM_SIZE - 16 + 1, 0, 0));
    assert_false(kvmclock_set_system(&clock, &cpu, UINT64_MAX, 0, 0));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(scale),
        cmocka_unit_test(wall),
        cmocka_unit_test(system_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
