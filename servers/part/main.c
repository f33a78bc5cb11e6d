/* SPDX-License-Identifier: ISC */
/*
 * part: the partitions of a disk, each a disk for one client. It is a client of the Block session with an
 * empty label, and serves Block sessions whose label is a partition's UUID or name (doc/part.md).
 *
 * A byte is copied once: between the client's data area and that of the disk's session. Nothing of a request
 * is kept but here, so when part dies its clients send again what was not answered, and when the disk's
 * server dies lib/block does.
 */
#include "base/include/log.h"
#include "lib/block/block.h"
#include "lib/block/block_server.h"
#include "servers/part/window.h"

#include <string.h>

#define TURNS      20000u /* a second: clients are served so often at most */
#define LINES_TOLD 16u    /* on refused clients */

/* Selectors, and bits of CAP_NT. The clients' come behind the disk's. */
#define CAP_DISK CAP_FREE
#define BIT_DISK 1ull

static struct block disk;
static struct part_table table;
static struct windows windows;
static struct server_place places[WINDOW_CLIENTS];
static struct block_session sessions[WINDOW_CLIENTS];
static struct block_header headers[WINDOW_CLIENTS];
static struct block_server server;
static struct block_operation operations[RELAY_PIECES]; /* that of index i is for piece i */
static bool reading, read_good;                         /* of the table */
static unsigned told;

/* ---- Clients */

/* A parent between may have put the client's name before the label. */
static const char *own_label(const char *label)
{
    static const char separator[] = " -> ";

    for (const char *at = label; *at; at++)
        if (strncmp(at, separator, strlen(separator)) == 0)
            label = at + strlen(separator);
    return label;
}

/* The same for the same disk and partition, whoever asks. */
static void serial_make(const struct part_entry *entry, char serial[BLOCK_SERIAL])
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

    for (const char *text = disk.client.info.serial; *text; text++)
        hash = (hash ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
    format_text(serial, BLOCK_SERIAL, "%016lx-%s", hash, entry->uuid);
}

static void header_make(struct block_header *header, const struct part_entry *entry)
{
    *header = disk.client.info;
    header->sectors = entry->sectors;
    header->depth = WINDOW_TAGS;
    if (entry->read_only)
        header->flags |= BLOCK_READ_ONLY;
    serial_make(entry, header->serial);
}

static unsigned refuse(const char *label, const char *why, unsigned place)
{
    if (told++ < LINES_TOLD)
        log_line("part: partition '%s': %s", label, why);
    return place;
}

/* A partition keeps its place: the next client of it waits there until the last one's requests are over. */
static unsigned choose(void *context, const struct server_request *request)
{
    const char *label = own_label(request->label);
    const struct part_entry *entry;
    unsigned place = 0;

    (void)context;
    switch (part_find(&table, label, &entry)) {
    case PART_ABSENT:
        return refuse(label, "there is none of this name or UUID", SERVER_NO_PLACE);
    case PART_AMBIGUOUS:
        return refuse(label, "expected one of this name, found more: its UUID says which", SERVER_NO_PLACE);
    default:
        break;
    }
    while (place < WINDOW_CLIENTS && !(places[place].open && windows.window[place].entry == entry))
        place++;
    if (place < WINDOW_CLIENTS)
        return place;
    for (place = 0; place < WINDOW_CLIENTS && places[place].open; place++)
        ;
    if (place == WINDOW_CLIENTS)
        return refuse(label, "expected at most 8 clients, found one more", WINDOW_CLIENTS);
    window_open(&windows, place, entry);
    header_make(&headers[place], entry);
    return place;
}

static const struct block_header *disk_of(void *context, unsigned place)
{
    (void)context;
    return &headers[place];
}

static bool begin(void *context, unsigned place, const struct block_request *request)
{
    static const enum relay_action actions[BLOCK_ACTIONS] = {[BLOCK_READ] = RELAY_READ,
                                                             [BLOCK_WRITE] = RELAY_WRITE,
                                                             [BLOCK_FLUSH] = RELAY_FLUSH,
                                                             [BLOCK_WRITE_ZEROES] = RELAY_ZERO,
                                                             [BLOCK_DISCARD] = RELAY_DISCARD};
    const struct window_request wanted = {.action = actions[request->action],
                                          .fua = request->flags & BLOCK_FUA,
                                          .tag = request->tag,
                                          .offset = request->sector * windows.sector_size,
                                          .length = (uint64_t)request->count * windows.sector_size,
                                          .bytes = block_bytes(&server, place, request)};

    (void)context;
    if (!window_begin(&windows, place, &wanted))
        block_answer(&server, place, request->tag, BLOCK_RANGE);
    return true;
}

