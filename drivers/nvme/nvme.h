/* SPDX-License-Identifier: ISC */
/*
 * An NVMe controller (NVM Express 1.4) and its namespaces, by one pair of I/O queues. It knows no component:
 * registers, memory and time are given to it, so that it is tested on the build machine. Nothing here waits: the
 * controller is a state machine that goes on at interrupts and deadlines. What the controller writes is copied once
 * and checked.
 *
 * A controller that does not answer, or whose answers make no sense, is reset, and requests that it had are given to
 * it once more, a few times. It is dead when that does not help, or when it is another one afterwards.
 *
 *   nvme.c     the state machine: rest, start, requests, errors
 *   command.c  queues, and commands as the controller reads them
 *   identify.c what a controller and a namespace tell of themselves
 */
#pragma once

#include "lib/block/disk.h"

#define NVME_NAMESPACES 8u
#define NVME_SLOTS      63u /* requests under way, at most */
#define NVME_PAGE       0x1000u
#define NVME_MEMORY     0x15000u
#define NVME_MOST       0x80000u /* bytes of a read or write */
#define NVME_NEVER      UINT64_MAX

struct nvme_namespace {
    uint32_t id;
    const char *wrong; /* why it is no disk; NULL: it is one */
    uint64_t sectors;
    uint32_t bytes;       /* of a sector: 512 to 4096 */
    uint32_t most;        /* sectors of a read or write */
    uint32_t most_zeroes; /* 0: it does not write zeroes by itself */
    bool read_only;
};

/* What the controller tells of itself, and of its first namespaces. */
struct nvme_identity {
    char serial[21], model[41];
    bool flushes, discards, zeroes;
    uint64_t most;  /* bytes of a transfer */
    uint32_t count; /* of namespaces, as it says */
    unsigned namespaces;
    struct nvme_namespace namespace[NVME_NAMESPACES];
};

enum nvme_state {
    NVME_RESTING,
    NVME_ENABLING,
    /* By commands of the driver's own, one at a time: */
    NVME_IDENTIFYING,
    NVME_LISTING,   /* the namespaces' numbers */
    NVME_MEASURING, /* each of them */
    NVME_COUNTING,  /* queues */
    NVME_COMPLETIONS,
    NVME_SUBMISSIONS,
    NVME_READY,
    NVME_DEAD
};

struct nvme_wiring {
    void *context;
    uint32_t (*read)(void *context, unsigned offset);
    void (*write)(void *context, unsigned offset, uint32_t value);
    /* It may submit. */
    void (*done)(void *context, struct disk_request *request, enum disk_status status);
};

struct nvme_queue {
    unsigned entries, tail, head;
    bool phase; /* of the completions to come */
};

struct nvme {
    struct nvme_wiring wiring;
    uint8_t *memory;     /* NVME_MEMORY bytes, zero; at a multiple of 4096 here and for the controller, */
    uint64_t io_address; /* which sees it there */
    enum nvme_state state;
    const char *wrong; /* why it is dead */
    uint64_t deadline;
    unsigned stride;   /* bytes between two doorbells */
    unsigned entries;  /* of a queue, at most */
    unsigned depth;    /* requests under way */
    uint32_t patience; /* milliseconds until it is ready or at rest */
    struct nvme_queue admin, io;
    uint16_t command;                      /* identifier of its own command */
    unsigned measured;                     /* namespaces */
    unsigned resets;                       /* since something was done well */
    bool more;                             /* completions than one turn takes, perhaps */
    bool known;                            /* it has been ready once, */
    struct nvme_identity identity, before; /* and that is what it was */
    uint64_t busy;                         /* slots, a bit each */
    struct {
        struct disk_request *request;
        const struct nvme_namespace *namespace;
        bool issued;
        uint16_t round; /* told apart from the slot's request before */
    } slot[NVME_SLOTS];
};

/*
 * Brings the controller to rest; before its first DMA is allowed. wiring and memory are set, all else is 0. bytes: of
 * its registers. now: milliseconds from any point, like all times here. False: not yet, to be called again in a
 * millisecond, or, with *wrong set, never: why.
 */
bool nvme_rest(struct nvme *nvme, uint64_t bytes, uint64_t now, const char **wrong);

/* From rest towards NVME_READY or NVME_DEAD, by nvme_work(). */
void nvme_start(struct nvme *nvme, uint64_t now);

/* After an interrupt, and when a deadline has passed: the next deadline, or NVME_NEVER. */
uint64_t nvme_work(struct nvme *nvme, uint64_t now);

/*
 * False: nothing of it has been done, for the controller is dead or was never ready, or as many as it takes are under
 * way. number: of a namespace in identity that is a disk. A request that does not fit it is refused with DISK_MEDIUM
 * at once, by done().
 */
bool nvme_submit(struct nvme *nvme, unsigned number, struct disk_request *request, uint64_t now);
