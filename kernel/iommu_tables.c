/* SPDX-License-Identifier: ISC */
/* Reading IVRS and DMAR. See iommu_tables.h. */
#include "kernel/iommu_tables.h"

#include <string.h>

/* IVRS: a header of 48 bytes, then blocks with type, flags and length (AMD I/O Virtualization 5.2.2). */
#define IVRS_BLOCKS    48u
#define IVHD_BASIC     0x10u
#define IVHD_FEATURES  0x11u /* with the unit's feature registers */
#define IVHD_ACPI      0x40u /* and with devices that ACPI names */
#define IVMD_ALL       0x20u
#define IVMD_RANGE     0x22u
#define IVMD_SAME      0x09u /* flags: addresses stay as they are, translated or around the tables */
#define IVMD_BYTES     32u
#define ENTRY_VARIABLE 240u /* from here on: 22 bytes and as many more as the last of them says */
#define ENTRY_FIXED    22u
#define SPECIAL_IOAPIC 1u

enum ivhd_entry {
    ENTRY_ALL = 1,
    ENTRY_ONE = 2,
    ENTRY_FIRST = 3,
    ENTRY_LAST = 4,
    ENTRY_ALIAS = 66,
    ENTRY_ALIAS_FIRST = 67,
    ENTRY_EXTENDED = 70,
    ENTRY_EXTENDED_FIRST = 71,
    ENTRY_SPECIAL = 72,
    ENTRY_ACPI = 240,
};

/* DMAR: a header of 48 bytes, then structures with type and length (VT-d 8.2). */
#define DMAR_STRUCTURES 48u
#define DMAR_DRHD       0u
#define DMAR_RMRR       1u
#define DRHD_ALL        1u /* flag: all devices of the segment */
#define DRHD_SCOPES     16u
#define RMRR_SCOPES     24u
#define SCOPE_ENDPOINT  1u
#define SCOPE_IOAPIC    3u
#define SCOPE_PATH      6u

static uint64_t get(const uint8_t *p, unsigned bytes)
{
    uint64_t value = 0;

    while (bytes--)
        value = value << 8 | p[bytes];
    return value;
}

/* False: the unit of this name is known from a block of another type. */
static bool unit_add(struct iommu_tables *tables, uint64_t name, uint64_t registers, uint8_t type)
{
    for (unsigned i = 0; i < tables->units; i++)
        if (tables->unit[i].name == name)
            return tables->unit[i].type == type;
    if (tables->units == IOMMU_UNITS || !registers || registers % 4096) {
        tables->truncated = true;
    } else {
        tables->unit[tables->units].name = name;
        tables->unit[tables->units].type = type;
        tables->registers[tables->units++] = registers;
    }
    return true;
}

static void ioapic_found(struct iommu_tables *tables, uint8_t ioapic, uint16_t device)
{
    if (tables->ioapics == IOMMU_IOAPICS) {
        tables->truncated = true;
        return;
    }
    tables->ioapic[tables->ioapics].ioapic = ioapic;
    tables->ioapic[tables->ioapics++].device = device;
}

static void unity_add(struct iommu_tables *tables, uint64_t base, uint64_t length, uint64_t first,
                      uint64_t last)
{
    if (base + length <= base)
        return;
    if (tables->unities == BOOT_UNITIES) {
        tables->truncated = true;
        return;
    }
    tables->unity[tables->unities++] = (struct boot_unity){base, length, (uint16_t)first, (uint16_t)last, 0};
}

static void cover(struct iommu_tables *tables, uint64_t first, uint64_t last)
{
    for (uint64_t id = first; id <= last; id++)
        tables->covered[id / 8] |= (uint8_t)(1u << id % 8);
    if (first <= last && last > tables->last_device)
        tables->last_device = (uint16_t)last;
}

/* Device entries of 4 bytes below type 64, of 8 below 128, 16 below 192 and 32 below 240. A range has an
 * entry for its first and its last ID; an alias is an ID that a device's requests have instead of its own. */
static void ivhd_entries(struct iommu_tables *tables, const uint8_t *block, uint32_t at, uint32_t length)
{
    uint64_t first = 0;

    while (at + 4 <= length) {
        const uint8_t *entry = block + at;
        uint32_t size = 4u << (entry[0] >> 6);
        uint64_t id = get(entry + 1, 2);

        if (entry[0] >= ENTRY_VARIABLE)
            size = length - at < ENTRY_FIXED ? UINT32_MAX : ENTRY_FIXED + entry[ENTRY_FIXED - 1];
        if (size > length - at)
            return;
        switch (entry[0]) {
        case ENTRY_ALL:
            cover(tables, 0, UINT16_MAX);
            break;
        case ENTRY_ALIAS:
        case ENTRY_ALIAS_FIRST:
            cover(tables, get(entry + 5, 2), get(entry + 5, 2));
            cover(tables, id, id);
            first = id;
            break;
        case ENTRY_FIRST:
        case ENTRY_EXTENDED_FIRST:
            first = id;
            break;
        case ENTRY_LAST:
            cover(tables, first, id);
            break;
        case ENTRY_SPECIAL:
            cover(tables, get(entry + 5, 2), get(entry + 5, 2));
            if (entry[7] == SPECIAL_IOAPIC)
                ioapic_found(tables, entry[4], (uint16_t)get(entry + 5, 2));
            break;
        case ENTRY_ONE:
        case ENTRY_EXTENDED:
        case ENTRY_ACPI:
            cover(tables, id, id);
            break;
        default: /* 0: padding */
            break;
        }
        at += size;
    }
}

