/* SPDX-License-Identifier: ISC */
/* CMOS memory, read as SeaBIOS reads it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "vmm/firmware/cmos.h"

static uint8_t cmos[CMOS_SIZE];

static void fill(uint64_t ram, unsigned cpus)
{
    struct e820_map map;
    const struct cmos_config config = {.map = &map,
                                       .cpus = cpus,
                                       .floppy = 4,
                                       .mouse = true,
                                       .boot = {CMOS_BOOT_DVD, CMOS_BOOT_DISK, CMOS_BOOT_NETWORK}};

    assert_true(e820_layout(ram, &map));
    memset(cmos, 0x77, sizeof(cmos));
    cmos_fill(cmos, &config);
}

static uint64_t word(unsigned index, unsigned bytes)
{
    uint64_t value = 0;

    while (bytes--)
        value = value << 8 | cmos[index + bytes];
    return value;
}

/* RamSize and RamSizeOver4G of SeaBIOS. */
static void expect_sizes(uint64_t low, uint64_t high)
{
    uint64_t above_16m = word(0x34, 2) << 16;

    assert_int_equal(above_16m ? above_16m + (16 << 20) : (word(0x30, 2) << 10) + (1 << 20), low);
    assert_int_equal(word(0x5b, 3) << 16, high);
    assert_int_equal(word(0x15, 2), 640);
    assert_int_equal(word(0x17, 2), word(0x30, 2));
}

static void test_memory(void **state)
{
    (void)state;
    fill(8 << 20, 1);
    expect_sizes(8 << 20, 0);
    fill(256 << 20, 1);
    expect_sizes(256 << 20, 0);
    assert_int_equal(word(0x30, 2), 0xffff); /* it has no more room */
    fill(6ull << 30, 1);
    expect_sizes(3ull << 30, 3ull << 30);
    fill(1ull << 40, 1);
    assert_int_equal(word(0x5b, 3), (((1ull << 40) - (3ull << 30)) >> 16) & 0xffffff);
}

static void test_rest(void **state)
{
    unsigned sum = 0;

    (void)state;
    fill(64 << 20, 8);
    for (unsigned i = 0; i < 0x0e; i++)
        assert_int_equal(cmos[i], 0x77);
    assert_int_equal(cmos[0x32], 0x77);
    assert_int_equal(cmos[0x0f], 0); /* no shutdown code */
    assert_int_equal(cmos[0x10], 0x40);
    assert_int_equal(cmos[0x14], 0x07);
    assert_int_equal(cmos[0x3d], 0x23);
    assert_int_equal(cmos[0x38], 0x40);
    assert_int_equal(cmos[0x5f], 7);
    for (unsigned i = 0x10; i <= 0x2d; i++)
        sum += cmos[i];
    assert_int_equal(cmos[0x2e] << 8 | cmos[0x2f], sum);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_rest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
