/* SPDX-License-Identifier: ISC */
/*
 * Chunks of saved state; see device.h.
 */
#include "vmm/bus/device.h"

#include <string.h>

struct header {
    uint8_t name[DEVICE_NAME];
    uint32_t number, version, length;
};

static void header_fields(struct state *state, struct header *header)
{
    state_bytes(state, header->name, sizeof(header->name));
    state_u32(state, &header->number);
    state_u32(state, &header->version);
    state_u32(state, &header->length);
}

static struct header header_of(const struct device_class *class, uint32_t number)
{
    struct header header = {.number = number, .version = class->version};

    for (size_t i = 0; class->name[i] && i < DEVICE_NAME - 1; i++)
        header.name[i] = (uint8_t) class->name[i];
    return header;
}

enum device_status device_save(const struct device_class *class, uint32_t number, const void *device,
                               struct state *state)
{
    struct header header = header_of(class, number);
    struct state first = *state;

    header_fields(state, &header);
    if (state->failed)
        return DEVICE_CUT;
    header.length = (uint32_t)state->at;
    class->save(device, state);
    if (state->failed)
        return DEVICE_CUT;
    header.length = (uint32_t)state->at - header.length;
    header_fields(&first, &header);
    return DEVICE_OK;
}

enum device_status device_load(const struct device_class *class, uint32_t number, void *device,
                               struct state *state)
{
    const struct header expected = header_of(class, number);
    struct header header = {.length = 0};
    size_t size = state->size;
    bool loaded;

    header_fields(state, &header);
    if (state->failed || header.length > state->size - state->at)
        return DEVICE_CUT;
    if (memcmp(header.name, expected.name, sizeof(header.name)) != 0 || header.number != number)
        return DEVICE_OTHER;
    if (header.version != expected.version)
        return DEVICE_VERSION;
    state->size = state->at + header.length;
    loaded = class->load(device, state);
    state->size = size;
    return loaded ? DEVICE_OK : DEVICE_REFUSED;
}
