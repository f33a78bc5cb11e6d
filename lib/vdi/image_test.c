/* SPDX-License-Identifier: ISC */
/*
 * Maps and chains: what is refused when an image is opened, what is counted, and where bytes are found.
 */
#include <cmocka.h>

#include "lib/vdi/simulation.h"

#define BLOCK  4096u
#define BLOCKS 10u

/* An image in memory, its map at hand. */
struct fixture {
    uint8_t *bytes;
    uint64_t size;
    uint32_t *map;
    struct vdi_image image;
    struct vdi_error error;
};

static struct fixture fixture_new(enum vdi_type type, uint64_t disk_size, uint8_t seed, const uint8_t *parent)
{
    struct fixture fixture = {.error = {""}};

    fixture.bytes = sim_image_new(type, disk_size, BLOCK, seed, parent, VDI_SECTOR, &fixture.size);
    fixture.map = (uint32_t *)(void *)(fixture.bytes + VDI_SECTOR);
    return fixture;
}

static bool fixture_open(struct fixture *fixture, bool writable)
{
    return sim_image_open(&fixture->image, fixture->bytes, fixture->size, fixture->size, writable, VDI_SECTOR,
                          &fixture->error);
}

static void fixture_delete(struct fixture *fixture)
{
    sim_image_close(&fixture->image);
    free(fixture->bytes);
}

static void set_slot_count(struct fixture *fixture, uint32_t count)
{
    memcpy(fixture->bytes + 0x184, &count, sizeof(count));
}

static void test_counts(void **state)
{
    struct fixture f = fixture_new(VDI_DYNAMIC, BLOCKS * BLOCK, 1, NULL);

    (void)state;
    f.map[2] = 0;
    f.map[5] = 4;
    f.map[6] = VDI_MAP_ZERO;
    set_slot_count(&f, 1);
    assert_true(fixture_open(&f, true));
    assert_int_equal(f.image.mapped, 2);
    assert_int_equal(f.image.slots, 5);
    assert_true(f.image.count_was_low);
    assert_int_equal(f.image.header.slot_count, 5);
    assert_true(vdi_slot_used(&f.image, 0));
    assert_false(vdi_slot_used(&f.image, 3));
    sim_image_close(&f.image);
    set_slot_count(&f, UINT32_MAX);
    assert_true(fixture_open(&f, true));
    assert_false(f.image.count_was_low);
    assert_int_equal(f.image.header.slot_count, BLOCKS);
    fixture_delete(&f);
}

static void test_slot_out_of_range(void **state)
{
    static const uint32_t slots[] = {BLOCKS, 0x80000000, VDI_MAP_ZERO - 1};
    struct fixture f = fixture_new(VDI_DYNAMIC, BLOCKS * BLOCK, 1, NULL);

    (void)state;
    for (size_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
        f.map[7] = slots[i];
        assert_false(fixture_open(&f, true));
        assert_false(fixture_open(&f, false));
        if (!i)
            assert_string_equal(f.error.text, "slot of block 7: expected a number below 10, found 10");
    }
    fixture_delete(&f);
}

static void test_duplicates(void **state)
{
    struct fixture f = fixture_new(VDI_DYNAMIC, BLOCKS * BLOCK, 1, NULL);

    (void)state;
    f.map[3] = f.map[7] = f.map[8] = 5;
    assert_false(fixture_open(&f, true));
    assert_string_equal(f.error.text, "slot of block 7: expected not the one of block 3, found 5");
    assert_true(fixture_open(&f, false));
    assert_int_equal(f.image.duplicates, 2);
    fixture_delete(&f);
}

static void test_cut_image(void **state)
{
    struct fixture f = fixture_new(VDI_FIXED, BLOCKS * BLOCK, 1, NULL);

    (void)state;
    f.size--;
    assert_false(fixture_open(&f, false));
    assert_string_equal(f.error.text, "image is cut: size for block 9: expected at least 41984, found 41983");
    f.size = VDI_SECTOR + BLOCKS * 4 - 1;
    assert_false(fixture_open(&f, false));
    assert_string_equal(f.error.text, "size of the image: expected all of its map, at least 552, found 551");
    f.size = 511;
    assert_false(fixture_open(&f, false));
    fixture_delete(&f);
}

static void test_config(void **state)
{
    struct fixture f = fixture_new(VDI_DYNAMIC, BLOCKS * BLOCK, 1, NULL);

    (void)state;
    assert_false(sim_image_open(&f.image, f.bytes, f.size, f.size - 1, false, VDI_SECTOR, &f.error));
    assert_false(sim_image_open(&f.image, f.bytes, f.size, f.size, false, 3, &f.error));
    assert_false(sim_image_open(&f.image, f.bytes, f.size, f.size, false, 8192, &f.error));
    assert_false(sim_image_open(&f.image, f.bytes, f.size, f.size, true, 1, &f.error));
    assert_string_equal(
        f.error.text,
        "unit of the store: expected a power of two from 512 to 4096, or 1 for reading, found 1");
    assert_false(sim_image_open(&f.image, f.bytes, f.size, f.size, false, 4096, &f.error));
    assert_string_equal(
        f.error.text, "place of the data: expected as the store's unit asks a multiple of 4096, found 1024");
    assert_true(sim_image_open(&f.image, f.bytes, f.size, f.size, false, 1, &f.error));
    sim_image_close(&f.image);
    f.bytes[0x50] = 2; /* a flag that nobody knows */
    assert_false(fixture_open(&f, true));
    assert_true(fixture_open(&f, false));
    fixture_delete(&f);
}

