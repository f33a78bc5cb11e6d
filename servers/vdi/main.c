/* SPDX-License-Identifier: ISC */
/*
 * vdi: the disk that a chain of VDI images is (doc/vdi.md). Each image lies in what a Block session shows,
 * from its first byte on; the labels are in the configuration, the disk's own image first. One Block session
 * is served.
 *
 * Nothing that was answered is here only: lib/vdi answers when data and map are in the store below. When vdi
 * dies its client sends again what was not answered; when a store's server dies lib/block does.
 */
#include "base/include/config.h"
#include "base/include/dataspace.h"
#include "base/include/log.h"
#include "lib/block/block.h"
#include "lib/block/block_server.h"
#include "servers/vdi/config.h"
#include "servers/vdi/engine.h"

#include <string.h>

#define TURNS      20000u     /* a second: the client is served so often at most */
#define MOST       0x80000u   /* bytes of a read or write */
#define MOST_EMPTY 0x1000000u /* of zeroes and discards: 4096 blocks of the smallest size */

/* Selectors, and bits of CAP_NT: the stores', then the client's. */
#define CAP_CLIENT (CAP_FREE + CHAIN_IMAGES)

static struct vdi_config config;
static struct chain chain;
static struct engine engine;
static struct block stores[CHAIN_IMAGES];
static struct block_operation operations[RELAY_PIECES]; /* that of index i is for piece i */
static struct server_place places[1];
static struct block_session sessions[1];
static struct block_header disk;
static struct block_server server;
static bool serving, reading, read_good;

/* ---- Stores */

static void store_gone(const struct block *store)
{
    log_line("vdi: image '%s': the disk: %s", store->label, store->client.failure);
    component_exit(1); /* the client waits for the next life, and compares what it finds */
}

static void changed(void *context)
{
    const struct block *store = context;

    if (store->client.state == BLOCK_CLIENT_FAILED)
        store_gone(store);
    engine.relay.disk[store - stores].area = store->client.data;
}

static void done(void *context, struct block_operation *operation, enum block_status status)
{
    if (status == BLOCK_GONE)
        store_gone(context);
    if (reading) {
        reading = false;
        read_good = status == BLOCK_OK;
        return;
    }
    relay_done(&engine.relay, operation->owner, (int)status);
}

static void submit(void *context, struct relay_piece *piece)
{
    static const enum block_action actions[] = {[RELAY_READ] = BLOCK_READ,
                                                [RELAY_WRITE] = BLOCK_WRITE,
                                                [RELAY_ZERO] = BLOCK_WRITE_ZEROES,
                                                [RELAY_DISCARD] = BLOCK_DISCARD,
                                                [RELAY_FLUSH] = BLOCK_FLUSH};
    struct block_operation *operation = &operations[piece - engine.relay.piece];
    struct block *store = &stores[piece->disk];
    const bool may_fua = piece->action == RELAY_WRITE || piece->action == RELAY_ZERO;

    (void)context;
    *operation =
        (struct block_operation){.action = actions[piece->action],
                                 .fua = piece->fua && may_fua,
                                 .sector = piece->offset / store->client.info.sector_bytes,
                                 .count = (uint32_t)(piece->length / store->client.info.sector_bytes),
                                 .offset = piece->area,
                                 .owner = piece};
    if (!block_submit(store, operation))
        __builtin_trap(); /* the relay keeps to the depth */
}

/* ---- Opening */

static bool read_store(void *context, uint32_t number, uint64_t offset, uint64_t length, void *bytes)
{
    struct block *store = &stores[number];
    const uint32_t unit = store->client.info.sector_bytes;
    const uint64_t most = (uint64_t)store->client.info.most * unit;

    (void)context;
    for (uint64_t at = 0; at < length;) {
        const uint64_t piece = length - at < most ? length - at : most;
        struct block_operation operation = {
            .action = BLOCK_READ, .sector = (offset + at) / unit, .count = (uint32_t)(piece / unit)};

        reading = true;
        if (!block_submit(store, &operation))
            return false;
        while (reading)
            event_turn(DEADLINE_NEVER);
        if (!read_good)
            return false;
        memcpy((uint8_t *)bytes + at, store->client.data, (size_t)piece);
        at += piece;
    }
    return true;
}

static void *memory(void *context, uint64_t bytes)
{
    struct dataspace dataspace;
    void *attached;

    (void)context;
    return memory_alloc(bytes, &dataspace, &attached) == ERROR_OK ? attached : NULL;
}

static void say(void *context, const char *format, va_list arguments) __attribute__((format(printf, 2, 0)));

static void say(void *context, const char *format, va_list arguments)
{
    char line[320];

    (void)context;
    format_list(line, sizeof(line), format, arguments);
    log_line("vdi: %s", line);
}

static void store_describe(uint32_t number)
{
    const struct block_client *client = &stores[number].client;
    struct chain_store *store = &chain.store[number];

    memcpy(store->label, config.label[number], sizeof(store->label));
    store->unit = client->info.sector_bytes;
    store->bytes = client->info.sectors * store->unit;
    store->read_only = client->info.flags & BLOCK_READ_ONLY;
    engine.relay.disk[number] =
        (struct relay_disk){.area = client->data,
                            .pages = client->data_bytes / RELAY_PAGE,
                            .depth = client->info.depth,
                            .longest = (uint64_t)client->info.most * store->unit,
                            .longest_empty = (uint64_t)client->info.most_empty * store->unit};
}

