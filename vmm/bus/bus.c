/* SPDX-License-Identifier: ISC */
/*
 * Decoding of port and memory-mapped accesses.
 *
 * The tables are sorted and disjoint, so the region of an address is found by bisection: six steps at most,
 * without a cache line of shared state that several vCPUs would write. In the common case the whole access lies
 * in one region and goes straight to the handler. Any other access is cut into bytes, each of which is a common
 * case.
 */
#include "vmm/bus/bus.h"

#include <string.h>

#define PORT_END 0x10000u

void bus_init(struct bus *bus)
{
    memset(bus, 0, sizeof *bus);
    bus->earliest = BUS_NEVER;
}

/* The number of regions that start at or below the address. The loop has no branch that depends on what the
 * guest accesses, only a conditional move. */
static size_t regions_up_to(const struct bus_region *region, size_t count, uint64_t address)
{
    size_t first = 0;

    while (count > 0) {
        size_t half = count / 2;
        bool above = region[first + half].base <= address;

        first = above ? first + half + 1 : first;
        count = above ? count - half - 1 : half;
    }
    return first;
}

/* Whether a region can be attached, and where in its table. */
static enum bus_status check_region(const struct bus *bus, enum bus_kind kind,
                                    const struct bus_region *region, size_t *place)
{
    const struct bus_region *table;
    size_t count, at;

    if ((kind != BUS_PORT && kind != BUS_MMIO) || region->length == 0 || !region->handler)
        return BUS_INVALID;
    if (region->length - 1 > UINT64_MAX - region->base)
        return BUS_INVALID;
    if (kind == BUS_PORT && (region->base >= PORT_END || region->length > PORT_END - region->base))
        return BUS_INVALID;

    table = bus->region[kind];
    count = bus->regions[kind];
    at = regions_up_to(table, count, region->base);
    if (at > 0 && region->base - table[at - 1].base < table[at - 1].length)
        return BUS_OVERLAP;
    if (at < count && table[at].base - region->base < region->length)
        return BUS_OVERLAP;
    *place = at;
    return BUS_OK;
}

enum bus_status bus_attach(struct bus *bus, enum bus_kind kind, const struct bus_region *region)
{
    struct bus_region *table;
    size_t count, at;
    enum bus_status status = check_region(bus, kind, region, &at);

    if (status != BUS_OK)
        return status;
    table = bus->region[kind];
    count = bus->regions[kind];
    if (count == BUS_MAX_REGIONS)
        return BUS_FULL;

    memmove(&table[at + 1], &table[at], (count - at) * sizeof *table);
    table[at] = *region;
    bus->regions[kind] = count + 1;
    return BUS_OK;
}

enum bus_status bus_set_window(struct bus *bus, uint8_t cpu, const struct bus_region *region)
{
    size_t at;
    enum bus_status status = region->length ? check_region(bus, BUS_MMIO, region, &at) : BUS_OK;

    if (cpu >= BUS_CPUS)
        return BUS_INVALID;
    if (status != BUS_OK)
        return status;
    bus->window[cpu] = *region;
    bus->window[cpu].unlocked = true;
    return BUS_OK;
}

enum bus_status bus_attach_clock(struct bus *bus, const struct bus_clock *clock)
{
    if (!clock->deadline || !clock->advance)
        return BUS_INVALID;
    if (bus->clocks == BUS_MAX_CLOCKS)
        return BUS_FULL;
    bus->clock[bus->clocks++] = *clock;
    bus_update(bus);
    return BUS_OK;
}

uint64_t bus_deadline(const struct bus *bus)
{
    uint64_t earliest = BUS_NEVER;

    for (size_t i = 0; i < bus->clocks; i++) {
        uint64_t deadline = bus->clock[i].deadline(bus->clock[i].device);

        if (deadline < earliest)
            earliest = deadline;
    }
    return earliest;
}

void bus_update(struct bus *bus)
{
    __atomic_store_n(&bus->earliest, bus_deadline(bus), __ATOMIC_RELAXED);
}

static bool decodes(const struct bus_region *region, uint64_t address, uint8_t size)
{
    return address - region->base < region->length && size <= region->length - (address - region->base);
}

