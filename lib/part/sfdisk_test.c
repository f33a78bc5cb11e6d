/* SPDX-License-Identifier: ISC */
/*
 * Tables that sfdisk and, with sectors of 4096 bytes, fdisk wrote: what they were asked for is what is read.
 */
#include <cmocka.h>

#include <unistd.h>

#include "lib/part/disk_in_memory.h"

#define DISK_BYTES (8u << 20)

static char path[] = "/tmp/part-test-XXXXXX";

static int setup(void **state)
{
    const int file = mkstemp(path);

    (void)state;
    return file < 0 ? -1 : close(file);
}

static int teardown(void **state)
{
    (void)state;
    return unlink(path);
}

/* A disk with the table that a program makes of a script. */
static struct memory_disk *made(const char *program, const char *script, uint32_t sector_size)
{
    struct memory_disk *disk = memory_disk_new(DISK_BYTES / sector_size, sector_size);
    char command[1024];
    FILE *file;

    (void)snprintf(command, sizeof(command),
                   "truncate -s 0 %s && truncate -s %u %s && PATH=$PATH:/sbin:/usr/sbin && "
                   "%s %s <<'END' >/dev/null 2>&1\n%sEND\n",
                   path, DISK_BYTES, path, program, path, script); /* all are short */
    assert_int_equal(system(command), 0);
    file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fread(disk->bytes, 1, DISK_BYTES, file), DISK_BYTES);
    (void)fclose(file); /* was only read */
    if (!part_read(&disk->table, &disk->source) || disk->lines)
        fail_msg("%s", disk->said);
    return disk;
}

static void is(const struct memory_disk *disk, uint32_t index, uint32_t number, uint64_t first,
               uint64_t sectors)
{
    assert_true(index < disk->table.count);
    assert_int_equal(disk->table.entry[index].number, number);
    assert_int_equal(disk->table.entry[index].first, first);
    assert_int_equal(disk->table.entry[index].sectors, sectors);
}

static void test_gpt(void **state)
{
    struct memory_disk *disk =
        made("sfdisk",
             "label: gpt\nlabel-id: 01234567-89AB-CDEF-0123-456789ABCDEF\n"
             "start=2048, size=2048, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, name=\"root \xc3\xa4\"\n"
             "start=8192, size=100, type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7, name=\"data\", "
             "uuid=FEDCBA98-7654-3210-FEDC-BA9876543210, attrs=\"GUID:60\"\n",
             512);

    (void)state;
    assert_int_equal(disk->table.kind, PART_GPT);
    assert_string_equal(disk->table.uuid, "01234567-89ab-cdef-0123-456789abcdef");
    assert_int_equal(disk->table.count, 2);
    is(disk, 0, 1, 2048, 2048);
    is(disk, 1, 2, 8192, 100);
    assert_string_equal(disk->table.entry[0].name, "root \xc3\xa4");
    assert_string_equal(disk->table.entry[0].type, "0fc63daf-8483-4772-8e79-3d69d8477de4");
    assert_string_equal(disk->table.entry[1].uuid, "fedcba98-7654-3210-fedc-ba9876543210");
    assert_true(disk->table.entry[1].read_only);
    memory_disk_delete(disk);
}

static void test_gpt_4096(void **state)
{
    struct memory_disk *disk = made("fdisk -b 4096", "g\nn\n1\n256\n767\nn\n2\n1024\n1033\nw\n", 4096);

    (void)state;
    assert_int_equal(disk->table.count, 2);
    is(disk, 0, 1, 256, 512);
    is(disk, 1, 2, 1024, 10);
    memory_disk_delete(disk);
}

static void test_mbr(void **state)
{
    struct memory_disk *disk =
        made("sfdisk",
             "label: dos\nlabel-id: 0x12345678\nstart=256, size=256, type=83, bootable\n"
             "start=512, size=1024, type=5\nstart=768, size=100, type=83\n"
             "start=1024, size=100, type=82\nstart=1280, size=256, type=7\n",
             512);

    (void)state;
    assert_int_equal(disk->table.kind, PART_MBR);
    assert_string_equal(disk->table.uuid, "12345678");
    assert_int_equal(disk->table.count, 4);
    is(disk, 0, 1, 256, 256);
    is(disk, 1, 5, 768, 100);
    is(disk, 2, 6, 1024, 100);
    is(disk, 3, 7, 1280, 256);
    assert_int_equal(disk->table.entry[2].system, 0x82);
    assert_string_equal(disk->table.entry[3].uuid, "12345678-07");
    memory_disk_delete(disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gpt),
        cmocka_unit_test(test_gpt_4096),
        cmocka_unit_test(test_mbr),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
