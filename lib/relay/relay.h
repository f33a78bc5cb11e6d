/* SPDX-License-Identifier: ISC */
/*
 * What lies between a server of disks and the disks below it: transfers come in, of any length and with bytes
 * in the server's memory, and go out as pieces, each no longer than a disk takes and with its bytes in the
 * disk's data area. Transfers take turns, piece by piece, so a long one does not hold up a short one.
 *
 * A byte is copied once on its way: from the memory of whoever sent the transfer into the area, or back.
 * Nothing waits in here; a transfer for which there is no room goes on when a piece has ended.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/include/check.h"

#define RELAY_PIECES    64u   /* under way, of all disks together */
#define RELAY_PAGE      4096u /* of a data area: what is given out */
#define RELAY_PAGES     256u  /* of it at most that are used */
#define RELAY_DISKS     8u
#define RELAY_OK        0 /* a status; positive ones are the disks' own */
#define RELAY_FORGOTTEN (-1)

enum relay_action { RELAY_READ, RELAY_WRITE, RELAY_ZERO, RELAY_DISCARD, RELAY_FLUSH };

struct relay_transfer {
    enum relay_action action;
    bool fua;
    uint32_t disk;
    uint64_t offset, length; /* bytes; multiples of what the disk takes */
    uint8_t *bytes;          /* of a read or write */
    void *owner;             /* the sender's affair */
    /* The library's. */
    struct relay_transfer *next;
    uint64_t cursor;
    uint32_t outstanding;
    int status;
    bool waiting;
};

/* What a disk is asked. */
struct relay_piece {
    enum relay_action action;
    bool fua;
    uint32_t disk;
    uint64_t offset, length;
    uint32_t area;                   /* offset of its bytes in the disk's area */
    struct relay_transfer *transfer; /* NULL: free */
    uint8_t *bytes;
};

struct relay_disk {
    uint8_t *area;          /* as long as there is a session; written over by nobody but the disk's server */
    uint32_t pages;         /* of the area */
    uint32_t depth;         /* pieces that it takes at a time */
    uint64_t longest;       /* bytes of a piece that has some */
    uint64_t longest_empty; /* bytes of a piece that has none: RELAY_ZERO, RELAY_DISCARD */
    /* The library's. */
    uint32_t busy;
    uint8_t used[RELAY_PAGES];
};

struct relay {
    void *context;
    /* Sends a piece; relay_done() tells of its end, from within or later. */
    void (*submit)(void *context, struct relay_piece *piece);
    /* A transfer has ended; the library has let go of it. May send others. */
    void (*complete)(void *context, struct relay_transfer *transfer, int status);
    struct relay_disk disk[RELAY_DISKS];
    /* The library's. */
    struct relay_piece piece[RELAY_PIECES];
    struct relay_transfer *first, *last;
    bool running;
};

/* Takes a transfer; it belongs to the library until complete(), which may be called before this returns. */
void relay_send(struct relay *relay, struct relay_transfer *transfer);

/* A piece has ended. */
void relay_done(struct relay *relay, struct relay_piece *piece, int status);

/*
 * The transfer's bytes go away: nothing is read from or written to them any more, and no piece is sent for it.
 * It is complete when the pieces under way are.
 */
void relay_forget(struct relay *relay, struct relay_transfer *transfer);
