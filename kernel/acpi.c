/* SPDX-License-Identifier: ISC */
/* Static ACPI tables. See acpi.h. Firmware is trusted, but lengths are checked before anything is followed.
 */
#include "kernel/acpi.h"

#include <stdbool.h>
#include <stddef.h>

#include "abi/boot.h"
#include "abi/syscall.h"
#include "kernel/ioapic.h"
#include "kernel/print.h"
#include <string.h>

#define LOW_LIMIT   (4ul << 30) /* what is mapped one to one at boot */
#define EBDA_SEG    0x40eu
#define BIOS_AREA   0xe0000u
#define BIOS_END    0x100000u
#define TABLE_MAX   0x100000u
#define ISA_IRQS    16
#define APIC_ID_MAX 0xfeu /* what an xAPIC can be sent to */

struct rsdp {
    char signature[8];
    uint8_t checksum;
    char oem[6];
    uint8_t revision;
    uint32_t rsdt;
    uint32_t length;
    uint64_t xsdt;
} __attribute__((packed));

struct table {
    char signature[4];
    uint32_t length;
    uint8_t rest[28];
} __attribute__((packed));

struct madt {
    struct table header;
    uint32_t lapic, flags;
    uint8_t entries[];
} __attribute__((packed));

enum madt_entry { MADT_LAPIC = 0, MADT_IOAPIC = 1, MADT_OVERRIDE = 2, MADT_X2APIC = 9 };

/* Offsets in the FADT (ACPI 6.4, table 5.9). */
#define FADT_PM1A_CONTROL 64
#define FADT_PM1B_CONTROL 68
#define FADT_PM_TIMER     76
#define FADT_FLAGS        112
#define FADT_RESET        116
#define FADT_RESET_VALUE  128
#define FADT_RESET_SUP    (1u << 10)

static uint64_t get(const uint8_t *p, size_t bytes)
{
    uint64_t value = 0;

    memcpy(&value, p, bytes);
    return value;
}

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)get(p, 4);
}

static bool checksum_good(const void *memory, size_t bytes)
{
    const uint8_t *p = memory;
    uint8_t sum = 0;

    while (bytes--)
        sum = (uint8_t)(sum + *p++);
    return !sum;
}

static const struct rsdp *rsdp_in(uint64_t from, uint64_t to)
{
    for (uint64_t p = (from + 15) & ~15ul; p + sizeof(struct rsdp) <= to; p += 16)
        if (!memcmp((void *)p, "RSD PTR ", 8) && checksum_good((void *)p, 20))
            return (const struct rsdp *)p;
    return NULL;
}

static const struct rsdp *rsdp_find(uint64_t hint)
{
    uint64_t ebda = EBDA_SEG;
    const struct rsdp *rsdp;

    if (hint && hint < LOW_LIMIT - sizeof(struct rsdp))
        return (const struct rsdp *)hint;
    __asm__("" : "+r"(ebda)); /* the compiler takes low addresses for mistakes */
    ebda = (uint64_t) * (const uint16_t *)ebda << 4;
    rsdp = ebda ? rsdp_in(ebda, ebda + 1024) : NULL;
    return rsdp ? rsdp : rsdp_in(BIOS_AREA, BIOS_END);
}

/* A table that lies in reach and whose sum is right. */
static const struct table *table_at(uint64_t address)
{
    const struct table *table = (const struct table *)address;

    if (!address || address > LOW_LIMIT - sizeof(*table))
        return NULL;
    if (table->length < sizeof(*table) || table->length > TABLE_MAX || table->length > LOW_LIMIT - address)
        return NULL;
    return checksum_good(table, table->length) ? table : NULL;
}

/* The first one that XSDT or RSDT lists: either may be missing, or lack it. */
static const struct table *table_find(const struct rsdp *rsdp, const char *signature)
{
    for (uint32_t size = rsdp->revision >= 2 ? 8 : 4; size >= 4; size -= 4) {
        const struct table *list = table_at(size == 8 ? rsdp->xsdt : rsdp->rsdt);

        for (uint32_t at = sizeof(*list); list && at + size <= list->length; at += size) {
            const uint8_t *entry = (const uint8_t *)list + at;
            const struct table *table = table_at(get(entry, size));

            if (table && !memcmp(table->signature, signature, 4))
                return table;
        }
    }
    return NULL;
}

