/* SPDX-License-Identifier: ISC */
/*
 * The ACPI tables as a guest finds them: from the RSDP by pointers, every length and checksum, and the AML
 * that matters most. (A disassembler is the better judge of the rest; it was asked during development.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/firmware/acpi.h"
#include "vmm/firmware/acpi_aml.h"

#define RAM_SIZE (4u << 20)

static uint8_t low[RAM_SIZE];
static const struct guest_ram ram = {.low = low, .low_size = RAM_SIZE};

static const struct acpi_config full = {
    .rsdp = E820_RSDP,
    .tables = RAM_SIZE - E820_ACPI_LENGTH,
    .length = E820_ACPI_LENGTH,
    .cpus = 4,
    .lapic_base = 0xfee00000,
    .ioapic_base = 0xfec00000,
    .pm_base = 0xb000,
    .smi_port = 0xb2,
    .acpi_enable = 0xf1,
    .acpi_disable = 0xf0,
    .sci_irq = 9,
    .century = 0x32,
    .i8042 = true,
    .vga = true,
    .com1 = true,
    .pci_base = 0xc0000000,
    .pci_last = 0xfebfffff,
    .pirq_irqs = 1u << 5 | 1u << 10 | 1u << 11,
    .isa_slot = 1,
};

static uint64_t get(const uint8_t *bytes, unsigned width)
{
    uint64_t value = 0;

    for (unsigned i = width; i-- > 0;)
        value = value << 8 | bytes[i];
    return value;
}

static const uint8_t *table(uint64_t gpa, const char *signature)
{
    const uint8_t *bytes = guest_ram_at(&ram, gpa, 36);
    uint64_t length;
    uint8_t sum = 0;

    assert_non_null(bytes);
    assert_memory_equal(bytes, signature, 4);
    length = get(bytes + 4, 4);
    assert_non_null(guest_ram_at(&ram, gpa, length));
    for (uint64_t i = 0; i < length; i++)
        sum = (uint8_t)(sum + bytes[i]);
    assert_int_equal(sum, 0);
    return bytes;
}

static const uint8_t *xsdt_entry(unsigned index, const char *signature)
{
    const uint8_t *rsdp = low + E820_RSDP;
    const uint8_t *xsdt = table(get(rsdp + 24, 8), "XSDT");

    assert_int_equal(get(xsdt + 4, 4), 36 + 16);
    return table(get(xsdt + 36 + 8 * index, 8), signature);
}

static void rsdp(void **state)
{
    const uint8_t *bytes = low + E820_RSDP;
    uint8_t sum = 0;

    (void)state;
    assert_true(acpi_build(&ram, &full));
    assert_memory_equal(bytes, "RSD PTR ", 8);
    for (unsigned i = 0; i < 20; i++)
        sum = (uint8_t)(sum + bytes[i]);
    assert_int_equal(sum, 0);
    for (unsigned i = 20; i < 36; i++)
        sum = (uint8_t)(sum + bytes[i]);
    assert_int_equal(sum, 0);
    assert_int_equal(bytes[15], 2);
}

static void fadt(void **state)
{
    const uint8_t *bytes, *facs;
    struct acpi_config bare = full;

    (void)state;
    assert_true(acpi_build(&ram, &full));
    bytes = xsdt_entry(0, "FACP");
    assert_int_equal(get(bytes + 4, 4), 268);
    assert_int_equal(bytes[8], 5);
    facs = guest_ram_at(&ram, get(bytes + 36, 4), 64);
    assert_non_null(facs);
    assert_memory_equal(facs, "FACS", 4);
    assert_int_equal(get(bytes + 36, 4) % 64, 0);
    table(get(bytes + 40, 4), "DSDT");
    assert_int_equal(get(bytes + 40, 4), get(bytes + 140, 8));
    assert_int_equal(get(bytes + 46, 2), 9);
    assert_int_equal(get(bytes + 48, 4), 0xb2);
    assert_int_equal(get(bytes + 56, 4), 0xb000);
    assert_int_equal(get(bytes + 64, 4), 0xb004);
    assert_int_equal(get(bytes + 76, 4), 0xb008);
    assert_int_equal(get(bytes + 152, 8), 0xb000);
    assert_int_equal(get(bytes + 176, 8), 0xb004);
    assert_int_equal(get(bytes + 212, 8), 0xb008);
    assert_int_equal(get(bytes + 120, 8), 0xcf9);
    assert_int_equal(bytes[128], 6);
    assert_int_equal(bytes[108], 0x32);
    assert_int_equal(get(bytes + 109, 2), 0x13);
    bare.i8042 = bare.vga = false;
    bare.smi_port = 0;
    assert_true(acpi_build(&ram, &bare));
    bytes = xsdt_entry(0, "FACP");
    assert_int_equal(get(bytes + 109, 2), 0x15);
    assert_int_equal(get(bytes + 48, 6), 0);
}

static void madt(void **state)
{
    static const uint8_t tail[] = {1, 12, 0,    0,  0,  0, 0xc0, 0xfe, 0,   0, 0, 0, /* I/O APIC */
                                   2, 10, 0,    0,  2,  0, 0,    0,    0,   0,       /* IRQ 0 is pin 2 */
                                   2, 10, 0,    5,  5,  0, 0,    0,    0xd, 0, /* level-triggered ones */
                                   2, 10, 0,    9,  9,  0, 0,    0,    0xd, 0, /* */
                                   2, 10, 0,    10, 10, 0, 0,    0,    0xd, 0, /* */
                                   2, 10, 0,    11, 11, 0, 0,    0,    0xd, 0, /* */
                                   4, 6,  0xff, 0,  0,  1};
    const uint8_t *bytes;

    (void)state;
    assert_true(acpi_build(&ram, &full));
    bytes = xsdt_entry(1, "APIC");
    assert_int_equal(get(bytes + 4, 4), 44 + 4 * 8 + sizeof tail);
    assert_int_equal(get(bytes + 36, 4), 0xfee00000);
    for (unsigned cpu = 0; cpu < 4; cpu++) {
        const uint8_t entry[8] = {0, 8, (uint8_t)cpu, (uint8_t)cpu, 1};

        assert_memory_equal(bytes + 44 + 8 * cpu, entry, 8);
    }
    assert_memory_equal(bytes + 44 + 32, tail, sizeof tail);
}