/* The region that decodes all bytes of an access, or NULL. A vCPU's window is looked at last: it meets no
 * other. */
static const struct bus_region *region_of(const struct bus *bus, enum bus_kind kind, uint64_t address,
                                          uint8_t size, uint8_t cpu)
{
    size_t at = regions_up_to(bus->region[kind], bus->regions[kind], address);

    if (at > 0 && decodes(&bus->region[kind][at - 1], address, size))
        return &bus->region[kind][at - 1];
    if (kind == BUS_MMIO && cpu < BUS_CPUS && decodes(&bus->window[cpu], address, size))
        return &bus->window[cpu];
    return NULL;
}

static uint64_t ones(uint8_t size)
{
    return size >= 8 ? UINT64_MAX : (UINT64_C(1) << (size * 8)) - 1;
}

static bool size_is_whole(enum bus_kind kind, uint8_t size)
{
    return size == 1 || size == 2 || size == 4 || (size == 8 && kind == BUS_MMIO);
}

static void access_region(struct bus *bus, const struct bus_region *region, struct bus_access *access)
{
    uint64_t before;

    if (region->unlocked) {
        region->handler(region->device, access);
        return;
    }
    lock_take(bus->lock, access->cpu);
    region->handler(region->device, access);
    if (region->timed) {
        before = bus->earliest;
        bus_update(bus);
        if (access->cpu != 0 && bus->earliest < before && bus->earlier)
            bus->earlier(bus->owner);
    }
    lock_release(bus->lock, access->cpu);
}

static uint64_t read_whole(struct bus *bus, const struct bus_region *region, uint64_t address, uint8_t size,
                           uint8_t cpu, uint64_t now)
{
    struct bus_access access = {
        .offset = address - region->base, .value = ones(size), .now = now, .size = size, .cpu = cpu};

    access_region(bus, region, &access);
    return access.value & ones(size);
}

static void write_whole(struct bus *bus, const struct bus_region *region, uint64_t address, uint8_t size,
                        uint64_t value, uint8_t cpu, uint64_t now)
{
    struct bus_access access = {.offset = address - region->base,
                                .value = value & ones(size),
                                .now = now,
                                .size = size,
                                .write = true,
                                .cpu = cpu};

    access_region(bus, region, &access);
}

uint64_t bus_read(struct bus *bus, enum bus_kind kind, uint64_t address, uint8_t size, uint8_t cpu,
                  uint64_t now)
{
    const struct bus_region *region;
    uint64_t value = ones(size);

    if (size_is_whole(kind, size)) {
        region = region_of(bus, kind, address, size, cpu);
        if (region)
            return read_whole(bus, region, address, size, cpu, now);
        if (size == 1)
            return value;
    }
    for (unsigned i = 0; i < size && i < 8 && address <= UINT64_MAX - i; i++) {
        region = region_of(bus, kind, address + i, 1, cpu);
        if (region) {
            value &= ~(UINT64_C(0xff) << (i * 8));
            value |= read_whole(bus, region, address + i, 1, cpu, now) << (i * 8);
        }
    }
    return value;
}

void bus_write(struct bus *bus, enum bus_kind kind, uint64_t address, uint8_t size, uint64_t value,
               uint8_t cpu, uint64_t now)
{
    const struct bus_region *region;

    if (size_is_whole(kind, size)) {
        region = region_of(bus, kind, address, size, cpu);
        if (region) {
            write_whole(bus, region, address, size, value, cpu, now);
            return;
        }
        if (size == 1)
            return;
    }
    for (unsigned i = 0; i < size && i < 8 && address <= UINT64_MAX - i; i++) {
        region = region_of(bus, kind, address + i, 1, cpu);
        if (region)
            write_whole(bus, region, address + i, 1, value >> (i * 8), cpu, now);
    }
}

void bus_advance(struct bus *bus, uint64_t now)
{
    lock_take(bus->lock, 0);
    for (size_t i = 0; i < bus->clocks; i++) {
        const struct bus_clock *clock = &bus->clock[i];

        if (clock->deadline(clock->device) <= now)
            clock->advance(clock->device, now);
    }
    bus_update(bus);
    lock_release(bus->lock, 0);
}
