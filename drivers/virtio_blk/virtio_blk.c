/* SPDX-License-Identifier: ISC */
/*
 * A virtio disk: one queue, in which each slot has descriptors, a header and a status byte of its own. So a chain
 * needs no allocation, and whatever the device writes into its ring can only name a slot that it has.
 */
#include "drivers/virtio_blk/virtio_blk.h"

#include <string.h>

/* Common registers (virtio 1.1, 4.1.4.3). */
#define DEVICE_FEATURE_SELECT 0x00u
#define DEVICE_FEATURE        0x04u
#define DRIVER_FEATURE_SELECT 0x08u
#define DRIVER_FEATURE        0x0cu
#define CONFIG_MESSAGE        0x10u
#define DEVICE_STATUS         0x14u
#define CONFIG_GENERATION     0x15u
#define QUEUE_SELECT          0x16u
#define QUEUE_SIZE            0x18u
#define QUEUE_MESSAGE         0x1au
#define QUEUE_ENABLE          0x1cu
#define QUEUE_NOTIFY          0x1eu
#define QUEUE_DESCRIPTORS     0x20u
#define QUEUE_AVAILABLE       0x28u
#define QUEUE_USED            0x30u

#define STATUS_ACKNOWLEDGE 1u
#define STATUS_DRIVER      2u
#define STATUS_RUNS        4u
#define STATUS_FEATURES    8u

/* Features (5.2.3, 6). */
#define FEATURE_SIZE_MAX  (1ull << 1)
#define FEATURE_SEG_MAX   (1ull << 2)
#define FEATURE_READ_ONLY (1ull << 5)
#define FEATURE_BLK_SIZE  (1ull << 6)
#define FEATURE_FLUSH     (1ull << 9)
#define FEATURE_TOPOLOGY  (1ull << 10)
#define FEATURE_DISCARD   (1ull << 13)
#define FEATURE_ZEROES    (1ull << 14)
#define FEATURE_VERSION_1 (1ull << 32)
#define FEATURE_PLATFORM  (1ull << 33) /* its DMA goes through an IOMMU */
#define FEATURES_USED                                                                                        \
    (FEATURE_SIZE_MAX | FEATURE_SEG_MAX | FEATURE_READ_ONLY | FEATURE_BLK_SIZE | FEATURE_FLUSH |             \
     FEATURE_TOPOLOGY | FEATURE_DISCARD | FEATURE_ZEROES | FEATURE_VERSION_1)

/* The disk's configuration (5.2.4). */
#define CONFIG_CAPACITY     0x00u
#define CONFIG_SIZE_MAX     0x08u
#define CONFIG_SEG_MAX      0x0cu
#define CONFIG_BLK_SIZE     0x14u
#define CONFIG_TOPOLOGY     0x18u
#define CONFIG_DISCARD_MOST 0x24u
#define CONFIG_ZEROES_MOST  0x30u
#define CONFIG_BYTES        0x3cu

enum request_type { TYPE_IN, TYPE_OUT, TYPE_FLUSH = 4, TYPE_ID = 8, TYPE_DISCARD = 11, TYPE_ZEROES = 13 };

#define ANSWER_OK 0u

/* The memory: descriptors, the two rings, then 64 bytes for each slot. */
#define ENTRIES_MAX    256u
#define AT_DESCRIPTORS 0x0000u
#define AT_AVAILABLE   0x1000u
#define AT_USED        0x1800u
#define AT_SLOTS       0x3000u
#define SLOT_BYTES     64u
#define SLOT_RANGE     16u /* behind the header: what is discarded */
#define SLOT_STATUS    32u
#define CHAIN          8u /* descriptors of a slot: header, pieces, status */
#define FLAG_NEXT      1u
#define FLAG_WRITE     2u

_Static_assert(DISK_PIECES + 2 <= CHAIN, "a slot has descriptors for all pieces");
_Static_assert(VIRTIO_SLOTS == 32, "each slot has a bit");
_Static_assert(VIRTIO_SLOTS *CHAIN <= ENTRIES_MAX, "the ring has descriptors for all slots");

