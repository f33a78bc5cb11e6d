/* SPDX-License-Identifier: ISC */
/*
 * Power cuts, exhaustively: a random load is run, and whenever the set of writes that a cut may lose has
 * changed, the power is cut: for up to SUBSET_BITS such writes with every subset of them on the disk, beyond
 * that with random ones; and with some writes torn between sectors. Each time the image must open, its map
 * must be whole, cBlocksAllocated must count all slots, and every sector must hold a value that it may have:
 * the one of the last write that a flush covers, or of a later one.
 */
#include <cmocka.h>

#include "lib/vdi/simulation.h"

#define BLOCK       4096u
#define PER_BLOCK   (BLOCK / VDI_SECTOR)
#define BLOCKS      14
#define SECTORS     (BLOCKS * PER_BLOCK - 3) /* the last block is a part of one */
#define VALUES      96
#define DEPTH       6
#define LONGEST     (2 * PER_BLOCK)
#define SUBSET_BITS 6
#define SUBSETS     (1u << SUBSET_BITS)

/* A value that a sector was given. Times are counts of calls and answers. */
struct value {
    uint32_t id;
    uint32_t begun, answered; /* answered: 0 if not */
    bool covered;             /* by a flush */
};

struct sector {
    struct value values[VALUES];
    uint32_t count;
};

struct power_request {
    struct vdi_request request;
    bool busy;
    uint32_t id, begun;
    uint8_t bytes[LONGEST * VDI_SECTOR];
};

struct power {
    struct sector sectors[SECTORS];
    struct power_request requests[DEPTH];
    uint32_t time, last_id, under_way;
    uint64_t cuts, states, second_lives;
    uint8_t *image; /* one state after a cut */
    uint64_t size;
};

static void value_add(struct power *power, uint64_t sector, uint32_t id)
{
    struct sector *of = &power->sectors[sector];

    assert_true(of->count < VALUES);
    of->values[of->count++] = (struct value){id, power->time, 0, false};
}

/* Drops what a covered write that began later has made impossible. */
static void values_prune(struct sector *sector)
{
    uint32_t latest = 0, kept = 0;

    for (uint32_t i = 0; i < sector->count; i++)
        if (sector->values[i].covered && sector->values[i].begun > latest)
            latest = sector->values[i].begun;
    for (uint32_t i = 0; i < sector->count; i++)
        if (!sector->values[i].answered || sector->values[i].answered >= latest)
            sector->values[kept++] = sector->values[i];
    sector->count = kept;
}

/* The sectors a request changes. */
static bool changes_sector(const struct vdi_request *request, uint64_t sector)
{
    const uint64_t at = sector * VDI_SECTOR, end = request->offset + request->length;
    const uint64_t block = at / BLOCK * BLOCK;

    if (request->action == VDI_DISCARD)
        return block >= request->offset && (block + BLOCK <= end || end == SECTORS * VDI_SECTOR) &&
               block < end;
    return (request->action == VDI_WRITE || request->action == VDI_WRITE_ZEROES) && at >= request->offset &&
           at < end;
}

static void power_complete(struct sim *sim, struct vdi_request *request)
{
    struct power *power = sim->test;
    struct power_request *done = (struct power_request *)(void *)request;

    assert_int_equal(request->status, VDI_OK);
    power->time++;
    for (uint64_t i = 0; i < SECTORS; i++) {
        struct sector *sector = &power->sectors[i];

        for (uint32_t v = 0; v < sector->count; v++) {
            struct value *value = &sector->values[v];

            if (value->begun == done->begun && changes_sector(request, i)) {
                value->answered = power->time;
                value->covered |= request->fua;
            }
            if ((request->action == VDI_FLUSH || request->action == VDI_COMPACT) && value->answered &&
                value->answered < done->begun)
                value->covered = true;
        }
        values_prune(sector);
    }
    done->busy = false;
    power->under_way--;
    sim_changed(sim);
}

/* The value at a sector of the disk, read by map; all words of a sector are alike. */
static uint64_t sector_value(const struct sim *sim, const struct vdi_image *images, const uint8_t *bytes,
                             uint64_t sector)
{
    const struct vdi_extent extent =
        vdi_chain_find(images, sim->image_count, 0, sector * VDI_SECTOR, VDI_SECTOR);
    const uint8_t *at = extent.image ? sim->bytes[extent.image % SIM_IMAGES] : bytes;
    uint64_t first, word;

    if (extent.image == VDI_CHAIN_ALL)
        return 0;
    memcpy(&first, at + extent.offset, 8);
    for (uint64_t i = 8; i < VDI_SECTOR; i += 56) {
        memcpy(&word, at + extent.offset + i, 8);
        assert_int_equal(word, first);
    }
    return first;
}

