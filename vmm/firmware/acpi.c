/* SPDX-License-Identifier: ISC */
/*
 * The fixed ACPI tables. All lie one after the other in the area given, FACS first for its alignment; only
 * the RSDP lies apart, where a guest searches it. Tables are written before the guest runs, by offset as the
 * specification's tables number them.
 */
#include "vmm/firmware/acpi.h"

#include <string.h>

#include "vmm/firmware/acpi_aml.h"
#include "vmm/firmware/irqs.h"

#define HEADER_LENGTH 36
#define RSDP_LENGTH   36
#define FACS_LENGTH   64
#define FADT_LENGTH   268

/* FADT flags and boot architecture (tables 5.35 and 5.36). */
#define FADT_WBINVD          (1u << 0)
#define FADT_C1              (1u << 2)
#define FADT_NO_SLEEP_BUTTON (1u << 5)
#define FADT_NO_RTC_WAKE     (1u << 6)
#define FADT_RESET           (1u << 10)
#define BOOT_LEGACY_DEVICES  (1u << 0)
#define BOOT_I8042           (1u << 1)
#define BOOT_NO_VGA          (1u << 2)
#define BOOT_NO_PCIE_ASPM    (1u << 4)
#define OVERRIDE_HIGH_LEVEL  0x0du
#define LATENCY_NO_C2        101
#define LATENCY_NO_C3        1001
#define PROFILE_DESKTOP      1
#define TABLE_ALIGNMENT      16u

/* The table area: bytes for us, addresses for the guest. */
struct area {
    uint8_t *bytes;
    uint64_t gpa;
    uint64_t length;
    uint64_t used;
};

static void put(uint8_t *table, size_t offset, uint64_t value, size_t width)
{
    for (size_t i = 0; i < width; i++)
        table[offset + i] = (uint8_t)(value >> i * 8);
}

static uint8_t checksum(const uint8_t *bytes, size_t length)
{
    unsigned sum = 0;

    for (size_t i = 0; i < length; i++)
        sum += bytes[i];
    return (uint8_t)(0u - sum);
}

/* Room for a table, zeroed; NULL if there is none. */
static uint8_t *take(struct area *area, uint64_t length)
{
    uint8_t *table = area->bytes + area->used;

    if (length > area->length - area->used)
        return NULL;
    memset(table, 0, (size_t)length);
    area->used += (length + TABLE_ALIGNMENT - 1) & ~(uint64_t)(TABLE_ALIGNMENT - 1);
    if (area->used > area->length)
        area->used = area->length;
    return table;
}

static uint64_t address(const struct area *area, const uint8_t *table)
{
    return area->gpa + (uint64_t)(table - area->bytes);
}

static void finish(uint8_t *table, const char signature[4], uint8_t revision, size_t length)
{
    memcpy(table, signature, 4);
    put(table, 4, length, 4);
    table[8] = revision;
    memcpy(table + 10, "DONJON", 6);
    memcpy(table + 16, "DONJONVM", 8);
    put(table, 24, 1, 4);
    memcpy(table + 28, "DNJN", 4);
    put(table, 32, 1, 4);
    table[9] = 0;
    table[9] = checksum(table, length);
}

static uint8_t *build_facs(struct area *area)
{
    uint8_t *facs = take(area, FACS_LENGTH);

    if (!facs)
        return NULL;
    memcpy(facs, "FACS", 4);
    put(facs, 4, FACS_LENGTH, 4);
    facs[32] = 2; /* version */
    return facs;
}

static uint8_t *build_dsdt(struct area *area, const struct acpi_config *config)
{
    uint8_t *dsdt = take(area, HEADER_LENGTH);
    struct aml aml;

    if (!dsdt)
        return NULL;
    aml = (struct aml){.bytes = dsdt, .length = HEADER_LENGTH};
    aml.capacity = (size_t)(area->length - (uint64_t)(dsdt - area->bytes));
    acpi_dsdt(&aml, config);
    if (aml.overflow)
        return NULL;
    area->used = (uint64_t)(dsdt - area->bytes);
    area->used += (aml.length + TABLE_ALIGNMENT - 1) & ~(size_t)(TABLE_ALIGNMENT - 1);
    if (area->used > area->length)
        area->used = area->length;
    finish(dsdt, "DSDT", 2, aml.length);
    return dsdt;
}

/* Generic address of a port range (table 5.1). */
static void put_port(uint8_t *table, size_t offset, uint16_t port, unsigned bytes)
{
    table[offset] = 1; /* I/O space */
    table[offset + 1] = (uint8_t)(bytes * 8);
    table[offset + 2] = 0;
    table[offset + 3] = (uint8_t)(bytes == 1 ? 1 : bytes == 2 ? 2 : 3);
    put(table, offset + 4, port, 8);
}

static void put_fadt_pm(uint8_t *fadt, const struct acpi_config *config)
{
    uint16_t event = config->pm_base;
    uint16_t control = (uint16_t)(config->pm_base + 4);
    uint16_t timer = (uint16_t)(config->pm_base + 8);

    put(fadt, 46, config->sci_irq, 2);
    put(fadt, 48, config->smi_port, 4);
    if (config->smi_port) {
        fadt[52] = config->acpi_enable;
        fadt[53] = config->acpi_disable;
    }
    put(fadt, 56, event, 4);
    put(fadt, 64, control, 4);
    put(fadt, 76, timer, 4);
    fadt[88] = 4;
    fadt[89] = 2;
    fadt[91] = 4;
    put_port(fadt, 148, event, 4);
    put_port(fadt, 172, control, 2);
    put_port(fadt, 208, timer, 4);
}

