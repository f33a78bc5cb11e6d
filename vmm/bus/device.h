/* SPDX-License-Identifier: ISC */
/*
 * The operations that a board applies to all its parts. A board lists each part once, with its class. Its reset,
 * for example, is a loop over the list, so no part is forgotten.
 *
 * A part's saved state is a chunk: its name (16 bytes, padded with zeros), its number among parts of that
 * name, the version, the fields' length (32 bits each), and its fields.
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
    /* Attaches the part's own regions and clocks; NULL: it has none. */
    enum bus_status (*attach)(void *device, struct bus *bus);
    /* The fields of the part. */
    void (*save)(const void *device, struct state *state);
    /* Checks each field, and then all together. False: a field is impossible, or the length is wrong; the part
     * is unchanged. It drives no line: the part at the other end has its own saved state. */
    bool (*load)(void *device, struct state *state);
};

enum device_status {
    DEVICE_OK,
    DEVICE_CUT,     /* no room, or the chunk ends too early */
    DEVICE_OTHER,   /* another name or number */
    DEVICE_VERSION, /* saved by an unknown version */
    DEVICE_REFUSED  /* a field is impossible */
};

/* One chunk. If not DEVICE_OK, the part is unchanged and the cursor's place undefined. */
MUST_CHECK enum device_status device_save(const struct device_class *class, uint32_t number,
                                          const void *device, struct state *state);
MUST_CHECK enum device_status device_load(const struct device_class *class, uint32_t number, void *device,
                                          struct state *state);
