/* SPDX-License-Identifier: ISC */
/*
 * Client and server of a Block session against each other, over a model of a parent and of a disk: servers that die
 * at any moment, answers in any order, and peers that write anything into the shared memory.
 */
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "lib/block/client.h"
#include "lib/block/server.h"

#define SECTORS 1024u
#define BYTES   0x40000u
#define LANES   24u /* each works on sectors and bytes of its own */
#define LANE    8u  /* sectors */

static uint8_t disk[SECTORS * 512];

static struct world {
    struct block_client client;
    struct block_place place;
    struct block_header info;
    uint8_t *memory; /* of the session that is open; NULL: none */
    unsigned memories;
    bool offered, dead, refuse, late; /* late: the server knows its disk after a while only */
    bool short_memory;
    struct block_request pending[BLOCK_TAGS];
    unsigned pendings, changes, signals, done[BLOCK_STATUSES], flushes, executed;
    bool closing; /* operations may be gone */
} world;

static enum block_link world_open(void *context, void **memory, size_t *bytes)
{
    (void)context;
    if (world.refuse)
        return BLOCK_LINK_REFUSED;
    if (!world.offered) {
        world.offered = true;
        return BLOCK_LINK_PENDING;
    }
    world.memory = calloc(1, BYTES);
    world.memories++;
    world.dead = world.offered = false;
    world.pendings = 0;
    *memory = world.memory;
    *bytes = world.short_memory ? BLOCK_DATA : BYTES;
    assert_true(block_place_open(&world.place, world.memory, BYTES));
    if (!world.late)
        block_place_ready(&world.place, &world.info);
    return BLOCK_LINK_OPEN;
}

static bool world_ended(void *context)
{
    (void)context;
    return world.dead;
}

static void world_close(void *context)
{
    (void)context;
    world.dead = true;
}

static void world_release(void *context, void *memory)
{
    (void)context;
    if (memory == world.memory)
        world.memory = NULL;
    world.memories--;
    free(memory);
}

static void world_signal(void *context)
{
    (void)context;
    world.signals++;
}

static void world_done(void *context, struct block_operation *operation, enum block_status status)
{
    (void)context;
    assert_true(status < BLOCK_STATUSES);
    world.done[status]++;
    if (!world.closing && operation->owner)
        *(int *)operation->owner = (int)status;
}

static void world_changed(void *context)
{
    (void)context;
    world.changes++;
}

static const struct block_wiring wiring = {.open = world_open,
                                           .ended = world_ended,
                                           .close = world_close,
                                           .release = world_release,
                                           .signal = world_signal,
                                           .done = world_done,
                                           .changed = world_changed};

/* Takes what has come, and does one of what it has: any. */
static void server_step(bool answer)
{
    bool signal = false;
    struct block_request request;
    unsigned which;
    enum block_next next;

    if (world.dead || !world.memory)
        return;
    while ((next = block_place_next(&world.place, &request, &signal)) == BLOCK_NEXT_REQUEST)
        world.pending[world.pendings++] = request;
    if (!world.pendings || next == BLOCK_NEXT_BROKEN)
        return;
    which = (unsigned)rand() % world.pendings;
    request = world.pending[which];
    world.executed++;
    world.flushes += request.action == BLOCK_FLUSH;
    if (request.action == BLOCK_READ)
        memcpy(world.place.data + request.offset, disk + 512 * request.sector, 512 * request.count);
    if (request.action == BLOCK_WRITE)
        memcpy(disk + 512 * request.sector, world.place.data + request.offset, 512 * request.count);
    if (request.action == BLOCK_WRITE_ZEROES || request.action == BLOCK_DISCARD)
        memset(disk + 512 * request.sector, 0, 512 * request.count);
    if (!answer)
        return;
    world.pending[which] = world.pending[--world.pendings];
    block_place_answer(&world.place, request.tag, BLOCK_OK, &signal);
}

static int setup(void **state)
{
    (void)state;
    srand(3);
    memset(disk, 0, sizeof(disk));
    world = (struct world){.info = {.sectors = SECTORS,
                                    .sector_bytes = 512,
                                    .most = 64,
                                    .most_empty = SECTORS,
                                    .depth = 32,
                                    .serial = "one"}};
    block_client_init(&world.client, &wiring);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world.refuse = world.closing = true;
    for (unsigned i = 0; i < 3 && world.client.state != BLOCK_CLIENT_FAILED; i++) {
        world.dead = true;
        (void)block_client_work(&world.client);
    }
    assert_int_equal(world.memories, 0);
    return 0;
}

static void work(void)
{
    for (unsigned i = 0; i < 4; i++)
        (void)block_client_work(&world.client);
}

