/* SPDX-License-Identifier: ISC */
/* guest_ram_at at every edge, and copies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "vmm/bus/ram.h"

#define MIB (1ull << 20)

static uint8_t low[2 * MIB], high[MIB];
static const struct guest_ram ram = {
    .low = low, .low_size = sizeof low, .high = high, .high_size = sizeof high};

static void edges(void **state)
{
    (void)state;
    assert_ptr_equal(guest_ram_at(&ram, 0, 1), low);
    assert_ptr_equal(guest_ram_at(&ram, 0, RAM_VGA), low);
    assert_null(guest_ram_at(&ram, 0, RAM_VGA + 1));
    assert_null(guest_ram_at(&ram, 0, 0));
    assert_null(guest_ram_at(&ram, RAM_VGA - 1, 2));
    assert_null(guest_ram_at(&ram, RAM_VGA, 1));
    assert_null(guest_ram_at(&ram, RAM_ROM - 1, 1));
    assert_null(guest_ram_at(&ram, 0x1000, 0x100000)); /* across the window */
    assert_ptr_equal(guest_ram_at(&ram, RAM_ROM, 0x140000), low + RAM_ROM);
    assert_null(guest_ram_at(&ram, RAM_ROM, 0x140001));
    assert_ptr_equal(guest_ram_at(&ram, 2 * MIB - 1, 1), low + 2 * MIB - 1);
    assert_null(guest_ram_at(&ram, 2 * MIB - 1, 2));
    assert_null(guest_ram_at(&ram, 2 * MIB, 1));
    assert_null(guest_ram_at(&ram, 2 * MIB - 1, UINT64_MAX));
    assert_null(guest_ram_at(&ram, RAM_ABOVE_4G - 1, 2));
    assert_ptr_equal(guest_ram_at(&ram, RAM_ABOVE_4G, MIB), high);
    assert_null(guest_ram_at(&ram, RAM_ABOVE_4G, MIB + 1));
    assert_null(guest_ram_at(&ram, RAM_ABOVE_4G + MIB, 1));
    assert_null(guest_ram_at(&ram, RAM_ABOVE_4G + 1, UINT64_MAX));
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

static void expect_three(const struct guest_ram *at, uint64_t gpa, uint64_t length, const void *both,
                         const void *to_read, const void *to_write)
{
    assert_ptr_equal(guest_ram_at(at, gpa, length), both);
    assert_ptr_equal(guest_ram_to_read(at, gpa, length), to_read);
    assert_ptr_equal(guest_ram_to_write(at, gpa, length), to_write);
}

static uint32_t no_reads(unsigned segment)
{
    return 1u << segment;
}

static uint32_t no_writes(unsigned segment)
{
    return 1u << (RAM_SEGMENTS + segment);
}

/* Each of the four states of a segment, and ranges that meet it. */
static void shadow_states(void **state)
{
    static const uint8_t rom[0x40000];
    struct guest_ram shadowed = {.low = low,
                                 .low_size = sizeof(low),
                                 .high = high,
                                 .high_size = sizeof(high),
                                 .rom = rom,
                                 .rom_size = sizeof(rom)};

    (void)state;
    expect_three(&shadowed, 0xf0000, 0x10000, low + 0xf0000, low + 0xf0000, low + 0xf0000);
    shadowed.shadow = no_writes(12) | no_writes(13) | no_writes(14) | no_writes(15);
    expect_three(&shadowed, 0xf0000, 0x10000, NULL, low + 0xf0000, NULL);
    expect_three(&shadowed, 0xeffff, 1, low + 0xeffff, low + 0xeffff, low + 0xeffff);
    expect_three(&shadowed, 0xeffff, 2, NULL, low + 0xeffff, NULL);
    expect_three(&shadowed, 0xe0000, 0x30000, NULL, low + 0xe0000, NULL);
    expect_three(&shadowed, RAM_HIGH, 0x1000, low + RAM_HIGH, low + RAM_HIGH, low + RAM_HIGH);
    shadowed.shadow = no_reads(15);
    expect_three(&shadowed, 0xffff0, 16, NULL, rom + 0x3fff0, low + 0xffff0);
    expect_three(&shadowed, 0xffff0, 17, NULL, NULL, low + 0xffff0); /* ROM and RAM */
    expect_three(&shadowed, 0xfbfff, 2, NULL, NULL, low + 0xfbfff);
    expect_three(&shadowed, 0xfbfff, 1, low + 0xfbfff, low + 0xfbfff, low + 0xfbfff);
    shadowed.shadow = no_reads(0) | no_writes(0) | no_reads(8) | no_writes(8);
    expect_three(&shadowed, 0xc0000, 1, NULL, NULL, NULL); /* the ROM does not reach down to it */
    expect_three(&shadowed, 0xe0000, 4, NULL, rom + 0x20000, NULL);
    expect_three(&shadowed, 0xdffff, 2, NULL, NULL, NULL);
    expect_three(&shadowed, 0xc4000, 1, low + 0xc4000, low + 0xc4000, low + 0xc4000);
    expect_three(&shadowed, 0x9ffff, 0x24001, NULL, NULL, NULL); /* over the window */
    /* A ROM of 64 KiB, whose place is half. */
    shadowed.rom_size = 0x10000;
    shadowed.shadow = UINT32_MAX;
    expect_three(&shadowed, 0xeffff, 1, NULL, NULL, NULL);
    expect_three(&shadowed, 0xf0000, 0x10000, NULL, rom, NULL);
    expect_three(&shadowed, 0xf0000, 0x10001, NULL, NULL, NULL);
}

/* At 4 GiB, whatever the segments are. */
static void rom_at_4g(void **state)
{
    static const uint8_t bytes[0x40000];
    struct guest_ram with = {.low = low,
                             .low_size = sizeof(low),
                             .high = high,
                             .high_size = sizeof(high),
                             .shadow = UINT32_MAX,
                             .rom = bytes,
                             .rom_size = sizeof(bytes)};

    (void)state;
    expect_three(&with, 0xfffc0000, 0x40000, NULL, bytes, NULL);
    expect_three(&with, 0xfffffff0, 16, NULL, bytes + 0x3fff0, NULL);
    expect_three(&with, 0xfffffff0, 17, NULL, NULL, NULL);
    expect_three(&with, 0xfffbffff, 1, NULL, NULL, NULL);
    expect_three(&with, 0xfffffff0, UINT64_MAX, NULL, NULL, NULL);
    expect_three(&with, 0xfffffff0, 0, NULL, NULL, NULL);
    expect_three(&with, RAM_ABOVE_4G, 1, high, high, high);
    expect_three(&with, UINT64_MAX, 1, NULL, NULL, NULL);
    expect_three(&ram, 0xfffffff0, 1, NULL, NULL, NULL);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(edges),
        cmocka_unit_test(copies),
        cmocka_unit_test(shadow_states),
        cmocka_unit_test(rom_at_4g),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
