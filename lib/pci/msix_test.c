/* SPDX-License-Identifier: ISC */
/* The capability of MSI-X in spaces that hold one, none, or nonsense. */
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "lib/pci/msix.h"

static uint8_t space[256];
static unsigned reads;

static uint32_t space_read(void *context, unsigned offset)
{
    uint32_t value;

    (void)context;
    assert_true(offset % 4 == 0 && offset <= 252);
    reads++;
    memcpy(&value, space + offset, 4);
    return value;
}

static void put(unsigned offset, uint32_t value)
{
    memcpy(space + offset, &value, 4);
}

static void finds_the_table(void **state)
{
    struct msix_table table;

    (void)state;
    memset(space, 0, sizeof(space));
    assert_false(msix_find(space_read, NULL, &table));
    put(0x34, 0x50);
    put(0x50, 0x00006005); /* MSI, the last one */
    assert_false(msix_find(space_read, NULL, &table));
    put(0x50, 0x00006005);
    put(0x60, 0x80400011);
    put(0x64, 0x00002001);
    assert_true(msix_find(space_read, NULL, &table));
    assert_int_equal(table.bar, 1);
    assert_int_equal(table.offset, 0x2000);
    assert_int_equal(table.entries, 0x41);
    put(0x64, 0x00002006); /* no such BAR */
    assert_false(msix_find(space_read, NULL, &table));
}

static void nonsense_has_an_end(void **state)
{
    struct msix_table table;

    (void)state;
    put(0x34, 0x40);
    put(0x40, 0x4009); /* a loop */
    reads = 0;
    assert_false(msix_find(space_read, NULL, &table));
    assert_true(reads < 64);
    put(0x34, 0xfc);
    put(0xfc, 0x11); /* cut off */
    assert_false(msix_find(space_read, NULL, &table));
    for (unsigned i = 0; i < 5000; i++) {
        for (unsigned j = 0; j < sizeof(space); j++)
            space[j] = rand() % 3 ? (uint8_t)rand() : 0x11;
        if (msix_find(space_read, NULL, &table))
            assert_true(table.bar < 6 && table.offset % 8 == 0 && table.entries <= 2048);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_table),
        cmocka_unit_test(nonsense_has_an_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
