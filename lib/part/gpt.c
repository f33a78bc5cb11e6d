/* SPDX-License-Identifier: ISC */
/*
 * The GPT (UEFI 2.10, section 5.3): a header in sector 1 and one in the last sector, each with entries of its
 * own, both with CRCs. The entries are taken while their CRC is made, so what is used is what was checked.
 */
#include "lib/part/scan.h"

#include <string.h>

#define HEADER_MINIMUM  92u
#define REVISION        0x00010000u
#define CRC_POLYNOMIAL  0xedb88320u
#define ENTRY_MINIMUM   128u
#define FIRST_HEADER    1u
#define BASIC_READ_ONLY (UINT64_C(1) << 60)

static const char signature[8] = {'E', 'F', 'I', ' ', 'P', 'A', 'R', 'T'};
static const char basic_data[] = "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7";

struct header {
    uint64_t own, other, first_usable, last_usable, entries;
    uint32_t entry_count, entry_size, entries_crc, crc;
    char uuid[PART_UUID_SIZE];
};

static uint32_t crc32_more(uint32_t crc, const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        crc ^= bytes[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? CRC_POLYNOMIAL : 0);
    }
    return crc;
}

/* Sectors that the entries take. */
static uint64_t entry_sectors(const struct part_scan *scan, const struct header *header)
{
    const uint64_t bytes = (uint64_t)header->entry_count * header->entry_size;

    return (bytes + scan->source->sector_size - 1) / scan->source->sector_size;
}

/* The fields that positions and sizes are made from; all others have no meaning here. */
static bool header_fits(struct part_scan *scan, const struct header *header, const char *which, uint64_t at)
{
    const uint64_t sectors = scan->source->sectors;

    if (header->own != at)
        return part_fail(scan, which, "its own sector", header->own);
    if (header->entry_count < 1 || header->entry_count > PART_GPT_ENTRIES)
        return part_fail(scan, which, "1 to 1024 entries", header->entry_count);
    if (header->entry_size < ENTRY_MINIMUM || header->entry_size > PART_SECTOR_MAXIMUM ||
        (header->entry_size & (header->entry_size - 1)))
        return part_fail(scan, which, "entries of 128 to 4096 bytes, a power of two", header->entry_size);
    if (header->first_usable > header->last_usable || header->last_usable >= sectors)
        return part_fail(scan, which, "its last usable sector behind the first and on the disk",
                         header->last_usable);
    if (header->entries <= FIRST_HEADER || header->entries >= sectors ||
        entry_sectors(scan, header) > sectors - header->entries)
        return part_fail(scan, which, "its entries on the disk behind the first header", header->entries);
    return true;
}

static bool read_header(struct part_scan *scan, struct header *header, const char *which, uint64_t at)
{
    uint8_t *bytes = scan->bytes;
    uint32_t size;

    if (!part_fetch(scan, at, 1))
        return part_fail_at(scan, which, at, "to read its header", "a failure");
    if (memcmp(bytes, signature, sizeof(signature)) != 0)
        return part_fail_at(scan, which, at, "the signature 'EFI PART'", "another");
    if (part_get32(bytes + 8) != REVISION)
        return part_fail(scan, which, "revision 65536", part_get32(bytes + 8));
    size = part_get32(bytes + 12);
    if (size < HEADER_MINIMUM || size > scan->source->sector_size)
        return part_fail(scan, which, "a header of at least 92 bytes in one sector", size);
    header->crc = part_get32(bytes + 16);
    memset(bytes + 16, 0, 4);
    if (~crc32_more(~0u, bytes, size) != header->crc)
        return part_fail_at(scan, which, at, "a header of the CRC that it names", "another");
    header->own = part_get64(bytes + 24);
    header->other = part_get64(bytes + 32);
    header->first_usable = part_get64(bytes + 40);
    header->last_usable = part_get64(bytes + 48);
    part_uuid_text(bytes + 56, header->uuid);
    header->entries = part_get64(bytes + 72);
    header->entry_count = part_get32(bytes + 80);
    header->entry_size = part_get32(bytes + 84);
    header->entries_crc = part_get32(bytes + 88);
    if (header_fits(scan, header, which, at))
        return true;
    *header = (struct header){0};
    return false;
}

