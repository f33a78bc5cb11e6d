/* SPDX-License-Identifier: ISC */
/*
 * A hostile disk. The input is a short program that builds a table, mostly with right CRCs, and then spoils
 * it; sectors may fail. Whatever is accepted lies on the disk, overlaps nothing, and holds no sector that was
 * read for the table; the number of reads, of lines and of partitions has its bound.
 */
#include "lib/part/disk_in_memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SECTORS   512u
#define READS_MAX 600u

struct fuzz {
    struct memory_disk *disk;
    const uint8_t *bytes;
    size_t size;
    bool was_read[SECTORS];
};

static void require(bool condition)
{
    if (!condition)
        abort();
}

static uint64_t take(struct fuzz *fuzz, size_t count)
{
    uint64_t value = 0;

    count = count < fuzz->size ? count : fuzz->size;
    memcpy(&value, fuzz->bytes, count);
    fuzz->bytes += count;
    fuzz->size -= count;
    return value;
}

static bool read_noted(void *context, uint64_t sector, uint32_t count, void *bytes)
{
    struct fuzz *fuzz = context;

    require(memory_read(fuzz->disk, sector, count, bytes) || fuzz->disk->broken);
    for (uint32_t i = 0; i < count; i++)
        fuzz->was_read[sector + i] = true;
    require(fuzz->disk->reads < READS_MAX);
    return !fuzz->disk->broken || fuzz->disk->broken < sector || fuzz->disk->broken >= sector + count;
}

static void say_noted(void *context, const char *line)
{
    struct fuzz *fuzz = context;

    require(line[0] && strlen(line) < PART_LINE && ++fuzz->disk->lines <= PART_LINES);
}

/* A table of logical partitions and rows of the MBR. */
static void build_mbr(struct fuzz *fuzz)
{
    for (uint64_t rows = take(fuzz, 1) & 15; rows; rows--) {
        const uint64_t word = take(fuzz, 6);
        static const uint8_t systems[] = {0x83, 0x05, 0x0f, 0xee};

        put_row(fuzz->disk, word & 8 ? word >> 8 & (SECTORS - 1) : 0, word & 3, systems[word >> 4 & 3],
                (uint32_t)(word >> 20 & 511), (uint32_t)(word >> 32 & 255));
    }
}

/* More logical partitions than are kept. */
static void build_chain(struct fuzz *fuzz)
{
    put_row(fuzz->disk, 0, 1, 0x05, 2, SECTORS - 2);
    for (uint32_t at = 0; at + 3 < SECTORS; at += 2) {
        put_row(fuzz->disk, 2 + at, 0, 0x83, 1, 1);
        put_row(fuzz->disk, 2 + at, 1, 0x05, at + 2, 2);
    }
}

static void build_gpt(struct fuzz *fuzz)
{
    put_gpt(fuzz->disk);
    for (uint64_t entries = take(fuzz, 1) & 15; entries; entries--) {
        const uint64_t word = take(fuzz, 5);
        const uint64_t first = word >> 8 & 1023;

        put_entry(fuzz->disk, 1 + (word & 31), first, first + (word >> 20 & 255) - 8, word & 32 ? "x" : "");
    }
    for (uint64_t patches = take(fuzz, 1) & 7; patches; patches--) {
        static const uint8_t fields[] = {8, 12, 24, 32, 40, 48, 72, 80, 84};
        const uint64_t word = take(fuzz, 3);
        uint8_t *header =
            fuzz->disk->bytes + (word & 16 ? SECTORS - 1 : 1) * (uint64_t)fuzz->disk->source.sector_size;

        put32(header + fields[(word & 15) % sizeof(fields)], (uint32_t)(word >> 8));
    }
    memory_seal(fuzz->disk);
}

static void check(const struct fuzz *fuzz)
{
    const struct part_table *table = &fuzz->disk->table;

    require(table->count <= PART_LIMIT);
    for (uint32_t i = 0; i < table->count; i++) {
        const struct part_entry *entry = &table->entry[i], *found;

        require(entry->sectors && entry->first < SECTORS && entry->sectors <= SECTORS - entry->first);
        require(memchr(entry->name, 0, sizeof(entry->name)) && memchr(entry->uuid, 0, sizeof(entry->uuid)));
        for (uint64_t at = entry->first; at < entry->first + entry->sectors; at++)
            require(!fuzz->was_read[at]);
        for (uint32_t other = 0; other < i; other++)
            require(entry->first + entry->sectors <= table->entry[other].first ||
                    table->entry[other].first + table->entry[other].sectors <= entry->first);
        require(part_find(table, entry->uuid, &found) != PART_ABSENT);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz fuzz = {.bytes = data, .size = size};
    const uint64_t kind = take(&fuzz, 1);
    struct part_source *source;

    fuzz.disk = memory_disk_new(SECTORS, kind & 1 ? 4096 : 512);
    source = &fuzz.disk->source;
    source->context = &fuzz;
    source->read = read_noted;
    source->say = say_noted;
    if (kind & 2)
        build_gpt(&fuzz);
    if (kind & 32)
        build_chain(&fuzz);
    if (kind & 4)
        build_mbr(&fuzz);
    fuzz.disk->broken = kind & 8 ? take(&fuzz, 2) & (SECTORS - 1) : 0;
    while (fuzz.size > 2) {
        const uint64_t at = take(&fuzz, 2);

        fuzz.disk->bytes[kind & 16 ? at % 4096 : at] = (uint8_t)take(&fuzz, 1);
    }
    if (part_read(&fuzz.disk->table, source))
        check(&fuzz);
    memory_disk_delete(fuzz.disk);
    return 0;
}