static void ivhd_read(struct iommu_tables *tables, const uint8_t *block, uint32_t length)
{
    uint32_t entries = block[0] == IVHD_BASIC ? 24 : 40;

    if (length < entries)
        return;
    if (get(block + 16, 2)) /* another segment */
        tables->truncated = true;
    else if (!unit_add(tables, get(block + 4, 2), get(block + 8, 8), block[0]))
        return;
    ivhd_entries(tables, block, entries, length);
}

static void ivmd_read(struct iommu_tables *tables, const uint8_t *block)
{
    uint64_t first = block[0] == IVMD_ALL ? 0 : get(block + 4, 2);
    uint64_t last = block[0] == IVMD_ALL ? UINT16_MAX : block[0] == IVMD_RANGE ? get(block + 6, 2) : first;

    unity_add(tables, get(block + 16, 8), get(block + 24, 8), first, last);
}

/* Firmware may describe a unit once by each type of block, for older and newer readers: the newest counts. */
void iommu_tables_ivrs(struct iommu_tables *tables, const uint8_t *table, size_t bytes)
{
    static const uint8_t types[] = {IVHD_ACPI, IVHD_FEATURES, IVHD_BASIC};

    tables->vendor = IOMMU_AMD;
    for (unsigned i = 0; i < sizeof(types); i++) {
        for (size_t at = IVRS_BLOCKS; at + 4 <= bytes;) {
            const uint8_t *block = table + at;
            uint32_t length = (uint32_t)get(block + 2, 2);

            if (length < 4 || length > bytes - at)
                break;
            if (block[0] == types[i])
                ivhd_read(tables, block, length);
            if (i == 0 && block[0] >= IVMD_ALL && block[0] <= IVMD_RANGE && length >= IVMD_BYTES &&
                (block[1] & IVMD_SAME))
                ivmd_read(tables, block);
            at += length;
        }
    }
}

/* What stands behind bridges has a path whose bus numbers are the bridges' registers: it is not followed. */
static void dmar_scopes(struct iommu_tables *tables, const uint8_t *structure, uint32_t length, uint32_t at)
{
    while (at + SCOPE_PATH + 2 <= length) {
        const uint8_t *scope = structure + at;
        uint32_t size = scope[1];
        uint64_t device = (uint64_t)scope[5] << 8 | (scope[6] & 31u) << 3 | (scope[7] & 7u);

        if (size < SCOPE_PATH + 2 || size > length - at)
            return;
        if (structure[0] == DMAR_DRHD && scope[0] == SCOPE_ENDPOINT && size == SCOPE_PATH + 2)
            cover(tables, device, device);
        if (structure[0] == DMAR_DRHD && scope[0] == SCOPE_IOAPIC && size == SCOPE_PATH + 2)
            ioapic_found(tables, scope[4], (uint16_t)device);
        if (structure[0] == DMAR_RMRR && scope[0] == SCOPE_ENDPOINT && size == SCOPE_PATH + 2)
            unity_add(tables, get(structure + 8, 8), get(structure + 16, 8) - get(structure + 8, 8) + 1,
                      device, device);
        at += size;
    }
}

void iommu_tables_dmar(struct iommu_tables *tables, const uint8_t *table, size_t bytes)
{
    tables->vendor = IOMMU_INTEL;
    for (size_t at = DMAR_STRUCTURES; at + 4 <= bytes;) {
        const uint8_t *structure = table + at;
        uint32_t length = (uint32_t)get(structure + 2, 2), type = (uint32_t)get(structure, 2);

        if (length < 4 || length > bytes - at)
            return;
        if (type == DMAR_DRHD && length >= DRHD_SCOPES) {
            if (get(structure + 6, 2)) {
                tables->truncated = true;
            } else {
                unit_add(tables, get(structure + 8, 8), get(structure + 8, 8), 0);
                if (structure[4] & DRHD_ALL)
                    cover(tables, 0, UINT16_MAX);
                dmar_scopes(tables, structure, length, DRHD_SCOPES);
            }
        }
        if (type == DMAR_RMRR && length >= RMRR_SCOPES) {
            unsigned before = tables->unities;

            if (!get(structure + 6, 2))
                dmar_scopes(tables, structure, length, RMRR_SCOPES);
            if (tables->unities == before) /* no device that is known: the memory is used all the same */
                unity_add(tables, get(structure + 8, 8), get(structure + 16, 8) - get(structure + 8, 8) + 1,
                          1, 0);
        }
        at += length;
    }
}
