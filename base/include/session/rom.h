/* SPDX-License-Identifier: ISC */
/*
 * ROM: read-only bytes by name. Label: the name of a boot module, or "config" for the component's own
 * configuration, which the parent provides. The session is the dataspace: handle and length in bytes come
 * with PARENT_OPEN. Rights: MEM_READ. No operations.
 *
 * A ROM that changes is served by a component, so that PARENT_OPEN answers ERROR_PENDING. The client donates
 * what the header and the longest content that it takes need, and its memory begins with the header. The server
 * makes the version odd, writes, makes it even, and signals the client; version 0 is no content yet.
 */
#pragma once

#include <stdint.h>

#define ROM_SERVICE "ROM"

struct rom_header {
    uint64_t version; /* odd: being written */
    uint64_t bytes;   /* that follow the header */
};
