/* SPDX-License-Identifier: ISC */
/*
 * The request engine's outside, and its loop: whatever ends is noted and worked off here, never within the
 * call that told of it, so nothing recurs however the caller's functions call back.
 */
#include "lib/vdi/engine.h"

#include <string.h>

/* What requests have to be multiples of. */
static uint32_t request_unit(const struct vdi_disk *disk)
{
    uint32_t unit = VDI_SECTOR;

    for (uint32_t i = 0; i < disk->config.image_count; i++)
        if (disk->config.images[i].unit > unit)
            unit = disk->config.images[i].unit;
    return unit;
}

bool vdi_disk_init(struct vdi_disk *disk, const struct vdi_disk_config *config, struct vdi_error *error)
{
    memset(disk, 0, sizeof(*disk));
    disk->config = *config;
    disk->wiring = *config->wiring;
    if (!config->image_count)
        return vdi_fail(error, "images of a disk", "at least 1", 0);
    if (!config->operation_count)
        return vdi_fail(error, "operations of a disk", "at least 1", 0);
    memset(config->operations, 0, config->operation_count * sizeof(*config->operations));
    for (uint32_t i = config->operation_count; i; i--)
        vdi_operation_release(disk, &config->operations[i - 1]);
    disk->unit = request_unit(disk);
    if (!config->images[0].writable) {
        disk->config.change_count = 0;
        return true;
    }
    if (!config->header || !config->changes || !config->change_count || !config->bounce)
        return vdi_fail(error, "memory to write a disk", "header, changes and bounce buffers", 0);
    if (!config->bounce_size || config->bounce_size % disk->unit)
        return vdi_fail_bound(error, "size of a bounce buffer", "a multiple of", disk->unit,
                              config->bounce_size);
    memset(config->changes, 0, config->change_count * sizeof(*config->changes));
    return true;
}

static void request_operation_ended(struct vdi_disk *disk, struct vdi_operation *operation)
{
    struct vdi_request *request = operation->request;

    vdi_request_fail(request, operation->status);
    request->outstanding--;
    vdi_operation_release(disk, operation);
    if (!request->waiting && vdi_request_step(disk, request))
        vdi_request_wait(disk, request);
}

static void operation_ended(struct vdi_disk *disk, struct vdi_operation *operation)
{
    if (operation->action == VDI_FLUSH && operation->status == VDI_OK &&
        operation->map_written > disk->map_flushed)
        disk->map_flushed = operation->map_written;
    if (operation->request)
        request_operation_ended(disk, operation);
    else if (operation->change)
        vdi_change_operation_ended(disk, operation);
    else
        vdi_commit_operation_ended(disk, operation);
}

/* Lets those that wait go on, in their order. */
static void step_waiting(struct vdi_disk *disk)
{
    struct vdi_request **link = &disk->waiting;

    while (*link) {
        struct vdi_request *request = *link, *next = request->next;

        if (vdi_request_step(disk, request)) {
            link = &request->next;
            continue;
        }
        *link = next;
        request->waiting = false;
    }
}

static void run(struct vdi_disk *disk)
{
    struct vdi_operation *operation;
    struct vdi_request *request;

    if (disk->running)
        return;
    disk->running = true;
    do {
        disk->again = false;
        while ((operation = disk->done)) {
            disk->done = operation->next;
            operation_ended(disk, operation);
        }
        for (uint32_t i = 0; disk->active && i < disk->config.change_count; i++)
            vdi_change_step(disk, &disk->config.changes[i]);
        vdi_commit_step(disk);
        step_waiting(disk);
        while ((request = disk->finished)) {
            disk->finished = request->next;
            disk->wiring.complete(disk->wiring.context, request);
        }
    } while (disk->again || disk->done);
    disk->running = false;
}

static enum vdi_status check_request(const struct vdi_disk *disk, const struct vdi_request *request)
{
    const uint64_t size = disk->config.images[0].header.disk_size;
    const bool whole_disk = request->action == VDI_FLUSH || request->action == VDI_COMPACT;

    if (request->action > VDI_COMPACT || (whole_disk && (request->offset || request->length)))
        return VDI_INVALID;
    if (request->offset > size || request->length > size - request->offset)
        return VDI_OUT_OF_RANGE;
    if ((request->offset | request->length) % disk->unit)
        return VDI_INVALID;
    if (request->action != VDI_READ && request->action != VDI_FLUSH && !disk->config.images[0].writable)
        return VDI_READ_ONLY;
    return request->action != VDI_READ && disk->failed ? VDI_MEDIUM : VDI_OK;
}

enum vdi_status vdi_submit(struct vdi_disk *disk, struct vdi_request *request)
{
    const enum vdi_status status = check_request(disk, request);
    const bool nested = disk->running;

    if (status != VDI_OK)
        return status;
    disk->running = true; /* an operation may end while it is submitted */
    request->status = VDI_OK;
    request->cursor = 0;
    request->outstanding = 0;
    request->waiting = false;
    request->flush_needed =
        (request->action == VDI_FLUSH || request->action == VDI_COMPACT) && disk->config.images[0].writable;
    if (vdi_request_step(disk, request))
        vdi_request_wait(disk, request);
    disk->again = true;
    disk->running = nested;
    run(disk);
    return VDI_OK;
}

void vdi_done(struct vdi_disk *disk, struct vdi_operation *operation, enum vdi_status status)
{
    operation->status = status;
    operation->next = disk->done;
    disk->done = operation;
    run(disk);
}

bool vdi_disk_idle(const struct vdi_disk *disk)
{
    for (uint32_t i = 0; i < disk->config.operation_count; i++)
        if (disk->config.operations[i].taken)
            return false;
    return !disk->waiting && !disk->active && disk->commit.step == COMMIT_IDLE && !disk->header_now;
}

uint32_t vdi_disk_holes(const struct vdi_disk *disk)
{
    const uint32_t slots = vdi_slot_end(disk);
    uint32_t holes = 0;

    for (uint32_t slot = 0; slot < slots; slot++)
        holes += !vdi_slot_used(disk->config.images, slot);
    return holes;
}
