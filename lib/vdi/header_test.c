/* SPDX-License-Identifier: ISC */
/*
 * The header: what is read, every field wrong, and that what is built is what is read.
 */
#include <cmocka.h>

#include <string.h>

#include "lib/vdi/create.h"

#define MIB (UINT64_C(1) << 20)

static void put32(uint8_t *bytes, size_t at, uint32_t value)
{
    memcpy(bytes + at, &value, sizeof(value));
}

static void put64(uint8_t *bytes, size_t at, uint64_t value)
{
    memcpy(bytes + at, &value, sizeof(value));
}

/* A dynamic image of 10 MiB and a sector, as VirtualBox would make it. */
static void good_header(uint8_t bytes[VDI_HEADER_BYTES])
{
    memset(bytes, 0, VDI_HEADER_BYTES);
    put32(bytes, 0x40, 0xbeda107f);
    put32(bytes, 0x44, 0x00010001);
    put32(bytes, 0x48, 400);
    put32(bytes, 0x4c, VDI_DYNAMIC);
    put32(bytes, 0x154, 1 << 20);
    put32(bytes, 0x158, 2 << 20);
    put32(bytes, 0x168, 512);
    put64(bytes, 0x170, 10 * MIB + 512);
    put32(bytes, 0x178, 1 << 20);
    put32(bytes, 0x180, 11);
    put32(bytes, 0x184, 3);
    memset(bytes + 0x188, 0x11, 16);
    memset(bytes + 0x198, 0x22, 16);
}

/* Version 0.2: the map is at 0x1a4 and the data behind it. */
static void ancient_header(uint8_t bytes[VDI_HEADER_BYTES])
{
    memset(bytes, 0, VDI_HEADER_BYTES);
    put32(bytes, 0x40, 0xbeda107f);
    put32(bytes, 0x44, 2);
    put32(bytes, 0x48, VDI_FIXED);
    put32(bytes, 0x15c, 512);
    put64(bytes, 0x160, 23 * MIB);
    put32(bytes, 0x168, 1 << 20);
    put32(bytes, 0x16c, 23);
    put32(bytes, 0x170, 23);
    memset(bytes + 0x174, 0x11, 16);
    memset(bytes + 0x184, 0x22, 16);
}

static void test_version_1_1(void **state)
{
    uint8_t bytes[VDI_HEADER_BYTES];
    struct vdi_header header;
    struct vdi_error error = {""};

    (void)state;
    good_header(bytes);
    for (uint32_t size = 384; size <= 400; size += 16) {
        put32(bytes, 0x48, size);
        assert_true(vdi_header_parse(&header, bytes, sizeof(bytes), &error));
        assert_int_equal(header.header_size, size);
    }
    assert_int_equal(header.type, VDI_DYNAMIC);
    assert_int_equal(header.disk_size, 10 * MIB + 512);
    assert_int_equal(header.block_size, MIB);
    assert_int_equal(header.block_count, 11);
    assert_int_equal(header.slot_count, 3);
    assert_int_equal(header.map_offset, MIB);
    assert_int_equal(vdi_slot_offset(&header, 2), 4 * MIB);
    assert_int_equal(header.create.bytes[3], 0x11);
    assert_int_equal(header.modify.bytes[3], 0x22);
    put32(bytes, 0x17c, 1024);
    assert_true(vdi_header_parse(&header, bytes, sizeof(bytes), &error));
    assert_int_equal(vdi_slot_offset(&header, 2), 4 * MIB + 3 * 1024);
    put32(bytes, 0x17c, 0);
    assert_true(vdi_header_parse(&header, bytes, sizeof(bytes), &error));
    assert_true(vdi_header_writable(&header, 512, &error));
    assert_true(vdi_header_writable(&header, 512, NULL));
    assert_string_equal(error.text, "");
}

