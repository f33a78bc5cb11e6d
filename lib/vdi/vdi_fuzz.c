/* SPDX-License-Identifier: ISC */
/*
 * A hostile image and the load of a hostile client: header, map and parent from the input, then requests,
 * with operations that end in any order and may fail. No operation may leave the place it is for: header and
 * map are written where they are, data only in slots, parents only read, everything within the store; all
 * requests are answered; and while nothing failed no two blocks share a slot.
 */
#include "lib/vdi/create.h"
#include "lib/vdi/disk.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define UNIT           512u
#define MAP_MEMORY_MAX (64u << 10)
#define OPERATIONS     5
#define CHANGES        3
#define REQUESTS       8
#define BOUNCE         1024u
#define WORK_MAX       512u /* blocks a request may touch here; a server bounds them, too */

struct input {
    const uint8_t *bytes;
    size_t size;
};

struct fuzz {
    struct vdi_disk disk;
    struct vdi_image images[2];
    uint64_t size[2];
    struct vdi_operation operations[OPERATIONS], *pending[OPERATIONS];
    uint32_t pending_count, image_count;
    struct vdi_change changes[CHANGES];
    struct vdi_request requests[REQUESTS];
    bool busy[REQUESTS], may_fail, failed;
    uint8_t bounce[CHANGES * BOUNCE], header[UNIT];
};

static void require(bool condition)
{
    if (!condition)
        abort();
}

static uint64_t take(struct input *input, size_t count)
{
    uint64_t value = 0;

    count = count < input->size ? count : input->size;
    memcpy(&value, input->bytes, count);
    input->bytes += count;
    input->size -= count;
    return value;
}

static void submit(void *context, struct vdi_operation *operation)
{
    struct fuzz *fuzz = context;
    const struct vdi_image *image = fuzz->images;
    const struct vdi_header *header = &image->header;
    const uint64_t end = operation->offset + operation->length;
    const uint64_t map_end = header->map_offset + vdi_map_memory(header, UNIT);

    require(fuzz->pending_count < OPERATIONS && operation->image < fuzz->image_count);
    require(operation->length ? end > operation->offset : operation->action == VDI_FLUSH);
    if (operation->action == VDI_READ) {
        const struct vdi_header *of = &fuzz->images[operation->image].header;

        require(end <= fuzz->size[operation->image] && operation->offset >= of->data_offset &&
                operation->offset >= of->map_offset + vdi_map_size(of));
    }
    if (operation->action == VDI_WRITE || operation->action == VDI_WRITE_ZEROES ||
        operation->action == VDI_FLUSH)
        require(image->writable && !operation->image);
    if (operation->action == VDI_WRITE || operation->action == VDI_WRITE_ZEROES) {
        const uint8_t *memory = operation->memory;

        if (memory == fuzz->header)
            require(!operation->offset && operation->length == UNIT);
        else if (memory && memory >= (uint8_t *)image->map &&
                 memory < (uint8_t *)image->map + vdi_map_memory(header, UNIT))
            require(operation->length == UNIT && end <= map_end &&
                    operation->offset - header->map_offset == (uint64_t)(memory - (uint8_t *)image->map));
        else
            require(operation->offset >= header->data_offset && operation->offset >= map_end &&
                    end <= fuzz->size[0]);
    }
    fuzz->pending[fuzz->pending_count++] = operation;
}

static void complete(void *context, struct vdi_request *request)
{
    struct fuzz *fuzz = context;
    const size_t index = (size_t)(request - fuzz->requests);

    require(fuzz->busy[index]);
    require(request->status == VDI_OK || request->status == VDI_NO_SPACE || fuzz->failed);
    fuzz->busy[index] = false;
}

static void end_one(struct fuzz *fuzz, uint32_t which, bool fails)
{
    struct vdi_operation *operation;

    if (!fuzz->pending_count)
        return;
    which %= fuzz->pending_count;
    operation = fuzz->pending[which];
    fuzz->pending[which] = fuzz->pending[--fuzz->pending_count];
    fails &= fuzz->may_fail;
    fuzz->failed |= fails;
    vdi_done(&fuzz->disk, operation, fails ? VDI_MEDIUM : VDI_OK);
}

