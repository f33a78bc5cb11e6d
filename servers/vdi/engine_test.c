/* SPDX-License-Identifier: ISC */
/*
 * A client's load upon a child image and its parent, in stores whose pieces end in random order, while the
 * client goes and comes and the server itself is made anew: what was answered is there, and a client's memory
 * is not touched once it has gone.
 */
#include <cmocka.h>

#include <stdio.h>

#include "lib/vdi/simulation.h"
#include "servers/vdi/engine.h"

#define STORES   2u
#define AREA     (64u * RELAY_PAGE)
#define CLIENT   (128u * VDI_SECTOR)
#define BLOCK    4096u
#define DISK     (200u * BLOCK)
#define REQUESTS 16u
#define ROUNDS   30000u

struct fixture {
    struct engine *engine;
    struct chain chain;
    uint8_t *store[STORES], *area[STORES], *client, *twin, *bounce;
    uint64_t size[STORES], random;
    struct relay_piece *pending[RELAY_PIECES];
    uint32_t pendings;
    struct vdi_request request[REQUESTS];
    bool busy[REQUESTS], unsure[REQUESTS];
    void *memory[16];
    uint32_t pieces, answers, clients, restarts, parent_reads;
};

static uint64_t below(struct fixture *f, uint64_t bound)
{
    f->random = f->random * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (f->random >> 33) % bound;
}

static bool read_store(void *context, uint32_t store, uint64_t offset, uint64_t length, void *bytes)
{
    struct fixture *f = context;

    memcpy(bytes, f->store[store] + offset, length);
    return true;
}

static void *memory(void *context, uint64_t bytes)
{
    struct fixture *f = context;

    return f->memory[f->pieces++] = calloc(1, bytes);
}

__attribute__((format(printf, 2, 0))) static void say(void *context, const char *format, va_list arguments)
{
    (void)context;
    (void)vprintf(format, arguments);
    fail();
}

static void submit(void *context, struct relay_piece *piece)
{
    struct fixture *f = context;

    assert_true(!piece->disk || piece->action == RELAY_READ);
    f->parent_reads += piece->disk;
    f->pending[f->pendings++] = piece;
}

static uint64_t place(uint32_t number)
{
    return (uint64_t)number * (CLIENT / REQUESTS);
}

static void answer(void *context, uint32_t tag, enum vdi_status status)
{
    struct fixture *f = context;
    struct vdi_request *request = &f->request[tag];
    uint8_t *twin = f->twin + request->offset, *bytes = f->client + place(tag);

    assert_true(f->busy[tag]);
    f->busy[tag] = false;
    f->answers++;
    if (!f->client) { /* it has gone: what was not answered before is not known */
        f->unsure[tag] = true;
        return;
    }
    assert_int_equal(status, VDI_OK);
    if (request->action == VDI_WRITE)
        memcpy(twin, bytes, request->length);
    if (request->action == VDI_WRITE_ZEROES)
        memset(twin, 0, request->length);
    if (request->action == VDI_READ)
        assert_memory_equal(bytes, twin, request->length);
}

static void end_one(struct fixture *f)
{
    const uint32_t which = (uint32_t)below(f, f->pendings);
    struct relay_piece *piece = f->pending[which];
    uint8_t *at = f->store[piece->disk] + piece->offset, *area = f->area[piece->disk] + piece->area;

    f->pending[which] = f->pending[--f->pendings];
    assert_true(piece->offset + piece->length <= f->size[piece->disk]);
    if (piece->action == RELAY_WRITE)
        memcpy(at, area, piece->length);
    if (piece->action == RELAY_READ)
        memcpy(area, at, piece->length);
    if (piece->action == RELAY_ZERO)
        memset(at, 0, piece->length);
    relay_done(&f->engine->relay, piece, RELAY_OK);
}

static void client_comes(struct fixture *f)
{
    f->client = malloc(CLIENT);
    f->clients++;
}

/* What was not answered may be done or not; its sectors are read anew once all has come to rest. */
static void client_goes(struct fixture *f)
{
    free(f->client); /* the sanitizer sees a use */
    f->client = NULL;
    engine_end(f->engine);
}

