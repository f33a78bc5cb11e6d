/* SPDX-License-Identifier: ISC */
/*
 * What a board does alike with all its parts. A board lists its parts once, each with its class, and its
 * reset, for example, is a loop: a part that is in the list cannot be forgotten.
 */
#pragma once

#include "base/include/check.h"
#include "vmm/bus/bus.h"

struct device_class {
    const char *name;
    /* The reset line, or power-up again; `now` as for accesses. */
    void (*reset)(void *device, uint64_t now);
    /* Regions and clocks, where the part has any of its own; else NULL. */
    enum bus_status (*attach)(void *device, struct bus *bus);
};
