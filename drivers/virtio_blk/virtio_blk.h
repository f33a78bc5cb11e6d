/* SPDX-License-Identifier: ISC */
/*
 * A virtio disk on PCI (virtio 1.1, 2, 4.1 and 5.2), by the interface of version 1, which transitional devices
 * have as well. It knows no component: registers and memory are given to it, so that it is tested on the build
 * machine. Nothing here waits. What the device writes is copied once and checked: a device whose ring makes no
 * sense is reset and its requests end.
 *
 *   virtio_blk.c  bringing it up, requests and answers
 *   pci.c         where the device's registers are
 */
#pragma once

#include "lib/block/disk.h"

#define VIRTIO_SLOTS  32u
#define VIRTIO_MEMORY 0x4000u /* bytes that it needs */
#define VIRTIO_SECTOR 512u    /* the unit of the capacity */
#define VIRTIO_SERIAL 20u     /* bytes of a serial number */

#define VIRTIO_NO_MESSAGE 0xffffu

/* The parts of its registers: in a BAR, at an offset. */
enum virtio_part { VIRTIO_COMMON, VIRTIO_NOTIFY, VIRTIO_ISR, VIRTIO_CONFIG, VIRTIO_PARTS };

struct virtio_place {
    uint8_t bar;
    uint32_t offset, bytes;
};

struct virtio_layout {
    struct virtio_place part[VIRTIO_PARTS];
    uint32_t notify_multiplier;
};

/* From the capabilities in configuration space, of which `read` gives four bytes at a multiple of four. NULL, or
 * what is missing. */
const char *virtio_find(uint32_t (*read)(void *context, unsigned offset), void *context,
                        struct virtio_layout *layout);

struct virtio_disk {
    bool read_only, flushes;
    uint64_t sectors;                   /* of `bytes` */
    uint32_t bytes;                     /* of a sector: 512 to 4096 */
    uint32_t physical;                  /* bytes that it writes at once, a multiple */
    uint32_t most;                      /* sectors of a read or write, at most ... */
    unsigned pieces;                    /* ... and pieces */
    uint32_t most_discard, most_zeroes; /* sectors of those; 0: it has no such request */
    unsigned depth;
};

struct virtio_wiring {
    void *context;
    /* 1, 2 or 4 bytes at an offset of a part, which lies within it. */
    uint32_t (*read)(void *context, enum virtio_part part, unsigned offset, unsigned bytes);
    void (*write)(void *context, enum virtio_part part, unsigned offset, unsigned bytes, uint32_t value);
    /* It must not submit: that is for after virtio_work(). */
    void (*done)(void *context, struct disk_request *request, enum disk_status status);
};

struct virtio_blk {
    struct virtio_wiring wiring;
    struct virtio_layout layout;
    struct virtio_disk disk;
    uint8_t *memory; /* VIRTIO_MEMORY bytes, zero; the device sees them at io_address */
    uint64_t io_address;
    unsigned entries; /* of the ring */
    uint32_t notify;  /* offset of its doorbell */
    uint16_t available, used;
    bool dead, pin;
    uint32_t busy; /* slots, a bit each */
    struct disk_request *slot[VIRTIO_SLOTS];
};

/* Ends all that the device does; before its first DMA is allowed. False: not yet, call again in a millisecond. */
bool virtio_rest(const struct virtio_blk *virtio);

/*
 * From rest to where requests can be made; layout, wiring and memory are set. behind_iommu: what the device does
 * must go through it, which the device has to promise. message: of MSI-X for the queue, or VIRTIO_NO_MESSAGE for
 * the pin. NULL, or what is wrong.
 */
const char *virtio_start(struct virtio_blk *virtio, bool behind_iommu, uint16_t message);

/* False: nothing of it has been done, since as many as it takes are under way, or it is dead. A request that does
 * not fit the disk is refused with DISK_MEDIUM at once, by done(). */
bool virtio_submit(struct virtio_blk *virtio, struct disk_request *request);

/* After an interrupt: ends what the device has done. False: the device is dead, and all requests are ended. */
bool virtio_work(struct virtio_blk *virtio);

/* Asks for the disk's serial number: 20 bytes, in the request's one piece. Else like virtio_submit(). */
bool virtio_serial(struct virtio_blk *virtio, struct disk_request *request);

/* That number as a text of VIRTIO_SERIAL bytes at most: printable, without blanks at its end. */
void virtio_serial_text(const uint8_t *data, char text[VIRTIO_SERIAL + 1]);
