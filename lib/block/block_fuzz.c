/* SPDX-License-Identifier: ISC */
/*
 * Client and server of a Block session, each with a hostile peer: operations, answers and deaths as the input says, and
 * between them anything in the shared memory and records that no well-behaved peer makes. The sanitizers watch the
 * memory around the session. Here it is checked that what a server takes lies within the disk and the data area, that a
 * tag is under way once, that an operation ends once, and that a client stays with the disk that it knows.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/block/client.h"
#include "lib/block/server.h"

#define SECTORS    64u
#define MOST       8u
#define DEPTH      4u
#define DATA       0x2000u
#define BYTES      (BLOCK_DATA + DATA)
#define SECTOR     512u
#define OPERATIONS 32u
#define STEP       4u /* bytes of the input */

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length);

struct world {
    struct block_client client;
    struct block_place place;
    struct block_header info;
    uint8_t *memory; /* of the session that is open; NULL: none */
    unsigned memories;
    bool dead, refuse;
    struct {
        struct block_operation operation;
        bool busy;
    } operation[OPERATIONS];
    struct block_request taken[BLOCK_TAGS];
    bool is_taken[BLOCK_TAGS];
    bool known;
    char serial[BLOCK_SERIAL]; /* of the disk that the client knew first */
    uint64_t sectors;
};

static void check(bool condition)
{
    if (!condition)
        __builtin_trap();
}

static enum block_link world_open(void *context, void **memory, size_t *bytes)
{
    struct world *world = context;

    if (world->refuse)
        return BLOCK_LINK_REFUSED;
    world->memory = aligned_alloc(64, BYTES);
    check(world->memory);
    memset(world->memory, 0, BYTES);
    world->memories++;
    check(world->memories <= 2);
    world->dead = false;
    memset(world->is_taken, 0, sizeof(world->is_taken));
    check(block_place_open(&world->place, world->memory, BYTES));
    *memory = world->memory;
    *bytes = BYTES;
    return BLOCK_LINK_OPEN;
}

static bool world_ended(void *context)
{
    return ((struct world *)context)->dead;
}

static void world_close(void *context)
{
    ((struct world *)context)->dead = true;
}

static void world_release(void *context, void *memory)
{
    struct world *world = context;

    if (memory == world->memory)
        world->memory = NULL;
    world->memories--;
    free(memory);
}

static void world_signal(void *context)
{
    (void)context;
}

static void world_done(void *context, struct block_operation *operation, enum block_status status)
{
    struct world *world = context;
    size_t number = (size_t)(uintptr_t)operation->owner;

    check(number < OPERATIONS && operation == &world->operation[number].operation);
    check(world->operation[number].busy && status < BLOCK_STATUSES);
    world->operation[number].busy = false;
}

static void world_changed(void *context)
{
    (void)context;
}

static const struct block_wiring wiring = {.open = world_open,
                                           .ended = world_ended,
                                           .close = world_close,
                                           .release = world_release,
                                           .signal = world_signal,
                                           .done = world_done,
                                           .changed = world_changed};

static void submit(struct world *world, const uint8_t *step)
{
    unsigned number = step[1] % OPERATIONS;
    struct block_operation *operation = &world->operation[number].operation;

    if (world->operation[number].busy)
        return;
    *operation = (struct block_operation){.action = step[1] >> 5,
                                          .fua = step[3] & 1,
                                          .sector = step[2] % (SECTORS + 2),
                                          .count = step[3] % (MOST + 2),
                                          .offset = (step[3] >> 4) * SECTOR,
                                          .owner = (void *)(uintptr_t)number};
    world->operation[number].busy = true;
    if (!block_client_submit(&world->client, operation))
        world->operation[number].busy = false;
}

static void look_at(const struct world *world, const struct block_request *request)
{
    bool data = request->action == BLOCK_READ || request->action == BLOCK_WRITE;

    check(request->tag < BLOCK_TAGS && !world->is_taken[request->tag]);
    check(request->action < BLOCK_ACTIONS);
    if (request->action != BLOCK_FLUSH) {
        check(request->sector < SECTORS && request->count && request->count <= SECTORS - request->sector);
        check(request->count <= (data ? MOST : SECTORS));
    }
    if (data)
        check(request->offset <= DATA && request->count * SECTOR <= DATA - request->offset);
    if (world->place.info.flags & BLOCK_READ_ONLY)
        check(request->action == BLOCK_READ || request->action == BLOCK_FLUSH);
}