static struct block_operation operation_of(enum block_action action, uint64_t sector, uint32_t count,
                                           uint32_t offset)
{
    return (struct block_operation){.action = action, .sector = sector, .count = count, .offset = offset};
}

static void test_open(void **state)
{
    struct block_operation read = operation_of(BLOCK_READ, 0, 1, 0);

    (void)state;
    world.late = true;
    work();
    assert_int_equal(world.client.state, BLOCK_CLIENT_WAITING);
    assert_false(block_client_submit(&world.client, &read));
    block_place_ready(&world.place, &world.info);
    work();
    assert_int_equal(world.client.state, BLOCK_CLIENT_READY);
    assert_string_equal(world.client.info.serial, "one");
    assert_int_equal(world.client.data_bytes, BYTES - BLOCK_DATA);
    assert_true(block_client_submit(&world.client, &read));
    assert_int_equal(world.signals, 1);
    server_step(true);
    work();
    assert_int_equal(world.done[BLOCK_OK], 1);
}

/* A disk that goes before the client has seen it: the client asks again at once, since no news will tell it to. */
static void test_gone_early(void **state)
{
    (void)state;
    world.late = true;
    work();
    assert_int_equal(world.client.state, BLOCK_CLIENT_WAITING);
    block_place_ready(&world.place, &world.info);
    block_place_gone(&world.place);
    for (unsigned i = 0; i < 4 && block_client_work(&world.client); i++)
        ;
    assert_int_equal(world.client.state, BLOCK_CLIENT_OPENING);
    assert_true(world.offered);
    world.late = false;
    work();
    assert_int_equal(world.client.state, BLOCK_CLIENT_READY);
}

static void test_refused(void **state)
{
    struct block_operation read = operation_of(BLOCK_READ, 0, 1, 0);

    for (unsigned way = 0; way < 9; way++) {
        setup(state);
        switch (way) {
        case 0:
            world.refuse = true;
            break;
        case 1:
            world.short_memory = true;
            break;
        case 2:
            world.info.sector_bytes = 513;
            break;
        case 3:
            world.info.sectors = 0;
            break;
        case 4:
            world.info.sectors = 1ull << 62;
            break;
        case 5:
            world.info.depth = BLOCK_TAGS + 1;
            break;
        case 6:
            memset(world.info.serial, 'x', BLOCK_SERIAL);
            break;
        case 7:
            world.info.most = 0;
            break;
        default:
            world.info.sector_bytes = 8192;
            break;
        }
        work();
        assert_int_equal(world.client.state, BLOCK_CLIENT_FAILED);
        assert_non_null(world.client.failure);
        assert_true(block_client_submit(&world.client, &read));
        assert_int_equal(world.done[BLOCK_GONE], 1);
        assert_int_equal(world.memories, 0);
    }
}

static void test_checks(void **state)
{
    struct block_operation wrong[] = {
        operation_of(BLOCK_READ, SECTORS, 1, 0),    operation_of(BLOCK_READ, SECTORS - 1, 2, 0),
        operation_of(BLOCK_READ, UINT64_MAX, 2, 0), operation_of(BLOCK_READ, 0, 65, 0),
        operation_of(BLOCK_READ, 0, 0, 0),          operation_of(BLOCK_WRITE, 0, 1, 100),
        operation_of(BLOCK_WRITE, 0, 1, BYTES),     operation_of(BLOCK_WRITE, 0, 2, BYTES - BLOCK_DATA - 512),
        operation_of(BLOCK_FLUSH, 0, 1, 0),         operation_of(BLOCK_DISCARD, 1, SECTORS, 0),
        operation_of(BLOCK_ACTIONS, 0, 1, 0),
    };
    struct block_operation write = operation_of(BLOCK_WRITE, 0, 1, 0), fill[33];
    unsigned count = sizeof(wrong) / sizeof(*wrong);

    (void)state;
    work();
    for (unsigned i = 0; i < count; i++)
        assert_true(block_client_submit(&world.client, &wrong[i]));
    assert_int_equal(world.done[BLOCK_RANGE], count);
    for (unsigned i = 0; i < 33; i++) {
        fill[i] = operation_of(BLOCK_READ, i, 1, 512 * i);
        assert_int_equal(block_client_submit(&world.client, &fill[i]), i < 32);
    }
    while (world.done[BLOCK_OK] < 32) {
        server_step(true);
        work();
    }
    teardown(state);
    setup(state);
    world.info.flags = BLOCK_READ_ONLY;
    work();
    assert_true(block_client_submit(&world.client, &write));
    assert_int_equal(world.done[BLOCK_READ_ONLY_DISK], 1);
}

/* What a lane does: writes a pattern of its own, and reads it back when that was answered. */
struct lane {
    struct block_operation operation;
    int status; /* -1: under way */
    uint32_t round;
    bool wrote;
};

