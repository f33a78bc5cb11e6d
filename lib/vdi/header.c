/* SPDX-License-Identifier: ISC */
/*
 * Reading, checking and writing a VDI image's header. The offsets are those of the file.
 */
#include "lib/vdi/header.h"

#include <string.h>

#define SIGNATURE UINT32_C(0xbeda107f)

/* Both versions. */
#define AT_SIGNATURE 0x40
#define AT_VERSION   0x44

/* Version 0.2: the map follows the header and the slots follow the map. */
#define V0_AT_TYPE          0x48
#define V0_AT_FLAGS         0x4c
#define V0_AT_SECTOR_SIZE   0x15c
#define V0_AT_DISK_SIZE     0x160
#define V0_AT_BLOCK_SIZE    0x168
#define V0_AT_BLOCK_COUNT   0x16c
#define V0_AT_SLOT_COUNT    0x170
#define V0_AT_CREATE        0x174
#define V0_AT_MODIFY        0x184
#define V0_AT_PARENT_CREATE 0x194
#define V0_END              0x1a4

/* Version 1.1. */
#define AT_HEADER_SIZE   0x48
#define AT_TYPE          0x4c
#define AT_FLAGS         0x50
#define AT_MAP_OFFSET    0x154
#define AT_DATA_OFFSET   0x158
#define AT_SECTOR_SIZE   0x168
#define AT_DISK_SIZE     0x170
#define AT_BLOCK_SIZE    0x178
#define AT_BLOCK_EXTRA   0x17c
#define AT_BLOCK_COUNT   0x180
#define AT_SLOT_COUNT    0x184
#define AT_CREATE        0x188
#define AT_MODIFY        0x198
#define AT_PARENT_CREATE 0x1a8
#define AT_PARENT_MODIFY 0x1b8
#define AT_LCHS_SECTOR   0x1d4

#define HEADER_SIZE_OLD 384u
#define HEADER_SIZE     400u

_Static_assert(AT_HEADER_SIZE + HEADER_SIZE <= VDI_HEADER_BYTES, "the longest header is looked at whole");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the image's order is the machine's");

static uint32_t get32(const uint8_t *bytes, size_t at)
{
    uint32_t value;

    memcpy(&value, bytes + at, sizeof(value));
    return value;
}

static uint64_t get64(const uint8_t *bytes, size_t at)
{
    uint64_t value;

    memcpy(&value, bytes + at, sizeof(value));
    return value;
}

static void set32(uint8_t *bytes, size_t at, uint32_t value)
{
    memcpy(bytes + at, &value, sizeof(value));
}

static void set64(uint8_t *bytes, size_t at, uint64_t value)
{
    memcpy(bytes + at, &value, sizeof(value));
}

static struct vdi_uuid get_uuid(const uint8_t *bytes, size_t at)
{
    struct vdi_uuid uuid;

    memcpy(uuid.bytes, bytes + at, sizeof(uuid.bytes));
    return uuid;
}

bool vdi_uuid_equal(const struct vdi_uuid *left, const struct vdi_uuid *right)
{
    return !memcmp(left->bytes, right->bytes, sizeof(left->bytes));
}

bool vdi_uuid_is_null(const struct vdi_uuid *uuid)
{
    static const struct vdi_uuid null;

    return vdi_uuid_equal(uuid, &null);
}

struct vdi_uuid vdi_uuid_random(const uint8_t random[16])
{
    struct vdi_uuid uuid;

    memcpy(uuid.bytes, random, sizeof(uuid.bytes));
    uuid.bytes[7] = (uint8_t)((uuid.bytes[7] & 0x0f) | 0x40); /* time_hi_and_version, little-endian */
    uuid.bytes[8] = (uint8_t)((uuid.bytes[8] & 0x3f) | 0x80);
    return uuid;
}

static void get_0_2(struct vdi_header *header, const uint8_t *bytes)
{
    header->type = get32(bytes, V0_AT_TYPE);
    header->flags = get32(bytes, V0_AT_FLAGS);
    header->disk_size = get64(bytes, V0_AT_DISK_SIZE);
    header->block_size = get32(bytes, V0_AT_BLOCK_SIZE);
    header->block_count = get32(bytes, V0_AT_BLOCK_COUNT);
    header->slot_count = get32(bytes, V0_AT_SLOT_COUNT);
    header->create = get_uuid(bytes, V0_AT_CREATE);
    header->modify = get_uuid(bytes, V0_AT_MODIFY);
    header->parent_create = get_uuid(bytes, V0_AT_PARENT_CREATE);
    header->map_offset = V0_END;
    header->data_offset = V0_END + vdi_map_size(header);
}

