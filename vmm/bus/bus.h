/* SPDX-License-Identifier: ISC */
/*
 * One I/O signature for ports and memory-mapped registers.
 *
 * A device model registers regions and, if it acts at points in time, a clock. The bus
 * finds the region of an access and calls its handler; an access that no region decodes is answered at once
 * as an empty bus does (reads are all ones, writes vanish). No model reads a clock: `now` is the virtual time
 * of the VM in nanoseconds since its start, and comes with the access.
 *
 * A region is either attached for good, before the VM runs, or movable: bus_move gives it another place while
 * vCPUs access the bus. Which region answers an address: RAM first (its accesses do not come here); then a
 * region attached for good; then the movable region that was attached first; last a vCPU's own window. A
 * region that is covered in part answers at the rest.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/include/check.h"
#include "vmm/bus/lock.h"
#include "vmm/bus/ram.h"

enum bus_kind { BUS_PORT, BUS_MMIO, BUS_KINDS };

/* One access to a region. The bus guarantees: size is 1, 2, 4 or 8 (ports: 1, 2 or 4), offset + size stays
 * within the region, value is zero beyond size on a write; it truncates what a read leaves in value. */
struct bus_access {
    uint64_t offset; /* from the start of the region */
    uint64_t value;  /* written data; the handler puts read data here; preset to all ones on a read */
    uint64_t now;    /* ns since the VM started */
    uint8_t size;    /* bytes */
    bool write;
    uint8_t cpu; /* number of the vCPU that accesses */
};

typedef void bus_handler(void *device, struct bus_access *access);

/* Many accesses of access->size bytes at one offset, one after the other, as one to a FIFO: their data are at `bytes`.
 * Returns how many were made; the others are made one by one. access->value is not used. */
typedef size_t bus_block_handler(void *device, const struct bus_access *access, uint8_t *bytes, size_t count);

struct bus_region {
    const char *name; /* static storage; used in messages */
    uint64_t base;
    uint64_t length;
    bus_handler *handler;
    bus_block_handler *block; /* ports only; NULL: one by one */
    void *device;
    bool unlocked; /* needs no lock: it is the accessing vCPU's own */
    bool timed;    /* an access may move the deadline of a clock */
    bool decodes;  /* a movable region: it has a place, which is `base` */
};

#define BUS_NEVER UINT64_MAX /* deadline of a clock with nothing to do */

/* A device's clock: deadline() is the absolute time of its next event (or BUS_NEVER), advance() lets
 * everything happen that is due at `now`; after it the deadline lies after `now`. */
struct bus_clock {
    uint64_t (*deadline)(void *device);
    void (*advance)(void *device, uint64_t now);
    void *device;
};

/* An interrupt line: the output of one chip wired to an input pin of another. A line with set == NULL is not
 * connected. Levels are absolute: setting the same level twice is one edge at most. */
struct irq_line {
    void (*set)(void *sink, unsigned pin, bool level);
    void *sink;
    unsigned pin;
};

static inline void irq_line_set(const struct irq_line *line, bool level)
{
    if (line->set)
        line->set(line->sink, line->pin, level);
}

#define BUS_MAX_REGIONS 64
#define BUS_MAX_MOVABLE 32
#define BUS_MAX_CLOCKS  16
#define BUS_CPUS        LOCK_THREADS
#define BUS_PORTS       0x10000u

/* The ends of n regions cut the addresses between them into fewer than 2n pieces. */
#define BUS_MAX_PIECES (2 * (BUS_MAX_REGIONS + BUS_MAX_MOVABLE))

/* A range of addresses at which one region answers; `base` is where that region starts. */
struct bus_piece {
    uint64_t first, last, base;
    const struct bus_region *region;
};

struct bus_table {
    struct bus_piece piece[BUS_MAX_PIECES]; /* sorted, disjoint */
    size_t pieces;
};

struct bus {
    /* Readers use table[sequence & 1] without the lock. A mover, which has the lock, fills the other table and
     * then counts `sequence` up. A reader that finds the count changed after its look may have read a table
     * that was being filled: it takes the lock and looks again. */
    uint32_t sequence; /* atomic */
    struct bus_table table[2][BUS_KINDS];
    struct bus_table scratch[2]; /* the mover's */
    /* A bit a port, set where a region answers: bits are set before a table is used and cleared after. */
    uint8_t ports[BUS_PORTS / 8 + 1];
    struct bus_region region[BUS_KINDS][BUS_MAX_REGIONS]; /* for good; sorted by base, disjoint */
    size_t regions[BUS_KINDS];
    struct bus_region *movable[BUS_KINDS][BUS_MAX_MOVABLE]; /* in the order in which they win */
    size_t movables[BUS_KINDS];
    const struct guest_ram *ram; /* where no movable region may lie; may be NULL */
    struct bus_region
        window[BUS_CPUS]; /* of one vCPU's memory each, and its thread's alone; length 0: none */
    struct bus_clock clock[BUS_MAX_CLOCKS];
    size_t clocks;
    uint64_t earliest; /* atomic; deadline of all clocks */
    struct lock *lock; /* held in every handler but the unlocked ones; NULL: one thread uses the bus */
    /* Called when an access of another vCPU than the first, whose thread advances the clocks, has made
     * `earliest` come sooner; may be NULL. */
    void (*earlier)(void *owner);
    void *owner;
};

