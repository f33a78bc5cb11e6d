/* SPDX-License-Identifier: ISC */
/*
 * The driver against a device that the input makes: where its registers are, its features and configuration, what it
 * writes into its ring and over its driver's memory. The sanitizers watch the driver's memory. Here it is checked that
 * registers lie where the device has some, that each chain names sectors of the disk and the bytes of its request in
 * the right direction, that a request ends once, and that all ends when the device behaves or is dead.
 */
#include <string.h>

#include "drivers/fuzz_input.h"
#include "drivers/virtio_blk/virtio_blk.h"

#define DATA     0x400000000ull
#define STRETCH  0x1000000u /* of data, for each request */
#define REQUESTS 40u
#define PARTS    0x1000u

struct link {
    uint64_t address;
    uint32_t bytes;
    uint16_t flags, next;
};

static _Alignas(4096) uint8_t memory[VIRTIO_MEMORY];
static struct virtio_blk virtio;
static struct {
    struct disk_request request;
    bool busy, serial;
} requests[REQUESTS];
static struct {
    uint64_t features, taken, descriptors, available, used;
    uint32_t config[15], select, status, generation;
    uint16_t size, notify, message, seen, given;
    bool unsteady;
    uint16_t heads[256];
    unsigned waiting;
} device;

static uint8_t *at(uint64_t address, size_t size)
{
    return memory_at(memory, sizeof(memory), address, size);
}

/* ---- Registers */

static uint32_t device_read(void *context, enum virtio_part part, unsigned offset, unsigned size)
{
    (void)context;
    check(offset + size <= virtio.layout.part[part].bytes);
    if (part == VIRTIO_CONFIG)
        return offset / 4 < 15 ? device.config[offset / 4] : 0;
    switch (part == VIRTIO_COMMON ? offset : 0) {
    case 0x04:
        return (uint32_t)(device.features >> 32 * device.select);
    case 0x14:
        return device.status;
    case 0x15:
        device.generation += device.unsteady;
        return device.generation & 0xff;
    case 0x18:
        return device.size;
    case 0x1a:
        return device.message;
    case 0x1e:
        return device.notify;
    default:
        return 0;
    }
}

static const struct link *link_at(unsigned index)
{
    check(index < device.size);
    return (const struct link *)(const void *)at(device.descriptors + 16ull * index, 16);
}

/* Sectors of 512 bytes, all of them on the disk. */
static void check_place(const uint8_t *place, uint64_t count)
{
    uint64_t first, capacity = device.config[0] | (uint64_t)device.config[1] << 32;

    memcpy(&first, place, 8);
    check(count && first < capacity && count <= capacity - first);
}

static void check_data(unsigned index, const uint8_t *header, uint32_t type)
{
    const struct link *link = link_at(index);
    uint64_t number = (link->address - DATA) / STRETCH, size = 0;
    const struct disk_request *request;

    check(link->address >= DATA && number < REQUESTS && requests[number].busy);
    request = &requests[number].request;
    check(requests[number].serial == (type == 8));
    for (unsigned i = 0; link->flags & 1; i++, link = link_at(link->next)) {
        check(i < request->pieces && link->address == request->piece[i].address);
        check(link->bytes == request->piece[i].bytes && !(link->flags & 2) == (type == 1));
        check(!(device.taken & 2) || link->bytes <= device.config[2] || type == 8);
        size += link->bytes;
    }
    if (type == 8) {
        check(size == 20);
        return;
    }
    check(request->action == (type ? DISK_WRITE : DISK_READ) && size % 512 == 0);
    check(type == 0 || !(device.taken & 32));
    check_place(header + 8, size / 512);
}

/* The chain that the driver has just put into the ring. */
static void check_chain(unsigned head)
{
    const struct link *link = link_at(head);
    const uint8_t *header = at(link->address, 16);
    uint32_t type, count;

    memcpy(&type, header, 4);
    check(link->bytes == 16 && link->flags == 1);
    switch (type) {
    case 4:
        break;
    case 11:
    case 13:
        check(device.taken >> (type == 11 ? 13 : 14) & 1 && !(device.taken & 32));
        link = link_at(link->next);
        check(link->bytes == 16 && link->flags == 1);
        memcpy(&count, at(link->address, 16) + 8, 4);
        check(count <= device.config[type == 11 ? 9 : 12]);
        check_place(at(link->address, 16), count);
        break;
    default:
        check(type <= 1 || type == 8);
        check_data(link->next, header, type);
        break;
    }
}