static void server_take(struct world *world)
{
    bool signal = false;
    struct block_request request;

    if (block_place_next(&world->place, &request, &signal) != BLOCK_NEXT_REQUEST)
        return;
    look_at(world, &request);
    world->is_taken[request.tag] = true;
    world->taken[request.tag] = request;
    check(world->place.under_way <= DEPTH);
}

static void server_answer(struct world *world, const uint8_t *step)
{
    bool signal = false;
    unsigned tag = step[1] % BLOCK_TAGS;

    while (tag < BLOCK_TAGS && !world->is_taken[tag])
        tag++;
    if (tag == BLOCK_TAGS)
        return;
    if (world->taken[tag].action == BLOCK_READ)
        memset(world->place.data + world->taken[tag].offset, step[2], world->taken[tag].count * SECTOR);
    world->is_taken[tag] = false;
    block_place_answer(&world->place, tag, (enum block_status)(step[3] % BLOCK_GONE), &signal);
}

/* A request or an answer that is good but for a byte or its length. */
static void forge(struct world *world, const uint8_t *step)
{
    bool signal = false;
    struct block_request request = {.tag = step[1] % BLOCK_TAGS, .count = 1, .action = step[1] >> 6};
    struct block_response answer = {.tag = step[1] % BLOCK_TAGS};
    enum ring_status status;

    if (step[2] & 0x80) {
        ((uint8_t *)&request)[step[2] % sizeof(request)] ^= step[3];
        status = ring_put(&world->client.requests, &request, sizeof(request) - !(step[2] & 0x60), &signal);
    } else {
        ((uint8_t *)&answer)[step[2] % sizeof(answer)] ^= step[3];
        status = ring_put(&world->place.answers, &answer, sizeof(answer) - !(step[2] & 0x60), &signal);
    }
    (void)status; /* a full or broken ring takes no more */
}

/* The server's disk becomes known, is another one, or goes. */
static void disk_changes(struct world *world, const uint8_t *step)
{
    if (step[1] == 0)
        world->info.serial[0]++;
    if (step[1] == 1)
        world->info.sectors = SECTORS - step[2] % 2;
    if (step[1] == 2)
        world->info.flags ^= BLOCK_READ_ONLY;
    if (step[1] & 0x80)
        block_place_gone(&world->place);
    else if (world->place.info.state != BLOCK_STATE_READY)
        block_place_ready(&world->place, &world->info);
}

static void one_step(struct world *world, const uint8_t *step)
{
    unsigned at = step[1] + 256u * step[2];

    if (step[0] % 16 < 4)
        submit(world, step);
    else if (step[0] % 16 < 7)
        (void)block_client_work(&world->client);
    if (!world->memory || step[0] % 16 < 7)
        return;
    switch (step[0] % 16) {
    case 7:
    case 8:
        server_take(world);
        break;
    case 9:
    case 10:
        server_answer(world, step);
        break;
    case 11:
        forge(world, step);
        break;
    case 12: /* header */
        world->memory[step[1] % sizeof(struct block_header)] = step[3];
        break;
    case 13: /* rings, and their indices above all */
        world->memory[BLOCK_REQUESTS + (step[0] & 0x80 ? at % (2 * BLOCK_RING) : (at & 0x1047))] = step[3];
        break;
    case 14:
        disk_changes(world, step);
        break;
    default:
        world->dead = true;
        break;
    }
}

static void look_at_client(struct world *world)
{
    const struct block_client *client = &world->client;

    check(client->under_way <= BLOCK_TAGS);
    if (client->state != BLOCK_CLIENT_READY)
        return;
    if (!world->known) {
        memcpy(world->serial, client->info.serial, BLOCK_SERIAL);
        world->sectors = client->info.sectors;
        world->known = true;
    }
    check(!strcmp(client->info.serial, world->serial) && client->info.sectors == world->sectors);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
    struct world world = {.info = {.sectors = SECTORS,
                                   .sector_bytes = SECTOR,
                                   .most = MOST,
                                   .most_empty = SECTORS,
                                   .depth = DEPTH,
                                   .serial = "A"}};
    struct block_wiring with = wiring;

    with.context = &world;
    block_client_init(&world.client, &with);
    for (size_t at = 0; at + STEP <= length; at += STEP) {
        one_step(&world, input + at);
        look_at_client(&world);
    }
    world.refuse = true;
    for (unsigned i = 0; i < 4 * BLOCK_TAGS && world.client.state != BLOCK_CLIENT_FAILED; i++) {
        world.dead = true;
        (void)block_client_work(&world.client);
    }
    check(world.client.state == BLOCK_CLIENT_FAILED && !world.memories);
    for (unsigned i = 0; i < OPERATIONS; i++)
        check(!world.operation[i].busy);
    return 0;
}
