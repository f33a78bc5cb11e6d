/* SPDX-License-Identifier: ISC */
/*
 * Search for \_S5: core/acpi.h.
 */
#include "core/acpi.h"

#include <string.h>

#define TABLE_HEADER 36u
#define TABLE_LIMIT  0x1000000u /* a table longer than 16 MiB is nonsense */
#define TABLES       128u
#define FADT_DSDT    40u
#define FADT_X_DSDT  140u

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

static const uint8_t *fadt_find(acpi_memory memory, uint64_t rsdp, size_t *bytes)
{
    size_t root_bytes = 0;
    const uint8_t *root = NULL, *pointer = rsdp ? memory(rsdp, 36) : NULL;
    if (!pointer || memcmp(pointer, "RSD PTR ", 8) != 0)
        return NULL;
    unsigned entry = pointer[15] >= 2 ? 8 : 4;
    if (entry == 8)
        root = table_open(memory, little_endian(pointer + 24, 8), "XSDT", &root_bytes);
    if (!root) {
        entry = 4;
        root = table_open(memory, little_endian(pointer + 16, 4), "RSDT", &root_bytes);
    }
    if (!root)
        return NULL;
    for (unsigned i = 0; i < TABLES && TABLE_HEADER + (i + 1) * entry <= root_bytes; i++) {
        const uint8_t *fadt =
            table_open(memory, little_endian(root + TABLE_HEADER + i * entry, entry), "FACP", bytes);
        if (fadt)
            return fadt;
    }
    return NULL;
}

/* An AML integer of one byte: ZeroOp, OneOp, or BytePrefix and the byte. */
static bool integer_read(const uint8_t **at, const uint8_t *end, unsigned *value)
{
    if (*at < end && **at <= 1) {
        *value = *(*at)++;
        return true;
    }
    if (end - *at < 2 || **at != 0x0a)
        return false;
    *value = (*at)[1];
    *at += 2;
    return true;
}

/* The package behind the name: PackageOp, PkgLength (1 to 4 bytes), NumElements, elements. */
static bool package_read(const uint8_t *at, const uint8_t *end, unsigned *types)
{
    unsigned a, b;
    if (end - at < 3 || at[0] != 0x12)
        return false;
    unsigned length = 1u + (at[1] >> 6);
    if (end - at < (ptrdiff_t)(2 + length) || at[1 + length] < 2)
        return false;
    at += 2 + length;
    if (!integer_read(&at, end, &a) || !integer_read(&at, end, &b))
        return false;
    *types = a | b << 8;
    return true;
}

bool acpi_sleep_types(acpi_memory memory, uint64_t rsdp, unsigned *types)
{
    size_t fadt_bytes = 0, bytes = 0;
    const uint8_t *dsdt = NULL, *fadt = fadt_find(memory, rsdp, &fadt_bytes);
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
