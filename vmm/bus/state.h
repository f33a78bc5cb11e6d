/* SPDX-License-Identifier: ISC */
/*
 * Saved state, field by field: a cursor over bytes, little-endian, that either puts or gets. One function
 * names the fields of a part for both directions, so they cannot differ.
 *
 * A cursor that has failed stays failed and does nothing more, so the caller checks once, at the end.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/include/check.h"

struct state {
    uint8_t *bytes;
    size_t size, at;
    uint64_t now; /* virtual time of the saved machine; no field holds a later time */
    bool loads;   /* fields are set from the bytes; else the bytes from the fields */
    bool failed;  /* no room, no bytes left, or a value that the field cannot have */
};

void state_u8(struct state *state, uint8_t *field);
void state_u16(struct state *state, uint16_t *field);
void state_u32(struct state *state, uint32_t *field);
void state_u64(struct state *state, uint64_t *field);
void state_bool(struct state *state, bool *field); /* a byte, 0 or 1 */
void state_bytes(struct state *state, uint8_t *field, size_t count);

/* Whether exactly all bytes were used. */
MUST_CHECK static inline bool state_is_whole(const struct state *state)
{
    return !state->failed && state->at == state->size;
}
