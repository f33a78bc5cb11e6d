/* SPDX-License-Identifier: ISC */
/*
 * The client's side of a Block session (lib/block/session.h), from the first request for it through
 * all of its servers' lives. It knows no kernel: sessions and signals are given to it. Nothing waits in here.
 *
 * What was sent and not answered is sent again when a server has died, so an operation ends with the disk's
 * own answer, or with BLOCK_GONE when there is no such disk any more.
 */
#pragma once

#include "base/include/check.h"
#include "lib/block/session.h"
#include "lib/ring/ring.h"

/* The caller's; from block_submit() to done() the library's, and so are its bytes in the data area. */
struct block_operation {
    enum block_action action;
    bool fua;
    uint64_t sector;
    uint32_t count;
    uint32_t offset; /* in the data area */
    void *owner;     /* the caller's affair */
    /* The library's. */
    uint64_t number;
};

enum block_link {
    BLOCK_LINK_PENDING, /* not yet: to be asked again, after news from the parent */
    BLOCK_LINK_OPEN,
    BLOCK_LINK_REFUSED, /* for good */
};

struct block_wiring {
    void *context;
    /* Asks for a session, or how an earlier request for it stands. BLOCK_LINK_OPEN: its dataspace is at *memory. */
    enum block_link (*open)(void *context, void **memory, size_t *bytes);
    /* Whether the open session has ended. */
    bool (*ended)(void *context);
    /* Ends the session, if it has not ended yet. Its memory stays, */
    void (*close)(void *context);
    /* until this. */
    void (*release)(void *context, void *memory);
    /* Signals the server. */
    void (*signal)(void *context);
    /* An operation has ended. It may submit others, but is called from within block_client_submit() for one that can
     * never be done. */
    void (*done)(void *context, struct block_operation *operation, enum block_status status);
    /* The state is another one: see `state` and `info`. */
    void (*changed)(void *context);
};

enum block_client_state {
    BLOCK_CLIENT_OPENING, /* also after a server's death */
    BLOCK_CLIENT_WAITING, /* the server does not know its disk yet */
    BLOCK_CLIENT_READY,
    BLOCK_CLIENT_FAILED, /* for good: `failure` says why */
};

struct block_client {
    struct block_wiring wiring;
    enum block_client_state state;
    const char *failure;
    bool known;               /* info is that of the disk, whatever the state */
    struct block_header info; /* as the server wrote it, copied and checked */
    uint8_t *data; /* the data area, once known; it moves, as it is, when the session is opened again */
    uint32_t data_bytes;
    unsigned under_way;
    /* The library's. */
    struct ring requests, answers;
    void *memory, *old;
    size_t old_bytes;
    uint64_t numbers;
    struct block_operation *tag[BLOCK_TAGS];
};

/* The wiring is set. Everything else happens in block_client_work(). */
void block_client_init(struct block_client *client, const struct block_wiring *wiring);

/* After a signal of the server or news from the parent, and once at the start. True: there is more to do, it is to be
 * called again at the next turn. */
bool block_client_work(struct block_client *client);

/*
 * False: as many are under way as the server takes, or no disk is known yet; nothing of it has been done. Operations
 * that are submitted while the session is opened again wait for that. One that can never be done ends at once: out
 * of range, written to what can only be read, or of a disk that is gone.
 */
MUST_CHECK bool block_client_submit(struct block_client *client, struct block_operation *operation);
