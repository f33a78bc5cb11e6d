/* SPDX-License-Identifier: ISC */
/*
 * The server's side of all sessions. Signals and requests of clients cost the server's time, so they have a
 * bound: they are served once in a period, some requests at a time, and only the first few refusals are
 * logged.
 */
#include "base/include/server.h"

#include "base/include/dataspace.h"
#include "base/include/log.h"

#include <string.h>

#define REFUSALS_TOLD 16u
#define REQUESTS      16u        /* in one turn */
#define DRAIN_TICKS   (1u << 20) /* TSC: from one look at a session that is ending to the next */

static enum error place_open(const struct server *server, unsigned number, uint64_t id)
{
    struct server_place *place = &server->place[number];
    enum error error =
        server_ready(id, server->signal + number, 1ull << (server->bit + number), &place->session);

    if (error)
        return error;
    place->open = true; /* even if a step below fails: the session is there until the client ends it */
    error = dataspace_attach(place->session.dataspace, 0, MEM_READ | MEM_WRITE, &place->memory);
    if (!error && server->open)
        error = server->open(server->context, number);
    place->served = !error;
    return error;
}

/* ERROR_PENDING: the session gets the place when the one before it is over. */
static enum error server_accept(const struct server *server, const struct server_request *request)
{
    unsigned number = server->choose ? server->choose(server->context, request) : 0;

    while (!server->choose && number < server->places && server->place[number].open)
        number++;
    if (server->service && strcmp(request->service, server->service) != 0)
        return ERROR_NOT_FOUND;
    if (request->donation < server->donation) {
        enum error wanted = server_want(request->id, server->donation);
        (void)wanted; /* the client has gone, or comes again with more */
        return ERROR_CLOSED;
    }
    if (number >= server->places)
        return number > server->places ? ERROR_NOT_FOUND : ERROR_BUSY;
    if (server->place[number].ended && !server->place[number].waiting) {
        server->place[number].waiting = request->id;
        return ERROR_PENDING;
    }
    return server->place[number].open ? ERROR_BUSY : place_open(server, number, request->id);
}

static void server_refused(struct server *server, const char *service, const char *label, uint64_t id,
                           enum error error)
{
    enum error refused;

    if (!error || error == ERROR_CLOSED || error == ERROR_PENDING)
        return;
    if (server->told < REFUSALS_TOLD) {
        server->told++;
        log_line("%s '%s' refused: %s%s", service, label, error_text(error),
                 server->told == REFUSALS_TOLD ? "; further refusals are not told" : "");
    }
    refused = server_refuse(id, error);
    (void)refused; /* the client has gone, or has its session already */
}

/* The session has ended: its place is freed when all that was begun for it is over. */
static void server_finish(struct server *server, unsigned number)
{
    struct server_place *place = &server->place[number];
    uint64_t waiting = place->waiting;
    enum error error;

    if (place->served && server->drained && !server->drained(server->context, number)) {
        server->event.deadline = tsc_read() + DRAIN_TICKS;
        return;
    }
    if (place->served && server->close)
        server->close(server->context, number);
    error = dataspace_free(&(struct dataspace){.handle = place->session.dataspace});
    if (error)
        log_line("a session is not closed: %s", error_text(error));
    *place = (struct server_place){0};
    if (waiting)
        server_refused(server, "session", "", waiting, place_open(server, number, waiting));
}

static void server_close(struct server *server, uint64_t id)
{
    for (unsigned i = 0; i < server->places; i++) {
        if (server->place[i].waiting == id)
            server->place[i].waiting = 0;
        if (server->place[i].open && server->place[i].session.id == id) {
            server->place[i].ended = true;
            server_finish(server, i);
            return;
        }
    }
}

static void server_handle(void *context, uint64_t bits)
{
    struct server *server = context;
    struct server_request request;

    /* Before requests: a client that has ended its session may have left something to do. */
    for (unsigned i = 0; server->serve && i < server->places; i++)
        if (bits >> (server->bit + i) & 1 && server->place[i].served && !server->place[i].ended)
            server->serve(server->context, i);
    for (unsigned i = 0; i < server->places; i++)
        if (server->place[i].ended)
            server_finish(server, i);
    if (bits && !(bits & NT_PARENT_NEWS))
        return;
    for (unsigned i = 0; i < REQUESTS; i++) {
        if (server_next(&request) != ERROR_OK)
            return;
        if (request.kind == REQUEST_OPEN)
            server_refused(server, request.service, request.label, request.id,
                           server_accept(server, &request));
        else
            server_close(server, request.id);
    }
    server->event.deadline = tsc_read() + server->period; /* there may be more */
}

void server_start(struct server *server)
{
    uint64_t bits = NT_PARENT_NEWS | ((1ull << server->places) - 1) << server->bit;

    server->event =
        (struct event){.bits = bits, .period = server->period, .handle = server_handle, .context = server};
    event_add(&server->event);
}

void server_signal(const struct server *server, unsigned place)
{
    enum status status = server->place[place].open ? nt_signal(server->signal + place) : STATUS_OK;

    (void)status; /* a client that has gone is told by the parent */
}
