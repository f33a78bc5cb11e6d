/* SPDX-License-Identifier: ISC */
/*
 * Tables made by hand: what is taken, what is refused and by which words.
 */
#include <cmocka.h>

#include "lib/part/disk_in_memory.h"

#define SECTORS 2048u

static bool read_it(struct memory_disk *disk)
{
    disk->said[0] = '\0';
    disk->lines = disk->reads = 0;
    return part_read(&disk->table, &disk->source);
}

static void said(const struct memory_disk *disk, unsigned lines, const char *words)
{
    if (disk->lines != lines || (words && !strstr(disk->said, words)))
        fail_msg("expected %u lines with '%s', found %u:\n%s", lines, words, disk->lines, disk->said);
}

static void range(const struct memory_disk *disk, uint32_t index, uint32_t number, uint64_t first,
                  uint64_t sectors)
{
    const struct part_entry *entry = &disk->table.entry[index];

    assert_true(index < disk->table.count);
    assert_int_equal(entry->number, number);
    assert_int_equal(entry->first, first);
    assert_int_equal(entry->sectors, sectors);
}

static void test_mbr(void **state)
{
    struct memory_disk *disk = memory_disk_new(SECTORS, 512);

    (void)state;
    put_row(disk, 0, 0, 0x83, 100, 200);
    put_row(disk, 0, 2, 0x07, 300, 1);
    put32(disk->bytes + 440, 0x00beef01);
    assert_true(read_it(disk));
    said(disk, 0, NULL);
    assert_int_equal(disk->table.kind, PART_MBR);
    assert_string_equal(disk->table.uuid, "00beef01");
    assert_int_equal(disk->table.count, 2);
    range(disk, 0, 1, 100, 200);
    range(disk, 1, 3, 300, 1);
    assert_int_equal(disk->table.entry[1].system, 7);
    assert_string_equal(disk->table.entry[1].uuid, "00beef01-03");
    memory_disk_delete(disk);
}

static void logical(uint32_t sector_size)
{
    struct memory_disk *disk = memory_disk_new(SECTORS, sector_size);

    put_row(disk, 0, 0, 0x83, 1, 99);
    put_row(disk, 0, 1, 0x0f, 100, 1000);
    put_row(disk, 100, 0, 0x83, 1, 50);
    put_row(disk, 100, 1, 0x05, 200, 100);
    put_row(disk, 300, 0, 0x82, 2, 98);
    assert_true(read_it(disk));
    said(disk, 0, NULL);
    assert_int_equal(disk->table.count, 3);
    range(disk, 1, 5, 101, 50);
    range(disk, 2, 6, 302, 98);
    assert_string_equal(disk->table.entry[2].uuid, "00000000-06");
    memory_disk_delete(disk);
}

static void test_logical(void **state)
{
    (void)state;
    logical(512);
    logical(4096);
}

static void test_chain_loop(void **state)
{
    struct memory_disk *disk = memory_disk_new(SECTORS, 512);

    (void)state;
    put_row(disk, 0, 0, 0x05, 100, 1000);
    put_row(disk, 100, 0, 0x83, 1, 50);
    put_row(disk, 100, 1, 0x05, 200, 100);
    put_row(disk, 300, 0, 0x83, 1, 50);
    put_row(disk, 300, 1, 0x05, 0, 100);
    disk->bytes[300 * 512 + 462 + 8] = 200; /* to itself */
    assert_true(read_it(disk));
    said(disk, 1,
         "table of logical partition 7: expected a sector that has no table yet: the chain is a loop, found "
         "300");
    assert_int_equal(disk->table.count, 2);
    put32(disk->bytes + 300 * 512 + 462 + 8, 0); /* to the first */
    assert_true(read_it(disk));
    said(disk, 1, "loop, found 100");
    memory_disk_delete(disk);
}

