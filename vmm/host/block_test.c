/* SPDX-License-Identifier: ISC */
/*
 * Disks on Block sessions, with a client that the test plays: requests whole and in pieces, larger sectors, the end
 * of a disk, what a machine does not take, serial numbers.
 */
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/include/log.h"
#include "vmm/host/block.h"

static struct vm_disk description;
static struct host_disk disk;
static uint8_t area[HOST_DISK_AREA], guest[HOST_DISK_AREA];
static struct block_operation *last;
static bool takes, moves;
static unsigned submitted, moved, ended;
static enum disk_result result;
static char line[200];

/* ---- what the disk stands on */

void block_start(struct block *block)
{
    (void)block;
}

bool block_submit(struct block *block, struct block_operation *operation)
{
    assert_ptr_equal(block, &disk.block);
    if (!takes)
        return false;
    last = operation;
    submitted++;
    return true;
}

void event_turn(uint64_t until)
{
    (void)until;
}

void log_line(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
}

/* ---- the chip */

static bool move(void *context, uint8_t *bytes, uint32_t length)
{
    const struct disk_request *request = context;

    assert_ptr_equal(bytes, area);
    assert_int_equal(length, request->count * DISK_SECTOR);
    moved++;
    if (moves && request->action == DISK_READ)
        memcpy(guest, bytes, length);
    else if (moves)
        memcpy(bytes, guest, length);
    return moves;
}

static void done(void *context, enum disk_result r)
{
    (void)context;
    ended++;
    result = r;
}

static struct disk_request request;

static void set_up(uint32_t sector_bytes, uint32_t most)
{
    memset(&disk, 0, sizeof(disk));
    memset(&description, 0, sizeof(description));
    strcpy(description.label, "root");
    disk.description = &description;
    disk.name = "a";
    host_disk_open(&disk, 1);
    assert_int_equal(disk.block.bit, HOST_DISK_BIT << 1);
    disk.block.client.known = true;
    disk.block.client.state = BLOCK_CLIENT_READY;
    disk.block.client.data = area;
    disk.block.client.data_bytes = sizeof(area);
    disk.block.client.info = (struct block_header){.sectors = 1000,
                                                   .sector_bytes = sector_bytes,
                                                   .most = most,
                                                   .most_empty = 100,
                                                   .depth = 1,
                                                   .serial = "serial",
                                                   .flags = BLOCK_DISCARDS};
    takes = moves = true;
    submitted = moved = ended = 0;
    line[0] = '\0';
    request = (struct disk_request){.move = move, .done = done, .context = &request};
}

static void submit(enum disk_action action, uint64_t sector, uint32_t count)
{
    request.action = action;
    request.sector = sector;
    request.count = count;
    disk.disk.submit(disk.disk.context, &request);
}

static void answer(enum block_status status)
{
    disk.block.done(disk.block.context, last, status);
}

static void check_last(enum block_action action, uint64_t sector, uint32_t count, uint32_t offset)
{
    assert_int_equal(last->action, action);
    assert_int_equal(last->sector, sector);
    assert_int_equal(last->count, count);
    assert_int_equal(last->offset, offset);
}

static void test_whole(void **state)
{
    (void)state;
    set_up(512, 256);
    assert_true(host_disk_take(&disk));
    memset(area, 0x11, sizeof(area));
    submit(DISK_READ, 10, 256);
    check_last(BLOCK_READ, 10, 256, 0);
    assert_int_equal(moved, 0);
    answer(BLOCK_OK);
    assert_int_equal(moved, 1);
    assert_int_equal(result, DISK_DONE);
    assert_memory_equal(guest, area, sizeof(area));
    memset(guest, 0x22, sizeof(guest));
    request.fua = true;
    submit(DISK_WRITE, 11, 1);
    check_last(BLOCK_WRITE, 11, 1, 0);
    assert_true(last->fua);
    assert_int_equal(area[511], 0x22);
    assert_int_equal(area[512], 0x11);
    answer(BLOCK_OK);
    submit(DISK_FLUSH, 0, 0);
    check_last(BLOCK_FLUSH, 0, 0, 0);
    answer(BLOCK_OK);
    assert_int_equal(ended, 3);
    assert_int_equal(moved, 2);
}

static void test_pieces(void **state)
{
    (void)state;
    set_up(512, 100);
    assert_true(host_disk_take(&disk));
    submit(DISK_READ, 500, 250);
    check_last(BLOCK_READ, 500, 100, 0);
    answer(BLOCK_OK);
    check_last(BLOCK_READ, 600, 100, 100 * 512);
    answer(BLOCK_OK);
    check_last(BLOCK_READ, 700, 50, 200 * 512);
    assert_int_equal(ended, 0);
    answer(BLOCK_OK);
    assert_int_equal(moved, 1);
    assert_int_equal(ended, 1);
    submit(DISK_DISCARD, 0, 230);
    check_last(BLOCK_DISCARD, 0, 100, 0);
    answer(BLOCK_OK);
    check_last(BLOCK_DISCARD, 100, 100, 0);
    answer(BLOCK_MEDIUM); /* and no more of it */
    assert_int_equal(submitted, 5);
    assert_int_equal(result, DISK_FAILED);
}

