/* SPDX-License-Identifier: ISC */
/*
 * scribbler: a client that loads a disk and knows what must be on it. Reads, writes, zeroings, discards and
 * flushes of any place and size go out at random, up to 32 at a time; every sector that was answered is
 * remembered by the number of its last write, of which its bytes are made. What a read gives is compared, and in
 * the end the whole disk. Servers may die meanwhile. The configuration:
 *
 *   <config label="disk" seconds="20" seed="1" discard="yes" counted="yes"/>
 *
 * counted: each 64-bit word of the disk is its own number at first. ticks="yes": it looks for answers all the time, so
 * that counted time, which leaps to the next deadline when nothing is to be done, does not while a disk is at work.
 */
#include "base/include/config.h"
#include "base/include/dataspace.h"
#include "base/include/log.h"
#include "lib/block/block.h"

#include <string.h>

#define BIT_DISK 1ull
#define REQUESTS 32u
#define TICK     (1u << 20)
#define PLACE    0x7000u /* bytes of each request in the data area */
#define UNKNOWN  UINT32_MAX
#define COUNTED  (UINT32_MAX - 1) /* words of 64 bits, each its own number on the disk */

struct slot {
    struct block_operation operation;
    uint32_t stamp; /* of a write; 0 of a zeroing */
    bool busy;
};

static struct {
    uint64_t seconds, seed;
    char label[64];
    bool discard, counted, ticks, read_only;
} config;

static struct slot slot[REQUESTS];
static uint32_t *stamps; /* of each sector: its last answered write, 0 for zeros */
static uint64_t sectors, end, answered, writes, flushes, wrong, opens, random_state;
static uint32_t stamp, busy, deepest;
static uint32_t sector_bytes;
static bool over;

static struct block disk;

static uint64_t below(uint64_t bound)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (random_state >> 33) % bound;
}

static void complain(const char *what, const struct block_operation *operation, uint64_t found)
{
    if (wrong++ < 8)
        log_line("scribbler %s: wrong: %s: action %u at %lu, %u sectors: found 0x%lx", config.label, what,
                 operation->action, operation->sector, operation->count, found);
}

static uint64_t word_of(uint64_t sector, uint32_t offset, uint32_t number)
{
    if (number == COUNTED)
        return (sector * sector_bytes + offset) / sizeof(uint64_t);
    return number ? sector << 32 | number : 0;
}

static void fill(uint8_t *bytes, uint64_t sector, uint32_t number)
{
    for (uint32_t at = 0; at < sector_bytes; at += 8) {
        const uint64_t word = word_of(sector, at, number);

        memcpy(bytes + at, &word, sizeof(word));
    }
}

static void compare_sector(const struct slot *of, uint64_t sector, const uint8_t *bytes)
{
    for (uint32_t at = 0; stamps[sector] != UNKNOWN && at < sector_bytes; at += 8) {
        uint64_t found;

        memcpy(&found, bytes + at, sizeof(found));
        if (found != word_of(sector, at, stamps[sector])) {
            complain("sector", &of->operation, found);
            return;
        }
    }
}

static void compare(const struct slot *of)
{
    const struct block_operation *operation = &of->operation;

    for (uint32_t i = 0; i < operation->count; i++)
        compare_sector(of, operation->sector + i, disk.client.data + operation->offset + i * sector_bytes);
}

static bool overlaps(uint64_t sector, uint64_t count)
{
    for (uint32_t i = 0; i < REQUESTS; i++)
        if (slot[i].busy && slot[i].operation.sector < sector + count &&
            sector < slot[i].operation.sector + slot[i].operation.count)
            return true;
    return false;
}

static void send(struct slot *to, enum block_action action, uint64_t sector, uint32_t count)
{
    const uint32_t offset = (uint32_t)(to - slot) * PLACE;
    const bool may_fua = action == BLOCK_WRITE || action == BLOCK_WRITE_ZEROES;

    to->operation =
        (struct block_operation){.action = action,
                                 .fua = may_fua && !below(8),
                                 .sector = sector,
                                 .count = count,
                                 .offset = action == BLOCK_READ || action == BLOCK_WRITE ? offset : 0,
                                 .owner = to};
    to->stamp = action == BLOCK_WRITE ? ++stamp : 0;
    for (uint32_t i = 0; action == BLOCK_WRITE && i < count; i++)
        fill(disk.client.data + offset + i * sector_bytes, sector + i, to->stamp);
    to->busy = true;
    if (++busy > deepest)
        deepest = busy;
    if (!block_submit(&disk, &to->operation))
        complain("it was not taken", &to->operation, 0);
}

static void send_random(struct slot *to)
{
    static const uint8_t actions[] = {BLOCK_READ,  BLOCK_READ,         BLOCK_WRITE,   BLOCK_WRITE,
                                      BLOCK_WRITE, BLOCK_WRITE_ZEROES, BLOCK_DISCARD, BLOCK_FLUSH};
    enum block_action action = config.read_only ? BLOCK_READ : actions[below(8)];
    const uint64_t most = below(4) ? 8 : PLACE / sector_bytes;
    const uint32_t count = (uint32_t)(1 + below(most < sectors ? most : sectors));
    const uint64_t sector = below(sectors - count + 1);

    if (action == BLOCK_DISCARD && !config.discard)
        action = BLOCK_READ;
    if (action == BLOCK_FLUSH)
        send(to, action, 0, 0);
    else if (!overlaps(sector, count))
        send(to, action, sector, count);
}

