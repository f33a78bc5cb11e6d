/* SPDX-License-Identifier: ISC */
/*
 * Wide accesses to chips that have eight data lines.
 *
 * The ISA bus cuts a 16 or 32-bit cycle to an 8-bit device into byte cycles at successive addresses, lowest
 * first. So a chip only needs a handler for one byte, which this calls for each byte.
 */
#pragma once

#include "vmm/bus/bus.h"

/* Calls `byte` once for every byte of the access, at offset, offset + 1 and so on, and puts the bytes that it
 * reads together. */
static inline void bus_split_bytes(void *device, struct bus_access *access, bus_handler *byte)
{
    uint64_t value = 0;

    if (access->size == 1) {
        byte(device, access);
        return;
    }
    for (unsigned i = 0; i < access->size; i++) {
        struct bus_access one = *access;

        one.offset = access->offset + i;
        one.value = access->write ? (access->value >> (i * 8)) & 0xff : 0xff;
        one.size = 1;
        byte(device, &one);
        value |= (one.value & 0xff) << (i * 8);
    }
    if (!access->write)
        access->value = value;
}
