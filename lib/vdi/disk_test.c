/* SPDX-License-Identifier: ISC */
/*
 * The request engine: what it submits and in which order, what it refuses, and what becomes of failures.
 */
#include <cmocka.h>

#include <stdio.h>

#include "lib/vdi/simulation.h"

#define BLOCK  4096u
#define BLOCKS 10u
#define DATA   (2 * VDI_SECTOR)

/* Operations in the order of their ends: R read, W write of bytes, Z zeroes, H header, M map, F flush, C
 * clear; ! FUA. */
struct log {
    char text[256];
    size_t length;
    char fail; /* operations of this letter fail */
};

static enum vdi_status log_operation(struct sim *sim, const struct vdi_operation *operation)
{
    struct log *log = sim->test;
    char letter = "RWZ?F?C"[operation->action];

    if (letter == 'W' && operation->offset < DATA)
        letter = operation->offset ? 'M' : 'H';
    assert_true(log->length + 2 < sizeof(log->text));
    log->text[log->length++] = letter;
    if (operation->fua)
        log->text[log->length++] = '!';
    log->text[log->length] = '\0';
    return letter == log->fail ? VDI_MEDIUM : VDI_OK;
}

static struct sim *new_disk(enum vdi_type type, const struct sim *parent)
{
    struct sim *sim = calloc(1, sizeof(*sim));
    struct log *log = calloc(1, sizeof(*log));

    assert_true(sim && log);
    sim->test = log;
    sim->verdict = log_operation;
    sim->image_count = 1;
    sim->bytes[0] = sim_image_new(type, BLOCKS * BLOCK, BLOCK, parent ? 2 : 1,
                                  parent ? parent->bytes[0] : NULL, VDI_SECTOR, &sim->size[0]);
    if (parent) {
        sim->image_count = 2;
        sim->bytes[1] = parent->bytes[0];
        sim->size[1] = parent->size[0];
    }
    sim_open(sim, true);
    return sim;
}

static void delete_disk(struct sim *sim)
{
    sim_close(sim);
    free(sim->bytes[0]);
    free(sim->test);
    free(sim);
}

static void expect_log(struct sim *sim, const char *text)
{
    struct log *log = sim->test;

    assert_string_equal(log->text, text);
    log->length = 0;
    log->text[0] = '\0';
}

static enum vdi_status put(struct sim *sim, uint64_t offset, uint64_t length, bool fua)
{
    static uint8_t bytes[4 * BLOCK];

    memset(bytes, 0x42, sizeof(bytes));
    return sim_do(sim, VDI_WRITE, offset, length, bytes, fua);
}

static void test_growth_in_order(void **state)
{
    struct sim *sim = new_disk(VDI_DYNAMIC, NULL);
    struct vdi_uuid before = sim->images[0].header.modify;
    struct vdi_header header;

    (void)state;
    sim->immediate = true;
    assert_int_equal(put(sim, 0, BLOCK, false), VDI_OK);
    expect_log(sim, "HFWHFM"); /* first uuidModify */
    assert_true(vdi_header_parse(&header, sim->bytes[0], sim->size[0], NULL));
    assert_int_equal(header.slot_count, 1);
    assert_false(vdi_uuid_equal(&header.modify, &before));
    assert_int_equal(put(sim, 3 * BLOCK + 512, 1024, false), VDI_OK);
    expect_log(sim, "ZWZHFM");
    assert_int_equal(put(sim, 3 * BLOCK + 512, 1024, false), VDI_OK);
    expect_log(sim, "W");
    assert_int_equal(sim_do(sim, VDI_FLUSH, 0, 0, NULL, false), VDI_OK);
    expect_log(sim, "F");
    assert_int_equal(put(sim, 3 * BLOCK, BLOCK, true), VDI_OK);
    expect_log(sim, "W!");
    assert_int_equal(put(sim, 4 * BLOCK, BLOCK, true), VDI_OK);
    expect_log(sim, "WHFMF");
    /* The last block that was written has its entry in the store's cache only: FUA of its bytes would not do.
     */
    assert_int_equal(put(sim, 5 * BLOCK, BLOCK, false), VDI_OK);
    expect_log(sim, "WHFM");
    assert_int_equal(put(sim, 5 * BLOCK, BLOCK, true), VDI_OK);
    expect_log(sim, "WF");
    assert_int_equal(put(sim, 5 * BLOCK, BLOCK, true), VDI_OK);
    expect_log(sim, "W!");
    delete_disk(sim);
}