static void test_chain_too_long(void **state)
{
    struct memory_disk *disk = memory_disk_new(SECTORS, 512);

    (void)state;
    put_row(disk, 0, 0, 0x05, 100, 1900);
    for (uint32_t i = 0; i < 200; i++) {
        put_row(disk, 100 + 4 * i, 0, 0x83, 1, 3);
        put_row(disk, 100 + 4 * i, 1, 0x05, 4 * (i + 1), 4);
    }
    assert_true(read_it(disk));
    said(disk, 1, "table of logical partition 133: expected the end of the chain: it is too long, found 612");
    assert_int_equal(disk->table.count, PART_LIMIT);
    assert_int_equal(disk->reads, 1 + PART_LIMIT);
    memory_disk_delete(disk);
}

static void test_chain_leaves(void **state)
{
    struct memory_disk *disk = memory_disk_new(SECTORS, 512);

    (void)state;
    put_row(disk, 0, 0, 0x05, 100, 100);
    put_row(disk, 100, 0, 0x83, 1, 100); /* one more than there is */
    put_row(disk, 100, 1, 0x05, 100, 100);
    assert_true(read_it(disk));
    said(disk, 2,
         "table of logical partition 5: expected its partition within the extended one, its end, found 201");
    said(disk, 2,
         "table of logical partition 6: expected a sector of the extended partition and the disk, found 200");
    assert_int_equal(disk->table.count, 0);
    put_row(disk, 100, 0, 0x83, 1, 10);
    put_row(disk, 100, 1, 0x05, 50, 10); /* sector 150 has nothing */
    assert_true(read_it(disk));
    said(disk, 1, "expected to read it and the signature 43605 at its end, in sector, found 150");
    assert_int_equal(disk->table.count, 1);
    memory_disk_delete(disk);
}

static void test_holds_the_table(void **state)
{
    struct memory_disk *disk = memory_disk_new(SECTORS, 512);

    (void)state;
    put_row(disk, 0, 0, 0x83, 0, 10);
    put_row(disk, 0, 1, 0x05, 100, 500);
    put_row(disk, 100, 0, 0x83, 1, 300); /* the next table is inside */
    put_row(disk, 100, 1, 0x05, 200, 100);
    put_row(disk, 300, 0, 0x83, 150, 50);
    assert_true(read_it(disk));
    said(disk, 2, "partition 1: expected sectors within 1 to 2047, found 0 to 9");
    said(disk, 2, "partition 5: expected none of the table's own sectors, found them in 101 to 400");
    assert_int_equal(disk->table.count, 1);
    range(disk, 0, 6, 450, 50);
    memory_disk_delete(disk);
}

static void test_overlap_and_range(void **state)
{
    struct memory_disk *disk = memory_disk_new(SECTORS, 512);

    (void)state;
    put_row(disk, 0, 0, 0x83, 100, 100);
    put_row(disk, 0, 1, 0x83, 199, 10);
    put_row(disk, 0, 2, 0x83, 2000, 49);
    put_row(disk, 0, 3, 0x83, 200, 0);
    assert_true(read_it(disk));
    said(disk, 3, "partition 2: expected sectors of its own, found 199 to 208, which overlaps partition 1");
    said(disk, 3, "partition 3: expected sectors within 1 to 2047, found 2000 to 2048");
    said(disk, 3, "partition 4: expected at least one sector, found 0");
    assert_int_equal(disk->table.count, 1);
    put_row(disk, 0, 1, 0x83, 0xffffffff, 0xffffffff);
    put_row(disk, 0, 2, 0x83, 2000, 48);
    assert_true(read_it(disk));
    assert_int_equal(disk->table.count, 2);
    memory_disk_delete(disk);
}

static void test_nonsense(void **state)
{
    struct memory_disk *disk = memory_disk_new(SECTORS, 512);

    (void)state;
    assert_false(read_it(disk));
    said(disk, 1, "partition table: expected the signature 43605 at the end of sector 0, found 0");
    memset(disk->bytes, 0x55, 512);
    disk->bytes[511] = 0xaa;
    assert_false(read_it(disk));
    said(disk, 1, "boot flag of an entry of sector 0: expected 0 or 128, found 85");
    disk->source.sector_size = 520;
    assert_false(read_it(disk));
    said(disk, 1, "sector size: expected 512, 1024, 2048 or 4096 bytes, found 520");
    disk->source.sector_size = 512;
    disk->source.sectors = 0;
    assert_false(read_it(disk));
    said(disk, 1, "sector 0");
    disk->source.say = NULL;
    assert_false(part_read(&disk->table, &disk->source));
    memory_disk_delete(disk);
}

