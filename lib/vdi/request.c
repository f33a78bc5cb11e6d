/* SPDX-License-Identifier: ISC */
/*
 * Cuts requests into operations on the stores and changes of blocks. A request goes as far as it can; when a
 * block is busy or no operation or change is free, it waits in the disk's list and goes on after something
 * has ended.
 */
#include "lib/vdi/engine.h"

static uint64_t position(const struct vdi_request *request)
{
    return request->offset + request->cursor;
}

static uint64_t remaining(const struct vdi_request *request)
{
    return request->length - request->cursor;
}

static uint32_t block_at(const struct vdi_disk *disk, uint64_t offset)
{
    return (uint32_t)(offset / disk->config.images->header.block_size);
}

/* Some entry of the map may be in the store's cache only: a durable write below it would be lost with it. */
static bool map_unflushed(const struct vdi_disk *disk)
{
    return disk->map_written != disk->map_flushed;
}

/* Goes past bytes of a request that need no operation. */
static void skip(const struct vdi_disk *disk, struct vdi_request *request, uint64_t length)
{
    request->cursor += length;
    request->flush_needed |= request->fua && map_unflushed(disk);
}

/* Whether the image may be written now; else uuidModify is on its way and the request waits for it. */
static bool touched(struct vdi_disk *disk)
{
    if (disk->touch == TOUCH_NONE) {
        disk->config.images->header.modify = vdi_uuid_random(disk->config.random);
        disk->touch = TOUCH_WANTED;
        disk->header_dirty = true;
        disk->header_now = true;
        disk->again = true;
    }
    return disk->touch == TOUCH_DONE;
}

/* The longest stretch of the request, from its cursor on, that is one extent of the first `count` images. */
static struct vdi_extent stretch(const struct vdi_disk *disk, const struct vdi_request *request,
                                 uint32_t count, bool reading)
{
    const struct vdi_image *images = disk->config.images;
    struct vdi_extent extent = vdi_chain_find(images, count, 0, position(request), remaining(request));

    while (extent.length < remaining(request)) {
        const uint64_t offset = position(request) + extent.length;
        struct vdi_extent next;

        if (vdi_block_busy(disk, block_at(disk, offset), reading))
            break;
        next = vdi_chain_find(images, count, 0, offset, remaining(request) - extent.length);
        if (next.image != extent.image ||
            (next.image != VDI_CHAIN_ALL && next.offset != extent.offset + extent.length))
            break;
        extent.length += next.length;
    }
    return extent;
}

/* Makes an operation on the request's next bytes and submits it. */
static void submit(struct vdi_disk *disk, struct vdi_request *request, struct vdi_operation *operation,
                   const struct vdi_extent *extent)
{
    const bool nowhere = extent->image == VDI_CHAIN_ALL;

    operation->action = nowhere ? VDI_CLEAR : request->action;
    operation->image = nowhere ? 0 : extent->image;
    operation->offset = extent->offset;
    operation->length = extent->length;
    operation->buffer = request->buffer;
    operation->buffer_offset = request->buffer_offset + request->cursor;
    operation->request = request;
    operation->first_block = block_at(disk, position(request));
    operation->last_block = block_at(disk, position(request) + extent->length - 1);
    request->cursor += extent->length;
    request->outstanding++;
    disk->wiring.submit(disk->wiring.context, operation);
}

static bool read_piece(struct vdi_disk *disk, struct vdi_request *request)
{
    struct vdi_extent extent;
    struct vdi_operation *operation;

    if (vdi_block_busy(disk, block_at(disk, position(request)), true))
        return false;
    operation = vdi_operation_take(disk);
    if (!operation)
        return false;
    extent = stretch(disk, request, disk->config.image_count, true);
    submit(disk, request, operation, &extent);
    return true;
}

