/* SPDX-License-Identifier: ISC */
/*
 * Sessions between two components. The buffer is init's own memory, paid for by the client's donation; each
 * side gets a handle to it and a capability to signal the other. A session ends when either side closes it or
 * dies: init removes the capabilities at once and signals the other side. When no side holds a handle any more,
 * it frees the buffer and returns the donation. A side that never lets go keeps only the client's memory,
 * until it dies.
 */
#include "init/init.h"

#include "base/include/component.h"
#include "base/include/session.h"
#include "init/route.h"

#include <string.h>

#define PAGE_SIZE         4096u
#define REAP_MILLISECONDS 20u
#define CLEAR_STEPS       8u /* of a memory, in a millisecond: the others have the rest of it */

static uint64_t session_id(const struct session_entry *session)
{
    return INIT_OWN_SESSION | (uint64_t)(session->generation & 0xffffu) << 16 | session->index;
}

static struct session_entry *session_at(const struct init *init, unsigned index)
{
    return &init->session[index / INIT_SESSION_BLOCK][index % INIT_SESSION_BLOCK];
}

static struct session_entry *session_by_id(struct init *init, uint64_t id)
{
    uint64_t index = id & 0xffffu;
    if (index >= init->sessions)
        return NULL;
    struct session_entry *session = session_at(init, (unsigned)index);
    return session->state != SESSION_FREE && session_id(session) == id ? session : NULL;
}

static struct session_entry *session_of_client(struct init *init, uint64_t who, uint64_t id)
{
    struct session_entry *session = session_by_id(init, id);
    return session != NULL && session->client_here && session->who == who ? session : NULL;
}

static struct session_entry *session_of_server(struct init *init, unsigned server, uint64_t id)
{
    struct session_entry *session = session_by_id(init, id);
    return session != NULL && session->server_here && session->server == server ? session : NULL;
}

static bool child_is_client(const struct init *init, const struct session_entry *session)
{
    const struct child *client = &init->child[session->client];
    return client->ram != 0 && client->generation == session->client_generation;
}

static void client_signal(const struct init *init, const struct session_entry *session)
{
    if (session->who <= CHILD_MASK) {
        child_signal(init, session->client);
    } else if (creator_connect(0, INIT_CAP_CLIENT, session->who, NT_PARENT_NEWS) == ERROR_OK) {
        creator_signal(INIT_CAP_CLIENT);
        creator_disconnect(0, INIT_CAP_CLIENT);
    }
}

/* Ends a session; sides that have closed it or died are marked as not here before. */
static void session_end(struct init *init, struct session_entry *session, enum error reason)
{
    if (session->state == SESSION_ENDED)
        return;
    if (session->state == SESSION_READY) {
        if (child_is_client(init, session))
            creator_disconnect(session->who, session->client_base);
        if (session->server_here)
            creator_disconnect(init->child[session->server].handle, session->server_base);
    }
    session->state = SESSION_ENDED;
    session->reason = reason;
    if (session->client_here)
        client_signal(init, session);
    if (session->server_here)
        child_signal(init, session->server);
}

/* False: somebody still holds the buffer. */
static bool session_release(struct init *init, struct session_entry *session)
{
    uint64_t shares = 0;
    if (session->dataspace.handle != 0) {
        if (creator_shares(session->dataspace.handle, &shares) != ERROR_OK || shares != 0)
            return false;
        if (dataspace_free(&session->dataspace) != ERROR_OK)
            return false;
    }
    if (child_is_client(init, session)) {
        enum error error = creator_quota(session->who, (int64_t)(session->donation + PAGE_SIZE));
        (void)error; /* the client died just now: its quota comes back with it */
    }
    session->state = SESSION_FREE;
    return true;
}

/* True: the server hears of it. */
static bool session_clear(struct init *init, struct session_entry *session)
{
    enum error error = ERROR_MORE;
    for (unsigned i = 0; i < CLEAR_STEPS && error == ERROR_MORE; i++)
        error = creator_clear(session->dataspace.handle);
    if (error == ERROR_MORE)
        return false;
    session->state = SESSION_REQUESTED;
    child_signal(init, session->server);
    return true;
}

uint64_t sessions_reap(struct init *init)
{
    bool left = false, unclear = false;
    for (unsigned i = 0; i < init->sessions; i++) {
        struct session_entry *session = session_at(init, i);
        if (session->state == SESSION_ENDED && !session->client_here && !session->server_here)
            left |= !session_release(init, session);
        if (session->state == SESSION_CLEARED && !unclear)
            unclear = !session_clear(init, session);
    }
    if (unclear)
        return tsc_read() + init->tsc_hz / 1000;
    return left ? tsc_read() + init->tsc_hz / 1000 * REAP_MILLISECONDS : DEADLINE_NEVER;
}

