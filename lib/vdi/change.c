/* SPDX-License-Identifier: ISC */
/*
 * Changes of blocks up to where only the map is left to be written: a slot is filled with a request's bytes,
 * the parents' and zeros, or with the block that moves into it; blocks to become ZERO wait until no request
 * uses their slots any more.
 *
 * While a change has a block, no other write, discard or zeroing of it begins. Reads go on beside a block
 * that gets its first slot (they find what was there before); beside the other kinds they wait, because the
 * slot they would read is soon somebody else's.
 */
#include "lib/vdi/engine.h"

struct vdi_change *vdi_change_take(struct vdi_disk *disk)
{
    for (uint32_t i = 0; i < disk->config.change_count; i++) {
        struct vdi_change *change = &disk->config.changes[i];

        if (change->phase != PHASE_IDLE)
            continue;
        *change = (struct vdi_change){.bounce = disk->config.bounce + (size_t)i * disk->config.bounce_size};
        return change;
    }
    return NULL;
}

void vdi_change_start(struct vdi_disk *disk, struct vdi_change *change)
{
    change->phase = PHASE_DRAIN;
    change->request->outstanding++;
    disk->active++;
    disk->again = true;
}

void vdi_change_finish(struct vdi_disk *disk, struct vdi_change *change, enum vdi_status status)
{
    change->phase = PHASE_IDLE;
    disk->active--;
    change->request->outstanding--;
    vdi_request_fail(change->request, status);
    vdi_request_wait(disk, change->request);
    disk->again = true;
}

bool vdi_block_busy(const struct vdi_disk *disk, uint32_t block, bool reading)
{
    for (uint32_t i = 0; disk->active && i < disk->config.change_count; i++) {
        const struct vdi_change *change = &disk->config.changes[i];

        if (change->phase != PHASE_IDLE && block >= change->block && block - change->block < change->count &&
            !(reading && change->kind == CHANGE_GROW))
            return true;
    }
    return false;
}

/* Where the bytes at the change's cursor come from, for at most `length` bytes. */
static struct vdi_extent source(const struct vdi_disk *disk, const struct vdi_change *change, uint32_t cursor,
                                uint32_t length)
{
    const struct vdi_image *image = disk->config.images;
    const uint64_t offset = (uint64_t)change->block * image->header.block_size + cursor;

    if (offset >= image->header.disk_size || image->map[change->block] == VDI_MAP_ZERO)
        return (struct vdi_extent){VDI_CHAIN_ALL, 0, length};
    if (length > image->header.disk_size - offset)
        length = (uint32_t)(image->header.disk_size - offset);
    return vdi_chain_find(image, disk->config.image_count, change->kind == CHANGE_MOVE ? 0 : 1, offset,
                          length);
}

static void fill_from_request(struct vdi_change *change, struct vdi_operation *operation)
{
    operation->action = change->request->action;
    operation->length = change->piece_length;
    operation->buffer = change->request->buffer;
    operation->buffer_offset = change->request->buffer_offset + change->request_offset;
    change->cursor += change->piece_length;
}

static void fill_from_below(const struct vdi_disk *disk, struct vdi_change *change,
                            struct vdi_operation *operation)
{
    const uint32_t size = disk->config.images->header.block_size;
    const uint32_t end = change->cursor < change->piece ? change->piece : size;
    struct vdi_extent extent = source(disk, change, change->cursor, end - change->cursor);

    if (extent.image == VDI_CHAIN_ALL) {
        operation->action = VDI_WRITE_ZEROES;
        do {
            operation->length += extent.length;
            change->cursor += (uint32_t)extent.length;
            if (change->cursor < end)
                extent = source(disk, change, change->cursor, end - change->cursor);
        } while (change->cursor < end && extent.image == VDI_CHAIN_ALL);
        return;
    }
    operation->action = VDI_READ;
    operation->image = extent.image;
    operation->offset = extent.offset;
    operation->length = extent.length < disk->config.bounce_size ? extent.length : disk->config.bounce_size;
    operation->memory = change->bounce;
    change->copying = true;
}

/* Starts the next part. False: there is none now. */
static bool fill(struct vdi_disk *disk, struct vdi_change *change)
{
    const struct vdi_header *header = &disk->config.images->header;
    struct vdi_operation *operation;

    if (change->cursor == header->block_size || change->copying || change->status != VDI_OK)
        return false;
    operation = vdi_operation_take(disk);
    if (!operation)
        return false;
    operation->change = change;
    operation->offset = vdi_slot_offset(header, change->slot) + change->cursor;
    if (change->piece_length && change->cursor == change->piece)
        fill_from_request(change, operation);
    else
        fill_from_below(disk, change, operation);
    change->outstanding++;
    disk->wiring.submit(disk->wiring.context, operation);
    return true;
}

void vdi_change_step(struct vdi_disk *disk, struct vdi_change *change)
{
    if (change->phase == PHASE_DRAIN && !vdi_blocks_in_use(disk, change->block, change->count)) {
        change->phase = change->kind == CHANGE_ZERO ? PHASE_READY : PHASE_FILL;
        disk->again = true;
    }
    if (change->phase != PHASE_FILL)
        return;
    while (fill(disk, change))
        ;
    if (change->outstanding)
        return;
    if (change->status != VDI_OK) {
        vdi_slot_release(disk, change->slot);
        vdi_change_finish(disk, change, change->status);
    } else if (change->cursor == disk->config.images->header.block_size) {
        change->phase = PHASE_READY;
        disk->again = true;
    }
}

void vdi_change_operation_ended(struct vdi_disk *disk, struct vdi_operation *operation)
{
    const struct vdi_header *header = &disk->config.images->header;
    struct vdi_change *change = operation->change;

    if (operation->status != VDI_OK && change->status == VDI_OK)
        change->status = operation->status;
    if (operation->action == VDI_READ && change->status == VDI_OK) {
        operation->action = VDI_WRITE;
        operation->image = 0;
        operation->offset = vdi_slot_offset(header, change->slot) + change->cursor;
        disk->wiring.submit(disk->wiring.context, operation);
        return;
    }
    if (operation->memory) {
        change->cursor += (uint32_t)operation->length;
        change->copying = false;
    }
    change->outstanding--;
    vdi_operation_release(disk, operation);
}
