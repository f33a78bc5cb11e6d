/* SPDX-License-Identifier: ISC */
/*
 * What a board does alike with all its parts. A board lists its parts once, each with its class, and its
 * reset, for example, is a loop: a part that is in the list cannot be forgotten.
 *
 * A part's saved state is a chunk: its name (16 bytes, padded with zeros), which of several alike it is, the
 * version, the length of what follows (32 bits each), and its fields.
 */
#pragma once

#include "vmm/bus/bus.h"
#include "vmm/bus/state.h"

#define DEVICE_NAME 16u

struct device_class {
    const char *name; /* shorter than DEVICE_NAME */
    uint32_t version; /* of the saved state */
    /* The reset line, or power-up again; `now` as for accesses. */
    void (*reset)(void *device, uint64_t now);
    /* Regions and clocks, where the part has any of its own; else NULL. */
    enum bus_status (*attach)(void *device, struct bus *bus);
    /* The fields of the part. */
    void (*save)(const void *device, struct state *state);
    /* Checks each field, and then all together. False: one cannot be, or the bytes are more or less; the part
     * is as it was. No line is driven: whoever is at its other end has its own saved state. */
    bool (*load)(void *device, struct state *state);
};

enum device_status {
    DEVICE_OK,
    DEVICE_CUT,     /* no room, or the chunk ends too early */
    DEVICE_OTHER,   /* another name or number */
    DEVICE_VERSION, /* saved by a version that we do not know */
    DEVICE_REFUSED  /* a field that cannot be */
};

/* One chunk. Not DEVICE_OK: the part is as it was, and the cursor anywhere. */
MUST_CHECK enum device_status device_save(const struct device_class *class, uint32_t number,
                                          const void *device, struct state *state);
MUST_CHECK enum device_status device_load(const struct device_class *class, uint32_t number, void *device,
                                          struct state *state);
