/* SPDX-License-Identifier: ISC */
/* A component's handles: the places in its table. services.c knows their kinds. */
#include "core/core.h"

const struct service *handle_services;

enum error handle_new(struct pd *pd, enum handle_kind kind, unsigned *result)
{
    bool memory = kind == HANDLE_RAM || kind == HANDLE_ROM || kind == HANDLE_SHARE; /* these, from the top */
    for (unsigned n = 1; n < (memory ? pd->places : HANDLES); n++) {
        unsigned i = memory ? pd->places - n : n;
        if (pd->handle[i].kind == HANDLE_NONE) {
            pd->handle[i] = (struct handle){.kind = (uint8_t)kind};
            *result = i;
            return ERROR_OK;
        }
    }
    return ERROR_LIMIT;
}

struct handle *handle_get(struct pd *pd, uint64_t handle, enum handle_kind kind)
{
    return handle_kind(pd, handle) == kind && !pd->handle[handle].closing ? &pd->handle[handle] : NULL;
}

enum handle_kind handle_kind(const struct pd *pd, uint64_t handle)
{
    return handle < pd->places ? (enum handle_kind)pd->handle[handle].kind : HANDLE_NONE;
}

enum error handle_close(struct pd *pd, unsigned handle)
{
    struct handle *closed = &pd->handle[handle];
    const struct service *service = &handle_services[closed->kind];
    closed->closing = true;
    if (service->close && service->close(pd, handle) == ERROR_MORE)
        return ERROR_MORE;
    closed->kind = HANDLE_NONE;
    return ERROR_OK;
}
