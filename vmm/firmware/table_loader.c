/* SPDX-License-Identifier: ISC */
/*
 * The script is written by following the tables' addresses from the RSDP on: XSDT, and what it leads to. The
 * firmware adds to each address where it has put the tables, and then makes their checksums anew.
 */
#include "vmm/firmware/table_loader.h"

#include <string.h>

enum { COMMAND_ALLOCATE = 1, COMMAND_ADD_POINTER = 2, COMMAND_ADD_CHECKSUM = 3 };
enum { ZONE_HIGH = 1, ZONE_FSEG = 2 };

#define FILE_NAME     56u
#define CHECKSUM_AT   9u
#define HEADER_LENGTH 36u
#define RSDP_V1       20u

static uint64_t get(const uint8_t *from, unsigned bytes)
{
    uint64_t value = 0;

    while (bytes--)
        value = value << 8 | from[bytes];
    return value;
}

static void put(uint8_t *to, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        to[i] = (uint8_t)(value >> i * 8);
}

/* An entry with its command and first file; its further fields begin behind them. There is room: the entries of a
 * machine's few tables are counted by the test. */
static uint8_t *add(struct table_loader *loader, uint32_t command, const char *file)
{
    uint8_t *entry = loader->script + loader->script_size;

    if (loader->script_size == sizeof(loader->script))
        return NULL;
    loader->script_size += TABLE_LOADER_ENTRY;
    put(entry, command, 4);
    memcpy(entry + 4, file, strlen(file));
    return entry + 4 + FILE_NAME;
}

static bool allocate(struct table_loader *loader, const char *file, uint32_t alignment, uint8_t zone)
{
    uint8_t *fields = add(loader, COMMAND_ALLOCATE, file);

    if (!fields)
        return false;
    put(fields, alignment, 4);
    fields[4] = zone;
    return true;
}

/* The word at `offset` of a file is an address in the tables. */
static bool add_pointer(struct table_loader *loader, const char *file, uint64_t offset, uint8_t bytes)
{
    uint8_t *fields = add(loader, COMMAND_ADD_POINTER, file);

    if (!fields)
        return false;
    memcpy(fields, TABLE_LOADER_TABLES, sizeof(TABLE_LOADER_TABLES));
    put(fields + FILE_NAME, offset, 4);
    fields[FILE_NAME + 4] = bytes;
    return true;
}

static bool add_checksum(struct table_loader *loader, const char *file, uint64_t at, uint64_t start,
                         uint64_t length)
{
    uint8_t *fields = add(loader, COMMAND_ADD_CHECKSUM, file);

    if (!fields)
        return false;
    put(fields, at, 4);
    put(fields + 4, start, 4);
    put(fields + 8, length, 4);
    return true;
}

static bool add_table(struct table_loader *loader, uint64_t at)
{
    return add_checksum(loader, TABLE_LOADER_TABLES, at + CHECKSUM_AT, at, get(loader->memory + at + 4, 4));
}

/* FACS, DSDT, and the DSDT's address in 64 bits. */
static bool add_fadt(struct table_loader *loader, uint64_t at)
{
    return add_pointer(loader, TABLE_LOADER_TABLES, at + 36, 4) &&
           add_pointer(loader, TABLE_LOADER_TABLES, at + 40, 4) &&
           add_pointer(loader, TABLE_LOADER_TABLES, at + 140, 8);
}

static bool add_xsdt(struct table_loader *loader, uint64_t xsdt)
{
    uint64_t length = get(loader->memory + xsdt + 4, 4);

    for (uint64_t at = xsdt + HEADER_LENGTH; at < xsdt + length; at += 8) {
        uint64_t table = get(loader->memory + at, 8);

        if (!add_pointer(loader, TABLE_LOADER_TABLES, at, 8))
            return false;
        if (memcmp(loader->memory + table, "FACP", 4) == 0 && !add_fadt(loader, table))
            return false;
        if (!add_table(loader, table))
            return false;
    }
    return add_table(loader, xsdt);
}

bool table_loader_build(struct table_loader *loader, const struct acpi_config *config)
{
    const struct guest_ram memory = {.low = loader->memory, .low_size = sizeof(loader->memory)};
    const uint8_t *rsdp = loader->memory + TABLE_LOADER_RSDP_AT;
    struct acpi_config at_zero = *config;

    memset(loader, 0, sizeof(*loader));
    at_zero.rsdp = TABLE_LOADER_RSDP_AT;
    at_zero.tables = 0;
    at_zero.length = TABLE_LOADER_BYTES;
    return acpi_build(&memory, &at_zero) && allocate(loader, TABLE_LOADER_RSDP, 16, ZONE_FSEG) &&
           allocate(loader, TABLE_LOADER_TABLES, 64, ZONE_HIGH) && add_xsdt(loader, get(rsdp + 24, 8)) &&
           add_pointer(loader, TABLE_LOADER_RSDP, 24, 8) &&
           add_checksum(loader, TABLE_LOADER_RSDP, 8, 0, RSDP_V1) &&
           add_checksum(loader, TABLE_LOADER_RSDP, 32, 0, TABLE_LOADER_RSDP_LEN);
}
