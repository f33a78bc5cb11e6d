/* SPDX-License-Identifier: ISC */
/*
 * Stores in memory for the tests: operations end one by one in random order, and what was written to the
 * first image lies in a cache that forgets when the power is cut. Until it has ended, and then until a flush
 * that was submitted later has ended, a write may or may not be on the disk. Only for programs with cmocka.
 */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "lib/vdi/create.h"
#include "lib/vdi/disk.h"

#define SIM_IMAGES     3
#define SIM_OPERATIONS 48
#define SIM_CHANGES    6
#define SIM_WRITES     4096
#define SIM_BOUNCE     2048 /* smaller than the smallest block; of stores with larger units one unit */
#define SIM_GARBAGE    0xa5 /* what a disk has where nothing was written */

struct sim_write {
    uint64_t offset, length;
    uint8_t *bytes;
    uint64_t ended; /* 0: under way */
    const struct vdi_operation *operation;
};

struct sim_pending {
    struct vdi_operation *operation;
    uint64_t begun;
};

struct sim {
    struct vdi_disk disk;
    struct vdi_image images[SIM_IMAGES];
    uint32_t image_count;
    uint8_t *bytes[SIM_IMAGES]; /* what reads see; the caller's */
    uint64_t size[SIM_IMAGES];
    uint32_t unit;    /* of all stores; 0: a sector */
    uint8_t *durable; /* what is surely on the first image's disk; NULL: nobody asks */
    struct sim_write writes[SIM_WRITES];
    uint32_t write_count;
    struct sim_pending pending[SIM_OPERATIONS];
    uint32_t pending_count;
    uint64_t clock, random;
    bool immediate; /* operations end while they are submitted */
    uint64_t answered, operations, flushes;
    enum vdi_status (*verdict)(struct sim *sim,
                               const struct vdi_operation *operation); /* NULL: all go well */
    void (*changed)(struct sim *sim); /* what a cut may leave is different now */
    void (*complete)(struct sim *sim, struct vdi_request *request);
    void *test; /* whatever the test hangs on it */
    struct vdi_operation operation[SIM_OPERATIONS];
    struct vdi_change changes[SIM_CHANGES];
    uint8_t bounce[SIM_CHANGES * 4096];
    uint8_t header[4096];
};

static inline uint64_t sim_random(struct sim *sim, uint64_t below)
{
    sim->random ^= sim->random << 13;
    sim->random ^= sim->random >> 7;
    sim->random ^= sim->random << 17;
    return (sim->random >> 11) % below;
}

static inline uint8_t *sim_source(const struct vdi_operation *operation)
{
    return operation->memory ? operation->memory
                             : (uint8_t *)(uintptr_t)(operation->buffer + operation->buffer_offset);
}

static inline void sim_changed(struct sim *sim)
{
    if (sim->changed)
        sim->changed(sim);
}

static inline void sim_write_begins(struct sim *sim, const struct vdi_operation *operation)
{
    struct sim_write *write = &sim->writes[sim->write_count++];

    assert_true(sim->write_count < SIM_WRITES);
    assert_int_equal(operation->image, 0);
    assert_true(sim->images[0].writable);
    assert_true(operation->offset + operation->length <= sim->size[0]);
    *write =
        (struct sim_write){operation->offset, operation->length, calloc(1, operation->length), 0, operation};
    assert_non_null(write->bytes);
    if (operation->action == VDI_WRITE)
        memcpy(write->bytes, sim_source(operation), operation->length);
}

static inline void sim_drop(struct sim *sim, uint32_t index)
{
    free(sim->writes[index].bytes);
    memmove(&sim->writes[index], &sim->writes[index + 1],
            (sim->write_count - index - 1) * sizeof(sim->writes[0]));
    sim->write_count--;
}

/* Writes that had ended when a flush began, or one with forced unit access, are on the disk. */
static inline void sim_make_durable(struct sim *sim, uint64_t before, const struct vdi_operation *only)
{
    for (uint32_t i = 0; i < sim->write_count;) {
        const struct sim_write *write = &sim->writes[i];

        if (only ? write->operation != only : !write->ended || write->ended >= before) {
            i++;
            continue;
        }
        if (sim->durable)
            memcpy(sim->durable + write->offset, write->bytes, write->length);
        sim_drop(sim, i);
    }
}

/* The disk has the newer bytes: an older write that is still in its cache no longer brings the old ones back.
 */
static inline void sim_supersede(struct sim *sim, const struct sim_write *newer)
{
    for (uint32_t i = 0; i < sim->write_count; i++) {
        const struct sim_write *older = &sim->writes[i];
        const uint64_t begin = older->offset > newer->offset ? older->offset : newer->offset;
        const uint64_t end = older->offset + older->length < newer->offset + newer->length
                                 ? older->offset + older->length
                                 : newer->offset + newer->length;

        if (older->ended && begin < end)
            memcpy(older->bytes + (begin - older->offset), newer->bytes + (begin - newer->offset),
                   end - begin);
    }
}