static void engine_new(struct fixture *f)
{
    struct chain_source source = {
        .context = f, .read = read_store, .memory = memory, .say = say, .bounce_size = 4096};
    uint8_t random[16];

    source.bounce = memory(f, 4096);
    f->bounce = memory(f, ENGINE_CHANGES * ENGINE_BOUNCE);
    memset(random, (int)below(f, 256), sizeof(random));
    assert_true(chain_open(&f->chain, &source));
    f->engine = calloc(1, sizeof(*f->engine));
    f->engine->context = f;
    f->engine->submit = submit;
    f->engine->answer = answer;
    for (uint32_t i = 0; i < STORES; i++)
        f->engine->relay.disk[i] = (struct relay_disk){.area = f->area[i],
                                                       .pages = AREA / RELAY_PAGE,
                                                       .depth = 20,
                                                       .longest = 2 * RELAY_PAGE,
                                                       .longest_empty = 65536};
    assert_true(engine_init(f->engine, &f->chain, f->bounce, random, NULL));
}

static void engine_delete(struct fixture *f)
{
    free(f->engine);
    while (f->pieces)
        free(f->memory[--f->pieces]);
    f->pendings = 0;
}

static uint8_t *open_image(uint8_t *bytes, uint32_t number, struct fixture *f)
{
    (void)snprintf(f->chain.store[number].label, CHAIN_LABEL, "%u", number); /* short */
    f->chain.store[number].bytes = f->size[number];
    f->chain.store[number].unit = VDI_SECTOR;
    f->chain.count = number + 1;
    return bytes;
}

static struct fixture *fixture_new(void)
{
    struct fixture *f = calloc(1, sizeof(*f));
    uint8_t *parent = sim_image_new(VDI_FIXED, DISK, BLOCK, 1, NULL, VDI_SECTOR, &f->size[1]);
    uint8_t *child = sim_image_new(VDI_DIFFERENCING, DISK, BLOCK, 2, parent, VDI_SECTOR, &f->size[0]);

    f->store[0] = open_image(child, 0, f);
    f->store[1] = open_image(parent, 1, f);
    f->twin = malloc(DISK);
    for (uint64_t at = f->size[1] - DISK; at < f->size[1]; at++)
        parent[at] = (uint8_t)below(f, 256);
    memcpy(f->twin, parent + f->size[1] - DISK, DISK);
    for (uint32_t i = 0; i < STORES; i++)
        f->area[i] = malloc(AREA);
    engine_new(f);
    client_comes(f);
    return f;
}

static void fixture_delete(struct fixture *f)
{
    client_goes(f);
    while (f->pendings)
        end_one(f);
    assert_true(vdi_disk_idle(&f->engine->disk));
    engine_delete(f);
    for (uint32_t i = 0; i < STORES; i++) {
        free(f->store[i]);
        free(f->area[i]);
    }
    free(f->twin);
    free(f);
}

static void send_random(struct fixture *f)
{
    static const enum vdi_action actions[] = {VDI_READ, VDI_WRITE, VDI_WRITE, VDI_WRITE_ZEROES, VDI_FLUSH};
    const uint32_t i = (uint32_t)below(f, REQUESTS);
    struct vdi_request *request = &f->request[i];

    if (f->busy[i] || !f->client)
        return;
    *request = (struct vdi_request){.action = actions[below(f, 5)], .fua = below(f, 2)};
    if (request->action != VDI_FLUSH) {
        request->length = (1 + below(f, CLIENT / REQUESTS / VDI_SECTOR)) * VDI_SECTOR;
        request->offset = below(f, (DISK - request->length) / VDI_SECTOR + 1) * VDI_SECTOR;
    }
    for (uint32_t other = 0; other < REQUESTS; other++)
        if (f->busy[other] && f->request[other].offset < request->offset + request->length &&
            request->offset < f->request[other].offset + f->request[other].length)
            return;
    for (uint64_t at = 0; request->action == VDI_WRITE && at < request->length; at++)
        f->client[place(i) + at] = (uint8_t)below(f, 256);
    f->busy[i] = true;
    assert_int_equal(engine_begin(f->engine, request, f->client + place(i), i), VDI_OK);
}

