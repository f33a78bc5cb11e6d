/* SPDX-License-Identifier: ISC */
/*
 * The cursor; see state.h.
 */
#include "vmm/bus/state.h"

#include <string.h>

/* NULL: not so many bytes are there. */
static uint8_t *take(struct state *state, size_t count)
{
    uint8_t *place = state->bytes + state->at;

    if (state->failed || count > state->size - state->at) {
        state->failed = true;
        return NULL;
    }
    state->at += count;
    return place;
}

static void number(struct state *state, uint64_t *value, size_t bytes)
{
    uint8_t *place = take(state, bytes);
    uint64_t got = 0;

    if (!place)
        return;
    for (size_t i = 0; i < bytes; i++) {
        if (!state->loads)
            place[i] = (uint8_t)(*value >> 8 * i);
        got |= (uint64_t)place[i] << 8 * i;
    }
    *value = got;
}

void state_u8(struct state *state, uint8_t *field)
{
    uint64_t value = *field;

    number(state, &value, sizeof(*field));
    *field = (uint8_t)value;
}

void state_u16(struct state *state, uint16_t *field)
{
    uint64_t value = *field;

    number(state, &value, sizeof(*field));
    *field = (uint16_t)value;
}

void state_u32(struct state *state, uint32_t *field)
{
    uint64_t value = *field;

    number(state, &value, sizeof(*field));
    *field = (uint32_t)value;
}

void state_u64(struct state *state, uint64_t *field)
{
    number(state, field, sizeof(*field));
}

void state_bool(struct state *state, bool *field)
{
    uint64_t value = *field;

    number(state, &value, 1);
    if (value > 1)
        state->failed = true;
    else
        *field = value;
}

void state_bytes(struct state *state, uint8_t *field, size_t count)
{
    uint8_t *place = take(state, count);

    if (!place)
        return;
    if (state->loads)
        memcpy(field, place, count);
    else
        memcpy(place, field, count);
}