/* Keeps as many under way as there may be. */
static void load(void)
{
    for (uint32_t i = 0; i < REQUESTS && !over; i++)
        if (!slot[i].busy)
            send_random(&slot[i]);
}

/* All sectors once more, in their order, when the time is over. */
static void verify(void)
{
    static uint64_t next;

    if (!next && busy)
        return; /* a read beside a write of the load may find either's bytes */
    for (uint32_t i = 0; i < REQUESTS && next < sectors; i++) {
        const uint64_t most = PLACE / sector_bytes;
        const uint64_t count = sectors - next < most ? sectors - next : most;

        if (slot[i].busy)
            continue;
        send(&slot[i], BLOCK_READ, next, (uint32_t)count);
        next += count;
    }
    if (busy)
        return;
    log_line("scribbler %s: done: %lu answers, %lu writes, %lu flushes, up to %u at a time, opened %lu "
             "times, %lu wrong",
             config.label, answered, writes, flushes, deepest, opens, wrong);
    component_exit(0);
}

static void done(void *context, struct block_operation *operation, enum block_status status)
{
    struct slot *of = operation->owner;
    const bool zeroed = operation->action == BLOCK_WRITE_ZEROES;

    (void)context;
    of->busy = false;
    busy--;
    answered++;
    if (status == BLOCK_GONE)
        return; /* changed() says why */
    if (status != BLOCK_OK)
        complain("status", operation, status);
    if (operation->action == BLOCK_READ)
        compare(of);
    writes += operation->action == BLOCK_WRITE;
    flushes += operation->action == BLOCK_FLUSH;
    for (uint32_t i = 0;
         status == BLOCK_OK && (operation->action == BLOCK_WRITE || zeroed) && i < operation->count; i++)
        stamps[operation->sector + i] = of->stamp;
    for (uint32_t i = 0; operation->action == BLOCK_DISCARD && i < operation->count; i++)
        stamps[operation->sector + i] = UNKNOWN; /* the old bytes or zeros */
}

static void begin(void)
{
    const struct block_header *info = &disk.client.info;
    struct dataspace memory;
    struct pd_info pd;
    void *attached;

    sectors = info->sectors;
    sector_bytes = info->sector_bytes;
    config.read_only = info->flags & BLOCK_READ_ONLY;
    log_line("scribbler %s: %lu sectors of %u bytes, depth %u, serial '%s'%s", config.label, sectors,
             sector_bytes, info->depth, info->serial, config.read_only ? ", read only" : "");
    if (info->depth < REQUESTS || pd_info(&pd) != ERROR_OK ||
        memory_alloc(sectors * sizeof(*stamps), &memory, &attached) != ERROR_OK) {
        log_line("scribbler %s: wrong: expected a depth of 32 and memory for %lu sectors", config.label,
                 sectors);
        component_exit(1);
    }
    for (uint64_t i = 0; i < sectors; i++)
        ((uint32_t *)attached)[i] = config.counted ? COUNTED : UNKNOWN;
    end = tsc_read() + config.seconds * pd.tsc_hz;
    stamps = attached;
}

static void changed(void *context)
{
    (void)context;
    opens += disk.client.state == BLOCK_CLIENT_READY;
    if (disk.client.state == BLOCK_CLIENT_READY && !stamps)
        begin();
    if (disk.client.state != BLOCK_CLIENT_FAILED)
        return;
    log_line("scribbler %s: wrong: %s", config.label, disk.client.failure);
    component_exit(1);
}

static struct event event;

static void work(void *context, uint64_t bits)
{
    (void)context;
    (void)bits;
    if (config.ticks)
        event.deadline = tsc_read() + TICK;
    if (!stamps)
        return;
    over |= tsc_read() >= end;
    if (over)
        verify();
    else
        load();
}

static const char *const config_attributes[] = {"label!",  "seconds!", "seed!", "mebibytes",
                                                "discard", "counted",  "ticks", NULL};
static const struct xml_schema config_schema = {.name = "config", .attributes = config_attributes};

static bool read_config(void *unused, char *text, size_t size, struct xml_error *error)
{
    static const struct xml_range range = {.min = 0, .max = 1000000};
    const struct xml_node *root = config_parse(text, size, &config_schema, error);

    (void)unused;
    if (!root || !xml_get_unsigned(root, "seconds", &range, &config.seconds, error) ||
        !xml_get_unsigned(root, "seed", &range, &config.seed, error) ||
        !xml_get_bool_or(root, "discard", false, &config.discard, error) ||
        !xml_get_bool_or(root, "counted", false, &config.counted, error) ||
        !xml_get_bool_or(root, "ticks", false, &config.ticks, error))
        return false;
    format_text(config.label, sizeof(config.label), "%s", xml_get_string_or(root, "label", ""));
    return true;
}

int component_main(void)
{
    if (!config_load(read_config, NULL))
        return 1;
    random_state = config.seed * 2654435761u + 1;
    disk = (struct block){
        .label = config.label, .signal = CAP_FREE, .bit = BIT_DISK, .done = done, .changed = changed};
    block_start(&disk);
    event = (struct event){.bits = BIT_DISK | NT_PARENT_NEWS, .handle = work};
    event_add(&event); /* behind the disk's: what it has taken makes room */
    event_loop();
}
