/* SPDX-License-Identifier: ISC */
/* The MP tables, read as a guest reads them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "vmm/firmware/mptable.h"

#define RAM_SIZE (2u << 20)

static unsigned word(const uint8_t *at, unsigned bytes)
{
    unsigned value = 0;

    while (bytes--)
        value = value << 8 | at[bytes];
    return value;
}

static unsigned sum(const uint8_t *at, unsigned length)
{
    unsigned value = 0;

    while (length--)
        value += *at++;
    return value & 0xff;
}

static void test_reads(void **state)
{
    static const struct mptable_pci pci[] = {{4, 1, 10}, {1, 1, 9}};
    uint8_t *memory = malloc(RAM_SIZE);
    struct guest_ram ram = {.low = memory, .low_size = RAM_SIZE};
    struct mptable_config config = {.cpus = 3,
                                    .signature = 0x800f12,
                                    .features = 0x78bfbff,
                                    .lapic_base = 0xfee00000,
                                    .ioapic_base = 0xfec00000,
                                    .sci_irq = 9,
                                    .pci = pci,
                                    .pci_count = 2};
    const uint8_t *pointer = memory + MPTABLE_BASE, *table = pointer + 16, *at = table + 44;
    unsigned of_type[5] = {0};

    (void)state;
    assert_non_null(memory);
    memset(memory, 0xa5, RAM_SIZE);
    assert_true(mptable_build(&ram, &config));
    assert_memory_equal(pointer, "_MP_", 4);
    assert_int_equal(sum(pointer, 16), 0);
    assert_int_equal(word(pointer + 4, 4), MPTABLE_BASE + 16);
    assert_memory_equal(table, "PCMP", 4);
    assert_int_equal(sum(table, word(table + 4, 2)), 0);
    assert_int_equal(word(table + 36, 4), 0xfee00000);
    for (unsigned i = 0; i < word(table + 34, 2); i++) {
        assert_in_range(at[0], 0, 4);
        if (at[0] == 0) {
            assert_int_equal(at[1], of_type[0]);
            assert_int_equal(at[3], of_type[0] == 0 ? 3 : 1);
            assert_int_equal(word(at + 4, 4), 0x800f12);
        }
        if (at[0] == 2)
            assert_int_equal(word(at + 4, 4), 0xfec00000);
        if (at[0] == 1) {
            assert_int_equal(at[1], of_type[1]);
            assert_memory_equal(at + 2, at[1] ? "ISA" : "PCI", 3);
        }
        if (at[0] == 3 && at[4] == 1) {
            assert_int_equal(at[7], at[5] == 0 ? 2 : at[5]);
            assert_int_equal(word(at + 2, 2), at[5] == 9 ? 0xd : 0);
            assert_int_not_equal(at[5], 10); /* PCI's */
        }
        if (at[0] == 3 && at[4] == 0) {
            assert_int_equal(word(at + 2, 2), 0xd);
            assert_int_equal(at[5], of_type[3] == 14 ? 4 << 2 : 1 << 2);
            assert_int_equal(at[7], of_type[3] == 14 ? 10 : 9);
        }
        of_type[at[0]]++;
        at += at[0] == 0 ? 20 : 8;
    }
    assert_int_equal(at - table, word(table + 4, 2));
    assert_int_equal(of_type[0], 3);
    assert_int_equal(of_type[1], 2);
    assert_int_equal(of_type[2], 1);
    assert_int_equal(of_type[3], 14 + 2);
    assert_int_equal(of_type[4], 2);
    assert_int_equal(*at, 0xa5);
    free(memory);
}

static void test_refuses(void **state)
{
    static uint8_t memory[4096];
    struct guest_ram ram = {.low = memory, .low_size = sizeof memory};

    (void)state;
    assert_false(mptable_build(&ram, &(struct mptable_config){.cpus = 1}));
    ram = (struct guest_ram){.low = memory, .low_size = RAM_SIZE};
    assert_false(mptable_build(&ram, &(struct mptable_config){.cpus = 0}));
    assert_false(mptable_build(&ram, &(struct mptable_config){.cpus = 65}));
    assert_false(mptable_build(
        &ram, &(struct mptable_config){.cpus = 1, .pci = NULL, .pci_count = MPTABLE_PCI_MAX + 1}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads),
        cmocka_unit_test(test_refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