static bool write_in_place(struct vdi_disk *disk, struct vdi_request *request)
{
    struct vdi_operation *operation = vdi_operation_take(disk);
    struct vdi_extent extent;

    if (!operation)
        return false;
    extent = stretch(disk, request, 1, false);
    operation->fua = request->fua && !map_unflushed(disk);
    request->flush_needed |= request->fua && map_unflushed(disk);
    submit(disk, request, operation, &extent);
    return true;
}

static bool reads_as_zeros(const struct vdi_disk *disk, uint64_t offset, uint64_t length)
{
    while (length) {
        const struct vdi_extent extent =
            vdi_chain_find(disk->config.images, disk->config.image_count, 0, offset, length);

        if (extent.image != VDI_CHAIN_ALL)
            return false;
        offset += extent.length;
        length -= extent.length;
    }
    return true;
}

static bool start_change(struct vdi_disk *disk, struct vdi_request *request, struct vdi_change *change,
                         uint64_t length)
{
    change->request = request;
    request->cursor += length;
    request->flush_needed |= request->fua;
    vdi_change_start(disk, change);
    return true;
}

static bool zero_blocks(struct vdi_disk *disk, struct vdi_request *request, uint32_t block, uint32_t count,
                        uint64_t length)
{
    struct vdi_change *change = vdi_change_take(disk);

    if (!change)
        return false;
    change->kind = CHANGE_ZERO;
    change->block = block;
    change->count = count;
    return start_change(disk, request, change, length);
}

/* Gives the block a slot, with `length` bytes of the request in it. */
static bool grow(struct vdi_disk *disk, struct vdi_request *request, uint32_t block, uint32_t within,
                 uint32_t length)
{
    const struct vdi_image *image = disk->config.images;
    const uint32_t slot = vdi_slot_first_free(disk);
    struct vdi_change *change = vdi_change_take(disk);

    if (!change || disk->commit.freeing)
        return false;
    if (slot == NO_SLOT && disk->active)
        return false; /* a block that moves has two */
    if (slot == NO_SLOT ||
        vdi_slot_offset(&image->header, slot) + image->header.block_size > image->capacity) {
        vdi_request_fail(request, VDI_NO_SPACE);
        return true;
    }
    change->kind = CHANGE_GROW;
    change->block = block;
    change->count = 1;
    change->slot = vdi_slot_take(disk);
    change->piece = within;
    change->piece_length = length;
    change->request_offset = request->cursor;
    return start_change(disk, request, change, length);
}

static bool write_piece(struct vdi_disk *disk, struct vdi_request *request)
{
    const struct vdi_image *image = disk->config.images;
    const uint64_t offset = position(request);
    const uint32_t block = block_at(disk, offset);
    const uint32_t within = (uint32_t)(offset % image->header.block_size);
    const uint64_t rest = image->header.block_size - within;
    const uint32_t length = (uint32_t)(remaining(request) < rest ? remaining(request) : rest);
    const bool whole = !within && (length == rest || offset + length == image->header.disk_size);

    if (vdi_block_busy(disk, block, false))
        return false;
    if (request->action == VDI_WRITE_ZEROES && !vdi_is_slot(image->map[block]) &&
        reads_as_zeros(disk, offset, length)) {
        skip(disk, request, length);
        return true;
    }
    if (!touched(disk))
        return false;
    if (vdi_is_slot(image->map[block]))
        return write_in_place(disk, request);
    if (request->action == VDI_WRITE_ZEROES && whole)
        return zero_blocks(disk, request, block, 1, length);
    return grow(disk, request, block, within, length);
}

/* Whole blocks of the request from its cursor on that may be discarded together: all in one unit of the map.
 */
static uint32_t discardable(const struct vdi_disk *disk, const struct vdi_request *request, uint32_t block)
{
    const struct vdi_image *image = disk->config.images;
    const uint32_t entries = image->unit / 4;
    const uint64_t end = position(request) + remaining(request);
    uint32_t count = 0;

    do {
        const uint64_t block_end = ((uint64_t)block + count + 1) * image->header.block_size;

        if (block_end > end && end != image->header.disk_size)
            break;
        count++;
    } while ((block + count) % entries && block + count < image->header.block_count &&
             ((uint64_t)block + count) * image->header.block_size < end &&
             !vdi_block_busy(disk, block + count, false));
    return count;
}