static void test_contiguous_is_one_operation(void **state)
{
    struct sim *sim = new_disk(VDI_FIXED, NULL);
    uint8_t bytes[4 * BLOCK];

    (void)state;
    assert_int_equal(put(sim, 0, 512, false), VDI_OK);
    expect_log(sim, "HFW");
    assert_int_equal(put(sim, 512, 3 * BLOCK, false), VDI_OK);
    expect_log(sim, "W");
    assert_int_equal(sim_do(sim, VDI_READ, 512, 3 * BLOCK, bytes, false), VDI_OK);
    expect_log(sim, "R");
    assert_int_equal(sim_do(sim, VDI_DISCARD, 0, 3 * BLOCK, NULL, false), VDI_OK);
    expect_log(sim, "");
    assert_int_equal(sim_do(sim, VDI_WRITE_ZEROES, 0, 3 * BLOCK, NULL, false), VDI_OK);
    expect_log(sim, "Z");
    delete_disk(sim);
}

static void test_zeroes_take_no_slot(void **state)
{
    struct sim *sim = new_disk(VDI_DYNAMIC, NULL);
    struct sim *child;
    uint8_t bytes[BLOCK];

    (void)state;
    assert_int_equal(sim_do(sim, VDI_WRITE_ZEROES, 512, 3 * BLOCK, NULL, true), VDI_OK);
    assert_int_equal(sim_do(sim, VDI_DISCARD, 0, 3 * BLOCK, NULL, true), VDI_OK);
    assert_int_equal(sim_do(sim, VDI_READ, 0, BLOCK, bytes, false), VDI_OK);
    expect_log(sim, "C");
    assert_int_equal(put(sim, BLOCK, 2 * BLOCK, false), VDI_OK);
    sim_close(sim);
    child = new_disk(VDI_DIFFERENCING, sim);
    assert_int_equal(sim_do(child, VDI_WRITE_ZEROES, 0, BLOCK, NULL, false), VDI_OK);
    expect_log(child, "");
    assert_int_equal(sim_do(child, VDI_WRITE_ZEROES, BLOCK, BLOCK, NULL, false), VDI_OK);
    expect_log(child, "HFM");
    assert_int_equal(child->images[0].map[1], VDI_MAP_ZERO);
    assert_int_equal(sim_do(child, VDI_WRITE_ZEROES, 2 * BLOCK + 512, 512, NULL, true), VDI_OK);
    assert_int_equal(child->images[0].map[2], 0);
    assert_int_equal(sim_do(child, VDI_READ, 2 * BLOCK, BLOCK, bytes, false), VDI_OK);
    for (uint32_t i = 0; i < BLOCK; i++)
        assert_int_equal(bytes[i], i / 512 == 1 ? 0 : 0x42);
    assert_int_equal(sim_do(child, VDI_READ, BLOCK, BLOCK, bytes, false), VDI_OK);
    assert_int_equal(bytes[0], 0);
    delete_disk(child);
    delete_disk(sim);
}

