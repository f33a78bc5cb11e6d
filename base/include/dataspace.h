/* SPDX-License-Identifier: ISC */
/*
 * Memory of a component: dataspaces and where they are attached, and the ROMs, which are dataspaces too.
 */
#pragma once

#include "base/include/caps.h"
#include "base/include/session/error.h"

#include <stddef.h>

struct dataspace {
    uint64_t handle;
    uint64_t bytes; /* a multiple of 4096 */
};

/*
 * Zeroed RAM of this many bytes, rounded up to pages, out of the own quota. From 2 MiB on it is aligned so
 * that it can be mapped by large pages. If there is too little, a line on the log says how much is missing.
 */
MUST_CHECK enum error dataspace_alloc(uint64_t bytes, struct dataspace *dataspace);
/* Detaches it everywhere in this component and gives it back. */
MUST_CHECK enum error dataspace_free(struct dataspace *dataspace);
/* rights: MEM_READ, MEM_WRITE, MEM_EXECUTE. address: 0 for any; else page-aligned and free. */
MUST_CHECK enum error dataspace_attach(uint64_t handle, uint64_t address, uint64_t rights, void **attached);
MUST_CHECK enum error dataspace_detach(void *attached);
/* Both steps, readable and writable. */
MUST_CHECK enum error memory_alloc(uint64_t bytes, struct dataspace *dataspace, void **attached);

struct rom {
    const void *data;
    size_t bytes;
    uint64_t session, handle;
};

/* Opens the ROM of this name and attaches it. An empty ROM has data == NULL. */
MUST_CHECK enum error rom_open(const char *name, struct rom *rom);
MUST_CHECK enum error rom_close(struct rom *rom);
