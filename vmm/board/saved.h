/* SPDX-License-Identifier: ISC */
/*
 * Saving the machine's parts and loading them into another machine of the same kind. What a processor itself
 * holds, and RAM, are not part of it. No vCPU runs meanwhile; by the thread of processor 0.
 */
#pragma once

#include "vmm/board/machine.h"

#define MACHINE_SAVED_MAX 8192u /* bytes that suffice */

struct machine_saved {
    enum device_status status;
    const char *name; /* of the part for which it is not DEVICE_OK, and which of them */
    unsigned number;
    size_t bytes;
    uint64_t now; /* virtual time at which the machine was saved: its clock is to go on from there */
};

/* A chunk for the machine itself and one for each part, in the order of machine_parts. */
struct machine_saved machine_save(struct machine *machine, uint64_t now, uint8_t *bytes, size_t size);

/* If not DEVICE_OK, the parts before the one that is named are as saved and the others as they were: the
 * machine is of no use before a machine_reset. `bytes` is not changed. */
struct machine_saved machine_load(struct machine *machine, uint8_t *bytes, size_t size);