static void test_discard_in_order(void **state)
{
    struct sim *sim = new_disk(VDI_DYNAMIC, NULL);
    struct vdi_header header;
    uint8_t bytes[BLOCK];

    (void)state;
    sim->immediate = true;
    assert_int_equal(put(sim, 0, 4 * BLOCK, false), VDI_OK);
    ((struct log *)sim->test)->length = 0;
    assert_int_equal(sim_do(sim, VDI_DISCARD, 512, 2 * BLOCK, NULL, false), VDI_OK);
    expect_log(sim, "MF"); /* only block 1 is whole; its slot is free once the flush is done */
    assert_int_equal(vdi_disk_holes(&sim->disk), 1);
    assert_int_equal(sim_do(sim, VDI_READ, BLOCK, BLOCK, bytes, false), VDI_OK);
    expect_log(sim, "C");
    assert_int_equal(put(sim, 6 * BLOCK, BLOCK, false), VDI_OK);
    expect_log(sim, "WFM"); /* the hole is filled, and cBlocksAllocated is as it was */
    assert_int_equal(vdi_disk_holes(&sim->disk), 0);
    assert_int_equal(sim_do(sim, VDI_DISCARD, 0, BLOCK, NULL, false), VDI_OK);
    assert_int_equal(sim_do(sim, VDI_DISCARD, 2 * BLOCK, BLOCK, NULL, false), VDI_OK);
    expect_log(sim, "MFMF");
    assert_int_equal(sim_do(sim, VDI_COMPACT, 0, 0, NULL, false), VDI_OK);
    expect_log(sim, "RWRWFMFHFF");
    assert_int_equal(vdi_disk_holes(&sim->disk), 0);
    assert_int_equal(sim_do(sim, VDI_READ, 3 * BLOCK, BLOCK, bytes, false), VDI_OK);
    assert_int_equal(bytes[BLOCK - 1], 0x42);
    assert_true(vdi_header_parse(&header, sim->bytes[0], sim->size[0], NULL));
    assert_int_equal(header.slot_count, 2);
    ((struct log *)sim->test)->length = 0;
    assert_int_equal(sim_do(sim, VDI_COMPACT, 0, 0, NULL, false), VDI_OK);
    expect_log(sim, "F");
    delete_disk(sim);
}

static void test_discard_of_the_rest(void **state)
{
    struct sim *sim = new_disk(VDI_DYNAMIC, NULL);

    (void)state;
    assert_int_equal(put(sim, 7 * BLOCK, 3 * BLOCK, false), VDI_OK);
    assert_int_equal(sim_do(sim, VDI_DISCARD, 0, BLOCKS * BLOCK, NULL, true), VDI_OK);
    for (uint32_t i = 7; i < BLOCKS; i++)
        assert_int_equal(sim->images[0].map[i], VDI_MAP_ZERO);
    assert_int_equal(sim_do(sim, VDI_COMPACT, 0, 0, NULL, false), VDI_OK);
    assert_int_equal(sim->images[0].header.slot_count, 0);
    delete_disk(sim);
}

static void test_requests_refused(void **state)
{
    struct sim *sim = new_disk(VDI_DYNAMIC, NULL);
    static uint8_t bytes[BLOCK];
    const uint64_t size = BLOCKS * BLOCK;

    (void)state;
    assert_int_equal(sim_do(sim, VDI_READ, size, 512, bytes, false), VDI_OUT_OF_RANGE);
    assert_int_equal(sim_do(sim, VDI_READ, size - 512, 1024, bytes, false), VDI_OUT_OF_RANGE);
    assert_int_equal(sim_do(sim, VDI_WRITE, UINT64_MAX - 511, 512, bytes, false), VDI_OUT_OF_RANGE);
    assert_int_equal(sim_do(sim, VDI_WRITE, 512, UINT64_MAX - 511, bytes, false), VDI_OUT_OF_RANGE);
    assert_int_equal(sim_do(sim, VDI_READ, 1, 512, bytes, false), VDI_INVALID);
    assert_int_equal(sim_do(sim, VDI_READ, 0, 511, bytes, false), VDI_INVALID);
    assert_int_equal(sim_do(sim, VDI_CLEAR, 0, 512, bytes, false), VDI_INVALID);
    assert_int_equal(sim_do(sim, (enum vdi_action)99, 0, 512, bytes, false), VDI_INVALID);
    assert_int_equal(sim_do(sim, VDI_FLUSH, 0, 512, bytes, false), VDI_INVALID);
    assert_int_equal(sim_do(sim, VDI_COMPACT, 512, 0, bytes, false), VDI_INVALID);
    assert_int_equal(sim_do(sim, VDI_READ, size, 0, bytes, false), VDI_OK);
    assert_int_equal(sim_do(sim, VDI_WRITE, 0, 0, bytes, false), VDI_OK);
    expect_log(sim, "");
    sim_close(sim);
    sim_open(sim, false);
    assert_int_equal(sim_do(sim, VDI_WRITE, 0, 512, bytes, false), VDI_READ_ONLY);
    assert_int_equal(sim_do(sim, VDI_WRITE_ZEROES, 0, 512, bytes, false), VDI_READ_ONLY);
    assert_int_equal(sim_do(sim, VDI_DISCARD, 0, 512, bytes, false), VDI_READ_ONLY);
    assert_int_equal(sim_do(sim, VDI_COMPACT, 0, 0, NULL, false), VDI_READ_ONLY);
    assert_int_equal(sim_do(sim, VDI_FLUSH, 0, 0, NULL, false), VDI_OK);
    assert_int_equal(sim_do(sim, VDI_READ, 0, 512, bytes, false), VDI_OK);
    expect_log(sim, "C");
    delete_disk(sim);
}