static void dsdt(void **state)
{
    static const uint8_t s5[] = {0x08, '_', 'S', '5', '_', 0x12, 0x08, 0x04, 0x0a, 0x05, 0x0a, 0x05, 0, 0};
    const uint8_t *bytes;
    uint64_t length, scope;

    (void)state;
    assert_true(acpi_build(&ram, &full));
    bytes = table(get(xsdt_entry(0, "FACP") + 40, 4), "DSDT");
    length = get(bytes + 4, 4);
    assert_memory_equal(bytes + 36, s5, sizeof s5);
    bytes += 36 + sizeof s5;
    assert_int_equal(bytes[0], 0x10);
    assert_int_equal(bytes[1] >> 6, 1); /* two bytes of length, and they reach to the end of the table */
    scope = (bytes[1] & 0xfu) | (uint64_t)bytes[2] << 4;
    assert_int_equal(scope + 1, length - 36 - sizeof s5);
    assert_memory_equal(bytes + 3, "\\_SB_", 5);
    assert_memory_equal(bytes + 8, "\x5b\x82", 2);
    assert_memory_equal(bytes + 12, "PCI0\x08_HID\x0c\x41\xd0\x0a\x03", 14);
}

/* Finds `bytes` in the DSDT; their number in *times. */
static const uint8_t *find_aml(const uint8_t *dsdt, const void *bytes, size_t length, unsigned *times)
{
    const uint8_t *found = NULL;

    *times = 0;
    for (uint64_t at = 36; at + length <= get(dsdt + 4, 4); at++)
        if (memcmp(dsdt + at, bytes, length) == 0) {
            found = found ? found : dsdt + at;
            ++*times;
        }
    return found;
}

/* What a guest needs to route PCI interrupts: entries for all pins, and links with their registers. iasl found no
 * fault in the table (tools: ACPI_DUMP names a file that it is written to). */
