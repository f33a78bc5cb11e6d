/* SPDX-License-Identifier: ISC */
/* The script is carried out as SeaBIOS does it, somewhere in memory; then the tables must be right there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "vmm/firmware/table_loader.h"

#define TABLES_AT 0x345640u
#define RSDP_AT   0xf5a30u

static struct table_loader loader;
static uint8_t memory[4 << 20];

static const struct acpi_config config = {
    .cpus = 8,
    .lapic_base = 0xfee00000,
    .ioapic_base = 0xfec00000,
    .pm_base = 0x600,
    .smi_port = 0xb2,
    .sci_irq = 9,
    .i8042 = true,
    .vga = true,
    .com1 = true,
    .pci_base = 0xc0000000,
    .pci_last = 0xfebfffff,
    .pirq_irqs = 1u << 5 | 1u << 10 | 1u << 11,
    .isa_slot = 1,
};

static uint64_t get(const uint8_t *from, unsigned bytes)
{
    uint64_t value = 0;

    while (bytes--)
        value = value << 8 | from[bytes];
    return value;
}

static uint8_t sum(const uint8_t *bytes, uint64_t length)
{
    uint8_t value = 0;

    while (length--)
        value = (uint8_t)(value + *bytes++);
    return value;
}

static uint32_t place(const uint8_t *file)
{
    if (strcmp((const char *)file, TABLE_LOADER_RSDP) == 0)
        return RSDP_AT;
    assert_string_equal((const char *)file, TABLE_LOADER_TABLES);
    return TABLES_AT;
}

static void carry_out(const uint8_t *entry)
{
    uint32_t at = place(entry + 4);
    const uint8_t *fields = entry + 60;

    switch (get(entry, 4)) {
    case 1:
        assert_int_equal(at % get(fields, 4), 0);
        assert_int_equal(fields[4], at == RSDP_AT ? 2 : 1);
        break;
    case 2: {
        uint8_t *word = memory + at + get(fields + 56, 4), bytes = fields[60];
        uint64_t value = get(word, bytes) + place(fields);

        for (unsigned i = 0; i < bytes; i++)
            word[i] = (uint8_t)(value >> i * 8);
        break;
    }
    default: {
        uint8_t *byte = memory + at + get(fields, 4);

        assert_int_equal(get(entry, 4), 3);
        *byte = (uint8_t)(*byte - sum(memory + at + get(fields + 4, 4), get(fields + 8, 4)));
    }
    }
}

static const uint8_t *table(uint64_t at, const char *signature)
{
    assert_in_range(at, TABLES_AT, TABLES_AT + TABLE_LOADER_BYTES - 1);
    assert_memory_equal(memory + at, signature, 4);
    if (strcmp(signature, "FACS") != 0)
        assert_int_equal(sum(memory + at, get(memory + at + 4, 4)), 0);
    return memory + at;
}

static void test_script(void **state)
{
    const uint8_t *rsdp = memory + RSDP_AT, *xsdt, *fadt;

    (void)state;
    assert_true(table_loader_build(&loader, &config));
    memcpy(memory + TABLES_AT, loader.memory, TABLE_LOADER_BYTES);
    memcpy(memory + RSDP_AT, loader.memory + TABLE_LOADER_RSDP_AT, TABLE_LOADER_RSDP_LEN);
    for (uint32_t at = 0; at < loader.script_size; at += TABLE_LOADER_ENTRY)
        carry_out(loader.script + at);
    assert_memory_equal(rsdp, "RSD PTR ", 8);
    assert_int_equal(sum(rsdp, 20), 0);
    assert_int_equal(sum(rsdp, 36), 0);
    xsdt = table(get(rsdp + 24, 8), "XSDT");
    fadt = table(get(xsdt + 36, 8), "FACP");
    (void)table(get(xsdt + 44, 8), "APIC");
    (void)table(get(fadt + 36, 4), "FACS");
    (void)table(get(fadt + 40, 4), "DSDT");
    assert_int_equal(get(fadt + 36, 4) % 64, 0);
    assert_int_equal(get(fadt + 40, 4), get(fadt + 140, 8));
}

static void test_refused(void **state)
{
    struct acpi_config wrong = config;

    (void)state;
    wrong.cpus = 0;
    assert_false(table_loader_build(&loader, &wrong));
    wrong.cpus = ACPI_MAX_CPUS;
    assert_true(table_loader_build(&loader, &wrong));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_script),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
