/* SPDX-License-Identifier: ISC */
/* The client of a Block session: lib/block's state machine on the parent's sessions. */
#include "lib/block/block.h"

#include "base/include/component.h"
#include "base/include/dataspace.h"
#include "base/include/log.h"

#define RETRY_TICKS (1u << 25) /* TSC, some 10 ms: a server that has no place now is asked again */

/* A session that ended before it was seen open may have a dataspace all the same. */
static void give_back(struct block *block)
{
    enum error error = session_close(block->session.id);

    if (!error && block->session.dataspace)
        error = dataspace_free(&(struct dataspace){.handle = block->session.dataspace});
    (void)error; /* it goes with the component then */
}

/* The state of the request; handles a session that ends before it was open. */
static enum error ask(struct block *block)
{
    const bool asked = block->session.id;
    const struct session_request request = {.service = BLOCK_SERVICE,
                                            .label = block->label,
                                            .donation = block->donation ? block->donation : BLOCK_DONATION,
                                            .base = block->signal,
                                            .bits = block->bit};
    enum error error = asked ? session_poll(&block->session) : session_open(&request, &block->session);

    if (!error || error == ERROR_PENDING)
        return error;
    if (asked)
        give_back(block);
    block->session = (struct session){0};
    return error;
}

static enum block_link link_open(void *context, void **memory, size_t *bytes)
{
    struct block *block = context;
    unsigned free = block->held[0].memory ? 1 : 0;
    bool asked = block->session.id;
    enum error error = ask(block);

    if (asked && error == ERROR_CLOSED) /* the server died before it answered: its next life may */
        error = ask(block);
    /* Memory of sessions that have ended comes back a moment later. */
    if (error == ERROR_NO_RAM && block->client.known)
        error = ERROR_BUSY;
    if (error == ERROR_BUSY)
        block->event.deadline = tsc_read() + RETRY_TICKS;
    if (error == ERROR_PENDING || error == ERROR_BUSY)
        return BLOCK_LINK_PENDING;
    if (!error)
        error = dataspace_attach(block->session.dataspace, 0, MEM_READ | MEM_WRITE, memory);
    if (error) {
        log_line("Block '%s': %s", block->label, error_text(error));
        return BLOCK_LINK_REFUSED;
    }
    block->held[free].memory = *memory;
    block->held[free].dataspace = block->session.dataspace;
    block->over = false;
    *bytes = block->session.bytes;
    return BLOCK_LINK_OPEN;
}

static bool link_ended(void *context)
{
    return ((struct block *)context)->over;
}

static void link_close(void *context)
{
    struct block *block = context;
    enum error error = block->session.id ? session_close(block->session.id) : ERROR_OK;

    (void)error; /* it has ended already */
    block->session.id = 0;
}

static void link_release(void *context, void *memory)
{
    struct block *block = context;

    for (unsigned i = 0; i < 2; i++)
        if (block->held[i].memory == memory) {
            enum error error = dataspace_free(&(struct dataspace){.handle = block->held[i].dataspace});

            (void)error; /* it goes with the component then */
            block->held[i].memory = NULL;
        }
}

static void link_signal(void *context)
{
    enum status status = nt_signal(((struct block *)context)->signal);

    (void)status; /* a server that has gone is told by the parent */
}

static void link_done(void *context, struct block_operation *operation, enum block_status status)
{
    struct block *block = context;

    block->done(block->context, operation, status);
}

static void link_changed(void *context)
{
    struct block *block = context;

    if (block->changed)
        block->changed(block->context);
}

static void block_work(void *context, uint64_t bits)
{
    struct block *block = context;

    if (bits & NT_PARENT_NEWS && block->session.id && block->client.state != BLOCK_CLIENT_OPENING)
        block->over = session_poll(&block->session) != ERROR_OK;
    if (block_client_work(&block->client))
        block->event.deadline = 0;
}

void block_start(struct block *block)
{
    static const struct block_wiring wiring = {.open = link_open,
                                               .ended = link_ended,
                                               .close = link_close,
                                               .release = link_release,
                                               .signal = link_signal,
                                               .done = link_done,
                                               .changed = link_changed};

    block_client_init(&block->client, &wiring);
    block->client.wiring.context = block;
    block->event = (struct event){
        .bits = block->bit | NT_PARENT_NEWS, .deadline = 0, .handle = block_work, .context = block};
    event_add(&block->event);
}

bool block_submit(struct block *block, struct block_operation *operation)
{
    return block_client_submit(&block->client, operation);
}