static void test_version_0_2(void **state)
{
    uint8_t bytes[VDI_HEADER_BYTES];
    struct vdi_header header;
    struct vdi_error error;

    (void)state;
    ancient_header(bytes);
    assert_true(vdi_header_parse(&header, bytes, sizeof(bytes), &error));
    assert_int_equal(header.type, VDI_FIXED);
    assert_int_equal(header.map_offset, 420);
    assert_int_equal(header.data_offset,
                     512); /* 23 blocks: one of the few numbers that make it a sector's begin */
    assert_int_equal(header.disk_size, 23 * MIB);
    assert_int_equal(header.slot_count, 23);
    assert_int_equal(header.create.bytes[0], 0x11);
    assert_int_equal(header.modify.bytes[15], 0x22);
    assert_false(vdi_header_writable(&header, 512, &error));
    assert_string_equal(error.text, "version of an image to be written: expected 0x10001, found 0x2");
    put32(bytes, 0x15c, 1024);
    assert_false(vdi_header_parse(&header, bytes, sizeof(bytes), &error));
    put32(bytes, 0x15c, 512);
    memset(bytes + 0x194, 1, 16);
    assert_false(vdi_header_parse(&header, bytes, sizeof(bytes), &error));
    put32(bytes, 0x48, VDI_DIFFERENCING);
    assert_true(vdi_header_parse(&header, bytes, sizeof(bytes), &error));
}

struct wrong {
    uint32_t at, width;
    uint64_t value;
    const char *line;
};

static void test_every_field_wrong(void **state)
{
    static const struct wrong wrong[] = {
        {0x40, 4, 0, "signature at 0x40: expected 0xbeda107f, a VDI image's, found 0x0"},
        {0x44, 4, 0x10002, "version: expected 0x10001 or 0x2, found 0x10002"},
        {0x48, 4, 0, "header size: expected 384 or 400, found 0"},
        {0x48, 4, 383, "header size: expected 384 or 400, found 383"},
        {0x48, 4, 401, "header size: expected 384 or 400, found 401"},
        {0x48, 4, UINT32_MAX, "header size: expected 384 or 400, found 4294967295"},
        {0x4c, 4, 0, "type: expected 1 (dynamic), 2 (fixed) or 4 (differencing), found 0"},
        {0x4c, 4, VDI_UNDO, "type: expected 1 (dynamic), 2 (fixed) or 4 (differencing), found 3"},
        {0x4c, 4, 5, "type: expected 1 (dynamic), 2 (fixed) or 4 (differencing), found 5"},
        {0x4c, 4, VDI_DIFFERENCING,
         "UUID of the parent (uuidLinkage) of a differencing image: expected not null, found 0"},
        {0x154, 4, 0x1d7, "place of the map: expected behind the header, at least 472, found 471"},
        {0x154, 4, (2 << 20) - 43,
         "place of the data: expected behind the map, at least 2097153, found 2097152"},
        {0x154, 4, UINT32_MAX,
         "place of the data: expected behind the map, at least 4294967339, found 2097152"},
        {0x158, 4, 0, "place of the data: expected behind the map, at least 1048620, found 0"},
        {0x158, 4, (1 << 20) + 43,
         "place of the data: expected behind the map, at least 1048620, found 1048619"},
        {0x168, 4, 4096, "sector size: expected 512, found 4096"},
        {0x170, 8, 0, "disk size: expected a multiple of 512 bytes, at least one and at most 2^56, found 0"},
        {0x170, 8, 511,
         "disk size: expected a multiple of 512 bytes, at least one and at most 2^56, found 511"},
        {0x170, 8, UINT64_MAX - 511,
         "disk size: expected a multiple of 512 bytes, at least one and at most 2^56, found "
         "18446744073709551104"},
        {0x170, 8, UINT64_C(1) << 56, "blocks of the disk: expected at most 4294967280, found 68719476736"},
        {0x170, 8, 10 * MIB, "block count: expected as the disk's and a block's size give it, 10, found 11"},
        {0x178, 4, 0, "block size: expected a power of two from 4096 to 268435456, found 0"},
        {0x178, 4, 2048, "block size: expected a power of two from 4096 to 268435456, found 2048"},
        {0x178, 4, 3 << 20, "block size: expected a power of two from 4096 to 268435456, found 3145728"},
        {0x178, 4, 1 << 29, "block size: expected a power of two from 4096 to 268435456, found 536870912"},
        {0x178, 4, 1 << 21, "block count: expected as the disk's and a block's size give it, 6, found 11"},
        {0x17c, 4, 1, "block extra: expected a multiple of 512 up to 268435456, found 1"},
        {0x17c, 4, 0xfffffe00, "block extra: expected a multiple of 512 up to 268435456, found 4294966784"},
        {0x180, 4, 0, "block count: expected as the disk's and a block's size give it, 11, found 0"},
        {0x180, 4, UINT32_MAX,
         "block count: expected as the disk's and a block's size give it, 11, found 4294967295"},
        {0x1a8, 8, 1, "type of an image with a parent (uuidLinkage): expected 4, differencing, found 1"},
    };
    uint8_t bytes[VDI_HEADER_BYTES];
    struct vdi_header header;
    struct vdi_error error;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        good_header(bytes);
        memcpy(bytes + wrong[i].at, &wrong[i].value, wrong[i].width);
        assert_false(vdi_header_parse(&header, bytes, sizeof(bytes), &error));
        assert_string_equal(error.text, wrong[i].line);
        assert_false(vdi_header_parse(&header, bytes, sizeof(bytes), NULL));
    }
}