static void check_sector(const struct power *power, uint64_t sector, uint64_t value)
{
    const struct sector *of = &power->sectors[sector];

    if (value)
        assert_int_equal(value & 0xffff, sector);
    for (uint32_t i = 0; i < of->count; i++)
        if (of->values[i].id == value >> 16)
            return;
    fail_msg("sector %lu holds write %lu, which is none of the %u it may hold, first %u",
             (unsigned long)sector, (unsigned long)(value >> 16), of->count, of->values[0].id);
}

/* The image is used again: what is free in it must really be. */
static void second_life(const struct sim *sim, struct power *power)
{
    struct sim *next = calloc(1, sizeof(*next));
    uint64_t before[SECTORS], words[VDI_SECTOR / 8];
    bool written[SECTORS] = {false};

    assert_non_null(next);
    next->image_count = sim->image_count;
    next->random = sim->random;
    for (uint32_t i = 0; i < sim->image_count; i++) {
        next->bytes[i] = i ? sim->bytes[i] : power->image;
        next->size[i] = sim->size[i];
    }
    sim_open(next, true);
    for (uint64_t i = 0; i < SECTORS; i++)
        before[i] = sector_value(next, next->images, power->image, i);
    for (uint32_t turn = 0; turn < 8; turn++) {
        const uint64_t sector = sim_random(next, SECTORS);

        for (uint32_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
            words[i] = UINT64_C(1) << 60;
        written[sector] = true;
        assert_int_equal(sim_do(next, VDI_WRITE, sector * VDI_SECTOR, VDI_SECTOR, words, false), VDI_OK);
    }
    assert_int_equal(sim_do(next, VDI_COMPACT, 0, 0, NULL, false), VDI_OK);
    sim_close(next);
    sim_open(next, false);
    assert_int_equal(next->images[0].mapped, next->images[0].slots);
    assert_int_equal(next->images[0].mapped, next->images[0].header.slot_count);
    for (uint64_t i = 0; i < SECTORS; i++)
        assert_int_equal(sector_value(next, next->images, power->image, i),
                         written[i] ? UINT64_C(1) << 60 : before[i]);
    sim_close(next);
    free(next);
    power->second_lives++;
}

/* One state that a cut may leave. */
static void check_state(struct sim *sim, struct power *power)
{
    struct vdi_image images[SIM_IMAGES];
    struct vdi_error error;

    memcpy(images, sim->images, sizeof(images));
    if (!sim_image_open(&images[0], power->image, power->size, power->size, true, VDI_SECTOR, &error))
        fail_msg("after a cut: %s", error.text);
    assert_false(images[0].count_was_low);
    for (uint64_t i = 0; i < SECTORS; i++)
        check_sector(power, i, sector_value(sim, images, power->image, i));
    sim_image_close(&images[0]);
    power->states++;
    if (power->states % 128 == 0)
        second_life(sim, power);
}

/* Some of the write's sectors, or all. */
static void apply_write(struct sim *sim, struct power *power, const struct sim_write *write, bool torn)
{
    for (uint64_t at = 0; at < write->length; at += VDI_SECTOR)
        if (!torn || sim_random(sim, 2))
            memcpy(power->image + write->offset + at, write->bytes + at, VDI_SECTOR);
}

/* The power is cut here. */
static void power_cut(struct sim *sim)
{
    struct power *power = sim->test;
    const bool all = sim->write_count <= SUBSET_BITS;
    const uint32_t subsets = all ? 1u << sim->write_count : SUBSETS;
    const uint64_t random = sim->random; /* the load must not depend on what is looked at */

    power->cuts++;
    for (uint32_t subset = 0; subset < subsets + 2; subset++) {
        const bool torn = subset >= subsets;

        memcpy(power->image, sim->durable, power->size);
        for (uint32_t i = 0; i < sim->write_count; i++)
            if (all && !torn ? subset >> i & 1 : sim_random(sim, 2))
                apply_write(sim, power, &sim->writes[i], torn);
        check_state(sim, power);
    }
    sim->random = random;
}

static void power_submit(struct sim *sim, struct power_request *slot)
{
    static const enum vdi_action actions[] = {VDI_WRITE,   VDI_WRITE,  VDI_WRITE, VDI_WRITE,
                                              VDI_WRITE,   VDI_FLUSH,  VDI_FLUSH, VDI_WRITE_ZEROES,
                                              VDI_DISCARD, VDI_DISCARD};
    struct power *power = sim->test;
    struct vdi_request *request = &slot->request;
    uint64_t first = sim_random(sim, SECTORS), count = 1 + sim_random(sim, LONGEST);

    *request = (struct vdi_request){.action = actions[sim_random(sim, sizeof(actions) / sizeof(actions[0]))],
                                    .buffer = (uintptr_t)slot->bytes};
    request->fua = !sim_random(sim, 6);
    if (!sim_random(sim, 25))
        request->action = VDI_COMPACT;
    if (request->action == VDI_DISCARD && sim->images[0].header.type == VDI_FIXED)
        request->action = VDI_WRITE_ZEROES; /* a discard there changes nothing */
    if (request->action == VDI_DISCARD)
        first -= first % PER_BLOCK;
    count = count < SECTORS - first ? count : SECTORS - first;
    if (request->action != VDI_FLUSH && request->action != VDI_COMPACT) {
        request->offset = first * VDI_SECTOR;
        request->length = count * VDI_SECTOR;
    }
    slot->begun = ++power->time;
    slot->id = request->action == VDI_WRITE ? ++power->last_id : 0;
    for (uint64_t i = 0; i < SECTORS; i++) {
        const uint64_t word = (uint64_t)slot->id << 16 | i;

        if (!changes_sector(request, i))
            continue;
        value_add(power, i, slot->id);
        for (uint64_t at = 0; at < VDI_SECTOR && slot->id; at += 8)
            memcpy(slot->bytes + (i - first) * VDI_SECTOR + at, &word, 8);
    }
    slot->busy = true;
    power->under_way++;
    assert_int_equal(vdi_submit(&sim->disk, request), VDI_OK);
}

static void load(struct sim *sim, uint32_t count)
{
    struct power *power = sim->test;

    for (uint32_t i = 0; i < count;) {
        struct power_request *slot = &power->requests[sim_random(sim, DEPTH)];

        if (!slot->busy && sim_random(sim, 2)) {
            power_submit(sim, slot);
            i++;
        }
        (void)sim_step(sim); /* nothing under way is fine */
        if (!sim_random(sim, 60)) {
            sim_restart(sim);
            for (uint32_t r = 0; r < DEPTH; r++)
                power->requests[r].busy = false;
            power->under_way = 0;
        }
    }
    sim_settle(sim);
}

static void cut_everywhere(enum vdi_type type, uint64_t seed, uint32_t count)
{
    struct sim *sim = calloc(1, sizeof(*sim));
    struct power *power = calloc(1, sizeof(*power));
    uint8_t *parent = NULL;

    assert_true(sim && power);
    sim->random = seed;
    sim->image_count = 1;
    if (type == VDI_DIFFERENCING) {
        sim->image_count = 2;
        sim->bytes[1] =
            sim_image_new(VDI_FIXED, SECTORS * VDI_SECTOR, BLOCK, 1, NULL, VDI_SECTOR, &sim->size[1]);
        parent = sim->bytes[1];
        for (uint64_t i = 0; i < SECTORS; i++)
            for (uint64_t at = 0; at < VDI_SECTOR; at += 8)
                memcpy(parent + sim->size[1] - BLOCKS * BLOCK + i * VDI_SECTOR + at,
                       &(uint64_t){UINT64_C(0xfffff) << 16 | i}, 8);
    }
    sim->bytes[0] = sim_image_new(type, SECTORS * VDI_SECTOR, BLOCK, 2, parent, VDI_SECTOR, &sim->size[0]);
    sim->durable = malloc(sim->size[0]);
    power->image = malloc(sim->size[0]);
    power->size = sim->size[0];
    assert_true(sim->durable && power->image);
    memcpy(sim->durable, sim->bytes[0], sim->size[0]);
    for (uint64_t i = 0; i < SECTORS; i++) {
        value_add(power, i, parent ? 0xfffff : 0);
        power->sectors[i].values[0].answered = 1;
        power->sectors[i].values[0].covered = true;
    }
    power->time = 1;
    sim->test = power;
    sim->complete = power_complete;
    sim_open(sim, true);
    sim->changed = power_cut;
    load(sim, count);
    print_message("%lu cuts, %lu states, %lu of them used again\n", (unsigned long)power->cuts,
                  (unsigned long)power->states, (unsigned long)power->second_lives);
    sim_close(sim);
    free(sim->bytes[0]);
    free(parent);
    free(sim->durable);
    free(power->image);
    free(power);
    free(sim);
}

static void test_dynamic(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++)
        cut_everywhere(VDI_DYNAMIC, seed * 0x123456789, 200);
}

static void test_differencing(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++)
        cut_everywhere(VDI_DIFFERENCING, seed * 0x987654321, 200);
}

static void test_fixed(void **state)
{
    (void)state;
    cut_everywhere(VDI_FIXED, 0x55555, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dynamic),
        cmocka_unit_test(test_differencing),
        cmocka_unit_test(test_fixed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
