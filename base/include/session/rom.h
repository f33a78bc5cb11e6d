/* SPDX-License-Identifier: ISC */
/*
 * ROM: read-only bytes by name. Label: the name of a boot module, or "config" for the component's own
 * configuration, which the parent provides. The session is the dataspace: handle and length in bytes come
 * with PARENT_OPEN. Rights: MEM_READ. No operations.
 *
 * A ROM that changes is served by a component, so PARENT_OPEN answers ERROR_PENDING. The client donates memory
 * for the header and the longest content that it accepts; the header comes first. The server
 * makes the version odd, writes, makes it even, and signals the client; version 0 is no content yet.
 */
#pragma once

#include <stdint.h>

#define ROM_SERVICE "ROM"

struct rom_header {
    uint64_t version; /* odd: being written */
    uint64_t bytes;   /* that follow the header */
};
