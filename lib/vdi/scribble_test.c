/* SPDX-License-Identifier: ISC */
/*
 * Random requests on a VDI disk and on a twin that is an array, with operations that end in any order: both
 * must always show the same. Requests under way do not overlap here, as their order would be open; the storm
 * at the end overlaps as much as it can, and then each sector must hold what was meant for it.
 */
#include <cmocka.h>

#include "lib/vdi/simulation.h"

#define BLOCK    4096u
#define REQUESTS 20000
#define DEPTH    32
#define LONGEST  (5 * BLOCK)

struct twin_request {
    struct vdi_request request;
    bool busy;
    uint8_t bytes[LONGEST];
};

struct twin {
    uint8_t *bytes;
    uint64_t size;
    uint32_t block_size;
    bool fixed;
    struct twin_request requests[DEPTH];
    uint32_t under_way;
};

/* What the request does to an array. */
static void twin_apply(struct twin *twin, const struct twin_request *done)
{
    const struct vdi_request *request = &done->request;

    switch (request->action) {
    case VDI_READ:
        assert_memory_equal(done->bytes, twin->bytes + request->offset, request->length);
        break;
    case VDI_WRITE:
        memcpy(twin->bytes + request->offset, done->bytes, request->length);
        break;
    case VDI_WRITE_ZEROES:
        memset(twin->bytes + request->offset, 0, request->length);
        break;
    case VDI_DISCARD:
        for (uint64_t at = 0; at < twin->size && !twin->fixed; at += twin->block_size) {
            const uint64_t end = at + twin->block_size < twin->size ? at + twin->block_size : twin->size;

            if (at >= request->offset && end <= request->offset + request->length)
                memset(twin->bytes + at, 0, end - at);
        }
        break;
    default:
        break;
    }
}

static void twin_complete(struct sim *sim, struct vdi_request *request)
{
    struct twin *twin = sim->test;
    struct twin_request *done = (struct twin_request *)(void *)request;

    assert_int_equal(request->status, VDI_OK);
    twin_apply(twin, done);
    done->busy = false;
    twin->under_way--;
}

static bool overlaps(const struct twin *twin, const struct vdi_request *request)
{
    for (uint32_t i = 0; i < DEPTH; i++) {
        const struct vdi_request *other = &twin->requests[i].request;

        if (twin->requests[i].busy && other->length && request->length &&
            other->offset < request->offset + request->length &&
            request->offset < other->offset + other->length)
            return true;
    }
    return false;
}

static enum vdi_action random_action(struct sim *sim)
{
    static const enum vdi_action actions[] = {VDI_READ,  VDI_READ,         VDI_READ,    VDI_WRITE,
                                              VDI_WRITE, VDI_WRITE,        VDI_WRITE,   VDI_WRITE_ZEROES,
                                              VDI_FLUSH, VDI_WRITE_ZEROES, VDI_DISCARD, VDI_DISCARD};

    if (!sim_random(sim, 400))
        return VDI_COMPACT;
    return actions[sim_random(sim, sizeof(actions) / sizeof(actions[0]))];
}

/* Fills in the slot with a random request; false if it would overlap another. */
static bool twin_prepare(struct sim *sim, struct twin_request *slot, bool overlapping)
{
    struct twin *twin = sim->test;
    const uint64_t unit = sim->disk.unit, sectors = twin->size / unit;
    struct vdi_request *request = &slot->request;

    *request = (struct vdi_request){.action = random_action(sim), .buffer = (uintptr_t)slot->bytes};
    request->fua = !sim_random(sim, 5);
    if (request->action != VDI_FLUSH && request->action != VDI_COMPACT) {
        const uint64_t first = sim_random(sim, sectors);
        uint64_t count = 1 + sim_random(sim, sim_random(sim, 3) && unit == VDI_SECTOR ? 8 : LONGEST / unit);

        count = count < sectors - first ? count : sectors - first;
        request->offset = first * unit;
        request->length = count * unit;
        if (request->action == VDI_DISCARD && sim_random(sim, 2)) {
            request->offset &= ~(uint64_t)(twin->block_size - 1);
            request->length = LONGEST < twin->size - request->offset ? LONGEST : twin->size - request->offset;
        }
    }
    for (uint64_t i = 0; i < request->length; i += 8) {
        const uint64_t word =
            overlapping ? (request->offset + i) / VDI_SECTOR + 1 : sim_random(sim, UINT64_MAX);

        memcpy(slot->bytes + i, &word, 8);
    }
    return overlapping || !overlaps(twin, request);
}

