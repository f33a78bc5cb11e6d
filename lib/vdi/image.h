/* SPDX-License-Identifier: ISC */
/*
 * One image that is open: its header and its map in memory, checked. And the chain that a differencing image
 * forms with its parents.
 *
 * Opening asks for no bytes itself: the caller reads the header's, asks how much memory the image takes,
 * reads the map into it, and has the whole checked. That is the same for a file, a Block session and a test.
 *
 * What a hostile or broken map gets: a slot that the image cannot have (its number is not below block_count)
 * or that is not in the store (a cut image) is refused. Two blocks in one slot are refused for writing, since
 * a write to one would change the other; opened for reading they are counted and can still be rescued. A
 * wrong cBlocksAllocated is no reason to refuse: only the map says which slots are taken, so the number is
 * made from it. Slots below it that no block has are leaks and are used again.
 */
#pragma once

#include "lib/vdi/header.h"

#define VDI_MAP_FREE  UINT32_C(0xffffffff) /* the parent's block; zeros without a parent */
#define VDI_MAP_ZERO  UINT32_C(0xfffffffe) /* zeros, whatever the parent has */
#define VDI_CHAIN_ALL UINT32_MAX

struct vdi_image {
    struct vdi_header header;
    uint32_t *map;     /* as on the disk; the last unit is filled up with zeros */
    uint8_t *used;     /* a bit for each slot: some block has it, or it is being filled */
    uint64_t capacity; /* bytes the store has room for */
    uint32_t unit;     /* bytes that the store takes at a time, a power of two */
    bool writable;
    /* What opening found. */
    uint32_t mapped;     /* blocks with a slot */
    uint32_t duplicates; /* blocks whose slot an earlier one has */
    uint32_t slots;      /* one more than the highest slot taken */
    bool
        count_was_low; /* cBlocksAllocated was below `slots`: another program would have overwritten blocks */
};

struct vdi_image_config {
    uint32_t *map;     /* vdi_map_memory() bytes, the first vdi_map_size() of them read from map_offset */
    uint8_t *used;     /* vdi_used_memory() bytes, of any content */
    uint64_t size;     /* bytes the store has */
    uint64_t capacity; /* bytes it may be given: that of a disk is `size`, a file's may be more */
    uint32_t unit;     /* what the store takes at a time: 512 to 4096, for reading also 1 */
    bool writable;
};

/* Memory an image takes while it is open, beside struct vdi_image: 4 MiB and 128 KiB for 1 TiB in blocks of 1
 * MiB. */
uint64_t vdi_map_memory(const struct vdi_header *header, uint32_t unit);
uint64_t vdi_used_memory(const struct vdi_header *header);

/* Opens an image whose header was parsed. The arrays belong to the image until it is used no more. */
MUST_CHECK bool vdi_image_open(struct vdi_image *image, const struct vdi_header *header,
                               const struct vdi_image_config *config, struct vdi_error *error);

/*
 * Whether `count` images are a chain: each but the last is differencing and the next one is its parent
 * in the state it had when the child was made (uuidLinkage is the parent's uuidCreate, uuidParentModify its
 * uuidModify; a parent that was written since would show other bytes below the child's). Only the first may
 * be writable. A parent may be smaller (the rest reads as zeros) or larger than its child.
 */
MUST_CHECK bool vdi_chain_check(const struct vdi_image *images, uint32_t count, struct vdi_error *error);

/* Where bytes of a disk are. */
struct vdi_extent {
    uint32_t image;  /* VDI_CHAIN_ALL: nowhere, they are zeros */
    uint64_t offset; /* in that image's store */
    uint64_t
        length; /* at least one byte, at most what was asked for, within one block of each image looked at */
};

/* Finds `length` > 0 bytes at `offset` of the disk, beginning at image `first` of the chain (0: all of it).
 */
struct vdi_extent vdi_chain_find(const struct vdi_image *images, uint32_t count, uint32_t first,
                                 uint64_t offset, uint64_t length);

/* The slot a block has, or one of the two words above. */
static inline bool vdi_is_slot(uint32_t entry)
{
    return entry < VDI_MAP_ZERO;
}

static inline bool vdi_slot_used(const struct vdi_image *image, uint32_t slot)
{
    return image->used[slot / 8] >> slot % 8 & 1;
}