enum bus_status { BUS_OK, BUS_FULL, BUS_OVERLAP, BUS_INVALID };

void bus_init(struct bus *bus);

/* Register a region. BUS_OVERLAP if it overlaps another one, BUS_FULL beyond BUS_MAX_REGIONS, BUS_INVALID
 * if it is empty, has no handler or wraps (ports: ends beyond 0x10000). The region is copied, its name is
 * not. */
__attribute__((warn_unused_result)) enum bus_status bus_attach(struct bus *bus, enum bus_kind kind,
                                                               const struct bus_region *region);

/* Register a movable region, which answers nowhere until it is moved. It stays the caller's and must outlive
 * the bus; only bus_move changes it. BUS_FULL beyond BUS_MAX_MOVABLE; BUS_INVALID if it is empty, larger than
 * all ports, has no handler, or is unlocked. */
MUST_CHECK enum bus_status bus_attach_movable(struct bus *bus, enum bus_kind kind, struct bus_region *region);

/* Give a movable region another place, or none. At run time with the chips' lock, as a handler has it. From
 * the return on, no access of any vCPU that begins is answered at the old place. BUS_INVALID: the range wraps
 * (ports: ends beyond 0x10000), BUS_OVERLAP: it meets RAM, which would hide it; then it has no place. Meeting
 * other regions is no error, see above which one answers. */
enum bus_status bus_move(struct bus *bus, enum bus_kind kind, struct bus_region *region, uint64_t base,
                         bool decodes);

/* At run time, by the vCPU's own thread: MMIO that this vCPU alone sees, which needs no lock; length 0: none.
 * Errors as above; then nothing has changed. */
__attribute__((warn_unused_result)) enum bus_status bus_set_window(struct bus *bus, uint8_t cpu,
                                                                   const struct bus_region *region);

/* Register a clock. BUS_FULL beyond BUS_MAX_CLOCKS, BUS_INVALID if a function is missing. The clock is
 * copied. */
__attribute__((warn_unused_result)) enum bus_status bus_attach_clock(struct bus *bus,
                                                                     const struct bus_clock *clock);

/* Read or write `size` bytes at an address. An access that crosses the end of a region, or of a size that the
 * bus does not have, is split into bytes, lowest first; where nothing decodes, and beyond the last address,
 * reads give ones. From any vCPU. */
uint64_t bus_read(struct bus *bus, enum bus_kind kind, uint64_t address, uint8_t size, uint8_t cpu,
                  uint64_t now);
void bus_write(struct bus *bus, enum bus_kind kind, uint64_t address, uint8_t size, uint64_t value,
               uint8_t cpu, uint64_t now);

/* What REP INS and OUTS do: `count` accesses of 1, 2 or 4 bytes to one port, with the data at `bytes`, which a guest
 * may change meanwhile. */
void bus_port_block(struct bus *bus, uint16_t port, uint8_t size, bool write, uint8_t *bytes, size_t count,
                    uint8_t cpu, uint64_t now);

/* Whether a movable region answers everywhere in its range. With the lock. */
bool bus_answers_whole(const struct bus *bus, enum bus_kind kind, const struct bus_region *region);

/* Earliest deadline of all clocks, as of the last access that may move one. bus_update finds it again after
 * anything else that moves one (with the lock). */
static inline uint64_t bus_earliest(const struct bus *bus)
{
    return __atomic_load_n(&bus->earliest, __ATOMIC_RELAXED);
}

void bus_update(struct bus *bus);

/* The deadline that bus_update finds. */
uint64_t bus_deadline(const struct bus *bus);

/* Whether a region answers at any of `size` (1, 2 or 4) ports. False holds for the moment of the call; true may
 * be out of date, and the access then finds nothing. */
static inline bool bus_port_decodes(const struct bus *bus, uint16_t port, unsigned size)
{
    uint16_t bits;

    __builtin_memcpy(&bits, &bus->ports[port >> 3], sizeof bits); /* one load: on every port access's way */
    return (unsigned)bits >> (port & 7) & ((1u << size) - 1);
}

/* Lets all due clocks advance; takes the lock as vCPU 0. */
void bus_advance(struct bus *bus, uint64_t now);