static void test_no_space(void **state)
{
    struct sim *sim = new_disk(VDI_DYNAMIC, NULL);

    (void)state;
    sim->images[0].capacity = DATA + 2 * BLOCK;
    assert_int_equal(put(sim, 0, 3 * BLOCK, false), VDI_NO_SPACE);
    assert_int_equal(put(sim, 0, 2 * BLOCK, false), VDI_OK);
    assert_int_equal(put(sim, 5 * BLOCK, 512, false), VDI_NO_SPACE);
    assert_int_equal(sim_do(sim, VDI_DISCARD, 0, BLOCK, NULL, false), VDI_OK);
    assert_int_equal(put(sim, 5 * BLOCK, 512, false), VDI_OK);
    delete_disk(sim);
}

/* What must not be lost must not be believed: after a failure in the middle of a commit nothing is written
 * any more. */
static void test_failure(char letter, bool fatal)
{
    struct sim *sim = new_disk(VDI_DYNAMIC, NULL);
    uint8_t bytes[BLOCK];

    assert_int_equal(put(sim, 0, BLOCK, false), VDI_OK);
    ((struct log *)sim->test)->fail = letter;
    assert_int_equal(put(sim, 4 * BLOCK, 512, false), VDI_MEDIUM);
    ((struct log *)sim->test)->fail = 0;
    assert_int_equal(put(sim, 4 * BLOCK, 512, false), fatal ? VDI_MEDIUM : VDI_OK);
    assert_int_equal(put(sim, 0, 512, false), fatal ? VDI_MEDIUM : VDI_OK);
    assert_int_equal(sim_do(sim, VDI_FLUSH, 0, 0, NULL, false), fatal ? VDI_MEDIUM : VDI_OK);
    assert_int_equal(sim_do(sim, VDI_COMPACT, 0, 0, NULL, false), fatal ? VDI_MEDIUM : VDI_OK);
    assert_int_equal(sim_do(sim, VDI_READ, 0, BLOCK, bytes, false), VDI_OK);
    assert_int_equal(bytes[0], 0x42);
    delete_disk(sim);
}

static void test_failures(void **state)
{
    (void)state;
    test_failure('W', false);
    test_failure('Z', false);
    test_failure('H', true);
    test_failure('F', true);
    test_failure('M', true);
}

static void test_failed_touch(void **state)
{
    struct sim *sim = new_disk(VDI_DYNAMIC, NULL);

    (void)state;
    ((struct log *)sim->test)->fail = 'H';
    assert_int_equal(put(sim, 0, BLOCK, false), VDI_MEDIUM);
    expect_log(sim, "H");
    assert_int_equal(put(sim, 0, BLOCK, false), VDI_MEDIUM);
    expect_log(sim, "");
    delete_disk(sim);
}

static void test_failed_discard_and_flush(void **state)
{
    struct sim *sim = new_disk(VDI_DYNAMIC, NULL);

    (void)state;
    assert_int_equal(put(sim, 0, BLOCK, false), VDI_OK);
    ((struct log *)sim->test)->fail = 'F';
    assert_int_equal(sim_do(sim, VDI_FLUSH, 0, 0, NULL, false), VDI_MEDIUM);
    ((struct log *)sim->test)->fail = 0;
    /* The entry of block 0 may still be in the cache only. */
    ((struct log *)sim->test)->length = 0;
    assert_int_equal(put(sim, 0, 512, true), VDI_OK);
    expect_log(sim, "WF");
    ((struct log *)sim->test)->fail = 'F';
    assert_int_equal(sim_do(sim, VDI_DISCARD, 0, BLOCK, NULL, false), VDI_MEDIUM);
    assert_int_equal(put(sim, 0, 512, true), VDI_MEDIUM);
    delete_disk(sim);
}