static struct memory_disk *gpt_new(uint32_t sector_size)
{
    struct memory_disk *disk = memory_disk_new(SECTORS, sector_size);

    put_gpt(disk);
    put_entry(disk, 1, 100, 199, "root");
    put_entry(disk, 3, 200, 200, "data");
    memory_seal(disk);
    return disk;
}

static void test_gpt(void **state)
{
    (void)state;
    for (uint32_t size = 512; size <= 4096; size *= 2) {
        struct memory_disk *disk = gpt_new(size);

        assert_true(read_it(disk));
        said(disk, 0, NULL);
        assert_int_equal(disk->table.kind, PART_GPT);
        assert_false(disk->table.backup);
        assert_int_equal(disk->table.count, 2);
        range(disk, 0, 1, 100, 100);
        range(disk, 1, 3, 200, 1);
        assert_string_equal(disk->table.entry[1].name, "data");
        assert_string_equal(disk->table.entry[1].uuid, "03030303-0303-0303-0303-030303030303");
        assert_string_equal(disk->table.entry[1].type, "b0b0b0b0-b0b0-b0b0-b0b0-b0b0b0b0b0b0");
        memory_disk_delete(disk);
    }
}

/* Each byte of the first table changed, and each sector of it unreadable: the backup is the same table. */
static void test_backup(void **state)
{
    struct memory_disk *disk = gpt_new(512);

    (void)state;
    for (uint64_t at = 512; at < 512 * 34; at += at < 1024 ? 1 : 97) {
        if (at >= 512 + 92 && at < 1024)
            continue; /* behind the header */
        disk->bytes[at] ^= 0x10;
        assert_true(read_it(disk));
        assert_true(disk->table.backup);
        assert_int_equal(disk->table.count, 2);
        said(disk, 1, "first GPT");
        disk->bytes[at] ^= 0x10;
    }
    for (disk->broken = 1; disk->broken < 34; disk->broken++) {
        assert_true(read_it(disk));
        assert_true(disk->table.backup);
        range(disk, 1, 3, 200, 1);
        said(disk, 1, ": expected to read its ");
    }
    disk->broken = 0;
    disk->bytes[SECTORS * 512 - 512 + 60] ^= 1; /* the second one alone */
    assert_true(read_it(disk));
    assert_false(disk->table.backup);
    said(disk, 1, "second GPT, sector 2047: expected a header of the CRC that it names, found another");
    disk->bytes[512] ^= 1; /* and both */
    assert_false(read_it(disk));
    assert_int_equal(disk->table.count, 0);
    said(disk, 3, "GPT: expected at least one table that is whole, found 0");
    memory_disk_delete(disk);
}

static void test_backup_elsewhere(void **state)
{
    struct memory_disk *disk = gpt_new(512);
    uint8_t *more;

    (void)state;
    more = calloc(SECTORS + 1000, 512);
    assert_non_null(more);
    memcpy(more, disk->bytes, SECTORS * 512);
    free(disk->bytes);
    disk->bytes = more;
    disk->source.sectors += 1000; /* it has grown */
    assert_true(read_it(disk));
    said(disk, 0, NULL);
    more[2 * 512] ^= 1; /* the first one's entries */
    assert_true(read_it(disk));
    assert_true(disk->table.backup);
    assert_int_equal(disk->table.count, 2);
    memory_disk_delete(disk);
}

static void test_different(void **state)
{
    struct memory_disk *disk = gpt_new(512);

    (void)state;
    disk->bytes[2 * 512 + 56] = 'b';
    seal(disk, 1);
    assert_true(read_it(disk));
    said(disk, 1, "second GPT: expected the entries of the first, which are used");
    assert_string_equal(disk->table.entry[0].name, "boot");
    memory_disk_delete(disk);
}