static void test_null_uuids(void **state)
{
    uint8_t bytes[VDI_HEADER_BYTES];
    struct vdi_header header;
    struct vdi_error error;

    (void)state;
    good_header(bytes);
    memset(bytes + 0x188, 0, 16);
    assert_false(vdi_header_parse(&header, bytes, sizeof(bytes), &error));
    assert_string_equal(error.text, "UUID of the image (uuidCreate): expected not null, found 0");
    good_header(bytes);
    memset(bytes + 0x198, 0, 16);
    assert_false(vdi_header_parse(&header, bytes, sizeof(bytes), &error));
    assert_string_equal(error.text, "UUID of its state (uuidModify): expected not null, found 0");
}

static void test_too_short(void **state)
{
    uint8_t bytes[VDI_HEADER_BYTES];
    struct vdi_header header;
    struct vdi_error error;

    (void)state;
    good_header(bytes);
    assert_false(vdi_header_parse(&header, bytes, 511, &error));
    assert_string_equal(error.text, "size of the image: expected a header, at least 512 bytes, found 511");
    assert_false(vdi_header_parse(&header, bytes, 0, &error));
    assert_string_equal(error.text, "size of the image: expected a header, at least 512 bytes, found 0");
}

static void test_not_writable(void **state)
{
    static const struct wrong wrong[] = {
        {0x50, 4, 2, "flags of an image to be written: expected 0x0 or 0x1, found 0x2"},
        {0x17c, 4, 512, "block extra of an image to be written: expected 0, found 512"},
        {0x154, 4, 513, "place of the map of an image to be written: expected a multiple of 512, found 513"},
        {0x158, 4, (2 << 20) + 1,
         "place of the data of an image to be written: expected a multiple of 512, found 2097153"},
        {0x158, 4, (1 << 20) + 44,
         "place of the data of an image to be written: expected a multiple of 512, found 1048620"},
    };
    uint8_t bytes[VDI_HEADER_BYTES];
    struct vdi_header header;
    struct vdi_error error;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        good_header(bytes);
        memcpy(bytes + wrong[i].at, &wrong[i].value, wrong[i].width);
        assert_true(vdi_header_parse(&header, bytes, sizeof(bytes), &error));
        assert_false(vdi_header_writable(&header, 512, &error));
        assert_string_equal(error.text, wrong[i].line);
    }
    good_header(bytes);
    assert_true(vdi_header_parse(&header, bytes, sizeof(bytes), &error));
    assert_false(vdi_header_writable(&header, 4096, &error));
    assert_string_equal(error.text,
                        "disk size of an image to be written: expected a multiple of 4096, found 10486272");
    put32(bytes, 0x158, (1 << 20) + 512);
    put64(bytes, 0x170, 11 * MIB);
    assert_true(vdi_header_parse(&header, bytes, sizeof(bytes), &error));
    assert_true(vdi_header_writable(&header, 512, &error));
    assert_false(vdi_header_writable(&header, 4096, &error));
    header.data_offset = MIB; /* as the parser would not let it through */
    assert_false(vdi_header_writable(&header, 512, &error));
}

static void test_update_keeps_the_rest(void **state)
{
    uint8_t bytes[VDI_HEADER_BYTES], before[VDI_HEADER_BYTES];
    struct vdi_header header;

    (void)state;
    good_header(bytes);
    memcpy(bytes, "<<< text >>>", 12);
    memset(bytes + 0x54, 'c', 256);
    memset(bytes + 0x1c8, 0x77, VDI_HEADER_BYTES - 0x1c8);
    memcpy(before, bytes, sizeof(bytes));
    assert_true(vdi_header_parse(&header, bytes, sizeof(bytes), NULL));
    header.slot_count = 4;
    memset(header.modify.bytes, 0x33, 16);
    vdi_header_update(bytes, &header);
    put32(before, 0x184, 4);
    memset(before + 0x198, 0x33, 16);
    assert_memory_equal(bytes, before, sizeof(bytes));
}

