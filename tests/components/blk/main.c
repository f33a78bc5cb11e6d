/* SPDX-License-Identifier: ISC */
/*
 * blk: tests a disk by its Block session, whoever serves it. First the whole disk is written with a pattern that names
 * each sector, and read back; then requests of each size at each alignment; then what is no plain read or write. The
 * configuration:
 *
 *   <config label="scratch" seed="1"/>
 *   <config label="scratch" expect="another"/>   waits until another disk is there, which must not be written
 *   <config label="scratch" seconds="30"/>       then writes, reads and flushes at random for that long
 *
 * The last line is 'blk LABEL: done'; every other end is a failure, in one line.
 */
#include "base/include/config.h"
#include "base/include/log.h"
#include "lib/block/block.h"

#include <string.h>

#define CAP_DISK CAP_FREE
#define BIT_DISK 1ull
#define LANES    BLOCK_TAGS
#define SIZES    64u /* sectors: each size up to this is tried */
#define FACTOR   0x9e3779b97f4a7c15ul

static struct {
    char label[64];
    uint64_t seed, seconds;
    bool another;
} config;

static const char *const config_attributes[] = {"label!", "seed", "seconds", "expect", NULL};
static const struct xml_schema config_schema = {.name = "config", .attributes = config_attributes};

static struct block disk;
static struct {
    struct block_operation operation;
    bool busy;
    enum block_status status;
} lanes[LANES];
static uint64_t requests, random_state;

static bool config_read(void *context, char *text, size_t bytes, struct xml_error *error)
{
    static const struct xml_range range = {.min = 0, .max = 1000000};
    static const char *const words[] = {"same", "another", NULL};
    const struct xml_node *root = config_parse(text, bytes, &config_schema, error);
    const char *label = root ? xml_get_string_or(root, "label", "") : "";
    unsigned expect = 0;

    (void)context;
    if (!root || !xml_get_unsigned_or(root, "seed", &range, 1, &config.seed, error) ||
        !xml_get_unsigned_or(root, "seconds", &range, 0, &config.seconds, error) ||
        !xml_get_choice_or(root, "expect", words, 0, &expect, error))
        return false;
    if (strlen(label) >= sizeof(config.label))
        return xml_fail(error, root->line, "label=\"%\" is too long", label);
    memcpy(config.label, label, strlen(label) + 1);
    config.another = expect;
    return true;
}

static void fail(const char *what, uint64_t sector, uint64_t found)
{
    log_line("blk %s: FAILED: %s: sector %lu, found 0x%lx", config.label, what, sector, found);
    component_exit(1);
}

static void done(void *context, struct block_operation *operation, enum block_status status)
{
    unsigned lane = (unsigned)(uintptr_t)operation->owner;

    (void)context;
    lanes[lane].busy = false;
    lanes[lane].status = status;
}

static void changed(void *context)
{
    (void)context;
    if (disk.client.state != BLOCK_CLIENT_FAILED)
        return;
    log_line("blk %s: %s", config.label, disk.client.failure);
    if (config.another && !strcmp(disk.client.failure, "another disk is there now")) {
        log_line("blk %s: done", config.label);
        component_exit(0);
    }
    component_exit(1);
}

static uint64_t random_next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static uint64_t word_of(uint64_t sector, unsigned word, uint64_t round)
{
    return (sector * 64 + word + (config.seed + round) * FACTOR) * FACTOR;
}

static void fill(uint32_t offset, uint64_t sector, uint32_t count, uint64_t round)
{
    uint64_t *words = (uint64_t *)(void *)(disk.client.data + offset);
    unsigned per = disk.client.info.sector_bytes / 8;

    for (uint32_t i = 0; i < count * per; i++)
        words[i] = word_of(sector + i / per, i % per, round);
}

static void compare(uint32_t offset, uint64_t sector, uint32_t count, uint64_t round, bool zero)
{
    const uint64_t *words = (const uint64_t *)(const void *)(disk.client.data + offset);
    unsigned per = disk.client.info.sector_bytes / 8;

    for (uint32_t i = 0; i < count * per; i++)
        if (words[i] != (zero ? 0 : word_of(sector + i / per, i % per, round)))
            fail(zero ? "expected zeros" : "another pattern", sector + i / per, words[i]);
}

