/* SPDX-License-Identifier: ISC */
/*
 * The frame of a server of disks: Block sessions (lib/block/session.h) on a server's places
 * (base/include/server.h), one disk a place. The component maps labels to places, describes the disk, and
 * carries out the requests, each of which has been copied and checked.
 */
#pragma once

#include "base/include/server.h"
#include "lib/block/server.h"

/* The frame's part of a place's session. */
struct block_session {
    struct block_place block;
    struct block_request held; /* one that the component had no room for */
    bool holds, turning, signal;
};

struct block_server {
    /* The component's: places, period, signal, bit and choose() of the frame below; and one session for each place. */
    struct server server;
    struct block_session *session;
    void *context;
    /* The disk of a place; NULL: not known yet, or gone. */
    const struct block_header *(*disk)(void *context, unsigned place);
    /* Begins a request: answered by block_answer(), now or later. False: no room; it comes again behind an answer. */
    bool (*begin)(void *context, unsigned place, const struct block_request *request);
    /* The session has ended: answers to what is under way do not count any more, but have to come before the place
     * is given to the next. May be NULL. */
    void (*end)(void *context, unsigned place);
    /* The frame's. */
    uint64_t served; /* when a client was, the last time */
};

/*
 * For the handler of an event: its bits are left alone for `period` afterwards, as events with a period do, but only if
 * they came within that time of *last. So what comes now and then leaves no timer behind, and what comes in a flood
 * costs two turns a period at most. *last: TSC, of the call before.
 */
void block_pace(struct event *event, uint64_t period, uint64_t *last);

void block_server_start(struct block_server *server);

/* Bytes of a request, in the session's data area. */
static inline uint8_t *block_bytes(const struct block_server *server, unsigned place,
                                   const struct block_request *request)
{
    return server->session[place].block.data + request->offset;
}

void block_answer(struct block_server *server, unsigned place, unsigned tag, enum block_status status);

/* To be called when disk() would now return something else: a disk has become known, or gone. */
void block_server_changed(struct block_server *server, unsigned place);