static void answer(void *context, uint32_t client, uint32_t tag, int status)
{
    (void)context;
    block_answer(&server, client, tag, (enum block_status)status);
}

static void end(void *context, unsigned place)
{
    (void)context;
    window_end(&windows, place);
}

/* ---- The disk */

static void disk_gone(void)
{
    log_line("part: the disk: %s", disk.client.failure);
    component_exit(1); /* clients wait for the next life, and compare what they find */
}

static void changed(void *context)
{
    (void)context;
    if (disk.client.state == BLOCK_CLIENT_FAILED)
        disk_gone();
    windows.relay.disk[0].area = disk.client.data;
}

static void done(void *context, struct block_operation *operation, enum block_status status)
{
    (void)context;
    if (status == BLOCK_GONE)
        disk_gone();
    if (reading) {
        reading = false;
        read_good = status == BLOCK_OK;
        return;
    }
    relay_done(&windows.relay, operation->owner, (int)status);
}

static void submit(void *context, struct relay_piece *piece)
{
    static const enum block_action actions[] = {[RELAY_READ] = BLOCK_READ,
                                                [RELAY_WRITE] = BLOCK_WRITE,
                                                [RELAY_ZERO] = BLOCK_WRITE_ZEROES,
                                                [RELAY_DISCARD] = BLOCK_DISCARD,
                                                [RELAY_FLUSH] = BLOCK_FLUSH};
    struct block_operation *operation = &operations[piece - windows.relay.piece];

    (void)context;
    *operation = (struct block_operation){.action = actions[piece->action],
                                          .fua = piece->fua && piece->action != RELAY_FLUSH,
                                          .sector = piece->offset / windows.sector_size,
                                          .count = (uint32_t)(piece->length / windows.sector_size),
                                          .offset = piece->area,
                                          .owner = piece};
    if (!block_submit(&disk, operation))
        __builtin_trap(); /* the relay keeps to the depth */
}

/* For the table, before there are clients. */
static bool read_sectors(void *context, uint64_t sector, uint32_t count, void *bytes)
{
    const struct block_header *info = &disk.client.info;

    (void)context;
    for (uint32_t at = 0; at < count;) {
        struct block_operation operation = {.action = BLOCK_READ,
                                            .sector = sector + at,
                                            .count = count - at < info->most ? count - at : info->most};
        const size_t size = (size_t)operation.count * info->sector_bytes;

        reading = true;
        if (size > disk.client.data_bytes || !block_submit(&disk, &operation))
            return false;
        while (reading)
            event_turn(DEADLINE_NEVER);
        if (!read_good)
            return false;
        memcpy((uint8_t *)bytes + (size_t)at * info->sector_bytes, disk.client.data, size);
        at += operation.count;
    }
    return true;
}

static void say(void *context, const char *line)
{
    (void)context;
    log_line("part: %s", line);
}

/* Without a table there are no partitions, which clients are told. */
static void table_read(void)
{
    const struct part_source source = {.sectors = disk.client.info.sectors,
                                       .sector_size = disk.client.info.sector_bytes,
                                       .read = read_sectors,
                                       .say = say};

    if (part_read(&table, &source))
        log_line("part: %s, partitions: %u%s", table.kind == PART_GPT ? "GPT" : "MBR", table.count,
                 table.backup ? "; the second table is used" : "");
}

static void windows_make(void)
{
    const struct block_header *info = &disk.client.info;

    windows.submit = submit;
    windows.answer = answer;
    windows.sector_size = info->sector_bytes;
    windows.read_only = info->flags & BLOCK_READ_ONLY;
    windows.relay.disk[0] =
        (struct relay_disk){.area = disk.client.data,
                            .pages = disk.client.data_bytes / RELAY_PAGE,
                            .depth = info->depth,
                            .longest = (uint64_t)info->most * info->sector_bytes,
                            .longest_empty = (uint64_t)info->most_empty * info->sector_bytes};
    windows_init(&windows);
}

int component_main(void)
{
    struct pd_info info;

    if (pd_info(&info) != ERROR_OK)
        return 1;
    disk = (struct block){.label = "", .signal = CAP_DISK, .bit = BIT_DISK, .done = done, .changed = changed};
    block_start(&disk);
    while (disk.client.state != BLOCK_CLIENT_READY)
        event_turn(DEADLINE_NEVER);
    table_read();
    windows_make();
    server = (struct block_server){.server = {.place = places,
                                              .places = WINDOW_CLIENTS,
                                              .period = info.tsc_hz / TURNS,
                                              .signal = CAP_DISK + 1,
                                              .bit = 1,
                                              .choose = choose},
                                   .session = sessions,
                                   .disk = disk_of,
                                   .begin = begin,
                                   .end = end};
    block_server_start(&server);
    event_loop();
}
