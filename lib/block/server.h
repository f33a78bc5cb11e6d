/* SPDX-License-Identifier: ISC */
/*
 * The server's side of one Block session (lib/block/session.h): requests copied and checked, answers, and the
 * header. It knows no kernel.
 */
#pragma once

#include "base/include/check.h"
#include "lib/block/session.h"
#include "lib/ring/ring.h"

struct block_place {
    uint8_t *data; /* the session's data area */
    uint32_t data_bytes;
    unsigned under_way;       /* requests that are not answered */
    bool broken;              /* the client is not to be served any more */
    struct block_header info; /* of the disk, once it is known */
    struct ring requests, answers;
    struct block_header *header;
    bool busy[BLOCK_TAGS];
};

/* A session begins. False: its memory is too small. */
MUST_CHECK bool block_place_open(struct block_place *place, void *memory, size_t bytes);

/* The disk is known: its header, of which the state does not count. The client is to be signalled. */
void block_place_ready(struct block_place *place, const struct block_header *info);

/* The disk has gone: what is under way is not to be answered. The client is to be signalled. */
void block_place_gone(struct block_place *place);

enum block_next {
    BLOCK_NEXT_NONE,
    BLOCK_NEXT_REQUEST, /* copied, and within the disk and the data area; to be answered */
    BLOCK_NEXT_REFUSED, /* answered already, for the disk cannot do it */
    BLOCK_NEXT_BROKEN,  /* no client makes that: the session is over */
};

/* The next request. *signal is set, never cleared, when the client is to be signalled. */
enum block_next block_place_next(struct block_place *place, struct block_request *request, bool *signal);

/* Answers a request that is under way. */
void block_place_answer(struct block_place *place, unsigned tag, enum block_status status, bool *signal);
