/* SPDX-License-Identifier: ISC */
/*
 * The header of a VDI image: what it says, whether that can be, and how it is written.
 *
 * An image is a header, a map with a 32-bit little-endian word for each block of the disk, and slots of one
 * block each; the map says in which slot a block is. Read are versions 1.1 (header sizes 384 and 400) and
 * 0.2, the ancient one without offsets; written is 1.1. Types are dynamic, fixed and differencing (the blocks
 * that were not written are the parent's); undo images, obsolete, are refused.
 *
 * Every field is checked except those that have no meaning here: texts, the geometries and the word that was
 * the BIOS's translation mode.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/include/check.h"
#include "lib/vdi/error.h"

#define VDI_SECTOR             512u
#define VDI_HEADER_BYTES       512u /* this much of an image's beginning is looked at and written */
#define VDI_BLOCK_SIZE         (UINT32_C(1) << 20) /* what everybody makes, and QEMU insists on */
#define VDI_BLOCK_SIZE_MINIMUM (UINT32_C(1) << 12)
#define VDI_BLOCK_SIZE_MAXIMUM (UINT32_C(1) << 28)
#define VDI_BLOCKS_MAXIMUM                                                                                   \
    UINT32_C(                                                                                                \
        0xfffffff0) /* the last words of 32 bits mean something else in the map                         \
                          */
#define VDI_DISK_SIZE_MAXIMUM (UINT64_C(1) << 56)

enum vdi_version { VDI_VERSION_0_2 = 0x00000002, VDI_VERSION_1_1 = 0x00010001 };
enum vdi_type { VDI_DYNAMIC = 1, VDI_FIXED = 2, VDI_UNDO = 3, VDI_DIFFERENCING = 4 };

#define VDI_FLAG_ZERO_EXPAND UINT32_C(1)

struct vdi_header {
    uint32_t version, type, flags;
    uint32_t block_size, block_extra; /* each slot has this many bytes of somebody's own before its block */
    uint32_t block_count;             /* of the disk, and as many slots at most */
    uint32_t
        slot_count; /* cBlocksAllocated: other programs put the next new block into the slot of this number */
    uint32_t header_size; /* without the text before it; 0 in version 0.2 */
    uint64_t disk_size;   /* bytes */
    uint64_t map_offset, data_offset;
    struct vdi_uuid create, modify;               /* uuidCreate, uuidModify */
    struct vdi_uuid parent_create, parent_modify; /* uuidLinkage, uuidParentModify (not in version 0.2) */
};

/*
 * Takes a header out of the first `size` bytes of an image (VDI_HEADER_BYTES are looked at, `size` may be
 * less for an image that is shorter). False with a line on the first field that is wrong; *header must not be
 * used then.
 */
MUST_CHECK bool vdi_header_parse(struct vdi_header *header, const uint8_t *bytes, size_t size,
                                 struct vdi_error *error);

/* Whether the library writes such an image, to a store that takes multiples of `unit` bytes. */
MUST_CHECK bool vdi_header_writable(const struct vdi_header *header, uint32_t unit, struct vdi_error *error);

/* Builds all of a new image's first VDI_HEADER_BYTES. The header's size becomes 400, its version 1.1. */
void vdi_header_build(uint8_t bytes[VDI_HEADER_BYTES], const struct vdi_header *header);

/* Changes in a 1.1 header's bytes what writing changes: slot_count and modify. The rest stays as it was read.
 */
void vdi_header_update(uint8_t bytes[VDI_HEADER_BYTES], const struct vdi_header *header);

/* Bytes of the map on the disk, without what fills its last sector. */
static inline uint64_t vdi_map_size(const struct vdi_header *header)
{
    return (uint64_t)header->block_count * 4;
}

/* Where the block in slot `slot` begins in the image. */
static inline uint64_t vdi_slot_offset(const struct vdi_header *header, uint32_t slot)
{
    return header->data_offset + (uint64_t)slot * ((uint64_t)header->block_extra + header->block_size) +
           header->block_extra;
}

/* Makes a UUID of version 4 from 16 random bytes. */
struct vdi_uuid vdi_uuid_random(const uint8_t random[16]);

bool vdi_uuid_equal(const struct vdi_uuid *left, const struct vdi_uuid *right);
bool vdi_uuid_is_null(const struct vdi_uuid *uuid);
