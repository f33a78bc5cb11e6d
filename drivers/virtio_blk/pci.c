/* SPDX-License-Identifier: ISC */
/* Where a virtio device has its registers (virtio 1.1, 4.1.4): vendor capabilities name parts of its BARs. */
#include "drivers/virtio_blk/virtio_blk.h"

#include <stddef.h>

#define CAPABILITIES   0x34u
#define CAPABILITY_MAX 48u /* in 192 bytes */
#define VENDOR         0x09u
#define BARS           6u

/* What is used of each part, at least. */
static const struct {
    uint32_t bytes;
    const char *missing;
} needed[VIRTIO_PARTS] = {[VIRTIO_COMMON] = {0x38, "the device has no common registers"},
                          [VIRTIO_NOTIFY] = {2, "the device has no doorbells"},
                          [VIRTIO_ISR] = {1, "the device has no interrupt status"},
                          [VIRTIO_CONFIG] = {0x18, "the device has no configuration of a disk"}};

/* The first of each kind is used, as the device prefers it. */
static void take(struct virtio_layout *layout, const uint32_t words[5])
{
    unsigned kind = words[0] >> 24, part = kind - 1;
    struct virtio_place place = {(uint8_t)words[1], words[2], words[3]};

    if (kind < 1 || kind > VIRTIO_PARTS || layout->part[part].bytes || place.bar >= BARS ||
        place.bytes < needed[part].bytes || place.offset % 4 || place.offset > UINT32_MAX - place.bytes)
        return;
    layout->part[part] = place;
    if (part == VIRTIO_NOTIFY)
        layout->notify_multiplier = words[4];
}

const char *virtio_find(uint32_t (*read)(void *context, unsigned offset), void *context,
                        struct virtio_layout *layout)
{
    unsigned at = read(context, CAPABILITIES) & 0xfc;

    *layout = (struct virtio_layout){0};
    for (unsigned i = 0; i < CAPABILITY_MAX && at >= 0x40; i++) {
        uint32_t words[5];

        words[0] = read(context, at);
        for (unsigned j = 1; (words[0] & 0xff) == VENDOR && j < 5 && at + 4 * j < 0x100; j++)
            words[j] = read(context, at + 4 * j);
        if ((words[0] & 0xff) == VENDOR && at + 0x14 <= 0x100)
            take(layout, words);
        at = words[0] >> 8 & 0xfc;
    }
    for (unsigned i = 0; i < VIRTIO_PARTS; i++)
        if (!layout->part[i].bytes)
            return needed[i].missing;
    return NULL;
}
