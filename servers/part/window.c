/* SPDX-License-Identifier: ISC */
/*
 * Windows on a disk.
 */
#include "servers/part/window.h"

static void send(void *context, struct relay_piece *piece)
{
    const struct windows *windows = context;

    windows->submit(windows->context, piece);
}

static void transferred(void *context, struct relay_transfer *transfer, int status)
{
    struct windows *windows = context;
    const struct window *window = transfer->owner;

    transfer->owner = NULL;
    windows->answer(windows->context, (uint32_t)(window - windows->window),
                    (uint32_t)(transfer - window->transfer), status);
}

void windows_init(struct windows *windows)
{
    windows->relay.context = windows;
    windows->relay.submit = send;
    windows->relay.complete = transferred;
}

void window_open(struct windows *windows, uint32_t client, const struct part_entry *entry)
{
    struct window *window = &windows->window[client];

    window->entry = entry;
    window->read_only = windows->read_only || entry->read_only;
}

static bool allowed(const struct windows *windows, const struct window *window,
                    const struct window_request *request)
{
    uint64_t bytes;

    if (!window->entry || request->tag >= WINDOW_TAGS || window->transfer[request->tag].owner)
        return false;
    if (request->action == RELAY_FLUSH)
        return true;
    bytes = window->entry->sectors * windows->sector_size;
    return request->length && request->offset <= bytes && request->length <= bytes - request->offset &&
           (request->offset | request->length) % windows->sector_size == 0 &&
           (request->action == RELAY_READ || !window->read_only);
}

bool window_begin(struct windows *windows, uint32_t client, const struct window_request *request)
{
    struct window *window = &windows->window[client];
    struct relay_transfer *transfer = &window->transfer[request->tag % WINDOW_TAGS];

    if (!allowed(windows, window, request))
        return false;
    *transfer = (struct relay_transfer){.action = request->action, .fua = request->fua, .owner = window};
    if (request->action != RELAY_FLUSH) {
        transfer->offset = window->entry->first * windows->sector_size + request->offset;
        transfer->length = request->length;
        transfer->bytes = request->bytes;
    }
    relay_send(&windows->relay, transfer);
    return true;
}

void window_end(struct windows *windows, uint32_t client)
{
    struct window *window = &windows->window[client];

    for (uint32_t i = 0; i < WINDOW_TAGS; i++)
        if (window->transfer[i].owner)
            relay_forget(&windows->relay, &window->transfer[i]);
}