static uint32_t common_read(const struct virtio_blk *virtio, unsigned offset, unsigned bytes)
{
    return virtio->wiring.read(virtio->wiring.context, VIRTIO_COMMON, offset, bytes);
}

static void common_write(const struct virtio_blk *virtio, unsigned offset, unsigned bytes, uint32_t value)
{
    virtio->wiring.write(virtio->wiring.context, VIRTIO_COMMON, offset, bytes, value);
}

static void common_write64(const struct virtio_blk *virtio, unsigned offset, uint64_t value)
{
    common_write(virtio, offset, 4, (uint32_t)value);
    common_write(virtio, offset + 4, 4, (uint32_t)(value >> 32));
}

bool virtio_rest(const struct virtio_blk *virtio)
{
    common_write(virtio, DEVICE_STATUS, 1, 0);
    return common_read(virtio, DEVICE_STATUS, 1) == 0;
}

static uint64_t features_read(const struct virtio_blk *virtio)
{
    uint64_t features;

    common_write(virtio, DEVICE_FEATURE_SELECT, 4, 0);
    features = common_read(virtio, DEVICE_FEATURE, 4);
    common_write(virtio, DEVICE_FEATURE_SELECT, 4, 1);
    return features | (uint64_t)common_read(virtio, DEVICE_FEATURE, 4) << 32;
}

static void features_write(const struct virtio_blk *virtio, uint64_t features)
{
    common_write(virtio, DRIVER_FEATURE_SELECT, 4, 0);
    common_write(virtio, DRIVER_FEATURE, 4, (uint32_t)features);
    common_write(virtio, DRIVER_FEATURE_SELECT, 4, 1);
    common_write(virtio, DRIVER_FEATURE, 4, (uint32_t)(features >> 32));
}

/* All of the configuration at one time: the device counts its changes. False: it changes for ever. */
static bool config_read(const struct virtio_blk *virtio, uint32_t words[CONFIG_BYTES / 4])
{
    for (unsigned tries = 0; tries < 8; tries++) {
        uint32_t before = common_read(virtio, CONFIG_GENERATION, 1);

        for (unsigned i = 0; i < CONFIG_BYTES / 4; i++)
            words[i] = 4 * i + 4 <= virtio->layout.part[VIRTIO_CONFIG].bytes
                           ? virtio->wiring.read(virtio->wiring.context, VIRTIO_CONFIG, 4 * i, 4)
                           : 0;
        if (common_read(virtio, CONFIG_GENERATION, 1) == before)
            return true;
    }
    return false;
}

static uint32_t at_most(uint64_t value, uint32_t most)
{
    return value < most ? (uint32_t)value : most;
}

/* What the disk is, by its configuration and the features that both have. */
static const char *disk_read(struct virtio_blk *virtio, uint64_t features)
{
    struct virtio_disk *disk = &virtio->disk;
    uint32_t words[CONFIG_BYTES / 4], per;
    uint64_t capacity;

    if (!config_read(virtio, words))
        return "its configuration does not stay as it is";
    capacity = words[CONFIG_CAPACITY / 4] | (uint64_t)words[CONFIG_CAPACITY / 4 + 1] << 32;
    disk->bytes = features & FEATURE_BLK_SIZE ? words[CONFIG_BLK_SIZE / 4] : VIRTIO_SECTOR;
    if (disk->bytes < 512 || disk->bytes > 4096 || (disk->bytes & (disk->bytes - 1)))
        return "the size of its sectors is none of 512 to 4096 bytes";
    per = disk->bytes / VIRTIO_SECTOR;
    disk->sectors = capacity / per;
    if (!disk->sectors || capacity > UINT64_MAX / VIRTIO_SECTOR)
        return "it says that it has no sectors, or more than can be named";
    disk->physical = disk->bytes << (features & FEATURE_TOPOLOGY ? words[CONFIG_TOPOLOGY / 4] & 7 : 0);
    disk->most = UINT32_MAX / disk->bytes;
    if (features & FEATURE_SIZE_MAX)
        disk->most = at_most(words[CONFIG_SIZE_MAX / 4] / disk->bytes, disk->most);
    disk->pieces = at_most(features & FEATURE_SEG_MAX ? words[CONFIG_SEG_MAX / 4] : 1, DISK_PIECES);
    if (!disk->most || !disk->pieces)
        return "it takes no data";
    disk->read_only = features & FEATURE_READ_ONLY;
    disk->flushes = features & FEATURE_FLUSH;
    disk->most_discard = features & FEATURE_DISCARD ? words[CONFIG_DISCARD_MOST / 4] / per : 0;
    disk->most_zeroes = features & FEATURE_ZEROES ? words[CONFIG_ZEROES_MOST / 4] / per : 0;
    return NULL;
}

