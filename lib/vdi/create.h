/* SPDX-License-Identifier: ISC */
/*
 * A new image: what its header and map are. The caller writes the map, flushes, and writes the header last:
 * what was cut in between is no image. Header, map and data each begin at a multiple of 1 MiB, as VirtualBox
 * has it, so that no two of them share a sector of any disk.
 */
#pragma once

#include "lib/vdi/image.h"

struct vdi_create_config {
    enum vdi_type type;
    uint64_t disk_size;              /* a multiple of 512; of a differencing image that of the parent if 0 */
    uint32_t block_size;             /* 0: VDI_BLOCK_SIZE */
    const struct vdi_header *parent; /* of a differencing image: in the state it is to keep from now on */
    uint8_t random[2][16];           /* for its UUIDs */
};

/* Makes the header of a new image, checked as if it were read. */
MUST_CHECK bool vdi_create(struct vdi_header *header, const struct vdi_create_config *config,
                           struct vdi_error *error);

/* The map's words for blocks first to first + count - 1; beyond block_count they are zero. */
void vdi_create_map(const struct vdi_header *header, uint32_t first, uint32_t count, uint32_t *entries);

/* How large the store has to be at first: a fixed image has all its blocks, which must read as zeros. */
uint64_t vdi_create_size(const struct vdi_header *header);