static void submit(unsigned lane, enum block_action action, uint64_t sector, uint32_t count, uint32_t offset,
                   bool fua)
{
    lanes[lane].operation = (struct block_operation){.action = action,
                                                     .fua = fua,
                                                     .sector = sector,
                                                     .count = count,
                                                     .offset = offset,
                                                     .owner = (void *)(uintptr_t)lane};
    lanes[lane].busy = true;
    requests++;
    while (!block_submit(&disk, &lanes[lane].operation))
        event_turn(DEADLINE_NEVER);
}

static void wait_for(unsigned lane)
{
    while (lanes[lane].busy)
        event_turn(DEADLINE_NEVER);
    if (lanes[lane].status != BLOCK_OK)
        fail("a request that was refused", lanes[lane].operation.sector, lanes[lane].status);
}

static void wait_for_all(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        wait_for(i);
}

static void one(enum block_action action, uint64_t sector, uint32_t count, uint32_t offset, bool fua)
{
    submit(0, action, sector, count, offset, fua);
    wait_for(0);
}

/* All sectors, as many requests under way as the server takes. */
static void whole_disk(bool write)
{
    const struct block_header *info = &disk.client.info;
    unsigned used = info->depth < LANES ? info->depth : LANES;
    uint32_t size = disk.client.data_bytes / used / info->sector_bytes;
    unsigned lane = 0;

    size = size < info->most ? size : info->most;
    for (uint64_t sector = 0; sector < info->sectors; sector += size, lane = (lane + 1) % used) {
        uint64_t left = info->sectors - sector;
        uint32_t count = left < size ? (uint32_t)left : size, offset = lane * size * info->sector_bytes;
        const struct block_operation *before = &lanes[lane].operation;

        wait_for(lane);
        if (!write && before->count && before->action == BLOCK_READ)
            compare(before->offset, before->sector, before->count, 0, false);
        if (write)
            fill(offset, sector, count, 0);
        else
            memset(disk.client.data + offset, 0, (size_t)count * info->sector_bytes);
        submit(lane, write ? BLOCK_WRITE : BLOCK_READ, sector, count, offset, false);
    }
    wait_for_all(used);
    for (unsigned i = 0; i < used && !write; i++)
        if (lanes[i].operation.action == BLOCK_READ)
            compare(lanes[i].operation.offset, lanes[i].operation.sector, lanes[i].operation.count, 0, false);
    memset(lanes, 0, sizeof(lanes));
}

/* Written, read to another place of the data area, and what lies beside it is as it was. */
static void one_size(uint32_t count, uint64_t round)
{
    const struct block_header *info = &disk.client.info;
    uint32_t bytes = count * info->sector_bytes, room = disk.client.data_bytes / 2;
    uint64_t sector = random_next() % (info->sectors - count);
    uint32_t to = (uint32_t)(random_next() % ((room - bytes) / 512 + 1)) * 512;
    uint32_t back = room / 512 * 512 + (uint32_t)(random_next() % ((room - bytes) / 512 + 1)) * 512;

    fill(to, sector, count, round);
    one(BLOCK_WRITE, sector, count, to, false);
    memset(disk.client.data + back, 0xee, bytes);
    if (back + bytes < disk.client.data_bytes)
        disk.client.data[back + bytes] = 0x5a;
    one(BLOCK_READ, sector, count, back, false);
    compare(back, sector, count, round, false);
    if (back + bytes < disk.client.data_bytes && disk.client.data[back + bytes] != 0x5a)
        fail("bytes behind the data were written", sector, disk.client.data[back + bytes]);
}

static void all_sizes(void)
{
    const struct block_header *info = &disk.client.info;
    uint32_t most = disk.client.data_bytes / 2 / info->sector_bytes;

    most = most < info->most ? most : info->most;
    most = most < info->sectors ? most : (uint32_t)info->sectors - 1;
    for (uint32_t count = 1; count <= most; count = count < SIZES || count == most ? count + 1
                                                    : 2 * count < most             ? 2 * count
                                                                                   : most)
        one_size(count, count);
}