static inline void sim_write_ends(struct sim *sim, const struct vdi_operation *operation)
{
    struct sim_write write;
    uint32_t i = 0;

    while (sim->writes[i].ended || sim->writes[i].operation != operation)
        i++;
    write = sim->writes[i];
    /* Its bytes must not have changed while it was under way. */
    if (operation->action == VDI_WRITE)
        assert_memory_equal(write.bytes, sim_source(operation), operation->length);
    memcpy(sim->bytes[0] + operation->offset, write.bytes, operation->length);
    if (operation->fua)
        sim_supersede(sim, &write);
    /* To the end of the list, which is in the order of ends: of two to the same place the later one wins. */
    memmove(&sim->writes[i], &sim->writes[i + 1], (sim->write_count - i - 1) * sizeof(write));
    write.ended = sim->clock;
    write.operation = operation->fua ? operation : NULL;
    sim->writes[sim->write_count - 1] = write;
    if (operation->fua)
        sim_make_durable(sim, 0, operation);
}

static inline void sim_end(struct sim *sim, struct vdi_operation *operation, uint64_t begun)
{
    enum vdi_status status = sim->verdict ? sim->verdict(sim, operation) : VDI_OK;

    sim->clock++;
    switch (operation->action) {
    case VDI_READ:
        assert_true(operation->offset + operation->length <= sim->size[operation->image]);
        memcpy(sim_source(operation), sim->bytes[operation->image] + operation->offset, operation->length);
        break;
    case VDI_CLEAR:
        memset(sim_source(operation), 0, operation->length);
        break;
    case VDI_WRITE:
    case VDI_WRITE_ZEROES:
        sim_write_ends(sim, operation);
        break;
    default:
        assert_int_equal(operation->action, VDI_FLUSH);
        sim->flushes++;
        if (status == VDI_OK)
            sim_make_durable(sim, begun, NULL);
        sim_changed(sim);
        break;
    }
    vdi_done(&sim->disk, operation, status);
}

static inline void sim_submit(void *context, struct vdi_operation *operation)
{
    struct sim *sim = context;

    sim->operations++;
    sim->clock++;
    assert_true(operation->image < sim->image_count);
    if (operation->action == VDI_WRITE || operation->action == VDI_WRITE_ZEROES) {
        sim_write_begins(sim, operation);
        sim_changed(sim);
    }
    if (sim->immediate) {
        sim_end(sim, operation, sim->clock);
        return;
    }
    assert_true(sim->pending_count < SIM_OPERATIONS);
    sim->pending[sim->pending_count++] = (struct sim_pending){operation, sim->clock};
}

static inline void sim_complete(void *context, struct vdi_request *request)
{
    struct sim *sim = context;

    sim->answered++;
    if (sim->complete)
        sim->complete(sim, request);
}

/* Ends one operation, any one. False: none is under way. */
static inline bool sim_step(struct sim *sim)
{
    struct sim_pending chosen;
    uint32_t index;

    if (!sim->pending_count)
        return false;
    index = (uint32_t)sim_random(sim, sim->pending_count);
    chosen = sim->pending[index];
    sim->pending[index] = sim->pending[--sim->pending_count];
    sim_end(sim, chosen.operation, chosen.begun);
    return true;
}

static inline void sim_settle(struct sim *sim)
{
    while (sim_step(sim))
        ;
    assert_true(vdi_disk_idle(&sim->disk));
}

/* Opens an image out of memory; false with a line as the library has it. */
static inline bool sim_image_open(struct vdi_image *image, uint8_t *bytes, uint64_t size, uint64_t capacity,
                                  bool writable, uint32_t unit, struct vdi_error *error)
{
    struct vdi_header header;
    struct vdi_image_config config = {.size = size, .capacity = capacity, .writable = writable, .unit = unit};
    bool opened;

    memset(image, 0, sizeof(*image));
    if (!vdi_header_parse(&header, bytes, size, error))
        return false;
    config.map = calloc(1, vdi_map_memory(&header, unit));
    config.used = malloc(vdi_used_memory(&header));
    assert_true(config.map && config.used);
    if (header.map_offset + vdi_map_size(&header) <= size)
        memcpy(config.map, bytes + header.map_offset, vdi_map_size(&header));
    opened = vdi_image_open(image, &header, &config, error);
    if (!opened) {
        free(config.map);
        free(config.used);
        memset(image, 0, sizeof(*image));
    }
    return opened;
}

static inline void sim_image_close(struct vdi_image *image)
{
    free(image->map);
    free(image->used);
    memset(image, 0, sizeof(*image));
}

