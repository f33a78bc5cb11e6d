/* SPDX-License-Identifier: ISC */
/* The server's side of a Block session; see server.h. */
#include "lib/block/server.h"

#include <string.h>

#define OFFSET_UNIT 512u

bool block_place_open(struct block_place *place, void *memory, size_t bytes)
{
    uint8_t *start = memory;

    *place = (struct block_place){.header = memory, .data = start + BLOCK_DATA};
    if (bytes <= BLOCK_DATA || bytes > UINT32_MAX ||
        !ring_init(&place->requests, start + BLOCK_REQUESTS, BLOCK_RING, false) ||
        !ring_init(&place->answers, start + BLOCK_ANSWERS, BLOCK_RING, true))
        return false;
    place->data_bytes = (uint32_t)bytes - BLOCK_DATA;
    return true;
}

static void state_write(struct block_place *place, enum block_state state)
{
    __atomic_store_n(&place->header->state, (uint32_t)state, __ATOMIC_RELEASE);
}

void block_place_ready(struct block_place *place, const struct block_header *info)
{
    const size_t state = sizeof(info->state);

    place->info = *info;
    place->info.state = BLOCK_STATE_READY;
    memcpy((uint8_t *)place->header + state, (const uint8_t *)info + state, sizeof(*info) - state);
    state_write(place, BLOCK_STATE_READY);
}

void block_place_gone(struct block_place *place)
{
    place->broken = true;
    state_write(place, BLOCK_STATE_GONE);
}

/* What no client of good will makes. */
static bool makes_sense(const struct block_place *place, const struct block_request *request)
{
    bool data = request->action == BLOCK_READ || request->action == BLOCK_WRITE;
    bool may_fua = request->action == BLOCK_WRITE || request->action == BLOCK_WRITE_ZEROES;
    uint64_t bytes = data ? (uint64_t)request->count * place->info.sector_bytes : 0;

    return request->tag < BLOCK_TAGS && !place->busy[request->tag] && request->action < BLOCK_ACTIONS &&
           !(request->flags & ~(may_fua ? BLOCK_FUA : 0u)) && request->offset % OFFSET_UNIT == 0 &&
           bytes <= place->data_bytes && request->offset <= place->data_bytes - bytes &&
           place->under_way < place->info.depth;
}

static enum block_status check(const struct block_header *info, const struct block_request *request)
{
    bool data = request->action == BLOCK_READ || request->action == BLOCK_WRITE;

    if (request->action == BLOCK_FLUSH)
        return BLOCK_OK;
    if (!request->count || request->count > (data ? info->most : info->most_empty) ||
        request->sector >= info->sectors || request->count > info->sectors - request->sector)
        return BLOCK_RANGE;
    return request->action != BLOCK_READ && info->flags & BLOCK_READ_ONLY ? BLOCK_READ_ONLY_DISK : BLOCK_OK;
}

enum block_next block_place_next(struct block_place *place, struct block_request *request, bool *signal)
{
    enum block_status refused;
    enum ring_status status;
    size_t length;

    if (place->broken || place->info.state != BLOCK_STATE_READY)
        return place->broken ? BLOCK_NEXT_BROKEN : BLOCK_NEXT_NONE;
    status = ring_get(&place->requests, request, sizeof(*request), &length, signal);
    if (status == RING_EMPTY)
        return BLOCK_NEXT_NONE;
    place->broken = status != RING_OK || length != sizeof(*request) || !makes_sense(place, request);
    if (place->broken)
        return BLOCK_NEXT_BROKEN;
    place->busy[request->tag] = true;
    place->under_way++;
    refused = check(&place->info, request);
    if (!refused)
        return BLOCK_NEXT_REQUEST;
    block_place_answer(place, request->tag, refused, signal);
    return BLOCK_NEXT_REFUSED;
}

/* The ring has room for more answers than there are tags; a client that makes it look full is served no more. */
void block_place_answer(struct block_place *place, unsigned tag, enum block_status status, bool *signal)
{
    struct block_response answer = {.tag = (uint16_t)tag, .status = (uint8_t)status};

    place->busy[tag] = false;
    place->under_way--;
    if (!place->broken)
        place->broken = ring_put(&place->answers, &answer, sizeof(answer), signal) != RING_OK;
}