static void test_large_sectors(void **state)
{
    (void)state;
    set_up(2048, 64);
    assert_false(host_disk_take(&disk));
    assert_non_null(strstr(line, "512"));
    assert_non_null(strstr(line, "2048"));
    description.type = VM_DVD;
    assert_true(host_disk_take(&disk));
    assert_int_equal(disk.disk.sectors, 4000);
    assert_true(disk.disk.read_only);
    submit(DISK_READ, 16, 8);
    check_last(BLOCK_READ, 4, 2, 0);
    answer(BLOCK_OK);
    assert_int_equal(result, DISK_DONE);
}

/* A chip that does not want the bytes any more: a write is not sent, a read not moved. */
static void test_stopped(void **state)
{
    (void)state;
    set_up(512, 256);
    assert_true(host_disk_take(&disk));
    moves = false;
    submit(DISK_WRITE, 0, 1);
    assert_int_equal(submitted, 0);
    assert_int_equal(result, DISK_STOPPED);
    submit(DISK_READ, 0, 1);
    answer(BLOCK_OK);
    assert_int_equal(result, DISK_STOPPED);
    assert_int_equal(ended, 2);
}

static void test_failures(void **state)
{
    static const enum block_status failures[] = {BLOCK_MEDIUM, BLOCK_RANGE, BLOCK_READ_ONLY_DISK,
                                                 BLOCK_NO_SPACE, BLOCK_GONE};

    (void)state;
    set_up(512, 256);
    assert_true(host_disk_take(&disk));
    for (unsigned i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
        submit(DISK_WRITE, 0, 1);
        result = DISK_DONE;
        answer(failures[i]);
        assert_int_equal(result, DISK_FAILED);
    }
    assert_non_null(strstr(line, "space"));
    disk.block.client.state = BLOCK_CLIENT_FAILED;
    disk.block.client.failure = "another disk is there now";
    disk.block.client.data = NULL;
    disk.block.changed(disk.block.context);
    assert_non_null(strstr(line, "another disk"));
    submit(DISK_WRITE, 0, 1);
    assert_int_equal(result, DISK_FAILED);
    assert_int_equal(ended, 6);
}

/* A client that takes nothing now is asked again, and a request that waits for it ends with the disk. */
static void test_waits(void **state)
{
    (void)state;
    set_up(512, 256);
    assert_true(host_disk_take(&disk));
    takes = false;
    submit(DISK_READ, 5, 1);
    disk.block.changed(disk.block.context);
    assert_int_equal(submitted, 0);
    takes = true;
    disk.block.changed(disk.block.context);
    check_last(BLOCK_READ, 5, 1, 0);
    answer(BLOCK_OK);
    assert_int_equal(result, DISK_DONE);
    takes = false;
    submit(DISK_READ, 5, 1);
    disk.block.client.state = BLOCK_CLIENT_FAILED;
    disk.block.client.failure = "it is gone";
    disk.block.changed(disk.block.context);
    assert_int_equal(result, DISK_FAILED);
}

static void test_taken(void **state)
{
    (void)state;
    set_up(512, 256);
    disk.block.client.data_bytes = sizeof(area) - 512;
    assert_false(host_disk_take(&disk));
    assert_non_null(strstr(line, "data area"));
    disk.block.client.data_bytes = sizeof(area);
    disk.block.client.info.sectors = 1ull << 48;
    assert_false(host_disk_take(&disk));
    disk.block.client.info.sectors = (1ull << 48) - 1;
    disk.block.client.info.flags = BLOCK_READ_ONLY;
    assert_true(host_disk_take(&disk));
    assert_true(disk.disk.read_only);
    assert_false(disk.disk.discards);
    assert_string_equal(disk.disk.serial, "serial");
    strcpy(disk.block.client.info.serial, "0f1e2D3c-0123-4567-89ab-cdef01234567");
    assert_true(host_disk_take(&disk));
    assert_string_equal(disk.disk.serial, "VB0f1e2d3c-67452301");
    strcpy(disk.block.client.info.serial, "longer than what a drive has for it");
    assert_true(host_disk_take(&disk));
    assert_string_equal(disk.disk.serial, "longer than what a d");
    disk.block.client.known = false;
    assert_false(host_disk_take(&disk));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),   cmocka_unit_test(test_pieces),   cmocka_unit_test(test_large_sectors),
        cmocka_unit_test(test_stopped), cmocka_unit_test(test_failures), cmocka_unit_test(test_waits),
        cmocka_unit_test(test_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
