/* SPDX-License-Identifier: ISC */
/*
 * Checking an image's map when it is opened.
 */
#include "lib/vdi/image.h"

#include <string.h>

uint64_t vdi_map_memory(const struct vdi_header *header, uint32_t unit)
{
    const uint64_t rounded = unit < VDI_SECTOR ? VDI_SECTOR : unit;

    return (vdi_map_size(header) + rounded - 1) / rounded * rounded;
}

uint64_t vdi_used_memory(const struct vdi_header *header)
{
    return ((uint64_t)header->block_count + 7) / 8;
}

static bool check_config(const struct vdi_header *header, const struct vdi_image_config *config,
                         struct vdi_error *error)
{
    const uint32_t unit = config->unit;

    if (!unit || unit > VDI_BLOCK_SIZE_MINIMUM || unit & (unit - 1) ||
        (config->writable && unit < VDI_SECTOR))
        return vdi_fail(error, "unit of the store", "a power of two from 512 to 4096, or 1 for reading",
                        unit);
    if (config->capacity < config->size)
        return vdi_fail_bound(error, "capacity of the store", "at least its size,", config->size,
                              config->capacity);
    if (config->size < header->map_offset + vdi_map_size(header))
        return vdi_fail_bound(error, "size of the image", "all of its map, at least",
                              header->map_offset + vdi_map_size(header), config->size);
    if (header->data_offset % unit || header->block_extra % unit)
        return vdi_fail_bound(error, "place of the data", "as the store's unit asks a multiple of", unit,
                              header->data_offset);
    if (header->disk_size % unit)
        return vdi_fail_bound(error, "disk size", "as the store's unit asks a multiple of", unit,
                              header->disk_size);
    return !config->writable || vdi_header_writable(header, unit, error);
}

/* The first block in a slot that some block has. */
static uint32_t block_of_slot(const struct vdi_image *image, uint32_t slot)
{
    uint32_t block = 0;

    while (image->map[block] != slot)
        block++;
    return block;
}

/* Looks at each entry once. */
static bool check_map(struct vdi_image *image, uint64_t size, struct vdi_error *error)
{
    const struct vdi_header *header = &image->header;

    for (uint32_t block = 0; block < header->block_count; block++) {
        const uint32_t slot = image->map[block];
        uint64_t end;

        if (!vdi_is_slot(slot))
            continue;
        if (slot >= header->block_count)
            return vdi_fail_entry(error, "slot of block", block, "a number below", header->block_count, slot);
        end = vdi_slot_offset(header, slot) + header->block_size;
        if (end > size)
            return vdi_fail_entry(error, "image is cut: size for block", block, "at least", end, size);
        if (vdi_slot_used(image, slot)) {
            image->duplicates++;
            if (image->writable)
                return vdi_fail_entry(error, "slot of block", block, "not the one of block",
                                      block_of_slot(image, slot), slot);
        }
        image->used[slot / 8] = (uint8_t)(image->used[slot / 8] | 1u << slot % 8);
        image->mapped++;
        if (slot >= image->slots)
            image->slots = slot + 1;
    }
    return true;
}

bool vdi_image_open(struct vdi_image *image, const struct vdi_header *header,
                    const struct vdi_image_config *config, struct vdi_error *error)
{
    const uint64_t map_size = vdi_map_size(header);

    memset(image, 0, sizeof(*image));
    if (!check_config(header, config, error))
        return false;
    image->header = *header;
    image->map = config->map;
    image->used = config->used;
    image->capacity = config->capacity;
    image->unit = config->unit;
    image->writable = config->writable;
    memset(image->used, 0, (size_t)vdi_used_memory(header));
    memset((uint8_t *)image->map + map_size, 0, (size_t)(vdi_map_memory(header, image->unit) - map_size));
    if (!check_map(image, config->size, error))
        return false;
    image->count_was_low = header->slot_count < image->slots;
    /* A number that is too high costs nothing but a leak, and the slots it counts may have been lost from the
     * map only. */
    if (image->count_was_low)
        image->header.slot_count = image->slots;
    else if (header->slot_count > header->block_count)
        image->header.slot_count = header->block_count;
    return true;
}
