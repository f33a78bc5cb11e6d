/* SPDX-License-Identifier: ISC */
/*
 * Two clients side by side on a disk in memory: neither sees nor changes a byte of the other's partition, and
 * a client's bytes are not touched once it has gone.
 */
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "servers/part/window.h"

#define SECTOR 512u
#define DISK   (600u * SECTOR)
#define AREA   (32u * RELAY_PAGE)
#define CLIENT (64u * SECTOR)
#define ROUNDS 20000u
#define TAGS   8u

static const struct part_entry entries[] = {{.number = 1, .first = 100, .sectors = 200},
                                            {.number = 2, .first = 300, .sectors = 199},
                                            {.number = 3, .first = 500, .sectors = 10, .read_only = true}};

struct fixture {
    struct windows windows;
    uint8_t disk[DISK], twin[DISK], area[AREA], *client[2];
    struct window_request request[2][TAGS];
    bool busy[2][TAGS];
    struct relay_piece *pending[RELAY_PIECES];
    uint32_t pendings, answers;
    uint64_t random;
    int status;
};

static uint64_t below(struct fixture *f, uint64_t bound)
{
    f->random = f->random * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (f->random >> 33) % bound;
}

static void submit(void *context, struct relay_piece *piece)
{
    struct fixture *f = context;

    f->pending[f->pendings++] = piece;
}

static uint8_t *twin_of(struct fixture *f, uint32_t client, const struct window_request *request)
{
    return f->twin + entries[client].first * SECTOR + request->offset;
}

static void answer(void *context, uint32_t client, uint32_t tag, int status)
{
    struct fixture *f = context;
    const struct window_request *request = &f->request[client][tag];
    const bool gone = request->action > RELAY_FLUSH;

    assert_true(f->busy[client][tag]);
    f->busy[client][tag] = false;
    f->answers++;
    f->status = status;
    if (status != RELAY_OK || gone) { /* what of it is done is not known */
        if (request->action != RELAY_FLUSH)
            memcpy(twin_of(f, client, request), f->disk + (twin_of(f, client, request) - f->twin),
                   request->length);
        return;
    }
    if (request->action == RELAY_WRITE)
        memcpy(twin_of(f, client, request), request->bytes, request->length);
    if (request->action == RELAY_ZERO || request->action == RELAY_DISCARD)
        memset(twin_of(f, client, request), 0, request->length);
    if (request->action == RELAY_READ)
        assert_memory_equal(request->bytes, twin_of(f, client, request), request->length);
}

static void end_one(struct fixture *f, int status)
{
    const uint32_t which = (uint32_t)below(f, f->pendings);
    struct relay_piece *piece = f->pending[which];

    f->pending[which] = f->pending[--f->pendings];
    assert_true(piece->offset + piece->length <= DISK);
    if (status == RELAY_OK && piece->action == RELAY_READ)
        memcpy(f->area + piece->area, f->disk + piece->offset, piece->length);
    if (status == RELAY_OK && piece->action == RELAY_WRITE)
        memcpy(f->disk + piece->offset, f->area + piece->area, piece->length);
    if (status == RELAY_OK && (piece->action == RELAY_ZERO || piece->action == RELAY_DISCARD))
        memset(f->disk + piece->offset, 0, piece->length);
    relay_done(&f->windows.relay, piece, status);
}

static void client_comes(struct fixture *f, uint32_t client)
{
    window_open(&f->windows, client, &entries[client]);
    f->client[client] = malloc(CLIENT);
}

static bool is_busy(const struct fixture *f, uint32_t client)
{
    for (uint32_t i = 0; i < TAGS; i++)
        if (f->busy[client][i])
            return true;
    return false;
}

/* All is answered, and the client's bytes are not used: they are gone. */
static void client_goes(struct fixture *f, uint32_t client)
{
    for (uint32_t i = 0; i < TAGS; i++) /* what was written is compared no more */
        if (f->request[client][i].action == RELAY_WRITE)
            f->request[client][i].action = RELAY_FLUSH + 1;
    window_end(&f->windows, client);
    free(f->client[client]);
    while (is_busy(f, client))
        end_one(f, RELAY_OK);
}

static struct fixture *fixture_new(void)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    f->windows.context = f;
    f->windows.submit = submit;
    f->windows.answer = answer;
    f->windows.sector_size = SECTOR;
    f->windows.relay.disk[0] = (struct relay_disk){.area = f->area,
                                                   .pages = AREA / RELAY_PAGE,
                                                   .depth = 20,
                                                   .longest = 2 * RELAY_PAGE,
                                                   .longest_empty = 16384};
    windows_init(&f->windows);
    for (uint32_t i = 0; i < DISK; i++)
        f->twin[i] = f->disk[i] = (uint8_t)below(f, 256);
    client_comes(f, 0);
    client_comes(f, 1);
    return f;
}

