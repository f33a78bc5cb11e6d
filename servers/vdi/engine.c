/* SPDX-License-Identifier: ISC */
/*
 * Requests, operations and transfers: the operation of index i has transfer i.
 */
#include "servers/vdi/engine.h"

#include <string.h>

static enum relay_action action_of(enum vdi_action action)
{
    switch (action) {
    case VDI_READ:
        return RELAY_READ;
    case VDI_WRITE:
        return RELAY_WRITE;
    case VDI_WRITE_ZEROES:
        return RELAY_ZERO;
    default:
        return RELAY_FLUSH;
    }
}

static void submit(void *context, struct vdi_operation *operation)
{
    struct engine *engine = context;
    struct relay_transfer *transfer = &engine->transfer[operation - engine->operation];
    uint8_t *bytes = operation->memory;

    if (!bytes && operation->action != VDI_FLUSH && operation->action != VDI_WRITE_ZEROES) {
        if (engine->ended) { /* and this had not begun */
            vdi_done(&engine->disk, operation, VDI_MEDIUM);
            return;
        }
        bytes = (uint8_t *)(uintptr_t)(operation->buffer + operation->buffer_offset); /* NOLINT: an address */
    }
    if (operation->action == VDI_CLEAR) {
        memset(bytes, 0, (size_t)operation->length);
        vdi_done(&engine->disk, operation, VDI_OK);
        return;
    }
    *transfer = (struct relay_transfer){.action = action_of(operation->action),
                                        .fua = operation->fua,
                                        .disk = operation->image,
                                        .offset = operation->offset,
                                        .length = operation->length,
                                        .bytes = bytes,
                                        .owner = operation};
    relay_send(&engine->relay, transfer);
}

static void transferred(void *context, struct relay_transfer *transfer, int status)
{
    struct engine *engine = context;
    struct vdi_operation *operation = transfer->owner;

    transfer->owner = NULL;
    vdi_done(&engine->disk, operation, status == RELAY_OK ? VDI_OK : VDI_MEDIUM);
}

static bool idle(const struct engine *engine)
{
    for (uint32_t i = 0; i < ENGINE_TAGS; i++)
        if (engine->busy[i])
            return false;
    return true;
}

static void complete(void *context, struct vdi_request *request)
{
    struct engine *engine = context;
    const uint32_t tag = (uint32_t)(request - engine->request);

    engine->busy[tag] = false;
    engine->ended = engine->ended && !idle(engine);
    engine->answer(engine->context, tag, request->status);
}

static void send(void *context, struct relay_piece *piece)
{
    const struct engine *engine = context;

    engine->submit(engine->context, piece);
}

bool engine_init(struct engine *engine, struct chain *chain, uint8_t *bounce, const uint8_t random[16],
                 struct vdi_error *error)
{
    const struct vdi_wiring wiring = {.context = engine, .submit = submit, .complete = complete};
    struct vdi_disk_config config = {.wiring = &wiring,
                                     .images = chain->image,
                                     .image_count = chain->count,
                                     .header = chain->header,
                                     .changes = engine->change,
                                     .change_count = ENGINE_CHANGES,
                                     .bounce = bounce,
                                     .bounce_size = ENGINE_BOUNCE,
                                     .operations = engine->operation,
                                     .operation_count = ENGINE_OPERATIONS};

    if (!bounce) {
        config.changes = NULL;
        config.change_count = 0;
    }
    memcpy(config.random, random, sizeof(config.random));
    engine->relay.context = engine;
    engine->relay.submit = send;
    engine->relay.complete = transferred;
    return vdi_disk_init(&engine->disk, &config, error);
}

enum vdi_status engine_begin(struct engine *engine, const struct vdi_request *request, uint8_t *bytes,
                             uint32_t tag)
{
    struct vdi_request *own = &engine->request[tag % ENGINE_TAGS];
    enum vdi_status status;

    if (tag >= ENGINE_TAGS || engine->busy[tag] || engine->ended || request->action > VDI_FLUSH)
        return VDI_INVALID;
    *own = (struct vdi_request){.action = request->action,
                                .fua = request->fua,
                                .offset = request->offset,
                                .length = request->length,
                                .buffer = (uintptr_t)bytes};
    engine->busy[tag] = true;
    status = vdi_submit(&engine->disk, own);
    if (status != VDI_OK)
        engine->busy[tag] = false;
    return status;
}

void engine_end(struct engine *engine)
{
    engine->ended = !idle(engine);
    for (uint32_t i = 0; i < ENGINE_OPERATIONS; i++) {
        const struct vdi_operation *operation = engine->transfer[i].owner;

        if (operation && !operation->memory)
            relay_forget(&engine->relay, &engine->transfer[i]);
    }
}
