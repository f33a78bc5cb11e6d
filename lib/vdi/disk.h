/* SPDX-License-Identifier: ISC */
/*
 * The disk that an image, with its parents, is: requests go in, operations on the stores of the images come
 * out, and a request is complete when its operations are. Nothing waits in here and no byte of a plain read
 * or write is touched: a request names its bytes (buffer, offset in it) and so do its operations.
 *
 * The library's own bytes (the header's sector, the map, a piece of a parent's block on its way into the
 * child) are in memory that the caller handed in; an operation on them has a pointer.
 *
 * Writing to a block that has no slot, safely at every cut of power:
 *   1. the slot is filled: the request's bytes from its buffer, the rest from the parents or with zeros;
 *      if the header's cBlocksAllocated does not count the slot, it is raised first;
 *   2. flush;
 *   3. the sector of the map;
 *   4. the request is answered. Its flush, if it asks for one, makes the map's sector durable, too.
 * Until 3 the slot belongs to no block: a cut leaves a leak, which is used again. The number in the header
 * goes *before* the map, as other programs put a new block where it says: too high is a leak, too low an
 * overwritten block. Blocks that are ready at the same time share 2 and 3.
 *
 * A discarded block becomes ZERO in the map (FREE would show the parent's bytes again), and its slot is used
 * again only after that was flushed: a cut could otherwise bring back the old entry with another block's
 * bytes in the slot. The holes this leaves are filled by the next blocks to be written. VDI_COMPACT moves the
 * last slots into what holes are left, each in the order above, until the slots are dense, which other
 * programs expect (QEMU's check counts a hole as an error): for the orderly end of a disk that was written.
 *
 * The first write after opening renews uuidModify and flushes it: a child of this image must not be used with
 * bytes that changed below it. That flush also makes durable what an earlier run wrote into the map, from
 * which the free slots were taken.
 *
 * If an operation on header or map, or a flush between them, fails, what is on the disk is unknown: all later
 * writes and flushes fail, reads go on. Opening again reads what is there.
 *
 * No order between requests; overlapping ones may end either way, sector by sector, but harm nothing else. A
 * flush covers the writes that were answered before it was submitted.
 */
#pragma once

#include "lib/vdi/image.h"

enum vdi_action {
    VDI_READ,
    VDI_WRITE,
    VDI_WRITE_ZEROES, /* no bytes; whole blocks without a slot are not given one */
    VDI_DISCARD, /* whole blocks read as zeros afterwards; parts of blocks and fixed images stay as they are
                  */
    VDI_FLUSH,
    VDI_COMPACT, /* requests only, offset and length 0: for when no others are under way, else it may wait for
                    long */
    VDI_CLEAR, /* operations only: the request's buffer is to be filled with zeros; no image has a part in it
                */
};

enum vdi_status {
    VDI_OK,
    VDI_INVALID,      /* no such action, or offset or length is no multiple of the unit */
    VDI_OUT_OF_RANGE, /* beyond the disk's end */
    VDI_READ_ONLY,
    VDI_NO_SPACE, /* the store has no room for another block */
    VDI_MEDIUM,   /* the store failed, now or earlier */
};

struct vdi_request {
    /* By the caller, unchanged until completion. */
    enum vdi_action action;
    bool fua; /* durable when answered: writes, zeroes, discards */
    uint64_t offset, length;
    uint64_t buffer, buffer_offset; /* the caller's name for the bytes; the library adds to the offset only */
    /* By the library. */
    enum vdi_status status;
    struct vdi_request *next;
    uint64_t cursor; /* how much of it is under way or done */
    uint32_t outstanding;
    bool waiting, flush_needed;
};

