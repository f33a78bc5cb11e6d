/* SPDX-License-Identifier: ISC */
/* The client of a Block session: a state machine around two rings; see client.h. */
#include "lib/block/client.h"

#include <string.h>

#define SECTOR_MIN 512u
#define SECTOR_MAX 4096u
#define TURN       (2 * BLOCK_TAGS) /* answers taken in one */

static void state_enter(struct block_client *client, enum block_client_state state)
{
    client->state = state;
    client->wiring.changed(client->wiring.context);
}

void block_client_init(struct block_client *client, const struct block_wiring *wiring)
{
    *client = (struct block_client){.wiring = *wiring};
}

static void finish(struct block_client *client, unsigned tag, enum block_status status)
{
    struct block_operation *operation = client->tag[tag];

    client->tag[tag] = NULL;
    client->under_way--;
    client->wiring.done(client->wiring.context, operation, status);
}

/* No more of this disk: whatever is under way has not been done, or nobody will ever know. */
static void fail(struct block_client *client, const char *failure)
{
    if (client->memory) {
        client->wiring.close(client->wiring.context);
        client->wiring.release(client->wiring.context, client->memory);
    }
    if (client->old)
        client->wiring.release(client->wiring.context, client->old);
    client->memory = client->old = client->data = NULL;
    client->failure = failure;
    client->state = BLOCK_CLIENT_FAILED;
    for (unsigned i = 0; i < BLOCK_TAGS; i++)
        if (client->tag[i])
            finish(client, i, BLOCK_GONE);
    client->wiring.changed(client->wiring.context);
}

/* The server has died or lost its disk. What it had of writes is in the old data area. */
static void lose(struct block_client *client)
{
    client->wiring.close(client->wiring.context);
    if (client->old || !client->known) {
        client->wiring.release(client->wiring.context, client->memory); /* nothing was sent by this one */
    } else {
        client->old = client->memory;
        client->old_bytes = client->data_bytes;
    }
    client->memory = NULL;
    client->data = client->old ? (uint8_t *)client->old + BLOCK_DATA : NULL;
    state_enter(client, BLOCK_CLIENT_OPENING);
}

static bool header_is_good(const struct block_header *info)
{
    return info->sector_bytes >= SECTOR_MIN && info->sector_bytes <= SECTOR_MAX &&
           !(info->sector_bytes & (info->sector_bytes - 1)) && info->sectors &&
           info->sectors <= INT64_MAX / info->sector_bytes && info->most && info->most_empty && info->depth &&
           info->depth <= BLOCK_TAGS && memchr(info->serial, '\0', BLOCK_SERIAL);
}

static bool same_disk(const struct block_header *a, const struct block_header *b)
{
    return a->sectors == b->sectors && a->sector_bytes == b->sector_bytes && !strcmp(a->serial, b->serial) &&
           (a->flags & BLOCK_READ_ONLY) == (b->flags & BLOCK_READ_ONLY);
}

static void send(struct block_client *client, unsigned tag)
{
    const struct block_operation *operation = client->tag[tag];
    struct block_request request = {.sector = operation->sector,
                                    .count = operation->count,
                                    .offset = operation->offset,
                                    .tag = (uint16_t)tag,
                                    .action = (uint8_t)operation->action,
                                    .flags = operation->fua ? BLOCK_FUA : 0};
    bool signal = false;
    enum ring_status status = ring_put(&client->requests, &request, sizeof(request), &signal);

    (void)status; /* there is room for BLOCK_TAGS; a server that makes it look full does not answer */
    if (signal)
        client->wiring.signal(client->wiring.context);
}

static bool has_data(enum block_action action)
{
    return action == BLOCK_READ || action == BLOCK_WRITE;
}

/* Once more, in the first order. The data area is as it was: the bytes of writes, and what reads have brought. */
static void send_again(struct block_client *client)
{
    uint64_t after = 0;

    if (client->old) {
        memcpy(client->data, (const uint8_t *)client->old + BLOCK_DATA, client->data_bytes);
        client->wiring.release(client->wiring.context, client->old);
        client->old = NULL;
    }

    for (unsigned left = client->under_way; left; left--) {
        unsigned next = BLOCK_TAGS;

        for (unsigned i = 0; i < BLOCK_TAGS; i++)
            if (client->tag[i] && client->tag[i]->number > after &&
                (next == BLOCK_TAGS || client->tag[i]->number < client->tag[next]->number))
                next = i;
        if (next == BLOCK_TAGS)
            break;
        after = client->tag[next]->number;
        send(client, next);
    }
}

static void take_session(struct block_client *client, void *memory, size_t bytes)
{
    uint8_t *place = memory;

    client->memory = memory;
    client->data_bytes = bytes > UINT32_MAX ? UINT32_MAX - BLOCK_DATA : (uint32_t)(bytes - BLOCK_DATA);
    if (bytes <= BLOCK_DATA || !ring_init(&client->requests, place + BLOCK_REQUESTS, BLOCK_RING, true) ||
        !ring_init(&client->answers, place + BLOCK_ANSWERS, BLOCK_RING, false))
        fail(client, "the session's memory is too small");
    else if (client->old && client->data_bytes != client->old_bytes)
        fail(client, "the session's memory is of another size than before");
    else
        state_enter(client, BLOCK_CLIENT_WAITING);
}