static void others(void)
{
    const struct block_header *info = &disk.client.info;
    uint32_t empty = info->most_empty < 1000 ? info->most_empty : 1000, count = 8;

    empty = empty < info->sectors ? empty : (uint32_t)info->sectors;
    one(BLOCK_WRITE_ZEROES, 0, empty, 0, true);
    one(BLOCK_READ, empty - 1, 1, 0, false);
    compare(0, empty - 1, 1, 0, true);
    one(BLOCK_READ, 0, 1, 0, false);
    compare(0, 0, 1, 0, true);
    fill(0, 3, count, 5);
    one(BLOCK_WRITE, 3, count, 0, true);
    one(BLOCK_FLUSH, 0, 0, 0, false);
    one(BLOCK_DISCARD, info->sectors - empty, empty, 0, false);
    one(BLOCK_READ, 3, count, 8192, false);
    compare(8192, 3, count, 5, false);
    /* Refused by the library, and nothing is written. */
    submit(0, BLOCK_WRITE, info->sectors, 1, 0, false);
    if (lanes[0].busy || lanes[0].status != BLOCK_RANGE)
        fail("a write behind the end was not refused", info->sectors, lanes[0].status);
    lanes[0].status = BLOCK_OK;
}

/*
 * Each lane has sectors and bytes of its own; its last write that was answered is there, whoever died meanwhile. A
 * lane's round counts its writes.
 */
static void for_seconds(uint64_t ticks)
{
    const struct block_header *info = &disk.client.info;
    unsigned used = info->depth < 16 ? info->depth : 16;
    uint32_t size = 16;
    uint64_t rounds[16] = {0}, end = tsc_read() + ticks, flushes = 0;

    for (unsigned i = 0; i < used; i++) {
        fill(i * size * info->sector_bytes, i * size, size, rounds[i]);
        submit(i, BLOCK_WRITE, i * size, size, i * size * info->sector_bytes, false);
    }
    while (tsc_read() < end) {
        for (unsigned i = 0; i < used; i++) {
            uint32_t offset = i * size * info->sector_bytes;
            bool wrote = lanes[i].operation.action == BLOCK_WRITE;

            if (lanes[i].busy)
                continue;
            wait_for(i);
            if (lanes[i].operation.action == BLOCK_READ)
                compare(offset, i * size, size, rounds[i], false);
            if (wrote && random_next() % 8 == 0) {
                flushes++;
                submit(i, BLOCK_FLUSH, 0, 0, 0, false);
            } else if (lanes[i].operation.action != BLOCK_READ) {
                memset(disk.client.data + offset, 0, (size_t)size * info->sector_bytes);
                submit(i, BLOCK_READ, i * size, size, offset, false);
            } else {
                fill(offset, i * size, size, ++rounds[i]);
                submit(i, BLOCK_WRITE, i * size, size, offset, random_next() % 4 == 0);
            }
        }
        event_turn(tsc_read() + (1u << 20));
    }
    wait_for_all(used);
    log_line("blk %s: %lu requests, %lu of them flushes", config.label, requests, flushes);
}

int component_main(void)
{
    struct pd_info info;

    if (!config_load(config_read, NULL) || pd_info(&info) != ERROR_OK)
        return 1;
    random_state = config.seed * FACTOR | 1;
    disk = (struct block){
        .label = config.label, .signal = CAP_DISK, .bit = BIT_DISK, .done = done, .changed = changed};
    block_start(&disk);
    while (disk.client.state != BLOCK_CLIENT_READY)
        event_turn(DEADLINE_NEVER);
    log_line("blk %s: %lu sectors of %u bytes, depth %u, serial '%s'", config.label, disk.client.info.sectors,
             disk.client.info.sector_bytes, disk.client.info.depth, disk.client.info.serial);
    if (config.seconds || config.another) {
        for_seconds((config.another ? 1000000 : config.seconds) * info.tsc_hz);
    } else {
        whole_disk(true);
        whole_disk(false);
        all_sizes();
        others();
        log_line("blk %s: %lu requests", config.label, requests);
    }
    log_line("blk %s: done", config.label);
    return 0;
}