/* A disk of the images whose bytes and size are in the structure, all else being as the test wants it. */
static inline void sim_open(struct sim *sim, bool writable)
{
    const uint32_t unit = sim->unit ? sim->unit : VDI_SECTOR;
    const struct vdi_wiring wiring = {.context = sim, .submit = sim_submit, .complete = sim_complete};
    struct vdi_disk_config config = {.wiring = &wiring,
                                     .images = sim->images,
                                     .image_count = sim->image_count,
                                     .header = sim->header,
                                     .changes = sim->changes,
                                     .change_count = SIM_CHANGES,
                                     .bounce = sim->bounce,
                                     .bounce_size = unit < SIM_BOUNCE ? SIM_BOUNCE : unit,
                                     .operations = sim->operation,
                                     .operation_count = SIM_OPERATIONS};
    struct vdi_error error = {""};

    if (!sim->random)
        sim->random = UINT64_C(0x9e3779b97f4a7c15);
    for (uint32_t i = 0; i < sim->image_count; i++)
        if (!sim_image_open(&sim->images[i], sim->bytes[i], sim->size[i], sim->size[i], writable && !i, unit,
                            &error))
            fail_msg("image %u: %s", i, error.text);
    if (!vdi_chain_check(sim->images, sim->image_count, &error))
        fail_msg("chain: %s", error.text);
    memcpy(sim->header, sim->bytes[0], unit);
    for (size_t i = 0; i < sizeof(config.random); i++)
        config.random[i] = (uint8_t)sim_random(sim, 256);
    if (!vdi_disk_init(&sim->disk, &config, &error))
        fail_msg("disk: %s", error.text);
}

static inline void sim_close(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->image_count; i++)
        sim_image_close(&sim->images[i]);
    while (sim->write_count)
        sim_drop(sim, 0);
    sim->pending_count = 0;
}

/*
 * The program that has the disk is killed and started again; the power stays on. The store drains what is
 * under way: some of it is done, some not. What was written and not flushed may still be lost later.
 */
static inline void sim_restart(struct sim *sim)
{
    struct vdi_operation *operation;

    while (sim->pending_count) {
        operation = sim->pending[--sim->pending_count].operation;
        if (operation->action != VDI_WRITE && operation->action != VDI_WRITE_ZEROES)
            continue;
        sim->clock++;
        if (sim_random(sim, 2)) {
            sim_write_ends(sim, operation);
            continue;
        }
        for (uint32_t i = 0; i < sim->write_count; i++)
            if (!sim->writes[i].ended && sim->writes[i].operation == operation)
                sim_drop(sim, i);
    }
    for (uint32_t i = 0; i < sim->image_count; i++)
        sim_image_close(&sim->images[i]);
    sim_open(sim, true);
}

/* One request, waited for. */
static inline enum vdi_status sim_do(struct sim *sim, enum vdi_action action, uint64_t offset,
                                     uint64_t length, void *bytes, bool fua)
{
    struct vdi_request request = {
        .action = action, .fua = fua, .offset = offset, .length = length, .buffer = (uintptr_t)bytes};
    enum vdi_status status = vdi_submit(&sim->disk, &request);

    if (status != VDI_OK)
        return status;
    sim_settle(sim);
    return request.status;
}

/*
 * Bytes of an empty image in blocks of `block_size`, as small as it can be: map in unit 1, data behind it.
 * Random 16 bytes for its UUID are made of `seed`; the parent is NULL but for a differencing image.
 */
static inline uint8_t *sim_image_new(enum vdi_type type, uint64_t disk_size, uint32_t block_size,
                                     uint8_t seed, const uint8_t *parent, uint32_t unit, uint64_t *size)
{
    struct vdi_create_config config = {.type = type, .disk_size = disk_size, .block_size = block_size};
    struct vdi_header header, parent_header;
    uint8_t *bytes;

    memset(config.random, seed, sizeof(config.random));
    if (parent) {
        assert_true(vdi_header_parse(&parent_header, parent, VDI_HEADER_BYTES, NULL));
        config.parent = &parent_header;
    }
    assert_true(vdi_create(&header, &config, NULL));
    header.map_offset = unit;
    header.data_offset = unit + vdi_map_memory(&header, unit);
    *size = vdi_slot_offset(&header, header.block_count);
    bytes = malloc(*size);
    assert_non_null(bytes);
    memset(bytes, SIM_GARBAGE, *size);
    if (type == VDI_FIXED)
        memset(bytes + header.data_offset, 0, *size - header.data_offset);
    vdi_header_build(bytes, &header);
    vdi_create_map(&header, 0, (uint32_t)(vdi_map_memory(&header, unit) / 4),
                   (uint32_t *)(void *)(bytes + unit));
    return bytes;
}