static void fixture_delete(struct fixture *f)
{
    client_goes(f, 0);
    client_goes(f, 1);
    assert_int_equal(f->pendings, 0);
    assert_memory_equal(f->disk, f->twin, DISK); /* nothing beside the partitions has changed either */
    free(f);
}

static void send_random(struct fixture *f)
{
    const uint32_t client = (uint32_t)below(f, 2), tag = (uint32_t)below(f, TAGS);
    struct window_request *request = &f->request[client][tag];
    const uint64_t sectors = entries[client].sectors;

    if (f->busy[client][tag])
        return;
    *request =
        (struct window_request){.action = (enum relay_action)below(f, 5), .fua = below(f, 2), .tag = tag};
    if (request->action != RELAY_FLUSH) {
        request->length = (1 + below(f, CLIENT / TAGS / SECTOR)) * SECTOR;
        request->offset = below(f, sectors - request->length / SECTOR + 1) * SECTOR;
        request->bytes = f->client[client] + tag * (CLIENT / TAGS);
    }
    for (uint32_t i = 0; i < TAGS; i++)
        if (f->busy[client][i] && f->request[client][i].offset < request->offset + request->length &&
            request->offset < f->request[client][i].offset + f->request[client][i].length)
            return;
    for (uint64_t at = 0; request->action == RELAY_WRITE && at < request->length; at++)
        request->bytes[at] = (uint8_t)below(f, 256);
    f->busy[client][tag] = true;
    assert_true(window_begin(&f->windows, client, request));
}

static void test_load(void **state)
{
    struct fixture *f = fixture_new();

    (void)state;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        if (below(f, 2))
            send_random(f);
        else if (f->pendings)
            end_one(f, RELAY_OK);
        if (!below(f, 500)) {
            const uint32_t client = (uint32_t)below(f, 2);

            client_goes(f, client);
            client_comes(f, client);
        }
    }
    assert_true(f->answers > ROUNDS / 10);
    fixture_delete(f);
}

static bool begun(struct fixture *f, uint32_t client, enum relay_action action, uint64_t offset,
                  uint64_t length)
{
    const struct window_request request = {
        .action = action, .offset = offset, .length = length, .bytes = f->client[0]};

    return window_begin(&f->windows, client, &request);
}

static void test_refusals(void **state)
{
    struct fixture *f = fixture_new();
    const uint64_t end = entries[0].sectors * SECTOR;

    (void)state;
    assert_false(begun(f, 0, RELAY_READ, end, SECTOR));
    assert_false(begun(f, 0, RELAY_WRITE, end - SECTOR, 2 * SECTOR));
    assert_false(begun(f, 0, RELAY_ZERO, UINT64_MAX - SECTOR + 1, SECTOR));
    assert_false(begun(f, 0, RELAY_DISCARD, SECTOR, UINT64_MAX - SECTOR + 1));
    assert_false(begun(f, 0, RELAY_READ, 1, SECTOR));
    assert_false(begun(f, 0, RELAY_READ, 0, SECTOR - 1));
    assert_false(begun(f, 0, RELAY_READ, 0, 0));
    assert_false(begun(f, 2, RELAY_READ, 0, SECTOR)); /* there is no such client */
    assert_int_equal(f->pendings, 0);
    window_open(&f->windows, 2, &entries[2]);
    assert_false(begun(f, 2, RELAY_WRITE, 0, SECTOR));
    assert_false(begun(f, 2, RELAY_DISCARD, 0, SECTOR));
    assert_false(begun(f, 2, RELAY_ZERO, 0, SECTOR));
    fixture_delete(f);
}

/* A tag that is under way; and a failure of the disk reaches the client. */
static void test_tags(void **state)
{
    struct fixture *f = fixture_new();

    (void)state;
    f->busy[0][0] = true;
    f->request[0][0] = (struct window_request){.action = RELAY_FLUSH};
    assert_true(begun(f, 0, RELAY_WRITE, 0, SECTOR));
    assert_false(begun(f, 0, RELAY_WRITE, 0, SECTOR));
    f->busy[1][0] = true;
    f->request[1][0] = (struct window_request){.action = RELAY_FLUSH};
    assert_true(begun(f, 1, RELAY_FLUSH, 0, 0)); /* the other has its own */
    end_one(f, 7);
    assert_int_equal(f->status, 7);
    end_one(f, RELAY_OK);
    assert_false(is_busy(f, 0) || is_busy(f, 1));
    fixture_delete(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_load),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_tags),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
