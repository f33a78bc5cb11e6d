/* SPDX-License-Identifier: ISC */
/*
 * Opens a chain: of each image the header, then its map, both checked before anything is made of them. The
 * memory for a map is asked for only after the image was found to have it.
 */
#include "servers/vdi/chain.h"

#include <string.h>

__attribute__((format(printf, 2, 3))) static bool refuse(const struct chain_source *source,
                                                         const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    source->say(source->context, format, arguments);
    va_end(arguments);
    return false;
}

/* The map may begin at any byte, a store is read by its units. */
static bool read_map(const struct chain_source *source, uint32_t number, const struct chain_store *store,
                     const struct vdi_header *header, uint8_t *map)
{
    const uint64_t first = header->map_offset / store->unit * store->unit;
    const uint64_t end =
        (header->map_offset + vdi_map_size(header) + store->unit - 1) / store->unit * store->unit;

    for (uint64_t at = first; at < end;) {
        const uint64_t length = end - at < source->bounce_size ? end - at : source->bounce_size;
        const uint64_t skip = at < header->map_offset ? header->map_offset - at : 0;
        const uint64_t done = at + skip - header->map_offset;
        const uint64_t left = vdi_map_size(header) - done;

        if (!source->read(source->context, number, at, length, source->bounce))
            return false;
        memcpy(map + done, source->bounce + skip, (size_t)(left < length - skip ? left : length - skip));
        at += length;
    }
    return true;
}

/* What has to be true of store and header before a map is read. */
static bool image_fits(const struct chain *chain, const struct chain_source *source, uint32_t number,
                       const struct vdi_header *header)
{
    const struct chain_store *store = &chain->store[number];
    const uint64_t end = header->map_offset + vdi_map_size(header);

    return end <= store->bytes / store->unit * store->unit ||
           refuse(source,
                  "image '%s': expected its map of %lu bytes at %lu on the disk, found a disk of %lu bytes",
                  store->label, vdi_map_size(header), header->map_offset, store->bytes);
}

static bool image_open(struct chain *chain, const struct chain_source *source, uint32_t number)
{
    const struct chain_store *store = &chain->store[number];
    struct vdi_image_config config = {.size = store->bytes,
                                      .capacity = store->bytes,
                                      .unit = store->unit,
                                      .writable = !number && !chain->read_only};
    struct vdi_error error = {""};
    struct vdi_header header;

    if (store->unit < VDI_SECTOR || store->unit > VDI_BLOCK_SIZE_MINIMUM || (store->unit & (store->unit - 1)))
        return refuse(source, "image '%s': expected a disk with sectors of 512 to 4096 bytes, found %u",
                      store->label, store->unit);
    if (store->bytes < store->unit)
        return refuse(source, "image '%s': expected a disk with an image on it, bytes of the disk, found %lu",
                      store->label, store->bytes);
    if (config.writable && store->read_only)
        return refuse(source,
                      "image '%s': expected a disk that can be written, found a read-only one "
                      "(read-only=\"yes\" is enough for reading)",
                      store->label);
    if (!source->read(source->context, number, 0, store->unit, source->bounce))
        return refuse(source, "image '%s': expected to read its header, found that the disk failed",
                      store->label);
    if (!vdi_header_parse(&header, source->bounce, store->unit, &error))
        return refuse(source, "image '%s': %s", store->label, error.text);
    if (config.writable) {
        chain->header = source->memory(source->context, store->unit);
        if (!chain->header)
            return refuse(source, "image '%s': no memory for its header", store->label);
        memcpy(chain->header, source->bounce, store->unit);
    }
    if (!image_fits(chain, source, number, &header))
        return false;
    config.map = source->memory(source->context, vdi_map_memory(&header, store->unit));
    config.used = config.map ? source->memory(source->context, vdi_used_memory(&header)) : NULL;
    if (!config.used)
        return refuse(source, "image '%s': expected memory for its map, bytes that it needs, found %lu",
                      store->label, vdi_map_memory(&header, store->unit) + vdi_used_memory(&header));
    if (!read_map(source, number, store, &header, (uint8_t *)config.map))
        return refuse(source, "image '%s': expected to read its map, found that the disk failed",
                      store->label);
    if (!vdi_image_open(&chain->image[number], &header, &config, &error))
        return refuse(source, "image '%s': %s", store->label, error.text);
    return true;
}

bool chain_open(struct chain *chain, const struct chain_source *source)
{
    struct vdi_error error = {""};

    for (uint32_t i = 0; i < chain->count; i++) {
        if (!image_open(chain, source, i))
            return false;
        if (chain->image[i].duplicates)
            (void)refuse(
                source,
                "image '%s': expected a slot for each block, found %u blocks with the slot of another",
                chain->store[i].label, chain->image[i].duplicates); /* it does no harm to a reader */
    }
    return vdi_chain_check(chain->image, chain->count, &error) ||
           refuse(source, "image '%s': %s", chain->store[0].label, error.text);
}