static void get_1_1(struct vdi_header *header, const uint8_t *bytes)
{
    header->header_size = get32(bytes, AT_HEADER_SIZE);
    header->type = get32(bytes, AT_TYPE);
    header->flags = get32(bytes, AT_FLAGS);
    header->map_offset = get32(bytes, AT_MAP_OFFSET);
    header->data_offset = get32(bytes, AT_DATA_OFFSET);
    header->disk_size = get64(bytes, AT_DISK_SIZE);
    header->block_size = get32(bytes, AT_BLOCK_SIZE);
    header->block_extra = get32(bytes, AT_BLOCK_EXTRA);
    header->block_count = get32(bytes, AT_BLOCK_COUNT);
    header->slot_count = get32(bytes, AT_SLOT_COUNT);
    header->create = get_uuid(bytes, AT_CREATE);
    header->modify = get_uuid(bytes, AT_MODIFY);
    header->parent_create = get_uuid(bytes, AT_PARENT_CREATE);
    header->parent_modify = get_uuid(bytes, AT_PARENT_MODIFY);
}

static bool check_sizes(const struct vdi_header *header, struct vdi_error *error)
{
    uint64_t blocks;

    if (!header->disk_size || header->disk_size % VDI_SECTOR || header->disk_size > VDI_DISK_SIZE_MAXIMUM)
        return vdi_fail(error, "disk size", "a multiple of 512 bytes, at least one and at most 2^56",
                        header->disk_size);
    if (header->block_size < VDI_BLOCK_SIZE_MINIMUM || header->block_size > VDI_BLOCK_SIZE_MAXIMUM ||
        header->block_size & (header->block_size - 1))
        return vdi_fail(error, "block size", "a power of two from 4096 to 268435456", header->block_size);
    if (header->block_extra % VDI_SECTOR || header->block_extra > VDI_BLOCK_SIZE_MAXIMUM)
        return vdi_fail(error, "block extra", "a multiple of 512 up to 268435456", header->block_extra);
    blocks = (header->disk_size + header->block_size - 1) / header->block_size;
    if (blocks > VDI_BLOCKS_MAXIMUM)
        return vdi_fail_bound(error, "blocks of the disk", "at most", VDI_BLOCKS_MAXIMUM, blocks);
    if (header->block_count != blocks)
        return vdi_fail_bound(error, "block count", "as the disk's and a block's size give it,", blocks,
                              header->block_count);
    return true;
}

static bool check_places(const struct vdi_header *header, struct vdi_error *error)
{
    const uint64_t header_end =
        header->version == VDI_VERSION_0_2 ? V0_END : AT_HEADER_SIZE + header->header_size;
    const uint64_t map_end = header->map_offset + vdi_map_size(header);

    if (header->map_offset < header_end)
        return vdi_fail_bound(error, "place of the map", "behind the header, at least", header_end,
                              header->map_offset);
    if (header->data_offset < map_end)
        return vdi_fail_bound(error, "place of the data", "behind the map, at least", map_end,
                              header->data_offset);
    return true;
}

static bool check_uuids(const struct vdi_header *header, struct vdi_error *error)
{
    if (vdi_uuid_is_null(&header->create))
        return vdi_fail(error, "UUID of the image (uuidCreate)", "not null", 0);
    if (vdi_uuid_is_null(&header->modify))
        return vdi_fail(error, "UUID of its state (uuidModify)", "not null", 0);
    if (header->type == VDI_DIFFERENCING && vdi_uuid_is_null(&header->parent_create))
        return vdi_fail(error, "UUID of the parent (uuidLinkage) of a differencing image", "not null", 0);
    if (header->type != VDI_DIFFERENCING && !vdi_uuid_is_null(&header->parent_create))
        return vdi_fail(error, "type of an image with a parent (uuidLinkage)", "4, differencing",
                        header->type);
    return true;
}

