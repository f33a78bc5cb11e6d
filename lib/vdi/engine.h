/* SPDX-License-Identifier: ISC */
/*
 * Between the files of the request engine. Calls go down: disk.c, request.c, commit.c, change.c, operation.c.
 * What ends below is told above by what it leaves behind: the request that waited is in the list of those
 * that wait, and `again` is set.
 */
#pragma once

#include "lib/vdi/disk.h"

enum { CHANGE_GROW, CHANGE_ZERO, CHANGE_MOVE };
enum { PHASE_IDLE, PHASE_DRAIN, PHASE_FILL, PHASE_READY, PHASE_COMMIT };
enum { COMMIT_IDLE, COMMIT_HEADER, COMMIT_FLUSH, COMMIT_MAP, COMMIT_FINAL };
enum { TOUCH_NONE, TOUCH_WANTED, TOUCH_DONE };

#define NO_SLOT UINT32_MAX

/* operation.c: operations, slots and the list of requests that wait. */

/* A cleared operation, or NULL: all are under way. */
struct vdi_operation *vdi_operation_take(struct vdi_disk *disk);
void vdi_operation_release(struct vdi_disk *disk, struct vdi_operation *operation);
/* Submits a flush of the written image, whose owner the caller has set. */
void vdi_operation_flush(struct vdi_disk *disk, struct vdi_operation *operation);
/* Whether requests have operations on these blocks of the written image under way. */
bool vdi_blocks_in_use(const struct vdi_disk *disk, uint32_t block, uint32_t count);
/* Puts a request at the end of those that wait, once. */
void vdi_request_wait(struct vdi_disk *disk, struct vdi_request *request);
/* Notes an operation's or a change's failure; the first one counts. */
void vdi_request_fail(struct vdi_request *request, enum vdi_status status);

/* The lowest free slot, marked as used; NO_SLOT if there is none now. */
uint32_t vdi_slot_take(struct vdi_disk *disk);
void vdi_slot_release(struct vdi_disk *disk, uint32_t slot);
/* The lowest free slot without taking it, and one more than the highest used slot. */
uint32_t vdi_slot_first_free(struct vdi_disk *disk);
uint32_t vdi_slot_end(const struct vdi_disk *disk);

/* change.c: filling slots. */

/* A change that is free, or NULL. */
struct vdi_change *vdi_change_take(struct vdi_disk *disk);
/* Sets a filled-in change going. Its request has one thing more outstanding. */
void vdi_change_start(struct vdi_disk *disk, struct vdi_change *change);
void vdi_change_step(struct vdi_disk *disk, struct vdi_change *change);
void vdi_change_operation_ended(struct vdi_disk *disk, struct vdi_operation *operation);
void vdi_change_finish(struct vdi_disk *disk, struct vdi_change *change, enum vdi_status status);
/* Whether a change keeps writers, or readers as well, from a block. */
bool vdi_block_busy(const struct vdi_disk *disk, uint32_t block, bool reading);

/* commit.c: header and map. */
void vdi_commit_step(struct vdi_disk *disk);
void vdi_commit_operation_ended(struct vdi_disk *disk, struct vdi_operation *operation);

/* request.c: cutting requests into operations and changes. */

/* Goes on with a request as far as possible. True: it has to wait in the list. */
bool vdi_request_step(struct vdi_disk *disk, struct vdi_request *request);
