/* SPDX-License-Identifier: ISC */
/* What the whole machine hands its guest before it runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/machine/bda.h"
#include "vmm/machine/machine.h"

static uint8_t low[E820_MIN_RAM];
static struct machine machine;

static unsigned get16(unsigned address)
{
    return low[address] | (unsigned)low[address + 1] << 8;
}

/* The tables are where a guest without firmware looks for them. */
static void test_tables(void **state)
{
    struct machine_config config = {.name = "test", .ram = {low, sizeof(low), NULL, 0}};

    (void)state;
    clock_init(&config.clock, 0, 2000000000);
    assert_true(e820_layout(sizeof(low), &config.map));
    assert_true(machine_init(&machine, &config));
    assert_int_equal(machine_write_tables(&machine, 0, 0), E820_RSDP);
    assert_memory_equal(low + E820_RSDP, "RSD PTR ", 8);
    assert_int_equal(get16(BDA_COM), MACHINE_COM1);
    assert_int_equal(get16(BDA_EBDA) << 4, E820_EBDA);
    assert_int_equal(get16(BDA_MEMORY) << 10, E820_EBDA);
    assert_int_equal(get16(BDA_EQUIPMENT), 0x206);
    assert_int_equal(low[BDA_DISKS], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tables)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
