/* SPDX-License-Identifier: ISC */
/*
 * Transfers through two disks whose pieces end in random order: every byte arrives where it belongs, no two
 * pieces share room, a failed or forgotten transfer ends once and touches nothing more, and a short transfer
 * passes a long one.
 */
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "lib/relay/relay.h"

#define DISKS     2u
#define DISK      (1u << 20)
#define AREA      (16u * RELAY_PAGE)
#define TRANSFERS 24u
#define ROUNDS    20000u
#define SECTOR    512u

struct fixture {
    struct relay relay;
    uint8_t *disk[DISKS], *twin[DISKS];
    uint8_t area[DISKS][AREA];
    struct relay_piece *pending[RELAY_PIECES];
    uint32_t pendings;
    uint64_t random, sent_pieces, flushes;
    struct relay_transfer transfer[TRANSFERS];
    uint8_t *bytes[TRANSFERS];
    bool busy[TRANSFERS], fails[TRANSFERS], forgotten[TRANSFERS];
    uint32_t ended;
    int last_status;
    bool gone; /* pieces fail as they are sent */
};

static uint64_t below(struct fixture *f, uint64_t bound)
{
    f->random = f->random * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (f->random >> 33) % bound;
}

static bool shares(const struct relay_piece *a, const struct relay_piece *b)
{
    return a->disk == b->disk && a->area / RELAY_PAGE <= (b->area + b->length - 1) / RELAY_PAGE &&
           b->area / RELAY_PAGE <= (a->area + a->length - 1) / RELAY_PAGE;
}

static void submit(void *context, struct relay_piece *piece)
{
    struct fixture *f = context;
    const struct relay_disk *disk = &f->relay.disk[piece->disk];
    uint32_t on_disk = 0;

    for (uint32_t i = 0; i < f->pendings; i++) {
        on_disk += f->pending[i]->disk == piece->disk;
        if (piece->action <= RELAY_WRITE && f->pending[i]->action <= RELAY_WRITE)
            assert_false(shares(piece, f->pending[i]));
    }
    assert_true(on_disk < disk->depth);
    if (piece->action == RELAY_FLUSH)
        f->flushes++;
    else
        assert_true(piece->length && piece->offset + piece->length <= DISK);
    if (piece->action <= RELAY_WRITE)
        assert_true(piece->length <= disk->longest && piece->area + piece->length <= AREA);
    if (piece->action == RELAY_ZERO)
        assert_true(piece->length <= disk->longest_empty);
    f->sent_pieces++;
    if (f->gone) {
        f->fails[piece->transfer - f->transfer] = true;
        relay_done(&f->relay, piece, 9);
        return;
    }
    f->pending[f->pendings++] = piece;
}

static void complete(void *context, struct relay_transfer *transfer, int status)
{
    struct fixture *f = context;
    const uint32_t i = (uint32_t)(transfer - f->transfer);
    uint8_t *twin = f->twin[transfer->disk] + transfer->offset;

    assert_true(f->busy[i]);
    f->busy[i] = false;
    f->ended++;
    f->last_status = status;
    if (f->fails[i] || f->forgotten[i]) {
        assert_true(status != RELAY_OK);
        if (transfer->action != RELAY_FLUSH) /* what of it is done is not known */
            memcpy(twin, f->disk[transfer->disk] + transfer->offset, transfer->length);
        return;
    }
    assert_int_equal(status, RELAY_OK);
    if (transfer->action == RELAY_WRITE)
        memcpy(twin, f->bytes[i], transfer->length);
    if (transfer->action == RELAY_ZERO)
        memset(twin, 0, transfer->length);
    if (transfer->action == RELAY_READ)
        assert_memory_equal(f->bytes[i], twin, transfer->length);
}

static void end_one(struct fixture *f, uint32_t which, int status)
{
    struct relay_piece *piece = f->pending[which];
    uint8_t *at = f->disk[piece->disk] + piece->offset, *area = f->area[piece->disk] + piece->area;

    f->pending[which] = f->pending[--f->pendings];
    if (status != RELAY_OK)
        f->fails[piece->transfer - f->transfer] = true;
    else if (piece->action == RELAY_WRITE)
        memcpy(at, area, piece->length);
    else if (piece->action == RELAY_READ)
        memcpy(area, at, piece->length);
    else if (piece->action == RELAY_ZERO)
        memset(at, 0, piece->length);
    if (piece->action != RELAY_READ)
        memset(area, 0xee, piece->action == RELAY_WRITE ? piece->length : 0);
    relay_done(&f->relay, piece, status);
}

static struct fixture *fixture_new(void)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    f->relay.context = f;
    f->relay.submit = submit;
    f->relay.complete = complete;
    for (uint32_t i = 0; i < DISKS; i++) {
        f->disk[i] = calloc(1, DISK);
        f->twin[i] = calloc(1, DISK);
        f->relay.disk[i] = (struct relay_disk){.area = f->area[i],
                                               .pages = AREA / RELAY_PAGE,
                                               .depth = 6 + i,
                                               .longest = (2 + 3 * i) * RELAY_PAGE,
                                               .longest_empty = 65536};
    }
    for (uint32_t i = 0; i < TRANSFERS; i++)
        f->bytes[i] = malloc(DISK);
    return f;
}

static void fixture_delete(struct fixture *f)
{
    for (uint32_t i = 0; i < DISKS; i++) {
        free(f->disk[i]);
        free(f->twin[i]);
    }
    for (uint32_t i = 0; i < TRANSFERS; i++)
        free(f->bytes[i]);
    free(f);
}