static void test_read_failure_of_parent(void **state)
{
    struct sim *base = new_disk(VDI_DYNAMIC, NULL);
    struct sim *child;
    uint8_t bytes[BLOCK];

    (void)state;
    assert_int_equal(put(base, 0, BLOCK, false), VDI_OK);
    sim_close(base);
    child = new_disk(VDI_DIFFERENCING, base);
    ((struct log *)child->test)->fail = 'R';
    assert_int_equal(put(child, 0, 512, false), VDI_MEDIUM);
    assert_int_equal(sim_do(child, VDI_READ, 0, 512, bytes, false), VDI_MEDIUM);
    ((struct log *)child->test)->fail = 0;
    assert_int_equal(put(child, 0, 512, false), VDI_OK);
    assert_int_equal(vdi_disk_holes(&child->disk), 0);
    assert_int_equal(sim_do(child, VDI_READ, 0, BLOCK, bytes, false), VDI_OK);
    assert_int_equal(bytes[BLOCK - 1], 0x42);
    delete_disk(child);
    delete_disk(base);
}

static void test_one_operation_at_a_time(void **state)
{
    struct sim *sim = new_disk(VDI_DYNAMIC, NULL);
    uint8_t bytes[3 * BLOCK];

    (void)state;
    sim->disk.free->next = NULL;
    sim->disk.config.change_count = 1;
    assert_int_equal(put(sim, 512, 3 * BLOCK, true), VDI_OK);
    assert_int_equal(sim_do(sim, VDI_DISCARD, 0, 2 * BLOCK, NULL, true), VDI_OK);
    assert_int_equal(sim_do(sim, VDI_COMPACT, 0, 0, NULL, true), VDI_OK);
    assert_int_equal(sim_do(sim, VDI_READ, BLOCK, 3 * BLOCK, bytes, false), VDI_OK);
    assert_int_equal(bytes[0], 0);
    assert_int_equal(bytes[BLOCK], 0x42);
    assert_int_equal(bytes[2 * BLOCK + 511], 0x42);
    assert_int_equal(bytes[2 * BLOCK + 512], 0);
    delete_disk(sim);
}

static void test_config(void **state)
{
    const struct vdi_wiring wiring = {NULL, sim_submit, sim_complete};
    struct sim *sim = new_disk(VDI_DYNAMIC, NULL);
    struct vdi_disk_config config = sim->disk.config;
    struct vdi_error error;
    struct vdi_disk disk;

    (void)state;
    config.wiring = &wiring;
    assert_true(vdi_disk_init(&disk, &config, &error));
    config.bounce_size = 500;
    assert_false(vdi_disk_init(&disk, &config, &error));
    assert_string_equal(error.text, "size of a bounce buffer: expected a multiple of 512, found 500");
    config.bounce_size = SIM_BOUNCE;
    config.header = NULL;
    assert_false(vdi_disk_init(&disk, &config, &error));
    config.operation_count = 0;
    assert_false(vdi_disk_init(&disk, &config, &error));
    config.image_count = 0;
    assert_false(vdi_disk_init(&disk, &config, &error));
    delete_disk(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_growth_in_order),
        cmocka_unit_test(test_contiguous_is_one_operation),
        cmocka_unit_test(test_zeroes_take_no_slot),
        cmocka_unit_test(test_discard_in_order),
        cmocka_unit_test(test_discard_of_the_rest),
        cmocka_unit_test(test_requests_refused),
        cmocka_unit_test(test_no_space),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_failed_touch),
        cmocka_unit_test(test_failed_discard_and_flush),
        cmocka_unit_test(test_read_failure_of_parent),
        cmocka_unit_test(test_one_operation_at_a_time),
        cmocka_unit_test(test_config),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