/* MPS INTI flags (ACPI 6.4, table 5.26) for an ISA interrupt: conforming is active high, edge. */
static uint32_t override_flags(unsigned flags)
{
    return ((flags & 3) == 3 ? INTERRUPT_LOW : 0) | ((flags >> 2 & 3) == 3 ? INTERRUPT_LEVEL : 0);
}

/* A processor that is there. Beyond the limits it is not used. */
static void processor_add(struct acpi_platform *platform, uint32_t apic_id)
{
    for (unsigned i = 0; i < platform->processors; i++)
        if (platform->apic_ids[i] == apic_id)
            return;
    if (apic_id <= APIC_ID_MAX && platform->processors < CPUS)
        platform->apic_ids[platform->processors++] = apic_id;
}

static void madt_read(const struct madt *madt, struct boot_info *info, struct acpi_platform *platform)
{
    uint32_t size = madt->header.length - (uint32_t)sizeof(*madt);

    for (uint32_t at = 0; at + 2 <= size;) {
        const uint8_t *entry = madt->entries + at;
        uint8_t length = entry[1];

        if (length < 2 || length > size - at)
            break;
        if (entry[0] == MADT_LAPIC && length >= 8 && (entry[4] & 1))
            processor_add(platform, entry[3]);
        if (entry[0] == MADT_X2APIC && length >= 16 && (entry[8] & 1))
            processor_add(platform, get32(entry + 4));
        if (entry[0] == MADT_IOAPIC && length >= 12)
            ioapic_add(entry[2], get32(entry + 4), get32(entry + 8));
        if (entry[0] == MADT_OVERRIDE && length >= 10 && entry[3] < ISA_IRQS)
            info->isa_gsi[entry[3]] = (get32(entry + 4) & 0xffff) | override_flags(entry[8]);
        at += length;
    }
}

static void fadt_read(const struct table *fadt, struct acpi_platform *platform)
{
    const uint8_t *p = (const uint8_t *)fadt;

    if (fadt->length < FADT_FLAGS + 4)
        return;
    platform->pm1a_control = (uint16_t)get32(p + FADT_PM1A_CONTROL);
    platform->pm1b_control = (uint16_t)get32(p + FADT_PM1B_CONTROL);
    platform->pm_timer = (uint16_t)get32(p + FADT_PM_TIMER);
    if ((get32(p + FADT_FLAGS) & FADT_RESET_SUP) && fadt->length > FADT_RESET_VALUE) {
        platform->reset_space = p[FADT_RESET];
        platform->reset_address = get(p + FADT_RESET + 4, 8);
        platform->reset_value = p[FADT_RESET_VALUE];
    }
}

void acpi_unities(struct boot_info *info, struct iommu_tables *iommu)
{
    const struct rsdp *rsdp = rsdp_find(info->acpi_rsdp);
    const struct table *ivrs = rsdp ? table_find(rsdp, "IVRS") : NULL;
    const struct table *dmar = rsdp ? table_find(rsdp, "DMAR") : NULL;

    if (ivrs)
        iommu_tables_ivrs(iommu, (const uint8_t *)ivrs, ivrs->length);
    else if (dmar)
        iommu_tables_dmar(iommu, (const uint8_t *)dmar, dmar->length);
    info->unities = iommu->unities;
    memcpy(info->unity, iommu->unity, sizeof(info->unity));
}

void acpi_init(struct boot_info *info, struct acpi_platform *platform)
{
    const struct rsdp *rsdp = rsdp_find(info->acpi_rsdp);
    const struct table *madt, *fadt;

    platform->reset_space = ACPI_NO_RESET;
    for (uint32_t i = 0; i < ISA_IRQS; i++)
        info->isa_gsi[i] = i;
    if (!rsdp)
        panic("no ACPI tables: the kernel finds its interrupt controllers there");
    info->acpi_rsdp = (uint64_t)rsdp;
    madt = table_find(rsdp, "APIC");
    if (!madt || madt->length < sizeof(struct madt))
        panic("the ACPI tables have no MADT");
    madt_read((const struct madt *)madt, info, platform);
    info->gsis = ioapic_gsis();
    fadt = table_find(rsdp, "FACP");
    if (fadt)
        fadt_read(fadt, platform);
}