static void links(void **state)
{
    static const uint8_t slot4_intb[] = {0x12, 0x12, 4, 0x0c, 0xff, 0xff, 4, 0, 1, 0x2e, 'I', 'S', 'A', '_'};
    static const uint8_t region[] = {0x5b, 0x80, 'P', 'I', 'R', 'Q', 2, 0x0a, 0x60, 0x0a, 4};
    static const uint8_t possible[] = {0x89, 14, 0, 9, 3, 5, 0, 0, 0, 10, 0, 0, 0, 11, 0, 0, 0, 0x79, 0};
    struct acpi_config none = full;
    const uint8_t *bytes, *at;
    const char *dump = getenv("ACPI_DUMP");
    unsigned times;

    (void)state;
    assert_true(acpi_build(&ram, &full));
    bytes = table(get(xsdt_entry(0, "FACP") + 40, 4), "DSDT");
    at = find_aml(bytes, slot4_intb, sizeof slot4_intb, &times);
    assert_int_equal(times, 1);
    assert_memory_equal(at + sizeof slot4_intb, "LNKA", 4); /* PIRQ (4 + 1 + 3) % 4 */
    (void)find_aml(bytes, region, sizeof region, &times);
    assert_int_equal(times, 1);
    (void)find_aml(bytes, possible, sizeof possible, &times);
    assert_int_equal(times, 4);
    (void)find_aml(bytes, "_SRS", 4, &times);
    assert_int_equal(times, 4);
    if (dump) {
        FILE *file = fopen(dump, "wb");

        assert_non_null(file);
        assert_int_equal(fwrite(bytes, get(bytes + 4, 4), 1, file), 1);
        assert_int_equal(fclose(file), 0);
    }
    none.pirq_irqs = 0;
    assert_true(acpi_build(&ram, &none));
    bytes = table(get(xsdt_entry(0, "FACP") + 40, 4), "DSDT");
    (void)find_aml(bytes, "_PRT", 4, &times);
    assert_int_equal(times, 0);
}

static void package_lengths(void **state)
{
    static uint8_t buffer[5000];
    static const uint8_t zeros[4200];
    static const struct {
        size_t contents;
        uint8_t lead[3];
        size_t width;
    } cases[] = {
        {0, {1}, 1}, {62, {63}, 1}, {63, {0x41, 4}, 2}, {4093, {0x4f, 0xff}, 2}, {4094, {0x81, 0, 1}, 3}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct aml aml = {buffer, 0, sizeof buffer, false};
        size_t start = aml_open(&aml);

        aml_bytes(&aml, zeros, cases[i].contents);
        aml_close(&aml, start);
        assert_false(aml.overflow);
        assert_int_equal(aml.length, cases[i].contents + cases[i].width);
        assert_memory_equal(buffer, cases[i].lead, cases[i].width);
    }
}

static void integers(void **state)
{
    uint8_t buffer[16];
    struct aml aml = {buffer, 0, sizeof buffer, false};

    (void)state;
    aml_integer(&aml, 0);
    aml_integer(&aml, 1);
    aml_integer(&aml, 2);
    aml_integer(&aml, 0x1234);
    aml_integer(&aml, 0x12345678);
    assert_int_equal(aml.length, 12);
    assert_memory_equal(buffer, "\0\1\x0a\2\x0b\x34\x12\x0c\x78\x56\x34\x12", 12);
    aml_integer(&aml, 0x12345678);
    assert_true(aml.overflow);
}

static void refusals(void **state)
{
    struct acpi_config c;

    (void)state;
    c = full, c.rsdp = 0xf0008;
    assert_false(acpi_build(&ram, &c));
    c = full, c.rsdp = RAM_VGA;
    assert_false(acpi_build(&ram, &c));
    c = full, c.tables += 32, c.length -= 32;
    assert_false(acpi_build(&ram, &c));
    c = full, c.tables = RAM_SIZE;
    assert_false(acpi_build(&ram, &c));
    c = full, c.cpus = 0;
    assert_false(acpi_build(&ram, &c));
    c = full, c.cpus = ACPI_MAX_CPUS + 1;
    assert_false(acpi_build(&ram, &c));
    c = full, c.sci_irq = 16;
    assert_false(acpi_build(&ram, &c));
    c = full, c.cpus = ACPI_MAX_CPUS, c.length = 8192;
    assert_true(acpi_build(&ram, &c));
}

/* Whatever room there is: refused or written within it. */
static void room(void **state)
{
    unsigned built = 0;

    (void)state;
    for (uint64_t length = 1; length < 8192; length += 7) {
        struct acpi_config c = full;

        c.length = length;
        memset(low + c.tables, 0xa5, E820_ACPI_LENGTH);
        built += acpi_build(&ram, &c);
        for (uint64_t i = length; i < E820_ACPI_LENGTH; i++)
            assert_int_equal(low[c.tables + i], 0xa5);
    }
    assert_true(built > 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(rsdp),     cmocka_unit_test(fadt),     cmocka_unit_test(madt),
        cmocka_unit_test(dsdt),     cmocka_unit_test(links),    cmocka_unit_test(package_lengths),
        cmocka_unit_test(integers), cmocka_unit_test(refusals), cmocka_unit_test(room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