static uint8_t *build_fadt(struct area *area, const struct acpi_config *config, const uint8_t *facs,
                           const uint8_t *dsdt)
{
    uint8_t *fadt = take(area, FADT_LENGTH);
    uint32_t boot = BOOT_LEGACY_DEVICES | BOOT_NO_PCIE_ASPM;

    if (!fadt)
        return NULL;
    boot |= (config->i8042 ? BOOT_I8042 : 0) | (config->vga ? 0 : BOOT_NO_VGA);
    put(fadt, 36, address(area, facs), 4);
    put(fadt, 40, address(area, dsdt), 4);
    fadt[45] = PROFILE_DESKTOP;
    put_fadt_pm(fadt, config);
    put(fadt, 96, LATENCY_NO_C2, 2);
    put(fadt, 98, LATENCY_NO_C3, 2);
    fadt[108] = config->century;
    put(fadt, 109, boot, 2);
    put(fadt, 112, FADT_WBINVD | FADT_C1 | FADT_NO_SLEEP_BUTTON | FADT_NO_RTC_WAKE | FADT_RESET, 4);
    put_port(fadt, 116, ACPI_RESET_PORT, 1);
    fadt[128] = ACPI_RESET_VALUE;
    /* X_FIRMWARE_CTRL stays 0: only one of the two FACS addresses may be given. */
    put(fadt, 140, address(area, dsdt), 8);
    finish(fadt, "FACP", 5, FADT_LENGTH);
    return fadt;
}

static size_t put_override(uint8_t *madt, size_t at, uint8_t irq, uint32_t gsi, uint16_t flags)
{
    madt[at] = 2;
    madt[at + 1] = 10;
    madt[at + 3] = irq;
    put(madt, at + 4, gsi, 4);
    put(madt, at + 8, flags, 2);
    return at + 10;
}

static uint8_t *build_madt(struct area *area, const struct acpi_config *config)
{
    uint16_t level = (uint16_t)(config->pirq_irqs | 1u << config->sci_irq);
    size_t overrides = 1 + irqs_count(level);
    size_t length = HEADER_LENGTH + 8 + 8 * (size_t)config->cpus + 12 + 10 * overrides + 6;
    uint8_t *madt = take(area, length);
    size_t at = HEADER_LENGTH + 8;

    if (!madt)
        return NULL;
    put(madt, 36, config->lapic_base, 4);
    put(madt, 40, 1, 4); /* there are 8259s, too */
    for (unsigned cpu = 0; cpu < config->cpus; cpu++, at += 8) {
        madt[at + 1] = 8;
        madt[at + 2] = (uint8_t)cpu;
        madt[at + 3] = (uint8_t)cpu;
        madt[at + 4] = 1; /* enabled */
    }
    madt[at] = 1;
    madt[at + 1] = 12;
    madt[at + 2] = config->ioapic_id;
    put(madt, at + 4, config->ioapic_base, 4);
    at += 12;
    at = put_override(madt, at, 0, 2, 0);
    for (uint8_t irq = 0; irq < 16; irq++)
        if (level >> irq & 1)
            at = put_override(madt, at, irq, irq, OVERRIDE_HIGH_LEVEL);
    madt[at] = 4; /* NMI on LINT1 of all processors */
    madt[at + 1] = 6;
    madt[at + 2] = 0xff;
    madt[at + 5] = 1;
    finish(madt, "APIC", 4, length);
    return madt;
}

static uint8_t *build_xsdt(struct area *area, const uint8_t *fadt, const uint8_t *madt)
{
    size_t length = HEADER_LENGTH + 2 * 8;
    uint8_t *xsdt = take(area, length);

    if (!xsdt)
        return NULL;
    put(xsdt, 36, address(area, fadt), 8);
    put(xsdt, 44, address(area, madt), 8);
    finish(xsdt, "XSDT", 1, length);
    return xsdt;
}

static void build_rsdp(uint8_t *rsdp, uint64_t xsdt)
{
    memset(rsdp, 0, RSDP_LENGTH);
    memcpy(rsdp, "RSD PTR ", 8);
    memcpy(rsdp + 9, "DONJON", 6);
    rsdp[15] = 2;
    put(rsdp, 20, RSDP_LENGTH, 4);
    put(rsdp, 24, xsdt, 8);
    rsdp[8] = checksum(rsdp, 20);
    rsdp[32] = checksum(rsdp, RSDP_LENGTH);
}

static bool config_valid(const struct acpi_config *config)
{
    if (config->rsdp % 16 || config->tables % 64 || config->cpus == 0 || config->cpus > ACPI_MAX_CPUS)
        return false;
    if (config->tables > UINT32_MAX || config->length > UINT32_MAX - config->tables)
        return false;
    return config->sci_irq < 16 && config->pm_base <= 0xfff0 && config->pci_base <= config->pci_last;
}

bool acpi_build(const struct guest_ram *ram, const struct acpi_config *config)
{
    uint8_t *rsdp = guest_ram_at(ram, config->rsdp, RSDP_LENGTH);
    struct area area = {guest_ram_at(ram, config->tables, config->length), config->tables, config->length, 0};
    uint8_t *facs, *dsdt, *fadt, *madt, *xsdt;

    if (!rsdp || !area.bytes || !config_valid(config))
        return false;
    facs = build_facs(&area);
    dsdt = build_dsdt(&area, config);
    if (!facs || !dsdt)
        return false;
    fadt = build_fadt(&area, config, facs, dsdt);
    madt = build_madt(&area, config);
    if (!fadt || !madt)
        return false;
    xsdt = build_xsdt(&area, fadt, madt);
    if (!xsdt)
        return false;
    build_rsdp(rsdp, address(&area, xsdt));
    return true;
}
