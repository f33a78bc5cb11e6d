/* SPDX-License-Identifier: ISC */
/*
 * What the request engine has a bounded number of: operations and slots.
 */
#include "lib/vdi/engine.h"

struct vdi_operation *vdi_operation_take(struct vdi_disk *disk)
{
    struct vdi_operation *operation = disk->free;

    if (!operation)
        return NULL;
    disk->free = operation->next;
    *operation = (struct vdi_operation){.taken = true};
    return operation;
}

void vdi_operation_release(struct vdi_disk *disk, struct vdi_operation *operation)
{
    operation->taken = false;
    operation->next = disk->free;
    disk->free = operation;
    disk->again = true;
}

void vdi_operation_flush(struct vdi_disk *disk, struct vdi_operation *operation)
{
    operation->action = VDI_FLUSH;
    operation->map_written = disk->map_written;
    disk->wiring.submit(disk->wiring.context, operation);
}

bool vdi_blocks_in_use(const struct vdi_disk *disk, uint32_t block, uint32_t count)
{
    for (uint32_t i = 0; i < disk->config.operation_count; i++) {
        const struct vdi_operation *operation = &disk->config.operations[i];

        if (operation->taken && operation->request && !operation->image && operation->length &&
            operation->first_block < block + count && operation->last_block >= block)
            return true;
    }
    return false;
}

void vdi_request_wait(struct vdi_disk *disk, struct vdi_request *request)
{
    struct vdi_request **link = &disk->waiting;

    if (request->waiting)
        return;
    while (*link)
        link = &(*link)->next;
    *link = request;
    request->next = NULL;
    request->waiting = true;
    disk->again = true;
}

void vdi_request_fail(struct vdi_request *request, enum vdi_status status)
{
    if (request->status == VDI_OK)
        request->status = status;
}

uint32_t vdi_slot_first_free(struct vdi_disk *disk)
{
    const struct vdi_image *image = disk->config.images;
    const uint32_t count = image->header.block_count;
    uint32_t slot = disk->slot_hint;

    while (slot < count && vdi_slot_used(image, slot))
        slot += slot % 8 == 0 && image->used[slot / 8] == 0xff ? 8 : 1;
    disk->slot_hint = slot < count ? slot : count;
    return slot < count ? slot : NO_SLOT;
}

uint32_t vdi_slot_end(const struct vdi_disk *disk)
{
    const struct vdi_image *image = disk->config.images;
    uint32_t slot = image->header.block_count;

    while (slot && !vdi_slot_used(image, slot - 1))
        slot -= slot % 8 == 0 && !image->used[slot / 8 - 1] ? 8 : 1;
    return slot;
}

uint32_t vdi_slot_take(struct vdi_disk *disk)
{
    struct vdi_image *image = disk->config.images;
    const uint32_t slot = vdi_slot_first_free(disk);

    if (slot == NO_SLOT)
        return NO_SLOT;
    image->used[slot / 8] = (uint8_t)(image->used[slot / 8] | 1u << slot % 8);
    if (slot >= image->header.slot_count) {
        image->header.slot_count = slot + 1;
        disk->header_dirty = true;
    }
    return slot;
}

void vdi_slot_release(struct vdi_disk *disk, uint32_t slot)
{
    struct vdi_image *image = disk->config.images;

    image->used[slot / 8] = (uint8_t)(image->used[slot / 8] & ~(1u << slot % 8));
    if (slot < disk->slot_hint)
        disk->slot_hint = slot;
}