unsigned sessions_count(const struct init *init, unsigned client)
{
    unsigned count = 0;
    for (unsigned i = 0; i < init->sessions; i++)
        count += session_at(init, i)->state != SESSION_FREE && session_at(init, i)->client == client;
    return count;
}

/* The memory of a block stays: clients have paid for it, a page each, and new ones will. */
static enum error session_new(struct init *init, unsigned client, struct session_entry **session)
{
    unsigned i = 0;
    if (sessions_count(init, client) == PARENT_SESSIONS)
        return ERROR_LIMIT;
    while (i < init->sessions && session_at(init, i)->state != SESSION_FREE)
        i++;
    if (i == init->sessions) {
        struct dataspace dataspace;
        void *block;
        enum error error = memory_alloc(INIT_SESSION_BLOCK * sizeof **session, &dataspace, &block);
        if (error != ERROR_OK)
            return error;
        init->session[i / INIT_SESSION_BLOCK] = block;
        init->sessions += INIT_SESSION_BLOCK;
        for (unsigned j = i; j < init->sessions; j++)
            session_at(init, j)->index = j;
    }
    *session = session_at(init, i);
    return ERROR_OK;
}

enum error session_request(struct init *init, unsigned client, unsigned server,
                           const struct session_entry *wanted, uint64_t *id)
{
    if (wanted->donation > INT64_MAX / 2)
        return ERROR_BAD_ARGUMENT;
    if (!child_will_run(init, server))
        return ERROR_CLOSED;
    struct session_entry *session = NULL;
    uint64_t donation = (wanted->donation + PAGE_SIZE - 1) & ~(uint64_t)(PAGE_SIZE - 1);
    donation = donation < PAGE_SIZE ? PAGE_SIZE : donation;
    enum error error = creator_quota(wanted->who, -(int64_t)(donation + PAGE_SIZE));
    if (error != ERROR_OK)
        return error;
    struct dataspace dataspace = {.bytes = donation};
    error = session_new(init, client, &session);
    error = error ? error : creator_alloc(donation, &dataspace.handle);
    if (error != ERROR_OK && error != ERROR_MORE) {
        enum error returned = creator_quota(wanted->who, (int64_t)(donation + PAGE_SIZE));
        (void)returned;
        return error == ERROR_NO_RAM ? ERROR_BUSY
                                     : error; /* it is the machine that has no more, not the client */
    }
    uint32_t generation = session->generation + 1, index = session->index;
    *session = *wanted;
    session->index = index;
    session->generation = generation;
    session->state = error == ERROR_MORE ? SESSION_CLEARED : SESSION_REQUESTED;
    session->client = client;
    session->server = server;
    session->client_generation = init->child[client].generation;
    session->client_here = true;
    session->donation = donation;
    session->dataspace = dataspace;
    *id = session_id(session);
    if (error == ERROR_MORE)
        creator_signal(INIT_CAP_WORK);
    else
        child_signal(init, server);
    return ERROR_PENDING;
}

enum error session_state_of(struct init *init, uint64_t who, uint64_t id, uint64_t *handle, uint64_t *bytes)
{
    struct session_entry *session = session_of_client(init, who, id);
    if (session == NULL)
        return ERROR_NOT_FOUND;
    *handle = session->client_handle; /* of one that has ended, too: its client may not have asked before */
    switch (session->state) {
    case SESSION_CLEARED:
    case SESSION_REQUESTED:
    case SESSION_OFFERED:
        return ERROR_PENDING;
    case SESSION_READY:
        *bytes = session->dataspace.bytes;
        return ERROR_OK;
    default:
        if (session->reason == ERROR_NO_RAM)
            *bytes = session->wanted;
        if (session->client_handle == 0) {
            /* It has nothing to let go of, so it need not close what was never open. */
            session->client_here = false;
            (void)sessions_reap(init);
        }
        return session->reason;
    }
}

enum error session_client_closes(struct init *init, uint64_t who, uint64_t id)
{
    struct session_entry *session = session_of_client(init, who, id);
    if (session == NULL)
        return ERROR_NOT_FOUND;
    session->client_here = false;
    session_end(init, session, ERROR_CLOSED);
    creator_signal(INIT_CAP_WORK);
    return ERROR_OK;
}

const struct session_entry *session_next(struct init *init, unsigned server, uint64_t *id, bool *closed)
{
    struct session_entry *found = NULL;
    *closed = false;
    for (unsigned i = 0; i < init->sessions && !*closed; i++) {
        struct session_entry *session = session_at(init, i);
        *closed = session->server == server && session->state == SESSION_ENDED && session->server_here;
        if (*closed || (session->server == server && session->state == SESSION_REQUESTED))
            found = session;
    }
    if (found == NULL)
        return NULL;
    found->server_here = !*closed;
    if (*closed)
        creator_signal(INIT_CAP_WORK);
    else
        found->state = SESSION_OFFERED;
    *id = session_id(found);
    return found;
}