static uint32_t word_of(unsigned lane, uint32_t round, unsigned word)
{
    return lane << 24 ^ round * 2654435761u ^ word;
}

static void lane_go(struct lane *lane, unsigned number)
{
    uint32_t offset = number * LANE * 512, *words = (uint32_t *)(void *)(world.client.data + offset);

    lane->operation = operation_of(lane->wrote ? BLOCK_READ : BLOCK_WRITE, number * LANE, LANE, offset);
    lane->operation.owner = &lane->status;
    lane->round += !lane->wrote;
    for (unsigned i = 0; i < LANE * 128; i++)
        words[i] = lane->wrote ? 0 : word_of(number, lane->round, i);
    lane->status = -1;
    assert_true(block_client_submit(&world.client, &lane->operation));
}

static void lane_look(struct lane *lane, unsigned number)
{
    const uint32_t *words = (const uint32_t *)(const void *)(world.client.data + number * LANE * 512);

    assert_int_equal(lane->status, BLOCK_OK);
    for (unsigned i = 0; lane->wrote && i < LANE * 128; i++)
        assert_int_equal(words[i], word_of(number, lane->round, i));
    lane->wrote = !lane->wrote;
}

/* Nothing that was answered is lost, and nothing is left unanswered, whenever servers die. */
static void test_deaths(void **state)
{
    static struct lane lanes[LANES];
    unsigned deaths = 0, operations = 0;

    (void)state;
    memset(lanes, 0, sizeof(lanes));
    work();
    for (unsigned turn = 0; turn < 30000; turn++) {
        unsigned number = (unsigned)rand() % LANES;

        if (lanes[number].status >= 0 && world.client.data) {
            if (operations >= LANES && lanes[number].round)
                lane_look(&lanes[number], number);
            lane_go(&lanes[number], number);
            operations++;
        }
        if (rand() % 2)
            server_step(rand() % 8 != 0);
        if (rand() % 60 == 0) {
            deaths++;
            if (rand() % 4)
                world.dead = true;
            else
                block_place_gone(&world.place);
        }
        world.late = rand() % 2;
        if (!world.dead && world.memory && world.place.info.state != BLOCK_STATE_READY && rand() % 8 == 0)
            block_place_ready(&world.place, &world.info);
        (void)block_client_work(&world.client);
    }
    assert_true(deaths > 300 && world.done[BLOCK_OK] > 1000);
    assert_int_equal(world.done[BLOCK_OK] + world.client.under_way, operations);
    for (unsigned i = BLOCK_MEDIUM; i < BLOCK_STATUSES; i++)
        assert_int_equal(world.done[i], 0);
}

/* In the first order. */
static void test_order(void **state)
{
    struct block_operation operation[8];
    struct block_request request;
    bool signal = false;

    (void)state;
    work();
    for (unsigned i = 0; i < 8; i++) {
        operation[i] = operation_of(BLOCK_READ, i, 1, 512 * i);
        assert_true(block_client_submit(&world.client, &operation[i]));
    }
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(block_place_next(&world.place, &request, &signal), BLOCK_NEXT_REQUEST);
    block_place_answer(&world.place, 2, BLOCK_OK, &signal);
    work();
    operation[2] = operation_of(BLOCK_READ, 8, 1, 0); /* gets tag 2, and comes last */
    assert_true(block_client_submit(&world.client, &operation[2]));
    world.dead = true;
    work();
    for (unsigned i = 0; i < 8; i++) {
        static const unsigned order[] = {0, 1, 3, 4, 5, 6, 7, 8};

        assert_int_equal(block_place_next(&world.place, &request, &signal), BLOCK_NEXT_REQUEST);
        assert_int_equal(request.sector, order[i]);
    }
}

/* Another disk gets nothing. */
static void test_other_disk(void **state)
{
    for (unsigned way = 0; way < 4; way++) {
        struct block_operation write = operation_of(BLOCK_WRITE, 0, 1, 0);

        setup(state);
        work();
        assert_true(block_client_submit(&world.client, &write));
        world.dead = true;
        if (way == 0)
            strcpy(world.info.serial, "two");
        else if (way == 1)
            world.info.sectors--;
        else if (way == 2)
            world.info.sector_bytes = 1024;
        else
            world.info.flags = BLOCK_READ_ONLY;
        work();
        assert_int_equal(world.client.state, BLOCK_CLIENT_FAILED);
        assert_int_equal(world.done[BLOCK_GONE], 1);
        assert_int_equal(world.executed, 0);
        assert_int_equal(world.memories, 0);
    }
}