static void scribble(struct sim *sim, uint32_t count, bool overlapping)
{
    struct twin *twin = sim->test;
    uint32_t depth = DEPTH;

    for (uint32_t i = 0; i < count;) {
        struct twin_request *slot = &twin->requests[sim_random(sim, DEPTH)];

        if (!sim_random(sim, 500))
            depth = 1 + (uint32_t)sim_random(sim, DEPTH);
        if (!slot->busy && twin->under_way < depth && twin_prepare(sim, slot, overlapping)) {
            slot->busy = true;
            twin->under_way++;
            i++;
            assert_int_equal(vdi_submit(&sim->disk, &slot->request), VDI_OK);
        }
        if (twin->under_way && sim_random(sim, 4))
            (void)sim_step(sim); /* nothing under way is fine */
    }
    sim_settle(sim);
    assert_int_equal(twin->under_way, 0);
}

static void compare(struct sim *sim)
{
    struct twin *twin = sim->test;
    uint8_t *bytes = malloc(twin->size);

    assert_non_null(bytes);
    assert_int_equal(sim_do(sim, VDI_READ, 0, twin->size, bytes, false), VDI_OK);
    assert_memory_equal(bytes, twin->bytes, twin->size);
    free(bytes);
}

/* Opens it again: what is in the map on the disk must show the same, and leave nothing wrong. */
static void reopen_and_compare(struct sim *sim)
{
    void (*complete)(struct sim *, struct vdi_request *) = sim->complete;

    sim->complete = NULL;
    compare(sim);
    assert_int_equal(sim_do(sim, VDI_COMPACT, 0, 0, NULL, false), VDI_OK);
    assert_int_equal(vdi_disk_holes(&sim->disk), 0);
    compare(sim);
    sim_close(sim);
    sim_open(sim, true);
    assert_int_equal(sim->images[0].mapped, sim->images[0].slots);
    assert_int_equal(sim->images[0].mapped, sim->images[0].header.slot_count);
    assert_false(sim->images[0].count_was_low);
    compare(sim);
    sim->complete = complete;
}

static void run(struct sim *sim, enum vdi_type type, uint64_t size, uint32_t block_size, bool overlapping)
{
    struct twin *twin = calloc(1, sizeof(*twin));

    assert_non_null(twin);
    twin->size = size;
    twin->block_size = block_size;
    twin->fixed = type == VDI_FIXED;
    twin->bytes = calloc(1, size);
    assert_non_null(twin->bytes);
    sim->test = twin;
    sim_open(sim, true);
    assert_int_equal(sim_do(sim, VDI_READ, 0, size, twin->bytes, false), VDI_OK);
    if (sim->image_count == 1)
        for (uint64_t i = 0; i < size; i++)
            assert_int_equal(twin->bytes[i], 0);
    sim->complete = overlapping ? NULL : twin_complete;
    for (uint32_t part = 0; part < 4 && !overlapping; part++) {
        scribble(sim, REQUESTS / 4, false);
        reopen_and_compare(sim);
    }
    free(twin->bytes);
    free(twin);
}

static struct sim *new_sim(void)
{
    struct sim *sim = calloc(1, sizeof(*sim));

    assert_non_null(sim);
    return sim;
}

static void delete_sim(struct sim *sim)
{
    sim_close(sim);
    for (uint32_t i = 0; i < sim->image_count; i++)
        free(sim->bytes[i]);
    free(sim);
}

static void single(enum vdi_type type, uint32_t block_size, uint64_t size, uint32_t unit, bool immediate)
{
    struct sim *sim = new_sim();

    sim->image_count = 1;
    sim->immediate = immediate;
    sim->unit = unit;
    sim->bytes[0] = sim_image_new(type, size, block_size, 1, NULL, unit, &sim->size[0]);
    run(sim, type, size, block_size, false);
    delete_sim(sim);
}

static void test_dynamic(void **state)
{
    (void)state;
    single(VDI_DYNAMIC, BLOCK, 40 * BLOCK + 3 * VDI_SECTOR, VDI_SECTOR, false);
}

static void test_dynamic_over_map_sectors(void **state)
{
    (void)state;
    single(VDI_DYNAMIC, BLOCK, 300 * BLOCK, VDI_SECTOR, false);
}

static void test_fixed(void **state)
{
    (void)state;
    single(VDI_FIXED, BLOCK, 20 * BLOCK, VDI_SECTOR, false);
}

