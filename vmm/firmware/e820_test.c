/* SPDX-License-Identifier: ISC */
/* The memory map for sizes around the PCI hole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "vmm/firmware/e820.h"

#define MIB (1ull << 20)

static void check_map(uint64_t ram)
{
    struct e820_map map;
    uint64_t end = 0, usable = 0;

    assert_true(e820_layout(ram, &map));
    assert_true(map.low_size + map.high_size == (ram & ~0xfffull));
    assert_true(map.low_size <= E820_PCI_HOLE);
    assert_true(map.entries <= E820_MAX_ENTRIES);
    for (size_t i = 0; i < map.entries; i++) {
        assert_true(map.entry[i].base >= end);
        assert_true(map.entry[i].length > 0);
        end = map.entry[i].base + map.entry[i].length;
        if (map.entry[i].type == E820_RAM)
            usable += map.entry[i].length;
    }
    assert_true(usable + 0x60400 + E820_ACPI_LENGTH == map.low_size + map.high_size);
}

static void layouts(void **state)
{
    static const uint64_t sizes[] = {4 * MIB,    5 * MIB + 123, 512 * MIB,  3071 * MIB,
                                     3072 * MIB, 3073 * MIB,    8192 * MIB, E820_MAX_RAM};
    struct e820_map map;

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        check_map(sizes[i]);
    assert_false(e820_layout(0, &map));
    assert_false(e820_layout(4 * MIB - 1, &map));
    assert_false(e820_layout(UINT64_MAX, &map));
    assert_true(e820_layout(3073 * MIB, &map));
    assert_true(map.high_size == MIB);
    assert_true(map.entry[map.entries - 1].base == RAM_ABOVE_4G);
    assert_true(map.acpi_base == E820_PCI_HOLE - E820_ACPI_LENGTH);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(layouts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