/* What the images have at a sector of the disk, not by way of the engine. */
static void take_over(struct fixture *f, uint64_t at)
{
    const struct vdi_extent e = vdi_chain_find(f->chain.image, STORES, 0, at, VDI_SECTOR);

    if (e.image == VDI_CHAIN_ALL)
        memset(f->twin + at, 0, VDI_SECTOR);
    else
        memcpy(f->twin + at, f->store[e.image] + e.offset, VDI_SECTOR);
}

/* All of the disk, by requests. What was not answered is done or not, sector by sector, and is taken as it is. */
static void compare(struct fixture *f)
{
    for (uint32_t i = 0; i < REQUESTS; i++) {
        const bool unsure = (f->busy[i] || f->unsure[i]) && f->request[i].action != VDI_READ;

        for (uint64_t at = 0; unsure && at < f->request[i].length; at += VDI_SECTOR)
            take_over(f, f->request[i].offset + at);
        f->busy[i] = f->unsure[i] = false;
    }
    for (uint64_t at = 0; at < DISK; at += VDI_SECTOR) {
        f->request[0] = (struct vdi_request){.action = VDI_READ, .offset = at, .length = VDI_SECTOR};
        f->busy[0] = true;
        assert_int_equal(engine_begin(f->engine, &f->request[0], f->client, 0), VDI_OK);
        while (f->busy[0])
            end_one(f);
    }
}

static void test_load(void **state)
{
    struct fixture *f = fixture_new();

    (void)state;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        if (below(f, 2))
            send_random(f);
        else if (f->pendings)
            end_one(f);
        if (!below(f, 1500)) { /* the client */
            client_goes(f);
            while (f->pendings)
                end_one(f);
            for (uint32_t i = 0; i < REQUESTS; i++)
                assert_false(f->busy[i]);
            client_comes(f);
            compare(f);
        } else if (!below(f, 1500)) { /* the server */
            free(f->client);
            engine_delete(f);
            engine_new(f);
            client_comes(f);
            f->restarts++;
            compare(f);
        }
    }
    assert_true(f->clients > 10 && f->restarts > 5 && f->answers > ROUNDS / 20 && f->parent_reads > 100);
    fixture_delete(f);
}

static void test_refusals(void **state)
{
    struct fixture *f = fixture_new();
    struct vdi_request request = {.action = VDI_READ, .offset = DISK, .length = VDI_SECTOR};

    (void)state;
    assert_int_equal(engine_begin(f->engine, &request, f->client, 0), VDI_OUT_OF_RANGE);
    request.offset = 0;
    request.action = VDI_COMPACT;
    assert_int_equal(engine_begin(f->engine, &request, f->client, 0), VDI_INVALID);
    request.action = VDI_READ;
    assert_int_equal(engine_begin(f->engine, &request, f->client, ENGINE_TAGS), VDI_INVALID);
    f->request[3] = request;
    f->busy[3] = true;
    assert_int_equal(engine_begin(f->engine, &request, f->client + place(3), 3), VDI_OK);
    assert_int_equal(engine_begin(f->engine, &request, f->client + place(3), 3), VDI_INVALID);
    client_goes(f);
    assert_int_equal(engine_begin(f->engine, &request, NULL, 4), VDI_INVALID); /* its request is under way */
    while (f->pendings)
        end_one(f);
    assert_false(f->busy[3]);
    client_comes(f);
    fixture_delete(f);
}

/* A flush reaches the store of the disk's own image, and is answered when that has answered. */
static void test_flush(void **state)
{
    struct fixture *f = fixture_new();

    (void)state;
    f->request[0] = (struct vdi_request){.action = VDI_WRITE, .length = VDI_SECTOR};
    f->busy[0] = true;
    memset(f->client, 0x5a, VDI_SECTOR);
    assert_int_equal(engine_begin(f->engine, &f->request[0], f->client, 0), VDI_OK);
    while (f->pendings)
        end_one(f);
    assert_false(f->busy[0]);
    f->request[1] = (struct vdi_request){.action = VDI_FLUSH};
    f->busy[1] = true;
    assert_int_equal(engine_begin(f->engine, &f->request[1], NULL, 1), VDI_OK);
    assert_true(f->busy[1]);
    assert_int_equal(f->pendings, 1);
    assert_int_equal(f->pending[0]->action, RELAY_FLUSH);
    assert_int_equal(f->pending[0]->disk, 0);
    end_one(f);
    assert_false(f->busy[1]);
    fixture_delete(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_load),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_flush),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
