/* SPDX-License-Identifier: ISC */
/*
 * A chain of images: whether they belong together, and which of them has some bytes of the disk.
 */
#include "lib/vdi/image.h"

bool vdi_chain_check(const struct vdi_image *images, uint32_t count, struct vdi_error *error)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct vdi_header *child = &images[i].header;
        const struct vdi_header *parent;

        if (i && images[i].writable)
            return vdi_fail_entry(error, "parents opened for writing, in the chain at", i, "at most", 0, 1);
        if (child->type != VDI_DIFFERENCING)
            return i + 1 == count || vdi_fail_entry(error, "images below the one that has no parent,", i,
                                                    "at most", 0, count - i - 1);
        if (i + 1 == count)
            return vdi_fail_entry(error, "parents of the differencing image", i, "at least", 1, 0);
        parent = &images[i + 1].header;
        if (!vdi_uuid_equal(&child->parent_create, &parent->create))
            return vdi_fail_uuid(error, "another parent: its UUID (uuidCreate)", &child->parent_create,
                                 &parent->create);
        /* The ancient version did not note it. */
        if (child->version != VDI_VERSION_0_2 && !vdi_uuid_equal(&child->parent_modify, &parent->modify))
            return vdi_fail_uuid(error, "parent was written after its child was made: its state (uuidModify)",
                                 &child->parent_modify, &parent->modify);
    }
    return vdi_fail(error, "images of a chain", "at least 1", count);
}

struct vdi_extent vdi_chain_find(const struct vdi_image *images, uint32_t count, uint32_t first,
                                 uint64_t offset, uint64_t length)
{
    for (uint32_t i = first; i < count; i++) {
        const struct vdi_header *header = &images[i].header;
        const uint32_t within = (uint32_t)(offset & (header->block_size - 1));
        uint32_t entry;

        if (offset >= header->disk_size)
            break;
        entry = images[i].map[offset / header->block_size];
        if (length > header->block_size - within)
            length = header->block_size - within;
        if (length > header->disk_size - offset)
            length = header->disk_size - offset;
        if (vdi_is_slot(entry))
            return (struct vdi_extent){i, vdi_slot_offset(header, entry) + within, length};
        if (entry == VDI_MAP_ZERO)
            break;
    }
    return (struct vdi_extent){VDI_CHAIN_ALL, 0, length};
}