enum error session_server_ready(struct init *init, unsigned server, uint64_t id, selector base, uint64_t bits,
                                uint64_t *handle, uint64_t *bytes)
{
    struct session_entry *session = session_of_server(init, server, id);
    if (session == NULL || session->state == SESSION_READY)
        return ERROR_NOT_FOUND;
    if (session->state == SESSION_ENDED)
        return ERROR_CLOSED; /* it will hear of it by its next request */
    uint64_t client_child = session->who, server_child = init->child[server].handle;
    uint64_t rights = MEM_READ | MEM_WRITE;
    enum error error = creator_connect(server_child, base, client_child, session->client_bits);
    if (error != ERROR_OK)
        return error; /* the server's affair: it may try again or refuse */
    enum error client_error = creator_connect(client_child, session->client_base, server_child, bits);
    if (client_error != ERROR_OK) {
        creator_disconnect(server_child, base);
        session->server_here = false;
        session_end(init, session, client_error);
        return ERROR_CLOSED;
    }
    session->server_base = base;
    error = creator_share(server_child, session->dataspace.handle, rights, handle);
    if (error != ERROR_OK) {
        creator_disconnect(server_child, base);
        creator_disconnect(client_child, session->client_base);
        return error;
    }
    session->state = SESSION_READY;
    *bytes = session->dataspace.bytes;
    client_error = creator_share(client_child, session->dataspace.handle, rights, &session->client_handle);
    if (client_error != ERROR_OK) {
        /* The server holds its handle already: it is told to close as for any session that ends. */
        session->client_handle = 0;
        session_end(init, session, client_error);
        return ERROR_OK;
    }
    client_signal(init, session);
    return ERROR_OK;
}

enum error session_server_refuses(struct init *init, unsigned server, uint64_t id, enum error reason,
                                  uint64_t wanted)
{
    struct session_entry *session = session_of_server(init, server, id);
    if (session == NULL || session->state != SESSION_OFFERED)
        return ERROR_NOT_FOUND;
    session->server_here = false;
    session->wanted = wanted;
    session_end(init, session, reason == ERROR_OK || reason == ERROR_PENDING ? ERROR_CLOSED : reason);
    return ERROR_OK;
}

void sessions_check(struct init *init)
{
    for (unsigned i = 0; i < init->sessions; i++) {
        struct session_entry *session = session_at(init, i);
        const struct config_route *rule;
        if (session->state != SESSION_FREE &&
            (route_find(init->config, session->client, session->service, session->label, session->arguments,
                        &rule) != ROUTE_CHILD ||
             rule->child_index != session->server ||
             strcmp(route_label(rule, session->label), session->served) != 0))
            session_end(init, session, ERROR_DENIED);
    }
}

void sessions_child_died(struct init *init, unsigned index)
{
    for (unsigned i = 0; i < init->sessions; i++) {
        struct session_entry *session = session_at(init, i);
        if (session->state == SESSION_FREE)
            continue;
        /* Both first: a component may be its own server, and nothing may be done to a side that is dead. */
        bool client_died = session->client == index && session->client_here;
        bool server_died = session->server == index && session->server_here;
        session->client_here = session->client_here && !client_died;
        session->server_here = session->server_here && !server_died;
        if (!client_died && server_died && session->state == SESSION_OFFERED)
            session->state = SESSION_REQUESTED; /* the next one of this name may answer */
        else if (client_died || server_died)
            session_end(init, session, ERROR_CLOSED);
        if (session->server == index &&
            (session->state == SESSION_REQUESTED || session->state == SESSION_CLEARED) &&
            !child_will_run(init, index))
            session_end(init, session, ERROR_CLOSED);
    }
}

void sessions_client_gone(struct init *init, uint64_t who)
{
    uint64_t whole = 0, parent = 0; /* masks of the path and of the one above it */
    while (who & ~whole) {
        parent = whole;
        whole = whole << CHILD_BITS | CHILD_MASK;
    }
    for (unsigned i = 0; i < init->sessions; i++) {
        struct session_entry *session = session_at(init, i);
        if (session->state == SESSION_FREE || (session->who & whole) != who)
            continue;
        session->client_here = false;
        session->client_base = 0;    /* its capabilities go with it */
        session->who = who & parent; /* it gets the donation */
        session_end(init, session, ERROR_CLOSED);
    }
    creator_signal(INIT_CAP_WORK);
}
