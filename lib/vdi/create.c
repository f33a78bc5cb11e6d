/* SPDX-License-Identifier: ISC */
/*
 * Headers and maps of new images.
 */
#include "lib/vdi/create.h"

#include <string.h>

#define ALIGNMENT (UINT64_C(1) << 20)

static uint64_t align(uint64_t offset)
{
    return (offset + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
}

bool vdi_create(struct vdi_header *header, const struct vdi_create_config *config, struct vdi_error *error)
{
    uint8_t bytes[VDI_HEADER_BYTES];
    uint64_t blocks;

    memset(header, 0, sizeof(*header));
    if ((config->type == VDI_DIFFERENCING) != (config->parent != NULL))
        return vdi_fail(error, "type of a new image", "4, differencing, if and only if it has a parent",
                        config->type);
    header->type = config->type;
    header->block_size = config->block_size ? config->block_size : VDI_BLOCK_SIZE;
    header->disk_size = config->disk_size;
    if (config->parent) {
        header->parent_create = config->parent->create;
        header->parent_modify = config->parent->modify;
        if (!header->disk_size)
            header->disk_size = config->parent->disk_size;
    }
    header->create = vdi_uuid_random(config->random[0]);
    header->modify = vdi_uuid_random(config->random[1]);
    blocks = header->disk_size / header->block_size + (header->disk_size % header->block_size != 0);
    if (blocks > VDI_BLOCKS_MAXIMUM / 8) /* the place of the data has 32 bits */
        return vdi_fail_bound(error, "blocks of a new image", "at most", VDI_BLOCKS_MAXIMUM / 8, blocks);
    header->block_count = (uint32_t)blocks;
    header->slot_count = header->type == VDI_FIXED ? header->block_count : 0;
    header->map_offset = ALIGNMENT;
    header->data_offset = align(header->map_offset + vdi_map_size(header));
    vdi_header_build(bytes, header);
    return vdi_header_parse(header, bytes, sizeof(bytes), error);
}

void vdi_create_map(const struct vdi_header *header, uint32_t first, uint32_t count, uint32_t *entries)
{
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t block = (uint64_t)first + i;

        if (block >= header->block_count)
            entries[i] = 0;
        else
            entries[i] = header->type == VDI_FIXED ? (uint32_t)block : VDI_MAP_FREE;
    }
}

uint64_t vdi_create_size(const struct vdi_header *header)
{
    return vdi_slot_offset(header, header->type == VDI_FIXED ? header->block_count : 0);
}