static void test_units_of_4096(void **state)
{
    (void)state;
    single(VDI_DYNAMIC, 4 * BLOCK, 50 * BLOCK, 4096, false);
}

static void test_operations_end_at_once(void **state)
{
    (void)state;
    single(VDI_DYNAMIC, BLOCK, 40 * BLOCK, VDI_SECTOR, true);
}

/* The base has larger blocks and is smaller, the middle one is larger than the disk. */
static void test_chain_of_three(void **state)
{
    struct sim *sim = new_sim();
    struct sim *below = new_sim();
    const uint64_t size = 30 * BLOCK, middle_size = 40 * BLOCK, base_size = 22 * BLOCK + VDI_SECTOR;
    uint8_t bytes[BLOCK];

    (void)state;
    below->image_count = 1;
    below->bytes[0] = sim_image_new(VDI_DYNAMIC, base_size, 2 * BLOCK, 1, NULL, VDI_SECTOR, &below->size[0]);
    sim_open(below, true);
    for (uint64_t at = 0; at + BLOCK <= base_size; at += 3 * BLOCK) {
        memset(bytes, (int)(at / BLOCK) + 1, sizeof(bytes));
        assert_int_equal(sim_do(below, VDI_WRITE, at, BLOCK, bytes, false), VDI_OK);
    }
    sim_close(below);
    below->bytes[1] = below->bytes[0];
    below->size[1] = below->size[0];
    below->bytes[0] =
        sim_image_new(VDI_DIFFERENCING, middle_size, BLOCK, 2, below->bytes[1], VDI_SECTOR, &below->size[0]);
    below->image_count = 2;
    sim_open(below, true);
    for (uint64_t at = VDI_SECTOR; at + BLOCK <= middle_size; at += 5 * BLOCK) {
        memset(bytes, (int)(at / BLOCK) + 100, sizeof(bytes));
        assert_int_equal(sim_do(below, VDI_WRITE, at, 3 * VDI_SECTOR, bytes, false), VDI_OK);
    }
    assert_int_equal(sim_do(below, VDI_DISCARD, 6 * BLOCK, BLOCK, NULL, false), VDI_OK);
    sim_close(below);
    sim->bytes[0] =
        sim_image_new(VDI_DIFFERENCING, size, BLOCK, 3, below->bytes[0], VDI_SECTOR, &sim->size[0]);
    for (uint32_t i = 0; i < 2; i++) {
        sim->bytes[1 + i] = below->bytes[i];
        sim->size[1 + i] = below->size[i];
    }
    free(below);
    sim->image_count = 3;
    run(sim, VDI_DIFFERENCING, size, BLOCK, false);
    delete_sim(sim);
}

static void storm_complete(struct sim *sim, struct vdi_request *request)
{
    struct twin *twin = sim->test;
    struct twin_request *done = (struct twin_request *)(void *)request;

    assert_int_equal(request->status, VDI_OK);
    for (uint64_t i = 0; i < request->length && request->action == VDI_READ; i += 8) {
        uint64_t word;

        memcpy(&word, done->bytes + i, 8);
        if (word)
            assert_int_equal(word, (request->offset + i) / VDI_SECTOR + 1);
    }
    done->busy = false;
    twin->under_way--;
}

static void test_storm_of_overlaps(void **state)
{
    const uint64_t size = 12 * BLOCK;
    struct sim *sim = new_sim();
    struct twin twin = {.size = size, .block_size = BLOCK};
    uint64_t *words = calloc(1, size);

    (void)state;
    sim->image_count = 1;
    sim->bytes[0] = sim_image_new(VDI_DYNAMIC, size, BLOCK, 1, NULL, VDI_SECTOR, &sim->size[0]);
    sim_open(sim, true);
    sim->test = &twin;
    sim->complete = storm_complete;
    scribble(sim, REQUESTS, true);
    sim->complete = NULL;
    assert_int_equal(sim_do(sim, VDI_READ, 0, size, words, false), VDI_OK);
    for (uint64_t i = 0; i < size / 8; i++)
        if (words[i])
            assert_int_equal(words[i], i * 8 / VDI_SECTOR + 1);
    free(words);
    delete_sim(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dynamic),
        cmocka_unit_test(test_dynamic_over_map_sectors),
        cmocka_unit_test(test_fixed),
        cmocka_unit_test(test_units_of_4096),
        cmocka_unit_test(test_operations_end_at_once),
        cmocka_unit_test(test_chain_of_three),
        cmocka_unit_test(test_storm_of_overlaps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