static void test_chain_fits(void **state)
{
    struct fixture base = fixture_new(VDI_DYNAMIC, BLOCKS * BLOCK, 1, NULL);
    struct fixture child = fixture_new(VDI_DIFFERENCING, BLOCKS * BLOCK, 2, base.bytes);
    struct vdi_image images[2];
    struct vdi_error error;

    (void)state;
    assert_true(fixture_open(&base, false) && fixture_open(&child, true));
    images[0] = child.image;
    images[1] = base.image;
    assert_true(vdi_chain_check(images, 2, &error));
    assert_true(vdi_chain_check(&images[1], 1, &error));
    assert_false(vdi_chain_check(images, 1, &error));
    assert_string_equal(error.text, "parents of the differencing image 0: expected at least 1, found 0");
    assert_false(vdi_chain_check(images, 0, &error));
    assert_string_equal(error.text, "images of a chain: expected at least 1, found 0");
    images[1].writable = true;
    assert_false(vdi_chain_check(images, 2, &error));
    images[1].writable = false;
    images[1].header.modify.bytes[0] ^= 1;
    assert_false(vdi_chain_check(images, 2, &error));
    assert_string_equal(error.text,
                        "parent was written after its child was made: its state (uuidModify): expected "
                        "01010101-0101-4101-8101-010101010101, found 01010100-0101-4101-8101-010101010101");
    images[0].header.version = VDI_VERSION_0_2;
    assert_true(vdi_chain_check(images, 2, &error));
    images[0].header.version = VDI_VERSION_1_1;
    images[1].header.create.bytes[0] ^= 1;
    assert_false(vdi_chain_check(images, 2, &error));
    assert_string_equal(error.text,
                        "another parent: its UUID (uuidCreate): expected "
                        "01010101-0101-4101-8101-010101010101, found 01010100-0101-4101-8101-010101010101");
    images[0] = images[1];
    assert_false(vdi_chain_check(images, 2, &error));
    assert_string_equal(error.text,
                        "images below the one that has no parent, 0: expected at most 0, found 1");
    fixture_delete(&base);
    fixture_delete(&child);
}

static void check_extent(struct vdi_extent extent, uint32_t image, uint64_t offset, uint64_t length)
{
    assert_int_equal(extent.image, image);
    if (image != VDI_CHAIN_ALL)
        assert_int_equal(extent.offset, offset);
    assert_int_equal(extent.length, length);
}

static void test_find(void **state)
{
    struct fixture base = fixture_new(VDI_DYNAMIC, 2 * BLOCK + 512, 1, NULL);
    struct fixture child = fixture_new(VDI_DIFFERENCING, BLOCKS * BLOCK, 2, base.bytes);
    struct vdi_image images[2];
    const uint64_t data = 1024;

    (void)state;
    base.map[0] = 1;
    base.map[2] = 0;
    child.map[0] = 4;
    child.map[2] = VDI_MAP_FREE;
    child.map[3] = VDI_MAP_ZERO;
    assert_true(fixture_open(&base, false) && fixture_open(&child, true));
    images[0] = child.image;
    images[1] = base.image;
    check_extent(vdi_chain_find(images, 2, 0, 512, 9999), 0, data + 4 * BLOCK + 512, BLOCK - 512);
    check_extent(vdi_chain_find(images, 2, 1, 512, 100), 1, data + BLOCK + 512, 100);
    check_extent(vdi_chain_find(images, 2, 0, BLOCK, 9999), VDI_CHAIN_ALL, 0, BLOCK);
    check_extent(vdi_chain_find(images, 2, 0, 2 * BLOCK, 9999), 1, data, 512); /* up to the parent's end */
    check_extent(vdi_chain_find(images, 2, 0, 2 * BLOCK + 512, 9999), VDI_CHAIN_ALL, 0, BLOCK - 512);
    check_extent(vdi_chain_find(images, 2, 0, 3 * BLOCK, 9999), VDI_CHAIN_ALL, 0, BLOCK);
    fixture_delete(&base);
    fixture_delete(&child);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),     cmocka_unit_test(test_slot_out_of_range),
        cmocka_unit_test(test_duplicates), cmocka_unit_test(test_cut_image),
        cmocka_unit_test(test_config),     cmocka_unit_test(test_chain_fits),
        cmocka_unit_test(test_find),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
