/* SPDX-License-Identifier: ISC */
/*
 * Saving the machine's parts and loading them into another machine of the same kind. Processors' registers
 * and RAM are not part of it. To be called by the thread of processor 0 while no vCPU runs.
 */
#pragma once

#include "vmm/board/machine.h"

#define MACHINE_SAVED_MAX 49152u /* bytes; suffices for every machine */

struct machine_saved {
    enum device_status status;
    const char *name; /* of the part that is not DEVICE_OK, and its number */
    unsigned number;
    size_t bytes;
    uint64_t now; /* virtual time at which the machine was saved, from which its clock must go on */
};

/* A chunk for the machine itself and one for each part, in the order of machine_parts. */
struct machine_saved machine_save(struct machine *machine, uint64_t now, uint8_t *bytes, size_t size);

/* If not DEVICE_OK, the parts before the named one are as saved and the others unchanged: the machine needs a
 * machine_reset before it can be used. `bytes` is not changed. */
struct machine_saved machine_load(struct machine *machine, uint8_t *bytes, size_t size);
