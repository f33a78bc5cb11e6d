/* SPDX-License-Identifier: ISC */
/*
 * The guest's memory: the monitor's dataspaces, and where the guest sees them.
 */
#pragma once

#include "lib/vm/vm.h"
#include "vmm/board/shadow.h"
#include "vmm/firmware/e820.h"

#define HOST_MEMORY_RIGHTS (MEM_READ | MEM_WRITE | MEM_EXECUTE)

struct host_memory {
    struct e820_map map;
    struct guest_ram ram;
    struct dataspace low, high;
    struct dataspace rom;        /* bytes 0: no firmware */
    const char *name;            /* of the VM */
    const struct vm *vm;         /* once memory is attached */
    bool attached[RAM_SEGMENTS]; /* whether an attachment begins at a segment; with firmware only */
};

/* `bytes` of memory for the VM of this name. False: a line was logged. */
MUST_CHECK bool host_memory_alloc(struct host_memory *memory, const char *name, uint64_t bytes);

/* Attaches all RAM except the memory behind the VGA window, where accesses must exit, and that from `upto` to
 * 4 GiB. With firmware its ROM, and not what the machine has mapped below 1 MiB. `vm` stays the caller's. */
MUST_CHECK enum error host_memory_attach(struct host_memory *memory, const struct vm *vm, uint64_t upto);

/* Changes what the guest finds below 1 MiB, from a segment on. False: a line was logged. */
MUST_CHECK bool host_memory_map(struct host_memory *memory, uint64_t gpa, uint64_t bytes,
                                enum machine_memory what);
