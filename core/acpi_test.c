/* SPDX-License-Identifier: ISC */
/* The search for \_S5 in tables good, bad and absent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/acpi.h"

#include <string.h>

#define RSDP 0x100u
#define ROOT 0x200u
#define FADT 0x400u
#define DSDT 0x800u

static uint8_t memory[0x1000];

static const void *physical(uint64_t address, size_t bytes)
{
    return address < sizeof(memory) && bytes <= sizeof(memory) - address ? memory + address : NULL;
}

static void number(unsigned at, uint64_t value, unsigned bytes)
{
    memcpy(memory + at, &value, bytes);
}

static void table(unsigned at, const char *signature, unsigned bytes)
{
    memcpy(memory + at, signature, 4);
    number(at + 4, bytes, 4);
}

static void machine(uint8_t revision)
{
    static const uint8_t aml[] = {0x10, 0x08, '_',  'S',  '5',  '_',  0x12, 0x0a,
                                  0x04, 0x0a, 0x05, 0x0a, 0x07, 0x00, 0x00};
    memset(memory, 0, sizeof(memory));
    memcpy(memory + RSDP, "RSD PTR ", 8);
    memory[RSDP + 15] = revision;
    number(RSDP + (revision >= 2 ? 24 : 16), ROOT, revision >= 2 ? 8 : 4);
    table(ROOT, revision >= 2 ? "XSDT" : "RSDT", 36 + 3 * (revision >= 2 ? 8u : 4u));
    number(ROOT + 36, 0xfffff000, 4);
    number(ROOT + (revision >= 2 ? 52u : 44u), FADT, 4);
    table(FADT, "FACP", revision >= 2 ? 244 : 116);
    number(FADT + (revision >= 2 ? 140u : 40u), DSDT, 4);
    table(DSDT, "DSDT", 36 + 20 + sizeof(aml));
    memcpy(memory + DSDT + 36 + 20, aml, sizeof(aml));
}

static void both_revisions(void **state)
{
    (void)state;
    for (uint8_t revision = 0; revision <= 2; revision += 2) {
        unsigned types = 0;
        machine(revision);
        assert_true(acpi_sleep_types(physical, RSDP, &types));
        assert_int_equal(types, 0x0705);
    }
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    unsigned types;
    machine(2);
    assert_false(acpi_sleep_types(physical, 0, &types));
    assert_false(acpi_sleep_types(physical, ROOT, &types));
    assert_false(acpi_sleep_types(physical, UINT64_MAX, &types));
    number(DSDT + 4, 0xffffffff, 4);
    assert_false(acpi_sleep_types(physical, RSDP, &types));
    number(DSDT + 4, 36 + 20 + 8, 4); /* ends within the package */
    assert_false(acpi_sleep_types(physical, RSDP, &types));
    machine(0);
    number(ROOT + 4, 40, 4); /* the FADT's entry is no more in the table */
    assert_false(acpi_sleep_types(physical, RSDP, &types));
    machine(0);
    number(FADT + 4, 20, 4);
    assert_false(acpi_sleep_types(physical, RSDP, &types));
}

static void every_byte_may_be_wrong(void **state)
{
    (void)state;
    uint64_t seed = 7;
    for (unsigned i = 0; i < 20000; i++) {
        unsigned types;
        machine(i % 2 ? 2 : 0);
        for (unsigned j = 0; j < 4; j++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            memory[RSDP + (seed >> 33) % (sizeof(memory) - RSDP)] = (uint8_t)(seed >> 56);
        }
        if (acpi_sleep_types(physical, RSDP, &types))
            assert_true(types <= 0xffff);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_revisions),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(every_byte_may_be_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