static bool overlaps(const struct fixture *f, uint32_t disk, uint64_t offset, uint64_t length)
{
    for (uint32_t i = 0; i < TRANSFERS; i++)
        if (f->busy[i] && f->transfer[i].disk == disk && f->transfer[i].offset < offset + length &&
            offset < f->transfer[i].offset + f->transfer[i].length)
            return true;
    return false;
}

static void send(struct fixture *f, uint32_t i, enum relay_action action, uint32_t disk, uint64_t offset,
                 uint64_t length)
{
    f->transfer[i] = (struct relay_transfer){
        .action = action, .disk = disk, .offset = offset, .length = length, .bytes = f->bytes[i]};
    f->busy[i] = true;
    f->fails[i] = f->forgotten[i] = false;
    relay_send(&f->relay, &f->transfer[i]);
}

static void send_random(struct fixture *f)
{
    const uint32_t i = (uint32_t)below(f, TRANSFERS), disk = (uint32_t)below(f, DISKS);
    const uint64_t length = (1 + below(f, below(f, 8) ? 32 : 400)) * SECTOR;
    const uint64_t offset = below(f, (DISK - length) / SECTOR + 1) * SECTOR;
    static const enum relay_action actions[] = {RELAY_READ, RELAY_WRITE, RELAY_WRITE, RELAY_ZERO,
                                                RELAY_FLUSH};
    const enum relay_action action = actions[below(f, 5)];

    if (f->busy[i] || overlaps(f, disk, offset, length))
        return;
    for (uint64_t at = 0; action == RELAY_WRITE && at < length; at += 8)
        memcpy(f->bytes[i] + at, &(uint64_t){below(f, 1u << 31)}, 8);
    send(f, i, action, disk, action == RELAY_FLUSH ? 0 : offset, action == RELAY_FLUSH ? 0 : length);
}

static void forget_random(struct fixture *f)
{
    const uint32_t i = (uint32_t)below(f, TRANSFERS);

    if (!f->busy[i] || f->fails[i])
        return;
    f->forgotten[i] = true;
    if (f->transfer[i].action == RELAY_READ) { /* the bytes are gone: the sanitizer would see a use */
        free(f->bytes[i]);
        f->bytes[i] = NULL;
    }
    relay_forget(&f->relay, &f->transfer[i]);
    if (!f->bytes[i])
        f->bytes[i] = malloc(DISK);
}

static void test_random(void **state)
{
    struct fixture *f = fixture_new();

    (void)state;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        if (below(f, 2))
            send_random(f);
        else if (f->pendings)
            end_one(f, (uint32_t)below(f, f->pendings), below(f, 50) ? RELAY_OK : 5);
        if (!below(f, 200))
            forget_random(f);
    }
    while (f->pendings)
        end_one(f, (uint32_t)below(f, f->pendings), RELAY_OK);
    for (uint32_t i = 0; i < TRANSFERS; i++)
        assert_false(f->busy[i]);
    assert_true(f->ended > ROUNDS / 10 && f->sent_pieces > f->ended && f->flushes > 100);
    for (uint32_t i = 0; i < DISKS; i++) {
        assert_memory_equal(f->disk[i], f->twin[i], DISK);
        assert_int_equal(f->relay.disk[i].busy, 0);
        for (uint32_t page = 0; page < RELAY_PAGES; page++)
            assert_int_equal(f->relay.disk[i].used[page], 0);
    }
    fixture_delete(f);
}

static void test_short_passes_long(void **state)
{
    struct fixture *f = fixture_new();

    (void)state;
    send(f, 0, RELAY_READ, 0, 0, DISK);
    send(f, 1, RELAY_READ, 0, 0, SECTOR);
    for (uint32_t i = 0; i < 12 && f->busy[1]; i++)
        end_one(f, 0, RELAY_OK);
    assert_false(f->busy[1]);
    assert_true(f->busy[0]);
    while (f->pendings)
        end_one(f, 0, RELAY_OK);
    assert_false(f->busy[0]);
    fixture_delete(f);
}

static void test_failure(void **state)
{
    struct fixture *f = fixture_new();
    uint64_t before;

    (void)state;
    send(f, 0, RELAY_WRITE, 1, 0, DISK);
    before = f->sent_pieces;
    end_one(f, 1, 7);
    assert_int_equal(f->sent_pieces, before); /* no more of it is sent */
    while (f->pendings) {
        assert_true(f->busy[0]);
        end_one(f, 0, RELAY_OK);
    }
    assert_false(f->busy[0]);
    assert_int_equal(f->last_status, 7);
    fixture_delete(f);
}

/* A disk that is gone: pieces end from within. Each transfer ends once, those under way by their pieces. */
static void test_gone(void **state)
{
    struct fixture *f = fixture_new();

    (void)state;
    send(f, 0, RELAY_READ, 0, 0, DISK);
    f->gone = true;
    send(f, 1, RELAY_WRITE, 1, 0, DISK);
    assert_int_equal(f->ended, 1);
    send(f, 2, RELAY_FLUSH, 1, 0, 0);
    assert_int_equal(f->ended, 2);
    while (f->pendings)
        end_one(f, 0, RELAY_OK);
    assert_int_equal(f->ended, 3);
    assert_int_equal(f->last_status, 9);
    for (uint32_t i = 0; i < DISKS; i++)
        assert_int_equal(f->relay.disk[i].busy, 0);
    fixture_delete(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_short_passes_long),
        cmocka_unit_test(test_failure),
        cmocka_unit_test(test_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