static void doorbell(void)
{
    uint16_t index, head;

    memcpy(&index, at(device.available + 2, 2), 2);
    check(device.status == 15 && (uint16_t)(index - device.seen) == 1);
    memcpy(&head, at(device.available + 4 + 2u * (device.seen % device.size), 2), 2);
    check_chain(head);
    check(device.waiting < 256);
    device.heads[device.waiting++] = head;
    device.seen = index;
}

static void set_half(uint64_t *value, bool high, uint32_t half)
{
    memcpy((uint8_t *)value + 4 * high, &half, 4);
}

static void device_write(void *context, enum virtio_part part, unsigned offset, unsigned size, uint32_t value)
{
    (void)context;
    check(offset + size <= virtio.layout.part[part].bytes);
    if (part == VIRTIO_NOTIFY) {
        doorbell();
        return;
    }
    check(part == VIRTIO_COMMON);
    switch (offset) {
    case 0x00:
    case 0x08:
        device.select = value & 1;
        break;
    case 0x0c:
        set_half(&device.taken, device.select, value);
        break;
    case 0x14:
        device.status = value;
        device.waiting = value ? device.waiting : 0;
        break;
    case 0x18:
        check(value <= device.size);
        device.size = (uint16_t)value;
        break;
    default:
        if (offset >= 0x20 && offset < 0x38)
            set_half(offset < 0x28   ? &device.descriptors
                     : offset < 0x30 ? &device.available
                                     : &device.used,
                     offset & 4, value);
        break;
    }
}

/* ---- Answers */

static void give(uint32_t head)
{
    if (device.status != 15 || !device.used)
        return;
    memcpy(at(device.used + 4 + 8ull * (device.given % device.size), 4), &head, 4);
    device.given++;
    memcpy(at(device.used + 2, 2), &device.given, 2);
}

static void answer(uint8_t how)
{
    unsigned which = device.waiting ? how % device.waiting : 0;
    uint16_t head = device.heads[which];
    const struct link *link;

    if (!device.waiting)
        return;
    device.heads[which] = device.heads[--device.waiting];
    link = link_at(head);
    for (unsigned i = 0; i < 8 && link->flags & 1 && link->next < device.size; i++)
        link = link_at(link->next);
    if (link->address >= FUZZ_IO && link->address < FUZZ_IO + sizeof(memory))
        *at(link->address, 1) = how >> 6;
    give(head);
}

static void scribble(void)
{
    unsigned place = (take() | (unsigned)take() << 8) % sizeof(memory);

    memory[place] = take();
}

/* ---- The driver's user */

static void done(void *context, struct disk_request *request, enum disk_status status)
{
    unsigned i = 0;

    (void)context;
    (void)status;
    while (i < REQUESTS && request != &requests[i].request)
        i++;
    check(i < REQUESTS && requests[i].busy);
    requests[i].busy = false;
}

static void submit(bool serial)
{
    unsigned number = take() % REQUESTS, how = take();
    struct disk_request *request = &requests[number].request;
    uint32_t size;

    if (requests[number].busy)
        return;
    *request = (struct disk_request){.action = (enum disk_action)(how % 5),
                                     .fua = how & 0x80,
                                     .sector = (uint64_t)take() << take() % 64,
                                     .count = take() | (how & 8 ? (uint32_t)take() << 8 : 0),
                                     .pieces = how >> 4 & 7};
    size = serial ? 20u - how % 2 : request->count * virtio.disk.bytes;
    for (unsigned i = 0; i < request->pieces && i < DISK_PIECES; i++) {
        uint32_t part = i + 1 < request->pieces ? size / 2 : size;

        request->piece[i] = (struct disk_piece){DATA + (uint64_t)number * STRETCH + i * 0x100000u, part};
        size -= part;
    }
    requests[number].busy = true;
    requests[number].serial = serial;
    if (!(serial ? virtio_serial : virtio_submit)(&virtio, request))
        requests[number].busy = false;
}

