/* SPDX-License-Identifier: ISC */
/* The BIOS data area: its fields, and that all who say how much low memory there is say the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/firmware/bda.h"

static uint8_t low[E820_MIN_RAM];
static const struct guest_ram ram = {.low = low, .low_size = sizeof(low)};

static unsigned get16(unsigned address)
{
    return low[address] | (unsigned)low[address + 1] << 8;
}

static void test_fields(void **state)
{
    static const struct bda_config config = {.com1 = 0x3f8, .mouse = true, .disks = 2}, none = {0};

    (void)state;
    memset(low, 0xcc, sizeof(low));
    assert_true(bda_write(&ram, &config));
    assert_int_equal(get16(BDA_COM), 0x3f8);
    assert_int_equal(get16(BDA_COM + 2), 0);
    assert_int_equal(get16(BDA_EBDA), 0x9fc0);
    assert_int_equal(get16(BDA_EQUIPMENT), 0x206);
    assert_int_equal(get16(BDA_MEMORY), 639);
    assert_int_equal(low[BDA_DISKS], 2);
    assert_int_equal(get16(BDA_KEYS_NEXT), get16(BDA_KEYS_FREE));
    assert_int_equal(get16(BDA_KEYS_NEXT), get16(BDA_KEYS_START));
    assert_int_equal(get16(BDA_KEYS_END) - get16(BDA_KEYS_START), 32);
    assert_int_equal(low[E820_EBDA], 1);
    assert_int_equal(low[BDA_BASE - 1], 0xcc);
    assert_int_equal(low[BDA_END], 0xcc);
    assert_true(bda_write(&ram, &none));
    assert_int_equal(get16(BDA_COM), 0);
    assert_int_equal(get16(BDA_EQUIPMENT), 2);
    assert_int_equal(low[BDA_DISKS], 0);
}

/* A kernel that takes the least of them must not find 0, nor memory that is none. */
static void test_low_memory(void **state)
{
    static const struct bda_config config = {0};
    struct e820_map map;

    (void)state;
    assert_true(e820_layout(sizeof(low), &map));
    assert_true(bda_write(&ram, &config));
    assert_int_equal(map.entry[0].base, 0);
    assert_int_equal(map.entry[0].type, E820_RAM);
    assert_int_equal(get16(BDA_EBDA) << 4, map.entry[0].length);
    assert_int_equal(get16(BDA_MEMORY) << 10, map.entry[0].length);
    assert_int_equal(map.entry[1].base, map.entry[0].length);
    assert_int_equal(low[E820_EBDA] << 10, map.entry[1].length);
}

static void test_no_memory(void **state)
{
    static const struct bda_config config = {0};
    const struct guest_ram small = {.low = low, .low_size = 0x80000};

    (void)state;
    assert_false(bda_write(&small, &config));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_low_memory),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
