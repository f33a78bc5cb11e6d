/* SPDX-License-Identifier: ISC */
/*
 * The frame of a server. It takes the requests for sessions and gives each a place or refuses it, and it tells
 * the component which place's client has signalled. The component says how many places there are and serves
 * them.
 */
#pragma once

#include "base/include/event.h"
#include "base/include/session.h"

/* A session. The component reads it, the frame writes it. */
struct server_place {
    bool open;
    struct session session;
    void *memory; /* the session's dataspace, attached */
    bool served;  /* open() has accepted it */
    /* The frame's own. */
    bool ended;       /* the client has gone; what was begun for it is not over yet */
    uint64_t waiting; /* id of a session that gets the place then; 0: none */
};

#define SERVER_NO_PLACE UINT32_MAX

struct server {
    const char *service; /* NULL: choose() looks at the request's */
    struct server_place *place;
    unsigned places;
    uint64_t donation; /* bytes that it wants of each client at least */
    uint64_t period;   /* TSC ticks: clients' signals and requests are served at most once in that time */
    selector signal;   /* to the client of place 0; that of place i is signal + i */
    unsigned bit; /* number of the bit of CAP_NT that the client of place 0 signals; place i has bit + i */
    /*
     * The component's functions; each may be NULL. choose: the place for a request; NULL: the first that is free.
     * A place that is taken, or `places`, refuses the request for now; SERVER_NO_PLACE for good: there is nothing
     * of this label.
     */
    unsigned (*choose)(void *context, const struct server_request *request);
    /* A session begins: its memory is there. Not ERROR_OK: it gets no service until the client ends it. */
    enum error (*open)(void *context, unsigned place);
    /*
     * Whether all that was begun for a session that has ended is over. Asked again and again until it is; only then
     * close() is called and the place given to the next. NULL: it always is.
     */
    bool (*drained)(void *context, unsigned place);
    /* It has ended; its memory goes when this returns. */
    void (*close)(void *context, unsigned place);
    /* The client has signalled. */
    void (*serve)(void *context, unsigned place);
    void *context;
    /* The frame's own. */
    struct event event;
    unsigned told;
};

/* Begins to serve, by an event. Only one server for a component: it takes all requests. */
void server_start(struct server *server);

/* Signals the client of a place, if there is one. */
void server_signal(const struct server *server, unsigned place);