/* A request that no client of good will makes ends the session on the server's side. */
static void test_hostile_client(void **state)
{
    static const struct block_request wrong[] = {
        {.tag = BLOCK_TAGS, .count = 1},
        {.tag = 0, .count = 1, .offset = 511},
        {.tag = 0, .count = 1, .offset = BYTES - BLOCK_DATA},
        {.tag = 0, .count = 3, .offset = BYTES - BLOCK_DATA - 1024},
        {.tag = 0, .count = UINT32_MAX, .offset = 0},
        {.tag = 0, .count = 1, .action = BLOCK_ACTIONS},
        {.tag = 0, .count = 1, .flags = BLOCK_FUA},
        {.tag = 0, .count = 1, .action = BLOCK_WRITE, .flags = 2},
        {.tag = 5, .count = 1},
    };

    for (unsigned i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        struct block_request request = {.tag = 5, .count = 1};
        bool signal = false;

        setup(state);
        work();
        assert_int_equal(ring_put(&world.client.requests, &request, sizeof(request), &signal), RING_OK);
        assert_int_equal(ring_put(&world.client.requests, &wrong[i], sizeof(wrong[i]), &signal), RING_OK);
        assert_int_equal(block_place_next(&world.place, &request, &signal), BLOCK_NEXT_REQUEST);
        assert_int_equal(block_place_next(&world.place, &request, &signal), BLOCK_NEXT_BROKEN);
        assert_int_equal(block_place_next(&world.place, &request, &signal), BLOCK_NEXT_BROKEN);
        teardown(state);
    }
}

/* Out of range is an answer, and not the end. */
static void test_out_of_range(void **state)
{
    static const struct block_request wrong[] = {
        {.sector = SECTORS, .count = 1},
        {.sector = UINT64_MAX, .count = 1},
        {.sector = 0, .count = 65},
        {.sector = 0, .count = 0},
        {.sector = 1, .count = SECTORS, .action = BLOCK_DISCARD},
    };
    struct block_request request;
    bool signal = false;

    (void)state;
    work();
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        struct block_response answer;
        size_t length;

        assert_int_equal(ring_put(&world.client.requests, &wrong[i], sizeof(wrong[i]), &signal), RING_OK);
        assert_int_equal(block_place_next(&world.place, &request, &signal), BLOCK_NEXT_REFUSED);
        assert_int_equal(ring_get(&world.client.answers, &answer, sizeof(answer), &length, &signal), RING_OK);
        assert_int_equal(answer.status, BLOCK_RANGE);
    }
    assert_int_equal(world.place.under_way, 0);
}

/* Answers that make no sense end the session on the client's side. */
static void test_hostile_server(void **state)
{
    static const struct block_response wrong[] = {
        {.tag = 1}, {.tag = BLOCK_TAGS}, {.tag = UINT16_MAX}, {.status = BLOCK_GONE}, {.status = 0xff}};

    for (unsigned i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        struct block_operation read = operation_of(BLOCK_READ, 0, 1, 0);
        bool signal = false;

        setup(state);
        work();
        assert_true(block_client_submit(&world.client, &read));
        assert_int_equal(ring_put(&world.place.answers, &wrong[i], sizeof(wrong[i]), &signal), RING_OK);
        work();
        assert_int_equal(world.client.state, BLOCK_CLIENT_FAILED);
        assert_int_equal(world.done[BLOCK_GONE], 1);
    }
}

/* Anything in the shared memory, at any time: each operation ends once or waits, and nothing else is touched. */
static void test_scribbles(void **state)
{
    for (unsigned round = 0; round < 400; round++) {
        static struct block_operation operation[64];
        unsigned submitted = 0, ended = 0;

        setup(state);
        srand(round);
        work();
        for (unsigned turn = 0; turn < 200; turn++) {
            if (submitted < 64) {
                operation[submitted] =
                    operation_of((enum block_action)(rand() % BLOCK_ACTIONS), (uint64_t)rand() % 900,
                                 (uint32_t)rand() % 64, 512u * ((uint32_t)rand() % 400));
                submitted += block_client_submit(&world.client, &operation[submitted]);
            }
            if (world.memory && rand() % 4 == 0)
                world.memory[(unsigned)rand() % (rand() % 2 ? BLOCK_DATA : 0x40)] = (uint8_t)rand();
            if (world.memory && rand() % 8 == 0)
                world.memory[BLOCK_REQUESTS + (unsigned)rand() % 0x2000] ^= (uint8_t)(1u << rand() % 8);
            server_step(true);
            (void)block_client_work(&world.client);
        }
        for (unsigned i = 0; i < BLOCK_STATUSES; i++)
            ended += world.done[i];
        assert_int_equal(ended + world.client.under_way, submitted);
        teardown(state);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_open),         TEST(test_gone_early),     TEST(test_refused),    TEST(test_checks),
        TEST(test_deaths),       TEST(test_order),          TEST(test_other_disk), TEST(test_hostile_client),
        TEST(test_out_of_range), TEST(test_hostile_server), TEST(test_scribbles),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
