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

/* A package in place of the machine's own. */
static bool types_of(const uint8_t *package, size_t bytes, unsigned *types)
{
    machine(2);
    number(DSDT + 4, 36 + 20 + 6 + bytes, 4);
    memcpy(memory + DSDT + 36 + 20 + 6, package, bytes);
    return acpi_sleep_types(physical, RSDP, types);
}

static void every_kind_of_integer(void **state)
{
    static const struct {
        uint8_t bytes[24], length;
        unsigned types;
    } rows[] = {
        {{0x12, 0x06, 0x01, 0x0b, 0x05, 0x07}, 6, 0x0705}, /* one element holds both */
        {{0x12, 0x04, 0x01, 0x0a, 0x05}, 5, 0x0005},
        {{0x12, 0x08, 0x01, 0x0c, 0x05, 0x07, 0x11, 0x22}, 8, 0x0705},
        {{0x12, 0x0c, 0x01, 0x0e, 0x05, 0x07, 1, 2, 3, 4, 5, 6}, 12, 0x0705},
        {{0x12, 0x03, 0x01, 0x01}, 4, 0x0001},
        {{0x12, 0x03, 0x01, 0xff}, 4, 0xffff},
        {{0x12, 0x04, 0x02, 0x00, 0x01}, 5, 0x0100},
        {{0x12, 0x04, 0x02, 0xff, 0x00}, 5, 0x00ff},
        {{0x12, 0x08, 0x02, 0x0b, 0x05, 0x00, 0x0b, 0x07, 0x00}, 9, 0x0705},
        {{0x12, 0x0c, 0x02, 0x0c, 5, 0, 0, 0, 0x0c, 7, 0, 0, 0}, 13, 0x0705},
        {{0x12, 0x0a, 0x04, 0x0a, 0x05, 0x0a, 0x07, 0x0a, 0x01, 0x0a, 0x02}, 11, 0x0705},
        {{0x12, 0x47, 0x00, 0x02, 0x0a, 0x05, 0x0a, 0x07}, 8, 0x0705}, /* longer lengths */
        {{0x12, 0x88, 0x00, 0x00, 0x02, 0x0a, 0x05, 0x0a, 0x07}, 9, 0x0705},
        {{0x12, 0xc9, 0x00, 0x00, 0x00, 0x02, 0x0a, 0x05, 0x0a, 0x07}, 10, 0x0705},
    };
    static const struct {
        uint8_t bytes[16], length;
    } wrong[] = {
        {{0x12, 0x02, 0x00}, 3},                         /* no element */
        {{0x12, 0x06, 0x01, 0x0b, 0x05, 0x07}, 5},       /* cut off */
        {{0x12, 0x04, 0x01, 0x0b, 0x05, 0x07}, 6},       /* ends within the number */
        {{0x12, 0x04, 0x02, 0x0a, 0x05, 0x0a, 0x07}, 7}, /* the second one is behind its end */
        {{0x12, 0x06, 0x01, 0x0d, '5', 0x00}, 6},        /* a string */
        {{0x12, 0x07, 0x01, 'S', 'S', 'T', '5'}, 7},     /* a name */
        {{0x12, 0x3f, 0x02, 0x0a, 0x05, 0x0a}, 6},       /* it and the table are cut off */
        {{0x12, 0xcf, 0xff, 0xff, 0xff, 0x02, 0x00}, 7}, /* so, too */
        {{0x12, 0x01, 0x02, 0x0a, 0x05, 0x0a, 0x07}, 7}, /* shorter than itself */
        {{0x12, 0x00, 0x01, 0x00}, 4},
        {{0x12, 0xc1, 0x00, 0x00}, 4},
        {{0x12}, 1},
        {{0x13, 0x06, 0x01, 0x0b, 0x05, 0x07}, 6}, /* a package of a computed length */
    };
    unsigned types;
    (void)state;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        types = 0xdead;
        assert_true(types_of(rows[i].bytes, rows[i].length, &types));
        assert_int_equal(types, rows[i].types);
    }
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
        assert_false(types_of(wrong[i].bytes, wrong[i].length, &types));
}

/* Either list may be missing, be nonsense, or lack the table. */
static void one_of_two_lists_is_enough(void **state)
{
    unsigned types;
    (void)state;
    machine(2);
    assert_true(acpi_sleep_types(physical, RSDP, &types)); /* RSDT's address is 0 */
    number(RSDP + 16, 0xfffff000, 4);
    assert_true(acpi_sleep_types(physical, RSDP, &types));
    for (unsigned kind = 0; kind < 4; kind++) {
        machine(0);
        memory[RSDP + 15] = 2;
        number(RSDP + 24, kind == 0 ? 0 : kind == 1 ? 0xfffff000 : 0xc00, 8);
        if (kind == 3)
            table(0xc00, "XSDT", 36);
        types = 0;
        assert_true(acpi_sleep_types(physical, RSDP, &types));
        assert_int_equal(types, 0x0705);
    }
    machine(0); /* before revision 2 there are 20 bytes */
    memcpy(memory + sizeof(memory) - 20, memory + RSDP, 20);
    assert_true(acpi_sleep_types(physical, sizeof(memory) - 20, &types));
    memory[sizeof(memory) - 20 + 15] = 2;
    assert_false(acpi_sleep_types(physical, sizeof(memory) - 20, &types));
}

static void registers_are_found(void **state)
{
    struct acpi_range range[3];
    (void)state;
    machine(2);
    assert_int_equal(acpi_ranges(physical, RSDP, range, 3), 0);
    number(ROOT + 4, 36 + 5 * 8, 4);
    number(ROOT + 60, 0xa00, 8);
    number(ROOT + 68, 0xb00, 8);
    table(0xa00, "MCFG", 44 + 2 * 16);
    number(0xa00 + 44, 0xb0000000, 8);
    number(0xa00 + 44 + 11, 0xff, 1);
    number(0xa00 + 60, 0x1000000000, 8);
    number(0xa00 + 60 + 10, 0x20, 1);
    number(0xa00 + 60 + 11, 0x21, 1);
    table(0xb00, "HPET", 56);
    number(0xb00 + 44, 0xfed00000, 8);
    assert_int_equal(acpi_ranges(physical, RSDP, range, 3), 3);
    assert_int_equal(range[0].base, 0xb0000000);
    assert_int_equal(range[0].last, 0xbfffffff);
    assert_int_equal(range[1].base, 0x1002000000);
    assert_int_equal(range[1].last, 0x10021fffff);
    assert_int_equal(range[2].base, 0xfed00000);
    assert_int_equal(range[2].last, 0xfed00fff);
    memset(&range[1], 0, sizeof(range[1]));
    assert_int_equal(acpi_ranges(physical, RSDP, range, 1), 3); /* that there are more is said */
    assert_int_equal(range[1].last, 0);
    number(0xa00 + 4, 44 + 2 * 16 - 1, 4); /* cut off */
    number(0xb00 + 4, 51, 4);
    assert_int_equal(acpi_ranges(physical, RSDP, range, 3), 1);
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
        struct acpi_range range[3];
        if (acpi_sleep_types(physical, RSDP, &types))
            assert_true(types <= 0xffff);
        (void)acpi_ranges(physical, RSDP, range, 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_revisions),
        cmocka_unit_test(every_kind_of_integer),
        cmocka_unit_test(one_of_two_lists_is_enough),
        cmocka_unit_test(registers_are_found),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(every_byte_may_be_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
