/* SPDX-License-Identifier: ISC */
/*
 * What a component asks of its parent, through CAP_PARENT. Word 0 is the operation, word 0 of the reply an
 * enum error. Strings as in base/include/message.h. init's parent is core, which answers PARENT_OPEN only.
 *
 * A client opens a session by PARENT_OPEN. Core's services answer at once. A component's do not: the parent
 * answers ERROR_PENDING with the session's id; when NT_PARENT_NEWS comes, PARENT_POLL(id) gives what OPEN
 * would have given, and later ERROR_CLOSED when the server has gone. The server sees NT_PARENT_NEWS too and
 * takes requests by PARENT_NEXT_REQUEST until ERROR_NOT_FOUND; each OPEN it answers by READY or REFUSE, at
 * once or later. After a REQUEST_CLOSE it detaches the dataspace and frees its handle (PD_DATASPACE_FREE);
 * only then, or when it dies, is the memory reused.
 *
 * The bundle: the dataspace, as a handle in the table of each side with core, and at a selector that each
 * side names a capability to signal the other's notification with the bits that the other has named.
 */
#pragma once

#define PARENT_ID_FIRST 0x1000u

enum parent_operation {
    /*
     * selector, donated RAM in bytes, signal bits of the own CAP_NT, service, label, arguments
     * -> session id, dataspace handle (0: none), dataspace bytes. Core's services: the session's id is its
     * handle at core, below PARENT_ID_FIRST; other ids are the parent's choice, from there on.
     */
    PARENT_OPEN = 0x100,
    PARENT_POLL,         /* session id -> as OPEN */
    PARENT_CLOSE,        /* session id */
    PARENT_NEXT_REQUEST, /* -> enum parent_request, session id, donated bytes, service, label, arguments */
    PARENT_READY,        /* session id, selector, signal bits -> dataspace handle, dataspace bytes */
    PARENT_REFUSE,       /* session id, enum error */
    PARENT_EXIT, /* code: the component is done (0) or has failed; it is then destroyed or restarted */
};

enum parent_request {
    REQUEST_OPEN = 1,
    REQUEST_CLOSE, /* strings empty */
};
