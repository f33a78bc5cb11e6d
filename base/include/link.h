/* SPDX-License-Identifier: ISC */
/*
 * A client's session with its memory, which is opened without waiting, and again when it has ended: its server may
 * be started anew.
 */
#pragma once

#include "base/include/session.h"

struct link {
    struct session_request request; /* the client's, with what its strings point to */
    uint64_t rights;                /* the memory is attached with: MEM_READ, MEM_WRITE */
    /* The link's own; all zero: nothing is asked for. */
    struct session session;
    void *memory; /* NULL: the session is not open */
};

/*
 * To be called first, and whenever NT_PARENT_NEWS comes. ERROR_OK: the session is open. ERROR_PENDING: the server
 * has not answered yet. All other errors: it has ended, or there is none; memory that was there is there still.
 * After link_close() the next call asks for a new one. The donation grows to what the server wants, up to
 * request.most.
 */
MUST_CHECK enum error link_poll(struct link *link);
/*
 * Waits until the server has answered, and asks again with what it wants donated; on the main thread only. Other
 * bits of CAP_NT stay for later. For a component's start: the signals for news of other sessions and for requests
 * that come meanwhile are lost.
 */
MUST_CHECK enum error link_wait(struct link *link);
/* Gives up session and memory, if there are any. */
void link_close(struct link *link);
