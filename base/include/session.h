/* SPDX-License-Identifier: ISC */
/*
 * The client's and the server's side of sessions: base/include/session/parent.h as functions.
 */
#pragma once

#include "base/include/caps.h"
#include "base/include/message.h"
#include "base/include/session/error.h"
#include "base/include/session/parent.h"
#include "base/include/session/pd.h"

#include <stdbool.h>
#include <stddef.h>

/* What a session is opened with. Strings may be NULL for "". */
struct session_request {
    const char *service, *label, *arguments;
    uint64_t donation; /* RAM in bytes */
    uint64_t most;     /* a link (link.h) donates up to this if the server wants more */
    selector base;     /* where the bundle's capability goes; unused by services that give none */
    uint64_t bits;     /* of CAP_NT, for the peer to signal */
    uint64_t client;   /* the session's client: 0 for the caller, or the path of one below */
};

struct session {
    uint64_t id; /* for PARENT_POLL and PARENT_CLOSE; for core's services the handle of its operations */
    uint64_t dataspace; /* handle, 0: none */
    uint64_t bytes;     /* of the dataspace */
    uint64_t client;    /* as in the request */
};

/* ERROR_PENDING: id is set; wait for NT_PARENT_NEWS and call session_poll(). */
MUST_CHECK enum error session_open(const struct session_request *request, struct session *session);
/* ERROR_PENDING: not yet. ERROR_CLOSED: the server has gone or refused; a dataspace that it had given is there
 * still, to be freed. ERROR_NO_RAM: it wants session->bytes donated. */
MUST_CHECK enum error session_poll(struct session *session);
MUST_CHECK enum error session_close(uint64_t id);
/* The same for one below: for a parent that passes on requests. */
MUST_CHECK enum error session_close_of(uint64_t client, uint64_t id);

/* The server's side. */
struct server_request {
    enum parent_request kind;
    uint64_t id;
    uint64_t donation;
    char service[SERVICE_SIZE], label[LABEL_SIZE], arguments[ARGS_SIZE];
};

/* ERROR_NOT_FOUND: no more requests for now. */
MUST_CHECK enum error server_next(struct server_request *request);
/* base: free selector for the capability that signals the client; bits: of the own CAP_NT. session is filled
 * in. */
MUST_CHECK enum error server_ready(uint64_t id, selector base, uint64_t bits, struct session *session);
MUST_CHECK enum error server_refuse(uint64_t id, enum error reason);
/* Refuses it until that much is donated. */
MUST_CHECK enum error server_want(uint64_t id, uint64_t donation);

/* Calls a portal with a message in the own UTCB; word 0 of the reply as an error. *count (may be NULL):
 * words. */
MUST_CHECK enum error portal_call(selector portal, const struct message *message, unsigned *count);
/* The same with up to six words, operation first; the reply's words stay in the UTCB. */
MUST_CHECK enum error core_call(uint64_t operation, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
                                uint64_t e);
/* The same with one argument, repeated as long as it returns ERROR_MORE. */
MUST_CHECK enum error core_call_whole(uint64_t operation, uint64_t a);

/* Attaches in a VM's or a device's space, until it is done; if it fails, all that was entered is removed. */
struct core_attachment {
    uint64_t attach, detach; /* the operations, with their session */
    uint64_t words[5];       /* dataspace, offset, bytes, address, rights */
};
MUST_CHECK enum error core_attach(const struct core_attachment *attachment);
