/* SPDX-License-Identifier: ISC */
/* Static tables: core/acpi.h. */
#include "core/acpi.h"

#include <string.h>

#define TABLE_HEADER 36u
#define TABLE_LIMIT  0x1000000u /* a table longer than 16 MiB is nonsense */
#define TABLES       128u
#define FADT_DSDT    40u
#define FADT_X_DSDT  140u
#define MCFG_ENTRIES 44u
#define MCFG_BYTES   16u
#define MCFG_BUS     20u /* log2 of a bus's bytes */
#define HPET_ADDRESS 44u

/* The pointer to the list of tables, which ends at RSDP_OLD before revision 2. */
#define RSDP_REVISION 15u
#define RSDP_RSDT     16u
#define RSDP_OLD      20u
#define RSDP_XSDT     24u
#define RSDP_BYTES    36u

enum aml {
    ZERO_OP = 0x00,
    ONE_OP = 0x01,
    BYTE_PREFIX = 0x0a,
    WORD_PREFIX = 0x0b,
    DWORD_PREFIX = 0x0c,
    QWORD_PREFIX = 0x0e,
    PACKAGE_OP = 0x12,
    ONES_OP = 0xff,
};

static uint64_t little_endian(const uint8_t *bytes, unsigned count)
{
    uint64_t value = 0;
    for (unsigned i = count; i-- > 0;)
        value = value << 8 | bytes[i];
    return value;
}

/* A whole table, its length in *bytes; NULL when it is no table of that signature. */
static const uint8_t *table_open(acpi_memory memory, uint64_t physical, const char *signature, size_t *bytes)
{
    const uint8_t *header = physical ? memory(physical, TABLE_HEADER) : NULL;
    if (!header || memcmp(header, signature, 4) != 0)
        return NULL;
    *bytes = little_endian(header + 4, 4);
    return *bytes >= TABLE_HEADER && *bytes <= TABLE_LIMIT ? memory(physical, *bytes) : NULL;
}

/* The first table of that signature that XSDT or RSDT lists: firmware has been seen with one of them empty.
 */
const uint8_t *acpi_table(acpi_memory memory, uint64_t rsdp, const char *signature, size_t *bytes)
{
    const uint8_t *pointer = rsdp ? memory(rsdp, RSDP_OLD) : NULL;
    if (!pointer || memcmp(pointer, "RSD PTR ", 8) != 0)
        return NULL;
    if (pointer[RSDP_REVISION] >= 2)
        pointer = memory(rsdp, RSDP_BYTES);
    for (unsigned entry = pointer && pointer[RSDP_REVISION] >= 2 ? 8 : 4; pointer && entry >= 4; entry -= 4) {
        uint64_t list = little_endian(pointer + (entry == 8 ? RSDP_XSDT : RSDP_RSDT), entry);
        size_t list_bytes = 0;
        const uint8_t *root = table_open(memory, list, entry == 8 ? "XSDT" : "RSDT", &list_bytes);
        for (unsigned i = 0; root && i < TABLES && TABLE_HEADER + (i + 1) * entry <= list_bytes; i++) {
            uint64_t address = little_endian(root + TABLE_HEADER + i * entry, entry);
            const uint8_t *table = table_open(memory, address, signature, bytes);
            if (table)
                return table;
        }
    }
    return NULL;
}

/* An AML integer (ACPI 6.5, 20.2.3): ZeroOp, OneOp, OnesOp, or a prefix and 1, 2, 4 or 8 bytes. */
static bool integer_read(const uint8_t **at, const uint8_t *end, uint64_t *value)
{
    static const uint8_t bytes[] = {
        [BYTE_PREFIX] = 1, [WORD_PREFIX] = 2, [DWORD_PREFIX] = 4, [QWORD_PREFIX] = 8};
    if (*at == end)
        return false;
    uint8_t code = *(*at)++;
    unsigned count = code < sizeof(bytes) ? bytes[code] : 0;
    if ((!count && code != ZERO_OP && code != ONE_OP && code != ONES_OP) || end - *at < (ptrdiff_t)count)
        return false;
    *value = count ? little_endian(*at, count) : code == ONES_OP ? UINT64_MAX : code;
    *at += count;
    return true;
}

/* The package behind the name: PackageOp, PkgLength (1 to 4 bytes, itself included), NumElements, elements.
 * A single element holds both types in its lower two bytes. */
static bool package_read(const uint8_t *at, const uint8_t *end, unsigned *types)
{
    uint64_t a, b;
    if (end - at < 3 || *at++ != PACKAGE_OP)
        return false;
    unsigned more = *at >> 6;
    if (end - at < (ptrdiff_t)more + 2)
        return false;
    uint64_t length = more ? (*at & 0xfu) | little_endian(at + 1, more) << 4 : *at & 0x3fu;
    if (length < more + 2)
        return false;
    if (length < (uint64_t)(end - at)) /* firmware has been seen that counts too many */
        end = at + length;
    at += 1 + more;
    unsigned elements = *at++;
    if (!elements || !integer_read(&at, end, &a))
        return false;
    if (elements == 1)
        b = a >> 8;
    else if (!integer_read(&at, end, &b))
        return false;
    *types = (unsigned)(a & 0xff) | (unsigned)(b & 0xff) << 8;
    return true;
}

bool acpi_sleep_types(acpi_memory memory, uint64_t rsdp, unsigned *types)
{
    size_t fadt_bytes = 0, bytes = 0;
    const uint8_t *dsdt = NULL, *fadt = acpi_table(memory, rsdp, "FACP", &fadt_bytes);
    if (fadt && fadt_bytes >= FADT_X_DSDT + 8)
        dsdt = table_open(memory, little_endian(fadt + FADT_X_DSDT, 8), "DSDT", &bytes);
    if (!dsdt && fadt && fadt_bytes >= FADT_DSDT + 4)
        dsdt = table_open(memory, little_endian(fadt + FADT_DSDT, 4), "DSDT", &bytes);
    if (!dsdt)
        return false;
    for (size_t i = TABLE_HEADER; i + 4 < bytes; i++)
        if (memcmp(dsdt + i, "_S5_", 4) == 0 && package_read(dsdt + i + 4, dsdt + bytes, types))
            return true;
    return false;
}

unsigned acpi_ranges(acpi_memory memory, uint64_t rsdp, struct acpi_range *range, unsigned limit)
{
    size_t bytes = 0;
    unsigned count = 0;
    const uint8_t *table = acpi_table(memory, rsdp, "MCFG", &bytes);
    for (size_t at = MCFG_ENTRIES; table && at + MCFG_BYTES <= bytes; at += MCFG_BYTES) {
        uint64_t base = little_endian(table + at, 8), first = table[at + 10], last = table[at + 11];
        if (count++ < limit)
            range[count - 1] = (struct acpi_range){"configuration space", base + (first << MCFG_BUS),
                                                   base + ((last + 1) << MCFG_BUS) - 1};
    }
    table = acpi_table(memory, rsdp, "HPET", &bytes);
    if (table && bytes >= HPET_ADDRESS + 8 && count++ < limit) {
        uint64_t page = little_endian(table + HPET_ADDRESS, 8) & ~0xfffull;
        range[count - 1] = (struct acpi_range){"the HPET", page, page + 0xfff};
    }
    return count;
}