/* The largest power of two that both can have. */
static const char *queue_start(struct virtio_blk *virtio, uint16_t message)
{
    unsigned size;

    common_write(virtio, CONFIG_MESSAGE, 2, VIRTIO_NO_MESSAGE);
    common_write(virtio, QUEUE_SELECT, 2, 0);
    size = common_read(virtio, QUEUE_SIZE, 2);
    for (virtio->entries = ENTRIES_MAX; virtio->entries > size; virtio->entries /= 2)
        ;
    virtio->disk.depth = virtio->entries / CHAIN;
    if (!virtio->disk.depth)
        return "its queue is too short";
    virtio->notify = common_read(virtio, QUEUE_NOTIFY, 2) * virtio->layout.notify_multiplier;
    if (virtio->notify > virtio->layout.part[VIRTIO_NOTIFY].bytes - 2)
        return "its queue's doorbell is not among its doorbells";
    common_write(virtio, QUEUE_SIZE, 2, virtio->entries);
    common_write(virtio, QUEUE_MESSAGE, 2, message);
    if (common_read(virtio, QUEUE_MESSAGE, 2) != message)
        return "it does not take the message for its interrupt";
    common_write64(virtio, QUEUE_DESCRIPTORS, virtio->io_address + AT_DESCRIPTORS);
    common_write64(virtio, QUEUE_AVAILABLE, virtio->io_address + AT_AVAILABLE);
    common_write64(virtio, QUEUE_USED, virtio->io_address + AT_USED);
    common_write(virtio, QUEUE_ENABLE, 2, 1);
    return NULL;
}

