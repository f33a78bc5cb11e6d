/* SPDX-License-Identifier: ISC */
/*
 * A disk in memory for the tests, which keeps the last lines said of it.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/part/part.h"

struct memory_disk {
    uint8_t *bytes;
    struct part_source source;
    uint64_t broken; /* a sector that cannot be read; 0: none */
    unsigned reads, lines;
    char said[8192]; /* lines, each with its end */
    struct part_table table;
};

static inline bool memory_read(void *context, uint64_t sector, uint32_t count, void *bytes)
{
    struct memory_disk *disk = context;
    const uint32_t size = disk->source.sector_size;

    if (!count || count * size > PART_SECTOR_MAXIMUM || sector >= disk->source.sectors ||
        count > disk->source.sectors - sector)
        abort();
    disk->reads++;
    if (disk->broken && disk->broken >= sector && disk->broken < sector + count)
        return false;
    memcpy(bytes, disk->bytes + sector * size, (size_t)count * size);
    return true;
}

static inline void memory_say(void *context, const char *line)
{
    struct memory_disk *disk = context;
    const size_t length = strlen(disk->said);

    disk->lines++;
    (void)snprintf(disk->said + length, sizeof(disk->said) - length, "%s\n", line); /* cut at worst */
}

static inline struct memory_disk *memory_disk_new(uint64_t sectors, uint32_t sector_size)
{
    struct memory_disk *disk = calloc(1, sizeof(*disk));

    if (!disk || !(disk->bytes = calloc(sectors, sector_size)))
        abort();
    disk->source = (struct part_source){disk, sectors, sector_size, memory_read, memory_say};
    return disk;
}

static inline void memory_disk_delete(struct memory_disk *disk)
{
    free(disk->bytes);
    free(disk);
}

static inline void put32(uint8_t *bytes, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(value >> 8 * i);
}

static inline void put64(uint8_t *bytes, uint64_t value)
{
    put32(bytes, (uint32_t)value);
    put32(bytes + 4, (uint32_t)(value >> 32));
}

/* A row of the table in an MBR or of a logical partition. */
static inline void put_row(struct memory_disk *disk, uint64_t sector, unsigned index, uint8_t system,
                           uint32_t first, uint32_t sectors)
{
    uint8_t *bytes = disk->bytes + sector * disk->source.sector_size;

    bytes[446 + 16 * index + 4] = system;
    put32(bytes + 446 + 16 * index + 8, first);
    put32(bytes + 446 + 16 * index + 12, sectors);
    bytes[510] = 0x55;
    bytes[511] = 0xaa;
}

/* By another way than the library's: a table would do as well, this is the division itself. */
static inline uint32_t crc_of(const uint8_t *bytes, size_t count)
{
    uint32_t crc = 0xffffffffu;

    for (size_t i = 0; i < 8 * count; i++) {
        const uint32_t bit = (uint32_t)(bytes[i / 8] >> i % 8 & 1);

        crc = (crc & 1) != bit ? crc >> 1 ^ 0xedb88320u : crc >> 1;
    }
    return ~crc;
}

/* Makes the CRCs of the GPT whose header is in this sector right. */
static inline void seal(struct memory_disk *disk, uint64_t sector)
{
    const uint32_t size = disk->source.sector_size;
    uint8_t *header = disk->bytes + sector * size;
    uint64_t entries;
    uint32_t count, entry_size;

    memcpy(&entries, header + 72, 8);
    memcpy(&count, header + 80, 4);
    memcpy(&entry_size, header + 84, 4);
    if (entries < disk->source.sectors &&
        (uint64_t)count * entry_size <= (disk->source.sectors - entries) * size)
        put32(header + 88, crc_of(disk->bytes + entries * size, (size_t)count * entry_size));
    put32(header + 16, 0);
    put32(header + 16, crc_of(header, 92));
}

#define ENTRY_COUNT 128u

static inline uint64_t entry_sectors_of(const struct memory_disk *disk)
{
    return ENTRY_COUNT * 128u / disk->source.sector_size;
}

static inline void put_header(struct memory_disk *disk, uint64_t own, uint64_t other, uint64_t entries)
{
    uint8_t *header = disk->bytes + own * disk->source.sector_size;

    memcpy(header, "EFI PART", 8);
    put32(header + 8, 0x10000);
    put32(header + 12, 92);
    put64(header + 24, own);
    put64(header + 32, other);
    put64(header + 40, 2 + entry_sectors_of(disk));
    put64(header + 48, disk->source.sectors - 2 - entry_sectors_of(disk));
    memset(header + 56, 0xd1, 16);
    put64(header + 72, entries);
    put32(header + 80, ENTRY_COUNT);
    put32(header + 84, 128);
}

/* An empty GPT on a disk of zeros. Sealed by memory_seal(). */
static inline void put_gpt(struct memory_disk *disk)
{
    const uint64_t last = disk->source.sectors - 1;

    put_row(disk, 0, 0, 0xee, 1, (uint32_t)last);
    put_header(disk, 1, last, 2);
    put_header(disk, last, 1, last - entry_sectors_of(disk));
}

static inline void memory_seal(struct memory_disk *disk)
{
    seal(disk, 1);
    seal(disk, disk->source.sectors - 1);
}

/* Entry `number` of both tables: type and UUID are made of the number. */
static inline void put_entry(struct memory_disk *disk, uint32_t number, uint64_t first, uint64_t last,
                             const char *name)
{
    const uint64_t end = disk->source.sectors - 1 - entry_sectors_of(disk);
    const uint32_t size = disk->source.sector_size;

    for (unsigned i = 0; i < 2; i++) {
        uint8_t *entry = disk->bytes + (i ? end : 2) * size + (number - 1) * 128;

        memset(entry, 0xb0, 16);
        memset(entry + 16, (int)number, 16);
        put64(entry + 32, first);
        put64(entry + 40, last);
        memset(entry + 56, 0, 72);
        for (unsigned at = 0; at < 36 && name[at]; at++)
            entry[56 + 2 * at] = (uint8_t)name[at];
    }
}