static bool discard_piece(struct vdi_disk *disk, struct vdi_request *request)
{
    const struct vdi_image *image = disk->config.images;
    const uint32_t size = image->header.block_size;
    const uint64_t rest = size - position(request) % size;
    const uint64_t length = remaining(request) < rest ? remaining(request) : rest;
    const uint32_t block = block_at(disk, position(request));
    uint64_t end;
    uint32_t count;

    if (image->header.type == VDI_FIXED) {
        skip(disk, request, remaining(request));
        return true;
    }
    if (vdi_block_busy(disk, block, false))
        return false;
    count = rest == size ? discardable(disk, request, block) : 0;
    if (!count || (!vdi_is_slot(image->map[block]) && reads_as_zeros(disk, position(request), length))) {
        skip(disk, request, length);
        return true;
    }
    if (!touched(disk))
        return false;
    end = ((uint64_t)block + count) * size;
    if (end > image->header.disk_size)
        end = image->header.disk_size;
    return zero_blocks(disk, request, block, count, end - position(request));
}

/* Moves the block in the last slot to the first hole. */
static void move_last(struct vdi_disk *disk, struct vdi_request *request, uint32_t last)
{
    const struct vdi_image *image = disk->config.images;
    struct vdi_change *change = vdi_change_take(disk);
    uint32_t block = 0;

    while (image->map[block] != last)
        block++;
    change->kind = CHANGE_MOVE;
    change->block = block;
    change->count = 1;
    change->slot = vdi_slot_take(disk);
    (void)start_change(disk, request, change, 0); /* always true */
}

/* One step at a time, whenever nothing else is changing blocks. True: the slots are dense, and the header
 * says so. */
static bool compact(struct vdi_disk *disk, struct vdi_request *request)
{
    struct vdi_header *header = &disk->config.images->header;
    uint32_t hole, slots;

    if (disk->active || disk->commit.step != COMMIT_IDLE || disk->header_now)
        return false;
    hole = vdi_slot_first_free(disk);
    slots = vdi_slot_end(disk);
    if (hole >= slots && header->slot_count == slots)
        return true;
    if (!touched(disk))
        return false;
    if (hole < slots) {
        move_last(disk, request, slots - 1);
        return false;
    }
    /* All moves and discards were flushed when they ended: no entry that a cut brings back is above. */
    header->slot_count = slots;
    disk->header_dirty = true;
    disk->header_now = true;
    disk->again = true;
    return false;
}

static bool piece(struct vdi_disk *disk, struct vdi_request *request)
{
    if (request->action == VDI_READ)
        return read_piece(disk, request);
    if (disk->failed) {
        vdi_request_fail(request, VDI_MEDIUM);
        return true;
    }
    return request->action == VDI_DISCARD ? discard_piece(disk, request) : write_piece(disk, request);
}

bool vdi_request_step(struct vdi_disk *disk, struct vdi_request *request)
{
    struct vdi_operation *operation;

    while (request->status == VDI_OK && request->cursor < request->length)
        if (!piece(disk, request))
            return true;
    if (request->action != VDI_READ && disk->failed)
        vdi_request_fail(request, VDI_MEDIUM);
    if (request->outstanding)
        return false;
    if (request->status == VDI_OK && request->action == VDI_COMPACT && !compact(disk, request))
        return true;
    if (request->status == VDI_OK && request->flush_needed) {
        operation = vdi_operation_take(disk);
        if (!operation)
            return true;
        operation->request = request;
        request->flush_needed = false;
        request->outstanding++;
        vdi_operation_flush(disk, operation);
        return false;
    }
    request->next = disk->finished;
    disk->finished = request;
    return false;
}
