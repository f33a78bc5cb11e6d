/* SPDX-License-Identifier: ISC */
/*
 * The frame of a driver of disks, upon that of a server of disks (block_server.h): the controller reads and writes
 * the clients' own data areas, each of which is memory of the device while its session lasts. The driver never
 * looks at a byte of it.
 *
 * The component opens the device, brings the controller up by its library, says which disk a place is, and carries
 * out requests.
 */
#pragma once

#include "base/include/device.h"
#include "lib/block/block_server.h"
#include "lib/block/disk.h"
#include "lib/block/driver_config.h"

/* Where the device sees its driver's own memory; then come zeros and the clients. */
#define DRIVER_IO       0x1000000u
#define DRIVER_IO_BYTES 0x1000000u
#define DRIVER_ZEROS    0x10000u /* bytes that zeroes can be written from */

/* Selectors, and bits of CAP_NT: the interrupt's, then the clients'. */
#define DRIVER_CAP_IRQ CAP_FREE
#define DRIVER_BIT_IRQ 1ull

#define DRIVER_NEVER UINT64_MAX /* for times in milliseconds */

/* A place's disk. */
struct driver_disk {
    struct block_header header; /* sectors 0: none, or not known */
    bool zeroes;                /* the drive writes zeroes by itself */
    struct disk_request request[BLOCK_TAGS];
    bool mapped;
};

struct driver {
    /* The component's. */
    struct block_server server; /* session, and server.place, .places and .choose */
    struct driver_disk *disk;   /* one for each place */
    /* As a library's submit(): false: no room, nothing of it has been done. It is over by driver_done(). */
    bool (*submit)(unsigned place, struct disk_request *request);
    /* As a library's work(), after an interrupt (bits) or when its time has come: when to call it again, in
     * milliseconds, or DRIVER_NEVER. */
    uint64_t (*work)(uint64_t bits);
    /* The frame's. */
    struct driver_config config;
    uint64_t tsc_hz;
    struct device device;
    struct event interrupt;
    uint64_t interrupted; /* TSC, the last time */
    enum error (*frame_open)(void *context, unsigned place);
};

/* Writes the line "device LABEL: WRONG". */
void driver_wrong(const struct driver *driver, const char *wrong);

/*
 * Reads the configuration and opens the device with its only interrupt, by entry 0 of its table of MSI-X or by MSI.
 * False: the reason is on the log.
 */
MUST_CHECK bool driver_open(struct driver *driver, bool *msix);

/* Milliseconds from any point. */
uint64_t driver_now(const struct driver *driver);

/* From here on interrupts are served, by work(), which is called at once. */
void driver_work(struct driver *driver);

/* Has work() called at this time, too, if it was not to be called at all. */
void driver_wake(struct driver *driver, uint64_t next);

/* Zeroed memory of the component and of the device, which sees it at io_address, a multiple of 4096, from DRIVER_IO
 * on. False: the reason is on the log. */
MUST_CHECK bool driver_memory(struct driver *driver, uint64_t bytes, uint64_t io_address, void **attached);

/* Begins to serve. False: the reason is on the log. */
MUST_CHECK bool driver_serve(struct driver *driver);

/* The disk of a place is this from now on; header NULL: none, or not known. Its client is told. */
void driver_describe(struct driver *driver, unsigned place, const struct block_header *header);

void driver_done(struct driver *driver, const struct disk_request *request, enum disk_status status);