/* What the caller is to do. Fields above the line are the caller's to read. */
struct vdi_operation {
    enum vdi_action action; /* VDI_READ, WRITE, WRITE_ZEROES, FLUSH or CLEAR */
    bool fua;
    uint32_t image; /* in the chain; writes and flushes are for 0 only */
    uint64_t offset, length;
    void *memory; /* the library's bytes; NULL: the request's, by the next two */
    uint64_t buffer, buffer_offset;
    /* --- */
    struct vdi_operation *next;
    struct vdi_request *request; /* whose it is: a request's, a change's, or neither's: the commit's */
    struct vdi_change *change;
    uint32_t first_block, last_block; /* of the disk: what a discard of them has to wait for */
    uint64_t map_written;             /* a flush: the count of map writes it covers */
    enum vdi_status status;
    bool taken;
};

struct vdi_wiring {
    void *context;
    /* Starts an operation; vdi_done() tells of its end, from within or later. */
    void (*submit)(void *context, struct vdi_operation *operation);
    /* The request's status is final and the library has let go of it. May submit others. */
    void (*complete)(void *context, struct vdi_request *request);
};

/* A block on its way to a slot, into another slot, or blocks that become ZERO. */
struct vdi_change {
    uint8_t kind, phase;
    enum vdi_status status;
    uint32_t block, count; /* count: ZERO only, all in one unit of the map */
    uint32_t slot;
    struct vdi_request *request;
    uint32_t piece, piece_length; /* the part of the block that the request writes */
    uint64_t request_offset;      /* in the request, of the piece's first byte */
    uint32_t cursor, outstanding;
    bool copying, map_issued;
    uint8_t *bounce;
};

struct vdi_disk_config {
    const struct vdi_wiring *wiring; /* copied */
    struct vdi_image *images;        /* images[0] is the disk's, then its parents: vdi_chain_check() */
    uint32_t image_count;
    uint8_t random[16]; /* for the new uuidModify; never the same twice */
    /* For writing; NULL and 0 for a disk that is read only. */
    uint8_t *header;            /* images[0].unit bytes, as the image begins */
    struct vdi_change *changes; /* as many blocks get a slot at the same time */
    uint32_t change_count;
    uint8_t *bounce;      /* bounce_size bytes for each of them */
    uint32_t bounce_size; /* a multiple of the largest unit in the chain */
    /* Always. */
    struct vdi_operation *operations; /* as many operations are under way at most */
    uint32_t operation_count;
};

struct vdi_commit {
    uint8_t step;
    bool issued, touching, freeing;
    uint32_t outstanding;
    enum vdi_status status;
};

/* All fields are the library's affair. */
struct vdi_disk {
    struct vdi_disk_config config;
    struct vdi_wiring wiring;
    struct vdi_request *waiting, *finished;
    struct vdi_operation *free, *done;
    uint32_t active;    /* changes under way */
    uint32_t slot_hint; /* no slot below is free */
    uint64_t map_written,
        map_flushed; /* counts of commits: equal if no map entry is in the store's cache only */
    struct vdi_commit commit;
    uint32_t unit;     /* requests are multiples of it */
    uint8_t touch;     /* whether uuidModify was renewed */
    bool header_dirty; /* the header in memory is not the one on the disk */
    bool header_now;   /* and it is to be written without waiting for a change */
    bool failed;       /* what is on the disk is not known any more */
    bool running, again;
};

/* The arrays belong to the disk until it is used no more. False: something is missing or not as it must be.
 */
MUST_CHECK bool vdi_disk_init(struct vdi_disk *disk, const struct vdi_disk_config *config,
                              struct vdi_error *error);

/*
 * Takes a request. VDI_OK: complete() is called once, perhaps before this returns. Anything else: it was
 * refused and complete() is not called. The work is proportional to the blocks it touches times the chain's
 * length, so a server bounds the length of what it takes.
 */
MUST_CHECK enum vdi_status vdi_submit(struct vdi_disk *disk, struct vdi_request *request);

/* An operation has ended: VDI_OK or why not. May be called from within submit(). */
void vdi_done(struct vdi_disk *disk, struct vdi_operation *operation, enum vdi_status status);

/* Nothing is under way. */
bool vdi_disk_idle(const struct vdi_disk *disk);

/* Slots below the highest taken one that no block has: what VDI_COMPACT would fill. */
uint32_t vdi_disk_holes(const struct vdi_disk *disk);