static void stores_open(void)
{
    chain.count = config.images;
    chain.read_only = config.read_only;
    for (uint32_t i = 0; i < chain.count; i++) {
        stores[i] = (struct block){.label = config.label[i],
                                   .signal = CAP_FREE + i,
                                   .bit = UINT64_C(1) << i,
                                   .context = &stores[i],
                                   .done = done,
                                   .changed = changed};
        block_start(&stores[i]);
    }
    for (uint32_t i = 0; i < chain.count; i++) {
        while (stores[i].client.state != BLOCK_CLIENT_READY)
            event_turn(DEADLINE_NEVER);
        store_describe(i);
    }
}

/* Sixteen bytes for a UUID that shall not come twice: time and the image's last one, mixed. */
static void random_make(const struct pd_info *info, uint8_t random[16])
{
    uint64_t state = info->wall_seconds ^ info->wall_tsc;

    for (unsigned i = 0; i < 16; i++) {
        state = (state ^ chain.image[0].header.modify.bytes[i] ^ tsc_read()) * UINT64_C(0x9e3779b97f4a7c15);
        state ^= state >> 29;
        random[i] = (uint8_t)(state >> 32);
    }
}

/* What the client sees: sectors of the largest unit in the chain. */
static void disk_describe(void)
{
    const struct vdi_header *header = &chain.image[0].header;
    uint32_t unit = VDI_SECTOR;

    for (uint32_t i = 0; i < chain.count; i++)
        unit = chain.store[i].unit > unit ? chain.store[i].unit : unit;
    disk = (struct block_header){.flags = chain.read_only ? BLOCK_READ_ONLY : BLOCK_DISCARDS,
                                 .sectors = header->disk_size / unit,
                                 .sector_bytes = unit,
                                 .physical_bytes = VDI_BLOCK_SIZE_MINIMUM,
                                 .discard = header->block_size / unit,
                                 .most = MOST / unit,
                                 .most_empty = MOST_EMPTY / unit,
                                 .depth = ENGINE_TAGS};
    vdi_uuid_text(&header->create, disk.serial);
}

static bool disk_open(const struct pd_info *info)
{
    static uint8_t bounce[0x10000] __attribute__((aligned(4096)));
    const struct chain_source source = {
        .read = read_store, .memory = memory, .say = say, .bounce = bounce, .bounce_size = sizeof(bounce)};
    uint8_t random[16], *change_memory = NULL;
    struct vdi_error error = {""};

    if (!chain_open(&chain, &source))
        return false;
    if (!chain.read_only && !(change_memory = memory(NULL, (uint64_t)ENGINE_CHANGES * ENGINE_BOUNCE)))
        return false; /* what is missing was said */
    random_make(info, random);
    if (!engine_init(&engine, &chain, change_memory, random, &error)) {
        log_line("vdi: image '%s': %s", chain.store[0].label, error.text);
        return false;
    }
    disk_describe();
    log_line("vdi: image '%s': %lu MiB, %u of %u blocks of %u KiB, parents: %u%s", chain.store[0].label,
             chain.image[0].header.disk_size >> 20, chain.image[0].mapped, chain.image[0].header.block_count,
             chain.image[0].header.block_size >> 10, chain.count - 1, chain.read_only ? ", read only" : "");
    return true;
}

/* ---- The client */

static const struct block_header *disk_of(void *context, unsigned place)
{
    (void)context;
    (void)place;
    return &disk;
}

/* Without a disk every client is refused. */
static unsigned choose(void *context, const struct server_request *request)
{
    (void)context;
    (void)request;
    return serving ? 0 : SERVER_NO_PLACE;
}

static void answer(void *context, uint32_t tag, enum vdi_status status)
{
    static const enum block_status statuses[] = {[VDI_OK] = BLOCK_OK,
                                                 [VDI_INVALID] = BLOCK_RANGE,
                                                 [VDI_OUT_OF_RANGE] = BLOCK_RANGE,
                                                 [VDI_READ_ONLY] = BLOCK_READ_ONLY_DISK,
                                                 [VDI_NO_SPACE] = BLOCK_NO_SPACE,
                                                 [VDI_MEDIUM] = BLOCK_MEDIUM};

    (void)context;
    block_answer(&server, 0, tag, statuses[status]);
}

static bool begin(void *context, unsigned place, const struct block_request *request)
{
    static const enum vdi_action actions[BLOCK_ACTIONS] = {[BLOCK_READ] = VDI_READ,
                                                           [BLOCK_WRITE] = VDI_WRITE,
                                                           [BLOCK_FLUSH] = VDI_FLUSH,
                                                           [BLOCK_WRITE_ZEROES] = VDI_WRITE_ZEROES,
                                                           [BLOCK_DISCARD] = VDI_DISCARD};
    struct vdi_request wanted = {.action = actions[request->action], .fua = request->flags & BLOCK_FUA};
    enum vdi_status status;

    if (request->action != BLOCK_FLUSH) {
        wanted.offset = request->sector * disk.sector_bytes;
        wanted.length = (uint64_t)request->count * disk.sector_bytes;
    }
    status = engine_begin(&engine, &wanted, block_bytes(&server, place, request), request->tag);
    if (status != VDI_OK)
        answer(context, request->tag, status);
    return true;
}

static void end(void *context, unsigned place)
{
    (void)context;
    (void)place;
    engine_end(&engine);
}

int component_main(void)
{
    struct pd_info info;

    if (!config_load(vdi_config_read, &config) || pd_info(&info) != ERROR_OK)
        return 1;
    engine.submit = submit;
    engine.answer = answer;
    stores_open();
    serving = disk_open(&info);
    server = (struct block_server){.server = {.place = places,
                                              .places = 1,
                                              .period = info.tsc_hz / TURNS,
                                              .signal = CAP_CLIENT,
                                              .bit = CHAIN_IMAGES,
                                              .choose = choose},
                                   .session = sessions,
                                   .disk = disk_of,
                                   .begin = begin,
                                   .end = end};
    block_server_start(&server);
    event_loop();
}