static bool step(void)
{
    uint8_t operation = take();

    switch (operation & 7) {
    case 0:
    case 1:
    case 2:
        submit(operation >> 3 == 31);
        break;
    case 3:
    case 4:
        answer(operation >> 3 == 31 ? 0xc0 : operation >> 3);
        break;
    case 5:
        scribble();
        break;
    case 6:
        give(operation >> 3 > 15 ? take() : take() * 8u);
        break;
    default:
        break;
    }
    return virtio_work(&virtio);
}

static void settle(void)
{
    for (unsigned i = 0; i < 200 && !virtio.dead; i++) {
        answer(0);
        (void)virtio_work(&virtio);
    }
    /* What it said about its ring may have cost an answer. */
    if (virtio.dead)
        for (unsigned i = 0; i < REQUESTS; i++)
            check(!requests[i].busy);
}

static uint8_t space[256];

static uint32_t space_read(void *context, unsigned offset)
{
    uint32_t value;

    (void)context;
    check(offset % 4 == 0 && offset <= 252);
    memcpy(&value, space + offset, 4);
    return value;
}

static void find(void)
{
    struct virtio_layout layout;
    unsigned count = take() % 8;

    memset(space, 0, sizeof(space));
    space[0x34] = 0x40;
    for (unsigned i = 0; i < count; i++) {
        unsigned at_place = 0x40 + 0x18 * i, how = take(), next = how & 1 ? at_place + 0x18 : take();
        uint32_t words[5] = {9u | next << 8 | (uint32_t)(1 + i % 4) << 24, how >> 1 & 7,
                             (uint32_t)take() << take() % 32,
                             how & 0x10 ? PARTS : (uint32_t)take() << take() % 32, how};

        memcpy(space + at_place, words, sizeof(words));
    }
    if (virtio_find(space_read, NULL, &layout))
        return;
    for (unsigned i = 0; i < VIRTIO_PARTS; i++)
        check(layout.part[i].bar < 6 && layout.part[i].bytes && layout.part[i].offset % 4 == 0 &&
              (uint64_t)layout.part[i].offset + layout.part[i].bytes <= UINT32_MAX);
}

/* Mostly what a device has, so that most inputs come to requests. */
static void make(void)
{
    static const uint16_t features[] = {0x6646, 0x6666, 0x0000, 0x6206};
    uint8_t kind = take();

    device.features = 1ull << 32 | 1ull << 33 | features[kind & 3];
    device.size = (uint16_t)(kind & 4 ? 256 : take() * 2);
    device.notify = (uint16_t)take();
    device.unsteady = kind == 0xff;
    device.config[0] = (uint32_t)take() << take() % 32;
    device.config[1] = kind & 8 ? (uint32_t)take() << take() % 32 : 0;
    device.config[2] = (uint32_t)take() << 9;
    device.config[3] = take();
    device.config[5] = kind & 0x10 ? (uint32_t)take() << take() % 8 : 512u << (kind >> 5 & 3);
    device.config[6] = take();
    device.config[9] = take();
    device.config[12] = take();
    virtio.layout.notify_multiplier = take();
    for (unsigned i = 0; i < VIRTIO_PARTS; i++)
        virtio.layout.part[i].bytes = PARTS;
    virtio.layout.part[VIRTIO_NOTIFY].bytes = 2 + take() * 16u;
    virtio.layout.part[VIRTIO_CONFIG].bytes = kind == 0xfe ? 0x18 : PARTS;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
    bytes = input;
    left = length;
    memset(&device, 0, sizeof(device));
    memset(requests, 0, sizeof(requests));
    virtio = (struct virtio_blk){.wiring = {.read = device_read, .write = device_write, .done = done},
                                 .memory = memory,
                                 .io_address = FUZZ_IO};
    if (take() % 8 == 0) {
        find();
        return 0;
    }
    make();
    if (!virtio_rest(&virtio) || virtio_start(&virtio, true, 0))
        return 0;
    while (left && step())
        ;
    settle();
    return 0;
}
