/* SPDX-License-Identifier: ISC */
/*
 * Writing header and map, one commit after the other, so that no sector of them is under way twice: all
 * changes that are ready go through together. The steps, those left out that are not needed:
 *   HEADER  uuidModify and cBlocksAllocated
 *   FLUSH   what the slots were filled with, and the header
 *   MAP     the entries change in memory, and their sectors are written
 *   FINAL   flush: only then are slots that became free used again
 */
#include "lib/vdi/engine.h"

static void submit_memory(struct vdi_disk *disk, struct vdi_operation *operation, uint64_t offset,
                          void *memory)
{
    operation->action = VDI_WRITE;
    operation->offset = offset;
    operation->length = disk->config.images->unit;
    operation->memory = memory;
    disk->commit.outstanding++;
    disk->wiring.submit(disk->wiring.context, operation);
}

static void issue_header(struct vdi_disk *disk, struct vdi_operation *operation)
{
    vdi_header_update(disk->config.header, &disk->config.images->header);
    disk->header_dirty = false;
    disk->header_now = false;
    submit_memory(disk, operation, 0, disk->config.header);
}

/* The next unit of the map that is to be written and not under way. False: there is none. */
static bool next_map_unit(struct vdi_disk *disk, uint64_t *unit)
{
    const uint32_t entries = disk->config.images->unit / 4;
    bool found = false;

    for (uint32_t i = 0; i < disk->config.change_count; i++) {
        struct vdi_change *change = &disk->config.changes[i];

        if (change->phase != PHASE_COMMIT || change->map_issued)
            continue;
        if (!found)
            *unit = change->block / entries;
        found = true;
        change->map_issued = change->block / entries == *unit;
    }
    return found;
}

/* Starts all operations of the step. False: none was free, and the rest has to wait. */
static bool issue(struct vdi_disk *disk)
{
    struct vdi_image *image = disk->config.images;
    struct vdi_operation *operation = vdi_operation_take(disk);
    uint64_t unit;

    while (operation && disk->commit.step == COMMIT_MAP) {
        if (!next_map_unit(disk, &unit)) {
            vdi_operation_release(disk, operation);
            return true;
        }
        submit_memory(disk, operation, image->header.map_offset + unit * image->unit,
                      (uint8_t *)image->map + unit * image->unit);
        operation = vdi_operation_take(disk);
    }
    if (!operation)
        return false;
    if (disk->commit.step == COMMIT_HEADER) {
        issue_header(disk, operation);
        return true;
    }
    disk->commit.outstanding++;
    vdi_operation_flush(disk, operation);
    return true;
}

static void release_old_slot(struct vdi_disk *disk, uint32_t entry)
{
    if (!vdi_is_slot(entry))
        return;
    vdi_slot_release(disk, entry);
    disk->commit.freeing = true; /* from here to the commit's end no slot is taken */
}

/* The map in memory changes between the flush and the writing of the map's sectors. False: there is no
 * change. */
static bool apply(struct vdi_disk *disk)
{
    uint32_t *map = disk->config.images->map;
    bool any = false;

    for (uint32_t i = 0; i < disk->config.change_count; i++) {
        const struct vdi_change *change = &disk->config.changes[i];

        if (change->phase != PHASE_COMMIT)
            continue;
        any = true;
        for (uint32_t block = change->block; block < change->block + change->count; block++) {
            release_old_slot(disk, map[block]);
            map[block] = change->kind == CHANGE_ZERO ? VDI_MAP_ZERO : change->slot;
        }
    }
    return any;
}

/* Takes what is ready into a new commit. False: nothing is to be written. */
static bool begin(struct vdi_disk *disk)
{
    struct vdi_commit *commit = &disk->commit;
    bool any = false, filled = false;

    for (uint32_t i = 0; disk->active && i < disk->config.change_count; i++) {
        struct vdi_change *change = &disk->config.changes[i];

        if (change->phase != PHASE_READY)
            continue;
        if (disk->failed) {
            vdi_change_finish(disk, change, VDI_MEDIUM);
            continue;
        }
        change->phase = PHASE_COMMIT;
        any = true;
        filled |= change->kind != CHANGE_ZERO;
    }
    disk->header_now &= !disk->failed;
    if (!any && !disk->header_now)
        return false;
    *commit = (struct vdi_commit){.step = COMMIT_MAP, .touching = disk->touch == TOUCH_WANTED};
    if (disk->header_dirty)
        commit->step = COMMIT_HEADER;
    else if (filled)
        commit->step = COMMIT_FLUSH;
    else
        (void)apply(disk); /* there is something, as no header brought us here */
    return true;
}

static void end(struct vdi_disk *disk, enum vdi_status status)
{
    disk->failed |= status != VDI_OK;
    for (uint32_t i = 0; i < disk->config.change_count; i++)
        if (disk->config.changes[i].phase == PHASE_COMMIT)
            vdi_change_finish(disk, &disk->config.changes[i], status);
    disk->commit = (struct vdi_commit){.step = COMMIT_IDLE};
    disk->again = true;
}

/* The step is done: enters the next one that there is. */
static void advance(struct vdi_disk *disk)
{
    struct vdi_commit *commit = &disk->commit;

    commit->issued = false;
    if (commit->status != VDI_OK) {
        end(disk, commit->status);
        return;
    }
    switch (commit->step) {
    case COMMIT_HEADER:
        commit->step = COMMIT_FLUSH;
        return;
    case COMMIT_FLUSH:
        if (commit->touching)
            disk->touch = TOUCH_DONE;
        commit->step = COMMIT_MAP;
        break;
    case COMMIT_MAP:
        disk->map_written++;
        commit->step = COMMIT_FINAL;
        if (!commit->freeing)
            end(disk, VDI_OK);
        return;
    default:
        end(disk, VDI_OK);
        return;
    }
    if (!apply(disk))
        end(disk, VDI_OK);
}

void vdi_commit_step(struct vdi_disk *disk)
{
    struct vdi_commit *commit = &disk->commit;

    while (commit->step != COMMIT_IDLE || begin(disk)) {
        if (!commit->issued && !issue(disk))
            return;
        commit->issued = true;
        if (commit->outstanding)
            return;
        advance(disk);
    }
}

void vdi_commit_operation_ended(struct vdi_disk *disk, struct vdi_operation *operation)
{
    if (operation->status != VDI_OK && disk->commit.status == VDI_OK)
        disk->commit.status = operation->status;
    disk->commit.outstanding--;
    vdi_operation_release(disk, operation);
}
