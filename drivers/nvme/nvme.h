/* SPDX-License-Identifier: ISC */
/*
 * An NVMe controller (NVM Express 1.4): bringing it up, and commands one at a time through the admin queues
 * and one pair of I/O queues. It knows no component: registers, memory and the wait for an interrupt are
 * given to it, so that it is tested on the build machine.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define NVME_PAGE    0x1000u
#define NVME_PAGES   8u      /* of memory that it needs: queues, identify data, data */
#define NVME_DATA    5u      /* the first page of data ... */
#define NVME_BYTES   0x2000u /* ... and how much one command moves at most */
#define NVME_ENTRIES 16u     /* of each queue, if the controller takes as many */
#define NVME_MODEL   41u

enum nvme_queue { NVME_ADMIN, NVME_IO, NVME_QUEUES };

struct nvme_access {
    uint32_t (*read32)(void *context, unsigned offset);
    void (*write32)(void *context, unsigned offset, uint32_t value);
    /* Wait for an interrupt, or a millisecond where the controller sends none; false: for too long. */
    bool (*wait)(void *context);
};

struct nvme {
    const struct nvme_access *access;
    void *context;
    uint8_t *memory;     /* NVME_PAGES pages, zero */
    uint64_t io_address; /* where the controller sees them */
    unsigned stride;     /* bytes between two doorbells */
    unsigned entries;    /* of each queue, 2 to NVME_ENTRIES */
    struct {
        unsigned tail, head;
        unsigned busy; /* commands without an answer, fewer than entries */
        bool phase;    /* of the completions to come */
    } queue[NVME_QUEUES];
    uint16_t command; /* the last one's identifier */
    char model[NVME_MODEL];
    uint64_t blocks;
    uint32_t block_bytes;
};

/* Bring the controller to rest: it uses no memory any more. NULL, or why not. */
const char *nvme_stop(struct nvme *nvme);
/* From rest to where blocks can be read. The first four fields are set. NULL, or what is wrong. */
const char *nvme_start(struct nvme *nvme);
/* `count` blocks to or from where the controller sees `io_address`, a multiple of NVME_PAGE; NVME_BYTES at
 * most. False: it refused, or did not answer. *status: what it said, 0 for no answer. */
bool nvme_read(struct nvme *nvme, uint64_t block, unsigned count, uint64_t io_address, unsigned *status);
bool nvme_write(struct nvme *nvme, uint64_t block, unsigned count, uint64_t io_address, unsigned *status);

/* Put a read into the queue and do not wait for it. False: the queue is full and stays so. */
bool nvme_read_begin(struct nvme *nvme, uint64_t block, unsigned count, uint64_t io_address);
