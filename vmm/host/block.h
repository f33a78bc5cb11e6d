/* SPDX-License-Identifier: ISC */
/*
 * The machine's disks: Block sessions (lib/block) behind the interface that chips have of a disk. A request's bytes
 * lie in the session's data area while the server has it, and the chip copies them from and to there: once.
 *
 * A disk is known before the machine is put together. When its server dies, the library opens the session again
 * and sends what was not answered once more; the guest sees a slow disk. Answers are taken on vCPU 0's thread;
 * requests come from any, with the chips' lock.
 */
#pragma once

#include "lib/block/block.h"
#include "vmm/board/machine.h"
#include "vmm/config/description.h"

#define HOST_DISK_CAPS (CAP_FREE + 4) /* a selector each */
#define HOST_DISK_BIT  4ull           /* of CAP_NT, a bit each */
#define HOST_DISK_AREA (DISK_AT_ONCE * DISK_SECTOR)
#define HOST_DISK_BITS (((1ull << DESCRIPTION_DISKS) - 1) * HOST_DISK_BIT)

struct host_disk {
    const struct vm_disk *description;
    const char *name; /* of the VM */
    struct disk disk;
    struct block block;
    struct block_operation operation;
    struct disk_request *request; /* that was not answered; NULL: none */
    uint32_t at;                  /* sectors of it that are done */
    bool waits;                   /* to be submitted */
    bool gone;                    /* was logged */
};

struct host_disks {
    struct host_disk disk[DESCRIPTION_DISKS];
    size_t count;
    const struct clock *clock; /* of the machine */
};

/* Opens the session of a disk that is behind its `description` and `name`. Not while the machine runs. */
void host_disk_open(struct host_disk *disk, unsigned number);

/* Once the session's disk is known: whether a machine can have it. False: a line was logged. */
MUST_CHECK bool host_disk_take(struct host_disk *disk);

/* Opens all of a description, and waits until each is known. False: a line was logged. */
MUST_CHECK bool host_disks_open(struct host_disks *disks, const struct vm_description *vm);

/* Puts them in their places. */
void host_disks_wire(const struct host_disks *disks, struct machine_config *config);

/* After machine_init(): attaches their clock. False: there is no room for it. */
MUST_CHECK bool host_disks_start(struct host_disks *disks, struct machine *machine);

/* Handles signals of CAP_NT, with the chips' lock. */
void host_disks_signal(struct host_disks *disks, uint64_t bits);
