/* SPDX-License-Identifier: ISC */
/*
 * The MBR: four partitions in sector 0, one of which may be an extended one. That holds a chain of tables,
 * each with one logical partition and the place of the next table.
 */
#include "lib/part/scan.h"

#define TABLE         446u /* offset in the sector */
#define TABLE_ENTRY   16u
#define TABLE_ENTRIES 4u
#define LOGICAL_FIRST 5u

struct row {
    uint8_t boot, system;
    uint32_t first, sectors;
};

static struct row row_at(const uint8_t *bytes, unsigned index)
{
    const uint8_t *at = bytes + TABLE + index * TABLE_ENTRY;

    return (struct row){at[0], at[4], part_get32(at + 8), part_get32(at + 12)};
}

static bool extended(uint8_t system)
{
    return system == 0x05 || system == 0x0f || system == 0x85;
}

static struct part_entry entry_of(const struct part_scan *scan, uint32_t number, const struct row *row,
                                  uint64_t base)
{
    struct part_entry entry = {
        .number = number, .first = base + row->first, .sectors = row->sectors, .system = row->system};
    struct part_text text = {.length = 0};

    part_put(&text, scan->table->uuid);
    part_put(&text, "-");
    part_put_hex(&text, number, 2);
    for (size_t i = 0; i < sizeof(entry.uuid) && i <= text.length; i++)
        entry.uuid[i] = text.bytes[i];
    return entry;
}

/* Says that a logical partition's table is not as it must be, which ends the chain. */
static void chain_ends(struct part_scan *scan, uint32_t number, const char *expected, uint64_t found)
{
    struct part_text text = {.length = 0};

    part_put(&text, "table of logical partition ");
    part_put_number(&text, number);
    (void)part_fail(scan, text.bytes, expected, found); /* always false */
}

/* The logical partitions of an extended one. Each table is read once, so their number bounds the work. */
static void read_chain(struct part_scan *scan, const struct row *outer)
{
    uint64_t at = outer->first;

    for (uint32_t number = LOGICAL_FIRST;; number++) {
        struct row logical, next;
        struct part_entry entry;

        if (at - outer->first >= outer->sectors || at >= scan->source->sectors) {
            chain_ends(scan, number, "a sector of the extended partition and the disk", at);
            return;
        }
        if (part_reserved(scan, at, at)) {
            chain_ends(scan, number, "a sector that has no table yet: the chain is a loop", at);
            return;
        }
        if (number - LOGICAL_FIRST == PART_LIMIT || !part_reserve(scan, at, 1)) {
            chain_ends(scan, number, "the end of the chain: it is too long", at);
            return;
        }
        if (!part_fetch(scan, at, 1) || part_get16(scan->bytes + 510) != 0xaa55) {
            chain_ends(scan, number, "to read it and the signature 43605 at its end, in sector", at);
            return;
        }
        logical = row_at(scan->bytes, 0);
        next = row_at(scan->bytes, 1);
        if (logical.system && logical.sectors) {
            entry = entry_of(scan, number, &logical, at);
            if (entry.first + entry.sectors > (uint64_t)outer->first + outer->sectors)
                chain_ends(scan, number, "its partition within the extended one, its end",
                           entry.first + entry.sectors);
            else if (!part_add(scan, &entry))
                return;
        }
        if (!extended(next.system) || !next.sectors)
            return;
        at = (uint64_t)outer->first + next.first;
    }
}

bool part_read_mbr(struct part_scan *scan)
{
    struct part_text text = {.length = 0};
    struct row rows[TABLE_ENTRIES], chain = {0};

    for (unsigned i = 0; i < TABLE_ENTRIES; i++) {
        rows[i] = row_at(scan->bytes, i);
        if (rows[i].boot & 0x7f)
            return part_fail(scan, "partition table: boot flag of an entry of sector 0", "0 or 128",
                             rows[i].boot);
    }
    part_put_hex(&text, part_get32(scan->bytes + 440), 8);
    for (size_t i = 0; i <= text.length; i++)
        scan->table->uuid[i] = text.bytes[i];
    scan->table->kind = PART_MBR;
    if (!part_reserve(scan, 0, 1))
        return false;
    for (unsigned i = 0; i < TABLE_ENTRIES; i++) {
        const struct part_entry entry = entry_of(scan, i + 1, &rows[i], 0);

        if (!rows[i].system || (!rows[i].sectors && !rows[i].first))
            continue;
        if (!extended(rows[i].system)) {
            if (!part_add(scan, &entry))
                return false;
        } else if (chain.sectors) {
            (void)part_fail(scan, "extended partitions", "one, the first of them is used",
                            2); /* always false */
        } else {
            chain = rows[i];
        }
    }
    if (chain.sectors)
        read_chain(scan, &chain);
    part_settle(scan, 1, scan->source->sectors - 1);
    return true;
}
