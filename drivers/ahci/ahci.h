/* SPDX-License-Identifier: ISC */
/*
 * A SATA controller (AHCI 1.3.1) and the disks and optical drives at its ports (ATA8-ACS, MMC-6). It knows no
 * component: registers, memory and time are given to it, so that it is tested on the build machine. Nothing
 * here waits: each port is a state machine that goes on at interrupts and deadlines. What the controller and
 * its drives write or answer is copied once and checked; whatever it is, it costs a request or a drive.
 *
 *   ahci.c     the controller, and when which port has to do what
 *   port.c     a port's state machine: link, reset, identify, errors
 *   command.c  commands as the controller reads them
 *   identify.c what a drive tells of itself
 */
#pragma once

#include "lib/block/disk.h"

#include <stddef.h>

#define AHCI_PORTS     32u
#define AHCI_SLOTS     32u
#define AHCI_PIECE     0x400000u /* bytes of a piece, at most */
#define AHCI_SECTORS   0x10000u  /* of a request, at most; of an optical drive 64 */
#define AHCI_PORT_SIZE 0x4000u   /* bytes of memory for each port */
#define AHCI_NEVER     UINT64_MAX

/* What a drive tells of itself. */
struct ahci_drive {
    bool atapi;
    bool lba48, ncq, fua, discards, flushes, flushes_ext;
    unsigned depth;    /* commands under way, 1 without NCQ */
    uint64_t sectors;  /* of an optical drive: of its disc, 0 without one */
    uint32_t bytes;    /* of a sector */
    uint32_t physical; /* bytes that it writes at once, a multiple */
    char serial[21], model[41];
};

enum ahci_port_state {
    AHCI_ABSENT, /* the controller has no such port */
    AHCI_EMPTY,
    AHCI_STOPPING, /* to be reset, once it has let go of its memory */
    AHCI_RESETTING,
    AHCI_LINKING,
    AHCI_STARTING, /* until the drive has come to itself */
    AHCI_IDENTIFYING,
    AHCI_MEASURING, /* the disc of an optical drive */
    AHCI_READY,
    AHCI_RECOVERING, /* an error: to be started again without a reset */
    AHCI_EXPLAINING, /* and the drive asked which command it was */
    AHCI_DEAD        /* for good, or until it is taken away and put in again */
};

struct ahci_port {
    enum ahci_port_state state;
    uint64_t deadline;
    struct ahci_drive drive;
    bool known;        /* the drive is what it is now, whatever the state: requests may wait */
    const char *wrong; /* why it is dead */
    struct disk_request *slot[AHCI_SLOTS];
    uint32_t taken;  /* slots that have a request */
    uint32_t issued; /* slots that the drive has */
    uint32_t queued; /* of these, by NCQ */
    uint32_t failed; /* slots of NCQ of which the drive could not do one */
    uint64_t submitted;
    unsigned resets;   /* since something was done well */
    unsigned attempts; /* to measure the disc */
    uint8_t *memory;
    uint64_t io_address; /* where the controller sees that memory */
};

struct ahci_wiring {
    void *context;
    uint32_t (*read)(void *context, unsigned offset);
    void (*write)(void *context, unsigned offset, uint32_t value);
    /* The port's drive has become ready, or has gone: see ahci_drive(). */
    void (*changed)(void *context, unsigned port);
    /* It must not submit: that is for after ahci_work(). */
    void (*done)(void *context, unsigned port, struct disk_request *request, enum disk_status status);
};

enum ahci_rest { AHCI_REST_FIRST, AHCI_REST_FIRMWARE, AHCI_REST_RESET, AHCI_REST_DONE };

struct ahci {
    struct ahci_wiring wiring;
    enum ahci_rest rest;
    uint64_t rest_until;
    uint32_t implemented; /* ports */
    unsigned slots;
    bool wide;   /* it takes addresses of 64 bits */
    bool queues; /* it has NCQ */
    bool gone;   /* its registers read as ones: it is not there any more */
    struct ahci_port port[AHCI_PORTS];
};

/*
 * Brings the controller to rest; before its first DMA is allowed. The wiring is set, all else is 0. now:
 * milliseconds from any point, like all times here. False: not yet, to be called again in a millisecond, or,
 * with *wrong set, never: why.
 */
bool ahci_rest(struct ahci *ahci, uint64_t now, const char **wrong);

/* How many ports it has; once it is at rest. */
unsigned ahci_ports(const struct ahci *ahci);

/* memory: AHCI_PORT_SIZE bytes of zero for each port, at a multiple of 4096 here and where the controller sees
 * them. NULL, or what is wrong. */
const char *ahci_start(struct ahci *ahci, uint64_t now, uint8_t *memory, uint64_t io_address);

/* After an interrupt, and when a deadline has passed: the next deadline, or AHCI_NEVER. */
uint64_t ahci_work(struct ahci *ahci, uint64_t now);

/* The drive at a port; NULL: none that works. */
const struct ahci_drive *ahci_drive(const struct ahci *ahci, unsigned port);

/*
 * False: nothing of it has been done, for there is no drive, or as many requests as it takes are under way. The
 * request has been checked against the drive's sizes by the caller; one that does not fit is refused with
 * DISK_MEDIUM at once, by done().
 */
bool ahci_submit(struct ahci *ahci, unsigned port, struct disk_request *request, uint64_t now);
