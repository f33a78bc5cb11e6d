/* SPDX-License-Identifier: ISC */
/* The memory map for sizes around the PCI hole, and guest_ram_at at every edge. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "vmm/machine/e820.h"

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
    assert_true(map.entry[map.entries - 1].base == E820_ABOVE_4G);
    assert_true(map.acpi_base == E820_PCI_HOLE - E820_ACPI_LENGTH);
}

static uint8_t low[2 * MIB], high[MIB];
static const struct guest_ram ram = {low, sizeof low, high, sizeof high};

static void edges(void **state)
{
    (void)state;
    assert_ptr_equal(guest_ram_at(&ram, 0, 1), low);
    assert_ptr_equal(guest_ram_at(&ram, 0, E820_VGA), low);
    assert_null(guest_ram_at(&ram, 0, E820_VGA + 1));
    assert_null(guest_ram_at(&ram, 0, 0));
    assert_null(guest_ram_at(&ram, E820_VGA - 1, 2));
    assert_null(guest_ram_at(&ram, E820_VGA, 1));
    assert_null(guest_ram_at(&ram, E820_ROM - 1, 1));
    assert_null(guest_ram_at(&ram, 0x1000, 0x100000)); /* across the window */
    assert_ptr_equal(guest_ram_at(&ram, E820_ROM, 0x140000), low + E820_ROM);
    assert_null(guest_ram_at(&ram, E820_ROM, 0x140001));
    assert_ptr_equal(guest_ram_at(&ram, 2 * MIB - 1, 1), low + 2 * MIB - 1);
    assert_null(guest_ram_at(&ram, 2 * MIB - 1, 2));
    assert_null(guest_ram_at(&ram, 2 * MIB, 1));
    assert_null(guest_ram_at(&ram, 2 * MIB - 1, UINT64_MAX));
    assert_null(guest_ram_at(&ram, E820_ABOVE_4G - 1, 2));
    assert_ptr_equal(guest_ram_at(&ram, E820_ABOVE_4G, MIB), high);
    assert_null(guest_ram_at(&ram, E820_ABOVE_4G, MIB + 1));
    assert_null(guest_ram_at(&ram, E820_ABOVE_4G + MIB, 1));
    assert_null(guest_ram_at(&ram, E820_ABOVE_4G + 1, UINT64_MAX));
    assert_null(guest_ram_at(&ram, UINT64_MAX, 1));
    assert_null(guest_ram_at(&ram, UINT64_MAX, UINT64_MAX));
}

static void copies(void **state)
{
    uint8_t buffer[4] = {1, 2, 3, 4};

    (void)state;
    assert_true(guest_ram_write(&ram, 0x1000, buffer, 4));
    assert_memory_equal(low + 0x1000, buffer, 4);
    assert_true(guest_ram_fill(&ram, 0x1001, 9, 2));
    assert_true(guest_ram_read(&ram, 0x1000, buffer, 4));
    assert_memory_equal(buffer, "\1\11\11\4", 4);
    assert_true(guest_ram_read(&ram, UINT64_MAX, buffer, 0));
    assert_true(guest_ram_write(&ram, UINT64_MAX, buffer, 0));
    assert_true(guest_ram_fill(&ram, UINT64_MAX, 0, 0));
    assert_false(guest_ram_read(&ram, 2 * MIB - 3, buffer, 4));
    assert_false(guest_ram_write(&ram, 2 * MIB - 3, buffer, 4));
    assert_false(guest_ram_fill(&ram, 2 * MIB - 3, 0, 4));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(layouts),
        cmocka_unit_test(edges),
        cmocka_unit_test(copies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