/* Fields of the header that the CRC covers and that are wrong nevertheless. */
static void test_header(void **state)
{
    static const struct {
        unsigned offset, bytes;
        uint64_t value;
        const char *words;
    } rows[] = {
        {8, 4, 0x20000, "revision 65536, found 131072"},
        {12, 4, 91, "a header of at least 92 bytes in one sector, found 91"},
        {12, 4, 513, "found 513"},
        {24, 8, 2, "its own sector, found 2"},
        {40, 8, 3000, "its last usable sector behind the first and on the disk, found 2014"},
        {48, 8, SECTORS, "its last usable sector behind the first and on the disk, found 2048"},
        {72, 8, 1, "its entries on the disk behind the first header, found 1"},
        {72, 8, SECTORS - 1, "its entries on the disk behind the first header, found 2047"},
        {72, 8, UINT64_MAX, "its entries on the disk"},
        {80, 4, 0, "1 to 1024 entries, found 0"},
        {80, 4, 1025, "1 to 1024 entries, found 1025"},
        {84, 4, 64, "entries of 128 to 4096 bytes, a power of two, found 64"},
        {84, 4, 192, "found 192"},
        {84, 4, 8192, "found 8192"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct memory_disk *disk = gpt_new(512);

        if (rows[i].bytes == 4)
            put32(disk->bytes + 512 + rows[i].offset, (uint32_t)rows[i].value);
        else
            put64(disk->bytes + 512 + rows[i].offset, rows[i].value);
        seal(disk, 1);
        if (rows[i].offset == 12) { /* the CRC is of as many bytes */
            put32(disk->bytes + 512 + 16, 0);
            put32(disk->bytes + 512 + 16, crc_of(disk->bytes + 512, rows[i].value));
        }
        assert_true(read_it(disk));
        assert_true(disk->table.backup);
        said(disk, 1, rows[i].words);
        memory_disk_delete(disk);
    }
}

static void test_entries(void **state)
{
    struct memory_disk *disk = gpt_new(512);

    (void)state;
    put_entry(disk, 2, 150, 250, "over");
    put_entry(disk, 4, 33, 40, "low");
    put_entry(disk, 5, 2000, 2015, "high");
    put_entry(disk, 6, 300, 299, "none");
    put_entry(disk, 7, 300, 200, "wraps");
    put_entry(disk, 8, 0, UINT64_MAX, "all");
    put_entry(disk, 9, 34, 34, "first");
    put_entry(disk, 10, 2014, 2014, "last");
    memory_seal(disk);
    assert_true(read_it(disk));
    said(disk, 6, "partition 2: expected sectors of its own, found 150 to 250, which overlaps partition 1");
    said(disk, 6, "partition 4: expected sectors within 34 to 2014, found 33 to 40");
    said(disk, 6, "partition 5: expected sectors within 34 to 2014, found 2000 to 2015");
    said(disk, 6, "partition 6: expected at least one sector, found 0");
    said(disk, 6, "partition 7: expected sectors within 34 to 2014, found 300 to 200");
    assert_int_equal(disk->table.count, 4);
    range(disk, 2, 9, 34, 1);
    range(disk, 3, 10, 2014, 1);
    memory_disk_delete(disk);
}

/* A header whose usable sectors hold the table itself. */
static void test_usable_holds_the_table(void **state)
{
    struct memory_disk *disk = gpt_new(512);

    (void)state;
    put_entry(disk, 4, 20, 50, "entries");
    put_entry(disk, 5, 2020, 2030, "entries of the second");
    put_entry(disk, 6, 2047, 2047, "second");
    put64(disk->bytes + 512 + 40, 0);
    put64(disk->bytes + 512 + 48, 2047);
    memory_seal(disk);
    assert_true(read_it(disk));
    said(disk, 3, "partition 4: expected none of the table's own sectors, found them in 20 to 50");
    said(disk, 3, "partition 5: expected none");
    said(disk, 3, "partition 6: expected none");
    assert_int_equal(disk->table.count, 2);
    memory_disk_delete(disk);
}

static void test_too_many(void **state)
{
    struct memory_disk *disk = memory_disk_new(SECTORS, 512);
    uint8_t *header = disk->bytes + 512;

    (void)state;
    put_row(disk, 0, 0, 0xee, 1, SECTORS - 1);
    put_header(disk, 1, SECTORS - 1, 2);
    put64(header + 40, 1000);
    put32(header + 80, 200);
    for (uint32_t i = 0; i < 200; i++) {
        memset(disk->bytes + 1024 + 128 * i, 1, 32);
        put64(disk->bytes + 1024 + 128 * i + 32, 1000 + i);
        put64(disk->bytes + 1024 + 128 * i + 40, 1000 + i);
    }
    seal(disk, 1);
    assert_true(read_it(disk));
    assert_int_equal(disk->table.count, PART_LIMIT);
    said(disk, PART_LINES, "partition 129: expected at most 128 partitions, found one more");
    said(disk, PART_LINES, "more is wrong with the table than is told");
    memory_disk_delete(disk);
}

static void test_names(void **state)
{
    /* An a, a control character, an umlaut, the euro sign, a pair, half a pair. */
    static const uint16_t units[] = {'a', 0x1b, 0xe4, 0x20ac, 0xd83d, 0xde00, 0xd83d, 'z'};
    static const uint8_t read_only[16] = {0xa2, 0xa0, 0xd0, 0xeb, 0xe5, 0xb9, 0x33, 0x44,
                                          0x87, 0xc0, 0x68, 0xb6, 0xb7, 0x26, 0x99, 0xc7};
    struct memory_disk *disk = gpt_new(512);
    uint8_t *entry = disk->bytes + 1024;

    (void)state;
    memset(entry + 56, 0, 72);
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        put32(entry + 56 + 2 * i, units[i]);
    memcpy(entry, read_only, 16);
    entry[55] = 0x10;
    memset(entry + 256 + 56, 0xac, 72); /* no end: 36 characters of three bytes */
    seal(disk, 1);
    assert_true(read_it(disk));
    assert_string_equal(disk->table.entry[0].name, "a?\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80?z");
    assert_true(disk->table.entry[0].read_only);
    assert_false(disk->table.entry[1].read_only);
    assert_int_equal(strlen(disk->table.entry[1].name), 108);
    memory_disk_delete(disk);
}

static void test_find(void **state)
{
    struct memory_disk *disk = gpt_new(512);
    const struct part_entry *found;

    (void)state;
    put_entry(disk, 5, 301, 301, "");
    put_entry(disk, 6, 302, 302, "03030303-0303-0303-0303-030303030303");
    memory_seal(disk);
    assert_true(read_it(disk));
    assert_int_equal(part_find(&disk->table, "root", &found), PART_FOUND);
    assert_int_equal(found->number, 1);
    assert_int_equal(part_find(&disk->table, "Root", &found), PART_ABSENT);
    assert_null(found);
    assert_int_equal(part_find(&disk->table, "", &found), PART_ABSENT);
    assert_int_equal(part_find(&disk->table, "roo", &found), PART_ABSENT);
    /* A UUID goes before a name, or a name could take another partition's place. */
    assert_int_equal(part_find(&disk->table, "03030303-0303-0303-0303-030303030303", &found), PART_FOUND);
    assert_int_equal(found->number, 3);
    memory_disk_delete(disk);
    disk = gpt_new(512);
    put_entry(disk, 10, 300, 300, "data");
    memset(disk->bytes + 1024 + 9 * 128 + 16, 0xab, 16);
    memory_seal(disk);
    assert_true(read_it(disk));
    assert_int_equal(part_find(&disk->table, "data", &found), PART_AMBIGUOUS);
    assert_null(found);
    assert_int_equal(part_find(&disk->table, "ABABABAB-abab-abab-abab-ABABABABABAB", &found), PART_FOUND);
    assert_int_equal(found->number, 10);
    memory_disk_delete(disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mbr),
        cmocka_unit_test(test_logical),
        cmocka_unit_test(test_chain_loop),
        cmocka_unit_test(test_chain_too_long),
        cmocka_unit_test(test_chain_leaves),
        cmocka_unit_test(test_holds_the_table),
        cmocka_unit_test(test_overlap_and_range),
        cmocka_unit_test(test_nonsense),
        cmocka_unit_test(test_gpt),
        cmocka_unit_test(test_backup),
        cmocka_unit_test(test_backup_elsewhere),
        cmocka_unit_test(test_different),
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_entries),
        cmocka_unit_test(test_usable_holds_the_table),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_find),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