/* Version 0.2, of what is in a header. */
static void make_ancient(uint8_t bytes[VDI_HEADER_BYTES], const struct vdi_header *header)
{
    static const uint32_t version = VDI_VERSION_0_2, sector = VDI_SECTOR;

    memset(bytes + 0x44, 0, VDI_HEADER_BYTES - 0x44);
    memcpy(bytes + 0x44, &version, 4);
    memcpy(bytes + 0x48, &header->type, 4);
    memcpy(bytes + 0x15c, &sector, 4);
    memcpy(bytes + 0x160, &header->disk_size, 8);
    memcpy(bytes + 0x168, &header->block_size, 4);
    memcpy(bytes + 0x16c, &header->block_count, 4);
    memcpy(bytes + 0x174, &header->create, 16);
    memcpy(bytes + 0x184, &header->modify, 16);
    memcpy(bytes + 0x194, &header->parent_create, 16);
}

/* Changes up to seven fields, by a random value or a random bit. */
static void patch(struct input *input, uint8_t bytes[VDI_HEADER_BYTES])
{
    static const uint16_t fields[] = {0x40,  0x44,  0x48,  0x4c,  0x50,  0x154, 0x158, 0x168,
                                      0x170, 0x174, 0x178, 0x17c, 0x180, 0x184, 0x1a8, 0x1b8};

    for (uint64_t patches = take(input, 1) & 7; patches; patches--) {
        const uint64_t how = take(input, 1);
        const uint16_t at = fields[how & 15];
        uint32_t value;

        memcpy(&value, bytes + at, 4);
        value = how & 16 ? value ^ UINT32_C(1) << (how >> 5 | (take(input, 1) & 3) << 3)
                         : (uint32_t)take(input, 4);
        memcpy(bytes + at, &value, 4);
        if (how == 0xff)
            memset(bytes + (value & 16 ? 0x188 : 0x198), 0, 16);
    }
}

/* A header that is right, of up to 256 small blocks, then perhaps changed. */
static void make_header(struct input *input, uint8_t bytes[VDI_HEADER_BYTES], const struct vdi_header *parent)
{
    const uint64_t kind = take(input, 1);
    struct vdi_create_config config = {.type = VDI_DYNAMIC,
                                       .block_size = VDI_BLOCK_SIZE_MINIMUM << (kind >> 6)};
    struct vdi_header header;

    config.disk_size =
        (1 + (take(input, 1) & (kind & 16 ? 255 : 63))) * VDI_BLOCK_SIZE_MINIMUM + (kind & 2 ? UNIT : 0);
    config.parent = kind & 4 ? parent : NULL;
    config.type = config.parent ? VDI_DIFFERENCING : kind & 32 ? VDI_FIXED : VDI_DYNAMIC;
    memset(config.random, 0x11, sizeof(config.random));
    require(vdi_create(&header, &config, NULL));
    header.map_offset = UNIT;
    header.data_offset = UNIT + vdi_map_memory(&header, UNIT);
    vdi_header_build(bytes, &header);
    if (kind & 1)
        make_ancient(bytes, &header);
    if (kind & 8)
        patch(input, bytes);
}

/* Some words of the input's, and then what an image of its type has. */
static void fill_map(struct input *input, const struct vdi_header *header, uint32_t *map)
{
    const uint64_t given = take(input, 1) & 31;

    for (uint32_t i = 0; i < header->block_count; i++) {
        const uint64_t word = i < given ? take(input, 1) : 0xff;

        if (i >= given && header->type == VDI_FIXED)
            map[i] = i;
        else if (word >= 0xf0)
            map[i] = word < 0xf8 ? VDI_MAP_ZERO : VDI_MAP_FREE - (word == 0xf9) * 2;
        else
            map[i] = (uint32_t)word;
    }
}

/* Opens an image with a map of the input's. Exactly as much memory as the library asks for: a byte more is
 * seen. */
static bool open_image(struct input *input, struct vdi_image *image, const uint8_t bytes[VDI_HEADER_BYTES],
                       uint64_t *size, bool writable)
{
    static const uint32_t units[] = {UNIT, UNIT, UNIT, UNIT, UNIT, 1, 3, 8192};
    const uint64_t size_kind = take(input, 2);
    struct vdi_image_config config = {.writable = writable};
    struct vdi_header header;
    struct vdi_error error = {""};
    bool opened = false;

    if (!vdi_header_parse(&header, bytes, size_kind ? VDI_HEADER_BYTES : 0, &error)) {
        require(error.text[0] && memchr(error.text, '\0', sizeof(error.text)));
        return false;
    }
    /* What everything behind the parser relies on. */
    require(header.data_offset >= header.map_offset + vdi_map_size(&header) && header.map_offset >= 0x1a4 &&
            (uint64_t)header.block_count * header.block_size >= header.disk_size);
    config.unit = units[size_kind >> 1 & 7];
    if (vdi_map_memory(&header, config.unit) > MAP_MEMORY_MAX)
        return false;
    config.size = size_kind & 1 ? vdi_slot_offset(&header, header.block_count) : size_kind << 8;
    config.capacity = config.size - (size_kind == 0x5555);
    config.map = malloc(vdi_map_memory(&header, config.unit));
    config.used = malloc(vdi_used_memory(&header));
    require(config.map && config.used);
    fill_map(input, &header, config.map);
    opened = vdi_image_open(image, &header, &config, &error);
    require(opened || error.text[0]);
    *size = config.size;
    if (!opened) {
        free(config.map);
        free(config.used);
    }
    return opened;
}