static bool is_zero(const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (bytes[i])
            return false;
    return true;
}

static void take_entry(struct part_scan *scan, const uint8_t *bytes, uint32_t number)
{
    struct part_entry entry = {.number = number, .first = part_get64(bytes + 32)};

    if (is_zero(bytes, 16))
        return;
    entry.sectors = part_get64(bytes + 40) - entry.first + 1; /* 0 or wrapped: part_settle() refuses it */
    part_uuid_text(bytes, entry.type);
    part_uuid_text(bytes + 16, entry.uuid);
    part_name_text(bytes + 56, entry.name);
    entry.read_only = strcmp(entry.type, basic_data) == 0 && (part_get64(bytes + 48) & BASIC_READ_ONLY);
    (void)part_add(scan, &entry); /* what has no room was said */
}

/* Reads all entries, and takes them if `take` says so. */
static bool read_entries(struct part_scan *scan, const struct header *header, const char *which, bool take)
{
    const uint32_t sector_size = scan->source->sector_size;
    const uint32_t chunk = PART_SECTOR_MAXIMUM / sector_size;
    uint64_t left = (uint64_t)header->entry_count * header->entry_size;
    uint64_t at = header->entries;
    uint32_t number = 1, crc = ~0u;

    while (left) {
        const uint32_t bytes = left < PART_SECTOR_MAXIMUM ? (uint32_t)left : PART_SECTOR_MAXIMUM;

        if (!part_fetch(scan, at, (bytes + sector_size - 1) / sector_size))
            return part_fail_at(scan, which, at, "to read its entries", "a failure");
        crc = crc32_more(crc, scan->bytes, bytes);
        for (uint32_t offset = 0; take && offset < bytes; offset += header->entry_size)
            take_entry(scan, scan->bytes + offset, number++);
        left -= bytes;
        at += chunk;
    }
    if (~crc != header->entries_crc)
        return part_fail_at(scan, which, header->entries, "entries of the CRC that the header names",
                            "others");
    return true;
}

/* A header that is whole says where its entries are, even if they are not whole and others are used. */
static bool reserve(struct part_scan *scan, const struct header *header)
{
    return !header->entry_count ||
           (part_reserve(scan, header->own, 1) && part_reserve(scan, header->other, 1) &&
            part_reserve(scan, header->entries, entry_sectors(scan, header)));
}

/* A table is used if its header and entries are whole. */
static bool read_table(struct part_scan *scan, struct header *header, const char *which, uint64_t at,
                       bool take)
{
    const bool done = read_header(scan, header, which, at) && read_entries(scan, header, which, take);

    if (take && !done)
        scan->table->count = 0;
    return done;
}

bool part_read_gpt(struct part_scan *scan)
{
    static const char first_name[] = "first GPT", second_name[] = "second GPT";
    struct header first = {0}, second = {0}, *used = &first;
    uint64_t last = scan->source->sectors - 1;
    bool first_good, second_good;

    scan->table->kind = PART_GPT;
    if (!part_reserve(scan, 0, 2))
        return false;
    first_good = read_table(scan, &first, first_name, FIRST_HEADER, true);
    /* A disk that has grown has the second one where the first says. */
    if (first.own == FIRST_HEADER && first.other > FIRST_HEADER && first.other < scan->source->sectors)
        last = first.other;
    second_good = read_table(scan, &second, second_name, last, !first_good);
    if (!first_good && !second_good)
        return part_fail(scan, "GPT", "at least one table that is whole", 0);
    if (!first_good) {
        used = &second;
        scan->table->backup = true;
    }
    if (first_good && second_good &&
        (strcmp(first.uuid, second.uuid) != 0 || first.entries_crc != second.entries_crc))
        (void)part_fail(scan, second_name, "the entries of the first, which are used; the CRC of its entries",
                        second.entries_crc); /* always false */
    memcpy(scan->table->uuid, used->uuid, sizeof(used->uuid));
    if (!reserve(scan, &first) || !reserve(scan, &second))
        return part_fail(scan, "GPT", "fewer parts of the table", scan->regions);
    part_settle(scan, used->first_usable, used->last_usable);
    return true;
}
