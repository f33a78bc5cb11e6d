/* SPDX-License-Identifier: ISC */
/* The frame of a server of disks; see block_server.h. */
#include "lib/block/block_server.h"

#include "base/include/log.h"

#include <string.h>

static void signal_client(struct block_server *server, unsigned place)
{
    struct block_session *session = &server->session[place];

    if (session->signal)
        server_signal(&server->server, place);
    session->signal = false;
}

/* Takes requests while there is room: the disk's depth of them can be under way. */
static void turn(struct block_server *server, unsigned place)
{
    struct block_session *session = &server->session[place];
    enum block_next next = BLOCK_NEXT_REQUEST;

    if (session->turning)
        return;
    session->turning = true;
    for (unsigned i = 0; i < 2 * BLOCK_TAGS; i++) {
        if (!session->holds)
            next = block_place_next(&session->block, &session->held, &session->signal);
        if (next == BLOCK_NEXT_NONE || next == BLOCK_NEXT_BROKEN)
            break;
        session->holds = next == BLOCK_NEXT_REQUEST && !server->begin(server->context, place, &session->held);
        if (session->holds)
            break;
    }
    session->turning = false;
    signal_client(server, place);
}

void block_pace(struct event *event, uint64_t period, uint64_t *last)
{
    uint64_t now = tsc_read();

    event->period = now - *last < period ? period : 0;
    *last = now;
}

/* Signals once a client that is no longer served: its session stays until the client ends it. */
static void serve(void *context, unsigned place)
{
    struct block_server *server = context;
    bool broken = server->session[place].block.broken;

    block_pace(&server->server.event, server->server.period, &server->served);
    turn(server, place);
    if (!broken && server->session[place].block.broken)
        log_line("Block: the client of disk %u broke the session's rules: it is served no more", place);
}

void block_answer(struct block_server *server, unsigned place, unsigned tag, enum block_status status)
{
    struct block_session *session = &server->session[place];

    block_place_answer(&session->block, tag, status, &session->signal);
    if (session->turning)
        return;
    if (session->holds && !server->server.place[place].ended)
        turn(server, place);
    signal_client(server, place);
}

void block_server_changed(struct block_server *server, unsigned place)
{
    struct block_session *session = &server->session[place];
    const struct block_header *disk = server->disk(server->context, place);

    /* A session whose disk has gone stays so, whichever disk comes: its client opens another. */
    if (!server->server.place[place].open || server->server.place[place].ended || session->block.broken)
        return;
    if (!disk && session->block.info.state != BLOCK_STATE_READY)
        return;
    if (disk)
        block_place_ready(&session->block, disk);
    else
        block_place_gone(&session->block);
    server_signal(&server->server, place);
}

static enum error opened(void *context, unsigned place)
{
    struct block_server *server = context;
    struct server_place *of = &server->server.place[place];
    const struct block_header *disk = server->disk(server->context, place);

    server->session[place] = (struct block_session){.holds = false};
    if (!block_place_open(&server->session[place].block, of->memory, of->session.bytes))
        return ERROR_BAD_ARGUMENT;
    if (disk)
        block_place_ready(&server->session[place].block, disk);
    server_signal(&server->server, place);
    return ERROR_OK;
}

static bool drained(void *context, unsigned place)
{
    struct block_server *server = context;
    struct block_session *session = &server->session[place];

    session->block.broken = true; /* the answers have no receiver */
    if (session->holds)
        block_place_answer(&session->block, session->held.tag, BLOCK_MEDIUM, &session->signal);
    session->holds = false;
    if (session->block.under_way && server->end)
        server->end(server->context, place);
    return !session->block.under_way;
}

void block_server_start(struct block_server *server)
{
    server->server.service = BLOCK_SERVICE;
    server->server.open = opened;
    server->server.serve = serve;
    server->server.drained = drained;
    server->server.context = server;
    server_start(&server->server);
}