/* The header was written before the state. */
static void take_header(struct block_client *client)
{
    struct block_header info;

    memcpy(&info, client->memory, sizeof(info));
    if (!header_is_good(&info)) {
        fail(client, "the server tells of a disk that cannot be");
        return;
    }
    if (client->known && !same_disk(&client->info, &info)) {
        fail(client, "another disk is there now");
        return;
    }
    if (client->known && info.depth < client->info.depth) {
        fail(client, "the server takes fewer requests than before");
        return;
    }
    client->known = true;
    client->info = info;
    client->data = (uint8_t *)client->memory + BLOCK_DATA;
    client->state = BLOCK_CLIENT_READY;
    send_again(client);
    client->wiring.changed(client->wiring.context);
}

/* True: there may be more, but others have to have their turn. */
static bool take_answers(struct block_client *client)
{
    for (unsigned i = 0; i < TURN && client->state == BLOCK_CLIENT_READY; i++) {
        struct block_response answer;
        bool signal = false;
        size_t length;
        enum ring_status status = ring_get(&client->answers, &answer, sizeof(answer), &length, &signal);

        if (signal)
            client->wiring.signal(client->wiring.context);
        if (status == RING_EMPTY)
            return false;
        if (status != RING_OK || length != sizeof(answer) || answer.tag >= BLOCK_TAGS ||
            !client->tag[answer.tag] || answer.status >= BLOCK_GONE) {
            fail(client, "the server's answers make no sense");
            return false;
        }
        finish(client, answer.tag, (enum block_status)answer.status);
    }
    return client->state == BLOCK_CLIENT_READY;
}

static uint32_t state_read(const struct block_client *client)
{
    return __atomic_load_n(&((const struct block_header *)client->memory)->state, __ATOMIC_ACQUIRE);
}

/* The last answers of a server that has ended count: what it says is done is done. */
static bool work_ready(struct block_client *client)
{
    bool over = client->wiring.ended(client->wiring.context) || state_read(client) != BLOCK_STATE_READY;
    bool more = take_answers(client);

    if (!over || more || client->state != BLOCK_CLIENT_READY)
        return more;
    lose(client);
    return false;
}

bool block_client_work(struct block_client *client)
{
    size_t bytes = 0;
    void *memory = NULL;

    if (client->state == BLOCK_CLIENT_READY && work_ready(client))
        return true;
    if (client->state == BLOCK_CLIENT_WAITING && client->wiring.ended(client->wiring.context))
        lose(client);
    if (client->state == BLOCK_CLIENT_OPENING) {
        switch (client->wiring.open(client->wiring.context, &memory, &bytes)) {
        case BLOCK_LINK_OPEN:
            take_session(client, memory, bytes);
            break;
        case BLOCK_LINK_REFUSED:
            fail(client, "there is no such disk");
            break;
        default:
            break;
        }
    }
    if (client->state == BLOCK_CLIENT_WAITING) {
        uint32_t state = state_read(client);

        if (state == BLOCK_STATE_READY) {
            take_header(client);
        } else if (state == BLOCK_STATE_GONE) {
            lose(client);
            return true; /* to ask again: no news will come of a session that this side has closed */
        } else if (state != BLOCK_STATE_NONE) {
            fail(client, "the server tells of a disk that cannot be");
        }
    }
    return false;
}

/* BLOCK_OK, or why the disk cannot do it. */
static enum block_status check(const struct block_client *client, const struct block_operation *operation)
{
    const struct block_header *info = &client->info;
    bool data = has_data(operation->action);
    uint32_t most = data ? info->most : info->most_empty;
    uint64_t bytes = (uint64_t)operation->count * info->sector_bytes;

    if (client->state == BLOCK_CLIENT_FAILED)
        return BLOCK_GONE;
    if (operation->action == BLOCK_FLUSH)
        return operation->count ? BLOCK_RANGE : BLOCK_OK;
    if (!operation->count || operation->count > most || operation->sector >= info->sectors ||
        operation->count > info->sectors - operation->sector || operation->action >= BLOCK_ACTIONS)
        return BLOCK_RANGE;
    if (data && (operation->offset % SECTOR_MIN || bytes > client->data_bytes ||
                 operation->offset > client->data_bytes - bytes))
        return BLOCK_RANGE;
    return operation->action != BLOCK_READ && info->flags & BLOCK_READ_ONLY ? BLOCK_READ_ONLY_DISK : BLOCK_OK;
}

bool block_client_submit(struct block_client *client, struct block_operation *operation)
{
    enum block_status status = check(client, operation);
    unsigned tag = 0;

    if (!client->known && client->state != BLOCK_CLIENT_FAILED)
        return false;
    if (status) {
        client->wiring.done(client->wiring.context, operation, status);
        return true;
    }
    if (client->under_way >= client->info.depth)
        return false;
    while (client->tag[tag])
        tag++;
    client->tag[tag] = operation;
    client->under_way++;
    operation->number = ++client->numbers;
    if (client->state == BLOCK_CLIENT_READY)
        send(client, tag);
    return true;
}