static void test_uuid(void **state)
{
    static const uint8_t ones[16] = {[0 ... 15] = 0xff};
    static const struct vdi_uuid uuid = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}};
    struct vdi_uuid random = vdi_uuid_random(ones);
    char text[37];

    (void)state;
    vdi_uuid_text(&uuid, text);
    assert_string_equal(text, "03020100-0504-0706-0809-0a0b0c0d0e0f");
    vdi_uuid_text(&random, text);
    assert_string_equal(text, "ffffffff-ffff-4fff-bfff-ffffffffffff");
    assert_true(vdi_uuid_equal(&uuid, &uuid));
    assert_false(vdi_uuid_equal(&uuid, &random));
    assert_false(vdi_uuid_is_null(&uuid));
}

static void test_create(void **state)
{
    struct vdi_create_config config = {.type = VDI_FIXED, .disk_size = 5 * MIB + 512};
    struct vdi_header header, child;
    struct vdi_error error;
    uint32_t entries[8];

    (void)state;
    memset(config.random, 0x5a, sizeof(config.random));
    config.random[1][0] = 1;
    assert_true(vdi_create(&header, &config, &error));
    assert_int_equal(header.block_count, 6);
    assert_int_equal(header.slot_count, 6);
    assert_int_equal(header.map_offset, MIB);
    assert_int_equal(header.data_offset, 2 * MIB);
    assert_int_equal(vdi_create_size(&header), 8 * MIB);
    assert_false(vdi_uuid_equal(&header.create, &header.modify));
    vdi_create_map(&header, 1, 8, entries);
    for (uint32_t i = 0; i < 8; i++)
        assert_int_equal(entries[i], i < 5 ? i + 1 : 0);
    config = (struct vdi_create_config){.type = VDI_DIFFERENCING, .parent = &header};
    memset(config.random, 0x77, sizeof(config.random));
    assert_true(vdi_create(&child, &config, &error));
    assert_int_equal(child.disk_size, header.disk_size);
    assert_int_equal(child.slot_count, 0);
    assert_true(vdi_uuid_equal(&child.parent_create, &header.create));
    assert_true(vdi_uuid_equal(&child.parent_modify, &header.modify));
    assert_int_equal(vdi_create_size(&child), 2 * MIB);
    vdi_create_map(&child, 5, 2, entries);
    assert_int_equal(entries[0], VDI_MAP_FREE);
    assert_int_equal(entries[1], 0);
}

static void test_create_refuses(void **state)
{
    struct vdi_create_config config = {.type = VDI_DIFFERENCING, .disk_size = MIB};
    struct vdi_header header;
    struct vdi_error error;

    (void)state;
    memset(config.random, 0x5a, sizeof(config.random));
    assert_false(vdi_create(&header, &config, &error));
    assert_string_equal(
        error.text, "type of a new image: expected 4, differencing, if and only if it has a parent, found 4");
    config.type = VDI_UNDO;
    assert_false(vdi_create(&header, &config, &error));
    config.type = VDI_DYNAMIC;
    config.disk_size = 0;
    assert_false(vdi_create(&header, &config, &error));
    config.disk_size = UINT64_MAX;
    assert_false(vdi_create(&header, &config, &error));
    config.disk_size = VDI_DISK_SIZE_MAXIMUM;
    assert_false(vdi_create(&header, &config, &error));
    assert_string_equal(error.text, "blocks of a new image: expected at most 536870910, found 68719476736");
    config.block_size = VDI_BLOCK_SIZE_MAXIMUM;
    assert_true(vdi_create(&header, &config, &error));
    config.block_size = 3 << 20;
    assert_false(vdi_create(&header, &config, &error));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_version_1_1),
        cmocka_unit_test(test_version_0_2),
        cmocka_unit_test(test_every_field_wrong),
        cmocka_unit_test(test_null_uuids),
        cmocka_unit_test(test_too_short),
        cmocka_unit_test(test_not_writable),
        cmocka_unit_test(test_update_keeps_the_rest),
        cmocka_unit_test(test_uuid),
        cmocka_unit_test(test_create),
        cmocka_unit_test(test_create_refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
