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
static const struct guest_ram ram = {low, sizeof low, high, sizeof high};

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

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(edges),
        cmocka_unit_test(copies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