const char *virtio_start(struct virtio_blk *virtio, bool behind_iommu, uint16_t message)
{
    uint64_t offered, features;
    const char *wrong;

    memset(virtio->memory, 0, VIRTIO_MEMORY);
    virtio->available = virtio->used = 0;
    virtio->dead = false;
    virtio->pin = message == VIRTIO_NO_MESSAGE;
    common_write(virtio, DEVICE_STATUS, 1, STATUS_ACKNOWLEDGE);
    common_write(virtio, DEVICE_STATUS, 1, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
    offered = features_read(virtio);
    features = offered & (FEATURES_USED | (behind_iommu ? FEATURE_PLATFORM : 0));
    if (!(features & FEATURE_VERSION_1))
        return "it has the interface of before version 1 only";
    if (behind_iommu && !(features & FEATURE_PLATFORM))
        return "its DMA does not go through the IOMMU (QEMU: iommu_platform=on)";
    features_write(virtio, features);
    common_write(virtio, DEVICE_STATUS, 1, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES);
    if (!(common_read(virtio, DEVICE_STATUS, 1) & STATUS_FEATURES))
        return "it does not take the features that it offers";
    wrong = disk_read(virtio, features);
    if (!wrong)
        wrong = queue_start(virtio, message);
    if (!wrong)
        common_write(virtio, DEVICE_STATUS, 1,
                     STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES | STATUS_RUNS);
    return wrong;
}

struct descriptor {
    uint64_t address;
    uint32_t bytes;
    uint16_t flags, next;
};

static void put(struct virtio_blk *virtio, unsigned at, uint64_t address, uint32_t bytes, unsigned flags)
{
    struct descriptor *table = (struct descriptor *)(void *)(virtio->memory + AT_DESCRIPTORS);

    table[at] = (struct descriptor){address, bytes, (uint16_t)flags, (uint16_t)(at + 1)};
}

/* Gives the slot's chain to the device. */
static void submit(struct virtio_blk *virtio, unsigned slot, enum request_type type)
{
    const struct disk_request *request = virtio->slot[slot];
    uint8_t *own = virtio->memory + AT_SLOTS + slot * SLOT_BYTES;
    uint64_t address = virtio->io_address + AT_SLOTS + slot * SLOT_BYTES;
    uint64_t first = request->sector * (virtio->disk.bytes / VIRTIO_SECTOR);
    uint32_t count = request->count * (virtio->disk.bytes / VIRTIO_SECTOR);
    uint16_t *ring = (uint16_t *)(void *)(virtio->memory + AT_AVAILABLE);
    unsigned at = slot * CHAIN, to_us = type == TYPE_IN || type == TYPE_ID ? FLAG_WRITE : 0;

    memset(own, 0, SLOT_BYTES);
    memcpy(own, &(uint32_t){type}, 4);
    own[SLOT_STATUS] = 0xff;
    put(virtio, at++, address, 16, FLAG_NEXT);
    if (type == TYPE_DISCARD || type == TYPE_ZEROES) {
        memcpy(own + SLOT_RANGE, &first, 8);
        memcpy(own + SLOT_RANGE + 8, &count, 4);
        put(virtio, at++, address + SLOT_RANGE, 16, FLAG_NEXT);
    } else if (type != TYPE_FLUSH) {
        memcpy(own + 8, &first, 8);
        for (unsigned i = 0; i < request->pieces; i++)
            put(virtio, at++, request->piece[i].address, request->piece[i].bytes, FLAG_NEXT | to_us);
    }
    put(virtio, at, address + SLOT_STATUS, 1, FLAG_WRITE);
    ring[2 + virtio->available % virtio->entries] = (uint16_t)(slot * CHAIN);
    __atomic_store_n(&ring[1], ++virtio->available, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    virtio->wiring.write(virtio->wiring.context, VIRTIO_NOTIFY, virtio->notify, 2, 0);
}

static bool data_fits(const struct virtio_disk *disk, const struct disk_request *request)
{
    uint64_t bytes = 0;

    if (request->count > disk->most || !request->pieces || request->pieces > disk->pieces)
        return false;
    for (unsigned i = 0; i < request->pieces; i++)
        bytes += request->piece[i].bytes;
    return bytes == (uint64_t)request->count * disk->bytes;
}

static bool fits(const struct virtio_disk *disk, const struct disk_request *request)
{
    if (request->action == DISK_FLUSH)
        return true;
    if (!request->count || request->sector >= disk->sectors ||
        request->count > disk->sectors - request->sector || (request->action != DISK_READ && disk->read_only))
        return false;
    switch (request->action) {
    case DISK_DISCARD:
        return request->count <= disk->most_discard;
    case DISK_WRITE_ZEROES:
        return request->count <= disk->most_zeroes;
    default:
        return data_fits(disk, request);
    }
}

/* A free slot, or VIRTIO_SLOTS. */
static unsigned slot_free(const struct virtio_blk *virtio)
{
    unsigned slot = ~virtio->busy ? (unsigned)__builtin_ctz(~virtio->busy) : VIRTIO_SLOTS;

    return slot < virtio->disk.depth ? slot : VIRTIO_SLOTS;
}

static void take(struct virtio_blk *virtio, unsigned slot, struct disk_request *request)
{
    virtio->slot[slot] = request;
    virtio->busy |= 1u << slot;
}

static void finish(struct virtio_blk *virtio, unsigned slot, enum disk_status status)
{
    struct disk_request *request = virtio->slot[slot];

    virtio->slot[slot] = NULL;
    virtio->busy &= ~(1u << slot);
    virtio->wiring.done(virtio->wiring.context, request, status);
}

bool virtio_submit(struct virtio_blk *virtio, struct disk_request *request)
{
    static const enum request_type types[] = {[DISK_READ] = TYPE_IN,
                                              [DISK_WRITE] = TYPE_OUT,
                                              [DISK_FLUSH] = TYPE_FLUSH,
                                              [DISK_DISCARD] = TYPE_DISCARD,
                                              [DISK_WRITE_ZEROES] = TYPE_ZEROES};
    unsigned slot = slot_free(virtio);

    if (virtio->dead || slot == VIRTIO_SLOTS)
        return false;
    take(virtio, slot, request);
    request->flushing = false;
    if (!fits(&virtio->disk, request))
        finish(virtio, slot, DISK_MEDIUM);
    else if (request->action == DISK_FLUSH && !virtio->disk.flushes)
        finish(virtio, slot, DISK_OK); /* it keeps nothing back */
    else
        submit(virtio, slot, types[request->action]);
    return true;
}

bool virtio_serial(struct virtio_blk *virtio, struct disk_request *request)
{
    unsigned slot = slot_free(virtio);

    if (virtio->dead || slot == VIRTIO_SLOTS)
        return false;
    take(virtio, slot, request);
    request->flushing = true; /* nothing follows */
    if (request->pieces != 1 || request->piece[0].bytes != VIRTIO_SERIAL)
        finish(virtio, slot, DISK_MEDIUM);
    else
        submit(virtio, slot, TYPE_ID);
    return true;
}

/* The device may write them meanwhile: each is read once. */
void virtio_serial_text(const uint8_t *data, char text[VIRTIO_SERIAL + 1])
{
    unsigned used = 0;

    for (; used < VIRTIO_SERIAL; used++) {
        char character = (char)((const volatile uint8_t *)data)[used];

        if (!character)
            break;
        text[used] = character > ' ' && character <= '~' ? character : ' ';
    }
    while (used && text[used - 1] == ' ')
        used--;
    text[used] = '\0';
}

/* A write that is to be durable has a flush behind it: the device has no such writes. */
static void answered(struct virtio_blk *virtio, unsigned slot)
{
    struct disk_request *request = virtio->slot[slot];
    uint8_t status = *(volatile uint8_t *)(virtio->memory + AT_SLOTS + slot * SLOT_BYTES + SLOT_STATUS);

    if (status != ANSWER_OK) {
        finish(virtio, slot, DISK_MEDIUM);
    } else if (request->fua && !request->flushing && virtio->disk.flushes &&
               (request->action == DISK_WRITE || request->action == DISK_WRITE_ZEROES)) {
        request->flushing = true;
        submit(virtio, slot, TYPE_FLUSH);
    } else {
        finish(virtio, slot, DISK_OK);
    }
}

static bool die(struct virtio_blk *virtio)
{
    virtio->dead = true;
    (void)virtio_rest(virtio); /* it may need longer: its memory stays its own */
    for (unsigned i = 0; i < VIRTIO_SLOTS; i++)
        if (virtio->slot[i])
            finish(virtio, i, DISK_GONE);
    return false;
}

bool virtio_work(struct virtio_blk *virtio)
{
    const volatile uint16_t *index = (const volatile uint16_t *)(const void *)(virtio->memory + AT_USED) + 1;
    const volatile uint32_t *ring = (const volatile uint32_t *)(const void *)(virtio->memory + AT_USED + 4);
    uint16_t count;

    if (virtio->dead)
        return false;
    if (virtio->pin) /* takes the interrupt back */
        (void)virtio->wiring.read(virtio->wiring.context, VIRTIO_ISR, 0, 1);
    count = (uint16_t)(__atomic_load_n(index, __ATOMIC_ACQUIRE) - virtio->used);
    for (; count; count--) {
        uint32_t head = ring[2 * (virtio->used % virtio->entries)], slot = head / CHAIN;

        virtio->used++;
        if (head % CHAIN || slot >= virtio->disk.depth || !virtio->slot[slot])
            return die(virtio);
        answered(virtio, slot);
    }
    return true;
}
