/* SPDX-License-Identifier: ISC */
/* The server of Take (tests/components/many/take.h), for more clients than a notification has bits: they share one. */
#include "base/include/component.h"
#include "base/include/dataspace.h"
#include "base/include/log.h"
#include "base/include/session.h"
#include "tests/components/many/take.h"

#define CLIENTS  256u
#define BIT      1ull
#define CAP_PEER (CAP_FREE + 1)

static struct {
    struct session session; /* id 0: no session */
    void *memory;
} place[CLIENTS];

static void opened(const struct server_request *request)
{
    unsigned i = 0;
    enum error error;

    while (i < CLIENTS && place[i].session.id)
        i++;
    if (request->donation < TAKE_DONATION)
        error = server_want(request->id, TAKE_DONATION);
    else if (i == CLIENTS)
        error = server_refuse(request->id, ERROR_LIMIT);
    else
        error = server_ready(request->id, CAP_PEER + i, BIT, &place[i].session);
    if (!error && i < CLIENTS && place[i].session.id)
        error = dataspace_attach(place[i].session.dataspace, 0, MEM_READ | MEM_WRITE, &place[i].memory);
    if (error) {
        log_line("taker: %s", error_text(error));
        error = server_refuse(request->id, error); /* which fails when that has been said */
    }
}

static void closed(uint64_t id)
{
    for (unsigned i = 0; i < CLIENTS; i++)
        if (place[i].session.id == id) {
            enum error error = dataspace_free(&(struct dataspace){.handle = place[i].session.dataspace});
            if (error)
                log_line("taker: close: %s", error_text(error));
            place[i].session.id = 0;
        }
}

static void serve(unsigned i)
{
    uint64_t *word = place[i].memory;
    uint64_t sum = word[0] + word[place[i].session.bytes / 8 - 1];
    enum status status;

    if (word[1] == sum)
        return;
    word[1] = sum;
    status = nt_signal(CAP_PEER + i);
    (void)status; /* it has gone */
}

int component_main(void)
{
    struct server_request request;

    for (;;) {
        uint64_t bits;

        if (nt_wait(CAP_NT, DEADLINE_NEVER, &bits) != STATUS_OK)
            return 1;
        while (bits & NT_PARENT_NEWS && server_next(&request) == ERROR_OK)
            if (request.kind == REQUEST_OPEN)
                opened(&request);
            else
                closed(request.id);
        for (unsigned i = 0; bits & BIT && i < CLIENTS; i++)
            if (place[i].session.id && place[i].memory)
                serve(i);
    }
}