static void close_image(struct vdi_image *image)
{
    free(image->map);
    free(image->used);
}

static void send(struct fuzz *fuzz, struct input *input)
{
    const uint64_t word = take(input, 6);
    const uint64_t length = (word >> 24 & 0xff) * UNIT;
    const uint64_t sectors = fuzz->images[0].header.disk_size / UNIT;
    struct vdi_request *request = &fuzz->requests[word >> 32 & (REQUESTS - 1)];

    if (fuzz->busy[request - fuzz->requests] || length / VDI_BLOCK_SIZE_MINIMUM > WORK_MAX)
        return;
    *request = (struct vdi_request){.action = (enum vdi_action)(word & 7), .fua = word >> 3 & 1};
    if (request->action != VDI_FLUSH && request->action != VDI_COMPACT) {
        request->offset = (word >> 8 & 0xffff) % (sectors + 4) * UNIT;
        request->length = length + (word >> 40 & 1);
    }
    fuzz->busy[request - fuzz->requests] = true;
    if (vdi_submit(&fuzz->disk, request) != VDI_OK)
        fuzz->busy[request - fuzz->requests] = false;
}

static void check_end(const struct fuzz *fuzz)
{
    const struct vdi_image *image = fuzz->images;
    uint32_t mapped = 0, used = 0;

    require(vdi_disk_idle(&fuzz->disk));
    for (uint32_t i = 0; i < REQUESTS; i++)
        require(!fuzz->busy[i]);
    if (fuzz->failed || !image->writable)
        return;
    for (uint32_t i = 0; i < image->header.block_count; i++) {
        used += vdi_slot_used(image, i);
        if (!vdi_is_slot(image->map[i]))
            continue;
        mapped++;
        require(image->map[i] < image->header.slot_count && vdi_slot_used(image, image->map[i]));
    }
    require(mapped == used && image->header.slot_count <= image->header.block_count);
}

static void run(struct fuzz *fuzz, struct input *input)
{
    const struct vdi_wiring wiring = {fuzz, submit, complete};
    struct vdi_disk_config config = {.wiring = &wiring,
                                     .images = fuzz->images,
                                     .image_count = fuzz->image_count,
                                     .header = fuzz->header,
                                     .changes = fuzz->changes,
                                     .change_count = CHANGES,
                                     .bounce = fuzz->bounce,
                                     .bounce_size = BOUNCE,
                                     .operations = fuzz->operations,
                                     .operation_count = OPERATIONS};

    require(vdi_disk_init(&fuzz->disk, &config, NULL));
    fuzz->may_fail = take(input, 1) & 1;
    while (input->size) {
        const uint64_t what = take(input, 1);

        if (what & 1)
            send(fuzz, input);
        else
            end_one(fuzz, (uint32_t)(what >> 4), (what & 0xe) == 2);
    }
    while (fuzz->pending_count)
        end_one(fuzz, 0, false);
    check_end(fuzz);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    struct fuzz *fuzz = calloc(1, sizeof(*fuzz));
    struct vdi_image parent;
    uint8_t bytes[VDI_HEADER_BYTES];
    uint64_t parent_size = 0;
    bool with_parent;

    require(fuzz);
    make_header(&input, bytes, NULL);
    with_parent = open_image(&input, &parent, bytes, &parent_size, false);
    make_header(&input, fuzz->header, with_parent ? &parent.header : NULL);
    if (open_image(&input, &fuzz->images[0], fuzz->header, &fuzz->size[0], take(&input, 1) & 1)) {
        fuzz->image_count = 1;
        if (with_parent && (fuzz->images[0].header.type == VDI_DIFFERENCING || size % 64 == 0)) {
            fuzz->images[1] = parent;
            fuzz->size[1] = parent_size;
            fuzz->image_count = 2;
        }
        if (vdi_chain_check(fuzz->images, fuzz->image_count, NULL))
            run(fuzz, &input);
        close_image(&fuzz->images[0]);
    }
    if (with_parent)
        close_image(&parent);
    free(fuzz);
    return 0;
}