bool vdi_header_parse(struct vdi_header *header, const uint8_t *bytes, size_t size, struct vdi_error *error)
{
    uint32_t sector_size;

    memset(header, 0, sizeof(*header));
    if (size < VDI_HEADER_BYTES)
        return vdi_fail(error, "size of the image", "a header, at least 512 bytes", size);
    if (get32(bytes, AT_SIGNATURE) != SIGNATURE)
        return vdi_fail_hex(error, "signature at 0x40", "0xbeda107f, a VDI image's",
                            get32(bytes, AT_SIGNATURE));
    header->version = get32(bytes, AT_VERSION);
    if (header->version == VDI_VERSION_0_2)
        get_0_2(header, bytes);
    else if (header->version == VDI_VERSION_1_1)
        get_1_1(header, bytes);
    else
        return vdi_fail_hex(error, "version", "0x10001 or 0x2", header->version);
    if (header->version == VDI_VERSION_1_1 && header->header_size != HEADER_SIZE_OLD &&
        header->header_size != HEADER_SIZE)
        return vdi_fail(error, "header size", "384 or 400", header->header_size);
    if (header->type != VDI_DYNAMIC && header->type != VDI_FIXED && header->type != VDI_DIFFERENCING)
        return vdi_fail(error, "type", "1 (dynamic), 2 (fixed) or 4 (differencing)", header->type);
    sector_size = get32(bytes, header->version == VDI_VERSION_0_2 ? V0_AT_SECTOR_SIZE : AT_SECTOR_SIZE);
    if (sector_size != VDI_SECTOR)
        return vdi_fail(error, "sector size", "512", sector_size);
    return check_sizes(header, error) && check_places(header, error) && check_uuids(header, error);
}

bool vdi_header_writable(const struct vdi_header *header, uint32_t unit, struct vdi_error *error)
{
    const uint64_t map_end = (header->map_offset + vdi_map_size(header) + unit - 1) / unit * unit;

    if (header->version != VDI_VERSION_1_1)
        return vdi_fail_hex(error, "version of an image to be written", "0x10001", header->version);
    if (header->flags & ~VDI_FLAG_ZERO_EXPAND)
        return vdi_fail_hex(error, "flags of an image to be written", "0x0 or 0x1", header->flags);
    if (header->block_extra)
        return vdi_fail(error, "block extra of an image to be written", "0", header->block_extra);
    if (header->map_offset % unit)
        return vdi_fail_bound(error, "place of the map of an image to be written", "a multiple of", unit,
                              header->map_offset);
    if (header->data_offset % unit)
        return vdi_fail_bound(error, "place of the data of an image to be written", "a multiple of", unit,
                              header->data_offset);
    if (header->disk_size % unit)
        return vdi_fail_bound(error, "disk size of an image to be written", "a multiple of", unit,
                              header->disk_size);
    if (header->data_offset < map_end)
        return vdi_fail_bound(error, "place of the data of an image to be written",
                              "behind the map's last sector, at least", map_end, header->data_offset);
    return true;
}

void vdi_header_build(uint8_t bytes[VDI_HEADER_BYTES], const struct vdi_header *header)
{
    static const char text[] = "<<< Donjon VDI disk image >>>\n";

    memset(bytes, 0, VDI_HEADER_BYTES);
    memcpy(bytes, text, sizeof(text) - 1);
    set32(bytes, AT_SIGNATURE, SIGNATURE);
    set32(bytes, AT_VERSION, VDI_VERSION_1_1);
    set32(bytes, AT_HEADER_SIZE, HEADER_SIZE);
    set32(bytes, AT_TYPE, header->type);
    set32(bytes, AT_FLAGS, header->flags);
    set32(bytes, AT_MAP_OFFSET, (uint32_t)header->map_offset);
    set32(bytes, AT_DATA_OFFSET, (uint32_t)header->data_offset);
    set32(bytes, AT_SECTOR_SIZE, VDI_SECTOR);
    set64(bytes, AT_DISK_SIZE, header->disk_size);
    set32(bytes, AT_BLOCK_SIZE, header->block_size);
    set32(bytes, AT_BLOCK_EXTRA, header->block_extra);
    set32(bytes, AT_BLOCK_COUNT, header->block_count);
    memcpy(bytes + AT_CREATE, header->create.bytes, sizeof(header->create.bytes));
    memcpy(bytes + AT_PARENT_CREATE, header->parent_create.bytes, sizeof(header->parent_create.bytes));
    memcpy(bytes + AT_PARENT_MODIFY, header->parent_modify.bytes, sizeof(header->parent_modify.bytes));
    set32(bytes, AT_LCHS_SECTOR, VDI_SECTOR);
    vdi_header_update(bytes, header);
}

void vdi_header_update(uint8_t bytes[VDI_HEADER_BYTES], const struct vdi_header *header)
{
    set32(bytes, AT_SLOT_COUNT, header->slot_count);
    memcpy(bytes + AT_MODIFY, header->modify.bytes, sizeof(header->modify.bytes));
}
