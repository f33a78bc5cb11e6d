/* SPDX-License-Identifier: ISC */
/*
 * A component's requests to its parent, through CAP_PARENT. Word 0 is the operation, word 0 of the reply an
 * enum error. Strings as in base/include/message.h. The first init's parent is core, which serves PARENT_OPEN
 * (ROM, LOG, IRQ, IO_PORT, VM, DEVICE, PLATFORM, INFO), PARENT_CLOSE and PARENT_EXIT.
 *
 * A client opens a session by PARENT_OPEN. Core's services answer at once. A component's do not: the parent
 * answers ERROR_PENDING with the session's id. When NT_PARENT_NEWS comes, PARENT_POLL(id) returns the result
 * of OPEN, and later ERROR_CLOSED when the server has gone. The server sees NT_PARENT_NEWS too and
 * takes requests by PARENT_NEXT_REQUEST until ERROR_NOT_FOUND; each OPEN it answers by READY or REFUSE, at
 * once or later. After a REQUEST_CLOSE it detaches the dataspace and frees its handle (PD_DATASPACE_FREE);
 * only then, or when it dies, is the memory reused. A server that wants more memory refuses by ERROR_NO_RAM and
 * says how much; OPEN and POLL answer that with words 1 and 2, and the client opens again with that much.
 *
 * The client pays for the memory and, with a page, for the parent's own account of the session: as many sessions
 * and as large ones as its quota has room for, up to PARENT_SESSIONS. Large memory is cleared before the server
 * hears of the session.
 *
 * The bundle: the dataspace, as a handle in the table of each side with core, and at a selector that each
 * side names a capability to signal the other's notification with the bits that the other has named.
 *
 * A parent that does not serve a request of its child itself, as an init within another, asks its own parent for
 * it. It names the client by its path (base/include/session/pd.h), puts the child's name and LABEL_SEPARATOR
 * before the label, and grants no more than the request says; the outer parent decides by its own rules for the
 * inner one, and the bundle goes to the client at once. The same client is named by PARENT_POLL and
 * PARENT_CLOSE, and NT_PARENT_NEWS comes to it, not to the parent between. The donation is the client's; when
 * the client is dead its parent gets it back. Before the parent destroys it, PARENT_GONE ends all such sessions
 * of it and of those below it. Core takes what follows the last LABEL_SEPARATOR for the label.
 */
#pragma once

#define PARENT_ID_FIRST 0x1000u
#define PARENT_SESSIONS 256u /* between components, of a client with all below it */
#define LABEL_SEPARATOR " -> "

enum parent_operation {
    /*
     * selector, donated RAM in bytes, signal bits of the client's CAP_NT, client (0: the caller, else the path
     * of one below it), service, label, arguments -> session id, dataspace handle (0: none), dataspace bytes. Core's services: the session's id is its
     * handle at core, below PARENT_ID_FIRST; other ids are the parent's choice, from there on.
     */
    PARENT_OPEN = 0x100,
    PARENT_POLL,         /* session id, client -> as OPEN */
    PARENT_CLOSE,        /* session id, client. ERROR_MORE: call again; from then on it can only be closed */
    PARENT_NEXT_REQUEST, /* -> enum parent_request, session id, donated bytes, service, label, arguments */
    PARENT_READY,        /* session id, selector, signal bits -> dataspace handle, dataspace bytes */
    PARENT_REFUSE,       /* session id, enum error, for ERROR_NO_RAM: bytes that it wants donated */
    PARENT_EXIT, /* code: the component is done (0) or has failed; it is then destroyed or restarted */
    PARENT_GONE, /* client: its sessions and those of all below it end */
};

enum parent_request {
    REQUEST_OPEN = 1,
    REQUEST_CLOSE, /* strings empty */
};
