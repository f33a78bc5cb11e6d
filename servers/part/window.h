/* SPDX-License-Identifier: ISC */
/*
 * What clients see of a disk: each a partition, as if it were a disk of its own. Requests are checked against
 * the partition, moved to where it begins, and go through lib/relay to the disk. It knows no session, so that
 * it is tested on the build machine.
 */
#pragma once

#include "lib/part/part.h"
#include "lib/relay/relay.h"

#define WINDOW_CLIENTS 8u
#define WINDOW_TAGS    64u /* requests of a client, under way */

struct window_request {
    enum relay_action action;
    bool fua;
    uint32_t tag;            /* below WINDOW_TAGS, of none that is under way */
    uint64_t offset, length; /* bytes of the partition; whole sectors */
    uint8_t *bytes;          /* of a read or write; the client's, until the answer */
};

/* A client's. */
struct window {
    const struct part_entry *entry; /* NULL: no client yet */
    bool read_only;
    struct relay_transfer transfer[WINDOW_TAGS]; /* owner: the window; NULL: free */
};

struct windows {
    void *context;
    /* Sends a piece to the disk; relay_done(&windows->relay) tells of its end. */
    void (*submit)(void *context, struct relay_piece *piece);
    /* A request has ended, by a status of the disk. */
    void (*answer)(void *context, uint32_t client, uint32_t tag, int status);
    uint32_t sector_size;
    bool read_only;     /* the disk */
    struct relay relay; /* relay.disk[0] is set by the caller; the rest is the windows' */
    struct window window[WINDOW_CLIENTS];
};

/* The fields above relay are set. */
void windows_init(struct windows *windows);

/* The client of this number gets a partition, which must live as long. Nothing of its is under way. */
void window_open(struct windows *windows, uint32_t client, const struct part_entry *entry);

/* False: it was refused, for it is not within the partition or would change what is read only. */
MUST_CHECK bool window_begin(struct windows *windows, uint32_t client, const struct window_request *request);

/*
 * The client has gone: what of its requests is not under way is not begun any more, and its bytes are not
 * touched from here on. All are answered nevertheless.
 */
void window_end(struct windows *windows, uint32_t client);
