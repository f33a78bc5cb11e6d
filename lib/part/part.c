/* SPDX-License-Identifier: ISC */
/*
 * Which kind of table a disk has, and what a partition of either kind must keep to.
 */
#include "lib/part/scan.h"

#include <string.h>

#define MBR_SIGNATURE 0xaa55u

uint32_t part_get16(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8;
}

uint32_t part_get32(const uint8_t *bytes)
{
    return part_get16(bytes) | part_get16(bytes + 2) << 16;
}

uint64_t part_get64(const uint8_t *bytes)
{
    return part_get32(bytes) | (uint64_t)part_get32(bytes + 4) << 32;
}

bool part_fetch(struct part_scan *scan, uint64_t sector, uint32_t count)
{
    const struct part_source *source = scan->source;

    return sector < source->sectors && count <= source->sectors - sector &&
           source->read(source->context, sector, count, scan->bytes);
}

bool part_reserve(struct part_scan *scan, uint64_t first, uint64_t sectors)
{
    if (scan->regions == PART_REGIONS)
        return false;
    scan->region[scan->regions++] = (struct part_region){first, first + sectors - 1};
    return true;
}

bool part_reserved(const struct part_scan *scan, uint64_t first, uint64_t last)
{
    for (uint32_t i = 0; i < scan->regions; i++)
        if (first <= scan->region[i].last && scan->region[i].first <= last)
            return true;
    return false;
}

static void begin(struct part_text *text, const struct part_entry *entry)
{
    *text = (struct part_text){.length = 0};
    part_put(text, "partition ");
    part_put_number(text, entry->number);
    part_put(text, ": ");
}

bool part_add(struct part_scan *scan, const struct part_entry *entry)
{
    struct part_text text;

    if (scan->table->count < PART_LIMIT) {
        scan->table->entry[scan->table->count++] = *entry;
        return true;
    }
    begin(&text, entry);
    part_put(&text, "expected at most ");
    part_put_number(&text, PART_LIMIT);
    part_put(&text, " partitions, found one more");
    part_say(scan, &text);
    return false;
}

static void put_range(struct part_text *text, uint64_t first, uint64_t last)
{
    part_put_number(text, first);
    part_put(text, " to ");
    part_put_number(text, last);
}

static const struct part_entry *overlapped(const struct part_table *table, uint32_t kept, uint64_t begin_at,
                                           uint64_t last)
{
    for (uint32_t i = 0; i < kept; i++) {
        const struct part_entry *other = &table->entry[i];

        if (begin_at < other->first + other->sectors && other->first <= last)
            return other;
    }
    return NULL;
}

/* Whether a partition can be; `kept` ones before it can. */
static bool acceptable(struct part_scan *scan, const struct part_entry *entry, uint32_t kept, uint64_t first,
                       uint64_t last)
{
    const uint64_t end = entry->first + (entry->sectors - 1); /* may have wrapped */
    const struct part_entry *other;
    struct part_text text;

    begin(&text, entry);
    if (!entry->sectors) {
        part_put(&text, "expected at least one sector, found 0");
    } else if (end < entry->first || entry->first < first || end > last) {
        part_put(&text, "expected sectors within ");
        put_range(&text, first, last);
        part_put(&text, ", found ");
        put_range(&text, entry->first, end);
    } else if (part_reserved(scan, entry->first, end)) {
        part_put(&text, "expected none of the table's own sectors, found them in ");
        put_range(&text, entry->first, end);
    } else if ((other = overlapped(scan->table, kept, entry->first, end))) {
        part_put(&text, "expected sectors of its own, found ");
        put_range(&text, entry->first, end);
        part_put(&text, ", which overlaps partition ");
        part_put_number(&text, other->number);
    } else {
        return true;
    }
    part_say(scan, &text);
    return false;
}

void part_settle(struct part_scan *scan, uint64_t first, uint64_t last)
{
    struct part_table *table = scan->table;
    uint32_t kept = 0;

    for (uint32_t i = 0; i < table->count; i++)
        if (acceptable(scan, &table->entry[i], kept, first, last))
            table->entry[kept++] = table->entry[i];
    table->count = kept;
}

static bool protective(const uint8_t *bytes)
{
    for (unsigned i = 0; i < 4; i++)
        if (bytes[446 + 16 * i + 4] == 0xee)
            return true;
    return false;
}

bool part_read(struct part_table *table, const struct part_source *source)
{
    struct part_scan scan = {.source = source, .table = table};
    bool done;

    memset(table, 0, sizeof(*table));
    if (source->sector_size < PART_SECTOR_MINIMUM || source->sector_size > PART_SECTOR_MAXIMUM ||
        (source->sector_size & (source->sector_size - 1)))
        return part_fail(&scan, "sector size", "512, 1024, 2048 or 4096 bytes", source->sector_size);
    if (!part_fetch(&scan, 0, 1))
        return part_fail(&scan, "sector 0", "to read it, on a disk that has it", source->sectors);
    if (part_get16(scan.bytes + 510) != MBR_SIGNATURE)
        return part_fail(&scan, "partition table", "the signature 43605 at the end of sector 0",
                         part_get16(scan.bytes + 510));
    done = protective(scan.bytes) ? part_read_gpt(&scan) : part_read_mbr(&scan);
    if (!done)
        table->count = 0;
    return done;
}

/* ASCII letters alone: a UUID has no others. */
static bool same_uuid(const char *left, const char *right)
{
    for (; *left && *right; left++, right++) {
        const char lower = *right >= 'A' && *right <= 'Z' ? (char)(*right + ('a' - 'A')) : *right;

        if (*left != lower)
            return false;
    }
    return *left == *right;
}

enum part_found part_find(const struct part_table *table, const char *label, const struct part_entry **found)
{
    *found = NULL;
    for (unsigned by_name = 0; by_name < 2 && !*found && *label; by_name++)
        for (uint32_t i = 0; i < table->count; i++) {
            const struct part_entry *entry = &table->entry[i];

            if (by_name ? strcmp(entry->name, label) != 0 : !same_uuid(entry->uuid, label))
                continue;
            if (*found) {
                *found = NULL;
                return PART_AMBIGUOUS;
            }
            *found = entry;
        }
    return *found ? PART_FOUND : PART_ABSENT;
}
