/* SPDX-License-Identifier: ISC */
/*
 * A disk for a component: the client's side of a Block session (lib/block/session.h) on a session of the
 * parent's, by an event of the component's loop. It opens the session in the background, and again when the server has
 * died; lib/block/client.h says how that affects operations.
 */
#pragma once

#include "base/include/event.h"
#include "base/include/session.h"
#include "lib/block/client.h"

struct block {
    /* The component's, before block_start(). */
    const char *label;
    size_t
        donation; /* bytes of the session's dataspace; 0: BLOCK_DONATION. It is held twice while it is opened again */
    selector signal; /* a free one, to the server */
    uint64_t bit;    /* of CAP_NT, for the server's signals */
    void *context;
    void (*done)(void *context, struct block_operation *operation, enum block_status status);
    void (*changed)(void *context); /* client.state has changed */
    /* To be read: client.state, client.info, client.data, client.failure. */
    struct block_client client;
    /* The library's own. */
    struct session session; /* id 0: not asked for */
    bool over;              /* it has ended */
    struct {
        void *memory;
        uint64_t dataspace;
    } held[2];
    struct event event;
};

/* Begins to open it; changed() reports the result. */
void block_start(struct block *block);

/* As block_client_submit(). */
MUST_CHECK bool block_submit(struct block *block, struct block_operation *operation);
