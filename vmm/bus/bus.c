/* SPDX-License-Identifier: ISC */
/*
 * Decoding of port and memory-mapped accesses.
 *
 * The tables are sorted and disjoint, so the region of an address is found by bisection: eight steps at most,
 * without a cache line of shared state that several vCPUs would write. In the common case the whole access lies
 * in one region and goes straight to the handler. Any other access is cut into bytes, each of which is a common
 * case.
 *
 * A look takes no lock and writes nothing. A handler runs with the lock, under which no table changes: if the
 * sequence has moved on between the look and the lock, the look is made again with the lock held. So a reader
 * never spins, which matters where the mover's thread waits for the same host CPU.
 */
#include "vmm/bus/bus.h"

#include <string.h>

void bus_init(struct bus *bus)
{
    memset(bus, 0, sizeof *bus);
    bus->earliest = BUS_NEVER;
}

/* The number of pieces that start at or below the address. The loop has no branch that depends on what the
 * guest accesses, only a conditional move. */
static inline size_t pieces_up_to(const struct bus_piece *piece, size_t count, uint64_t address)
{
    const struct bus_piece *at = piece;

    while (count > 0) {
        size_t half = (count + 1) / 2;

        at += __atomic_load_n(&at[half - 1].first, __ATOMIC_RELAXED) <= address ? half : 0;
        count -= half;
    }
    return (size_t)(at - piece);
}

static void put_piece(struct bus_table *table, const struct bus_region *region, uint64_t first, uint64_t last)
{
    table->piece[table->pieces++] =
        (struct bus_piece){.first = first, .last = last, .base = region->base, .region = region};
}

/* `to` becomes `from` and the region where `from` leaves room for it. */
static void fill_gaps(struct bus_table *to, const struct bus_table *from, const struct bus_region *region)
{
    uint64_t at = region->base, last = region->base + (region->length - 1);
    bool left = true;

    to->pieces = 0;
    for (size_t i = 0; i < from->pieces; i++) {
        const struct bus_piece *piece = &from->piece[i];

        if (left && at < piece->first) {
            put_piece(to, region, at, last < piece->first ? last : piece->first - 1);
            left = last >= piece->first;
            at = piece->first;
        }
        to->piece[to->pieces++] = *piece;
        if (left && at <= piece->last) {
            left = last > piece->last;
            at = piece->last + 1; /* if this wraps, nothing is left */
        }
    }
    if (left)
        put_piece(to, region, at, last);
}

/* What the registered regions of one kind amount to, in one of the scratch tables. */
static const struct bus_table *make_table(struct bus *bus, enum bus_kind kind)
{
    struct bus_table *made = &bus->scratch[0], *next = &bus->scratch[1], *swap;

    made->pieces = 0;
    for (size_t i = 0; i < bus->regions[kind]; i++) {
        const struct bus_region *region = &bus->region[kind][i];

        put_piece(made, region, region->base, region->base + (region->length - 1));
    }
    for (size_t i = 0; i < bus->movables[kind]; i++)
        if (bus->movable[kind][i]->decodes) {
            fill_gaps(next, made, bus->movable[kind][i]);
            swap = made;
            made = next;
            next = swap;
        }
    return made;
}

/* Readers that are late may look at `to` meanwhile; they see then that the sequence has changed. */
static void copy_table(struct bus_table *to, const struct bus_table *from)
{
    for (size_t i = 0; i < from->pieces; i++) {
        __atomic_store_n(&to->piece[i].first, from->piece[i].first, __ATOMIC_RELAXED);
        __atomic_store_n(&to->piece[i].last, from->piece[i].last, __ATOMIC_RELAXED);
        __atomic_store_n(&to->piece[i].base, from->piece[i].base, __ATOMIC_RELAXED);
        __atomic_store_n(&to->piece[i].region, from->piece[i].region, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&to->pieces, from->pieces, __ATOMIC_RELAXED);
}

static void set_port(struct bus *bus, uint64_t port, bool set)
{
    uint8_t *byte = &bus->ports[port >> 3], bit = (uint8_t)(1u << (port & 7));

    __atomic_store_n(byte, (uint8_t)(set ? *byte | bit : *byte & ~bit), __ATOMIC_RELAXED);
}

static bool answers(const struct bus_table *table, uint64_t address)
{
    size_t at = pieces_up_to(table->piece, table->pieces, address);

    return at > 0 && address <= table->piece[at - 1].last;
}

/* Makes the registered regions the ones that answer. `gone` is the range that one of them has left: `length`
 * 0 for none. With the lock, or before the VM runs. */
static void publish(struct bus *bus, enum bus_kind kind, uint64_t gone, uint64_t length)
{
    const struct bus_table *made = make_table(bus, kind);
    uint32_t sequence = bus->sequence;

    if (kind == BUS_PORT)
        for (size_t i = 0; i < made->pieces; i++)
            for (uint64_t port = made->piece[i].first; port <= made->piece[i].last; port++)
                set_port(bus, port, true);
    /* A reader that sees a word of what follows sees the sequence of the last move, too. */
    __atomic_thread_fence(__ATOMIC_RELEASE);
    for (int each = 0; each < BUS_KINDS; each++)
        copy_table(&bus->table[~sequence & 1][each],
                   each == (int)kind ? made : &bus->table[sequence & 1][each]);
    __atomic_store_n(&bus->sequence, sequence + 1, __ATOMIC_SEQ_CST);
    if (kind == BUS_PORT)
        for (uint64_t port = gone; port - gone < length; port++)
            set_port(bus, port, answers(made, port));
}

static bool is_range(enum bus_kind kind, uint64_t base, uint64_t length)
{
    return length > 0 && length - 1 <= UINT64_MAX - base &&
           (kind != BUS_PORT || (base < BUS_PORTS && length <= BUS_PORTS - base));
}

/* Whether a region can be attached, and where in its table. */
static enum bus_status check_region(const struct bus *bus, enum bus_kind kind,
                                    const struct bus_region *region, size_t *place)
{
    const struct bus_region *table;
    size_t count, at;

    if ((kind != BUS_PORT && kind != BUS_MMIO) || !region->handler ||
        !is_range(kind, region->base, region->length))
        return BUS_INVALID;

    table = bus->region[kind];
    count = bus->regions[kind];
    for (at = 0; at < count && table[at].base <= region->base; at++)
        ;
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
    publish(bus, kind, 0, 0);
    return BUS_OK;
}

enum bus_status bus_attach_movable(struct bus *bus, enum bus_kind kind, struct bus_region *region)
{
    if ((kind != BUS_PORT && kind != BUS_MMIO) || !region->handler || region->unlocked ||
        !is_range(kind, 0, region->length))
        return BUS_INVALID;
    if (bus->movables[kind] == BUS_MAX_MOVABLE)
        return BUS_FULL;
    region->base = 0;
    region->decodes = false;
    bus->movable[kind][bus->movables[kind]++] = region;
    return BUS_OK;
}

enum bus_status bus_move(struct bus *bus, enum bus_kind kind, struct bus_region *region, uint64_t base,
                         bool decodes)
{
    uint64_t gone = region->base, length = region->decodes ? region->length : 0;
    enum bus_status status = BUS_OK;

    if (decodes && !is_range(kind, base, region->length))
        status = BUS_INVALID;
    else if (decodes && kind == BUS_MMIO && bus->ram &&
             guest_ram_meets(bus->ram, base, base + (region->length - 1)))
        status = BUS_OVERLAP;
    decodes &= status == BUS_OK;
    if (decodes == region->decodes && (!decodes || base == region->base))
        return status;
    region->base = base;
    region->decodes = decodes;
    publish(bus, kind, gone, length);
    return status;
}

bool bus_answers_whole(const struct bus *bus, enum bus_kind kind, const struct bus_region *region)
{
    const struct bus_table *table = &bus->table[bus->sequence & 1][kind];
    size_t at = region->decodes ? pieces_up_to(table->piece, table->pieces, region->base) : 0;
    const struct bus_piece *piece = &table->piece[at > 0 ? at - 1 : 0];

    return at > 0 && piece->region == region && piece->first == region->base &&
           piece->last == region->base + (region->length - 1);
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

/* The region that answers at all bytes of an access; region NULL: none. */
struct place {
    const struct bus_region *region;
    uint64_t base;
};

/* Inline, as it is on the way of every exit to device memory. A vCPU's window is looked at last. */
static inline __attribute__((always_inline)) struct place place_of(const struct bus *bus, uint32_t sequence,
                                                                   enum bus_kind kind, uint64_t address,
                                                                   const struct bus_access *access)
{
    const struct bus_table *table = &bus->table[sequence & 1][kind];
    size_t at = pieces_up_to(table->piece, __atomic_load_n(&table->pieces, __ATOMIC_RELAXED), address);

    if (at > 0) {
        const struct bus_piece *piece = &table->piece[at - 1];
        uint64_t last = __atomic_load_n(&piece->last, __ATOMIC_RELAXED);

        if (address <= last && access->size - 1u <= last - address)
            return (struct place){__atomic_load_n(&piece->region, __ATOMIC_RELAXED),
                                  __atomic_load_n(&piece->base, __ATOMIC_RELAXED)};
    }
    if (kind == BUS_MMIO && access->cpu < BUS_CPUS) {
        const struct bus_region *window = &bus->window[access->cpu];

        if (address - window->base < window->length &&
            access->size <= window->length - (address - window->base))
            return (struct place){window, window->base};
    }
    return (struct place){NULL, 0};
}

static uint64_t ones(uint8_t size)
{
    return size >= 8 ? UINT64_MAX : (UINT64_C(1) << (size * 8)) - 1;
}

static bool size_is_whole(enum bus_kind kind, uint8_t size)
{
    return size == 1 || size == 2 || size == 4 || (size == 8 && kind == BUS_MMIO);
}

/* With the lock. */
static void serve(struct bus *bus, const struct bus_region *region, struct bus_access *access)
{
    uint64_t before;

    region->handler(region->device, access);
    if (region->timed) {
        before = bus->earliest;
        bus_update(bus);
        if (access->cpu != 0 && bus->earliest < before && bus->earlier)
            bus->earlier(bus->owner);
    }
}

/* An access whose region needs the lock, or that met a move. `sequence` is what `place` is of. */
static __attribute__((noinline)) bool access_locked(struct bus *bus, enum bus_kind kind, uint64_t address,
                                                    struct bus_access *access, struct place place,
                                                    uint32_t sequence)
{
    bool unlocked;

    lock_take(bus->lock, access->cpu);
    if (__builtin_expect(bus->sequence != sequence, 0))
        place = place_of(bus, bus->sequence, kind, address, access);
    access->offset = address - place.base;
    unlocked = place.region && place.region->unlocked;
    if (place.region && !unlocked)
        serve(bus, place.region, access);
    lock_release(bus->lock, access->cpu);
    if (unlocked)
        place.region->handler(place.region->device, access);
    return place.region != NULL;
}

/* An access that lies in one region; false: it does not. */
static bool access_whole(struct bus *bus, enum bus_kind kind, uint64_t address, struct bus_access *access)
{
    uint32_t sequence = __atomic_load_n(&bus->sequence, __ATOMIC_ACQUIRE);
    struct place place = place_of(bus, sequence, kind, address, access);

    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (__builtin_expect(__atomic_load_n(&bus->sequence, __ATOMIC_RELAXED) == sequence, 1)) {
        if (!place.region)
            return false;
        if (place.region->unlocked) {
            access->offset = address - place.base;
            place.region->handler(place.region->device, access);
            return true;
        }
    }
    return access_locked(bus, kind, address, access, place, sequence);
}

uint64_t bus_read(struct bus *bus, enum bus_kind kind, uint64_t address, uint8_t size, uint8_t cpu,
                  uint64_t now)
{
    struct bus_access access = {.value = ones(size), .now = now, .size = size, .cpu = cpu};
    uint64_t value = ones(size);

    if (size_is_whole(kind, size) && (access_whole(bus, kind, address, &access) || size == 1))
        return access.value & value;
    for (unsigned i = 0; i < size && i < 8 && address <= UINT64_MAX - i; i++) {
        struct bus_access byte = {.value = 0xff, .now = now, .size = 1, .cpu = cpu};

        if (access_whole(bus, kind, address + i, &byte)) {
            value &= ~(UINT64_C(0xff) << (i * 8));
            value |= (byte.value & 0xff) << (i * 8);
        }
    }
    return value;
}

void bus_write(struct bus *bus, enum bus_kind kind, uint64_t address, uint8_t size, uint64_t value,
               uint8_t cpu, uint64_t now)
{
    struct bus_access access = {
        .value = value & ones(size), .now = now, .size = size, .write = true, .cpu = cpu};

    if (size_is_whole(kind, size) && (access_whole(bus, kind, address, &access) || size == 1))
        return;
    for (unsigned i = 0; i < size && i < 8 && address <= UINT64_MAX - i; i++) {
        struct bus_access byte = {
            .value = value >> (i * 8) & 0xff, .now = now, .size = 1, .write = true, .cpu = cpu};

        (void)access_whole(bus, kind, address + i, &byte); /* where nothing answers, writes vanish */
    }
}

static size_t access_block(struct bus *bus, uint16_t port, const struct bus_access *first, uint8_t *bytes,
                           size_t count)
{
    struct bus_access access = *first;
    struct place place;
    size_t done = 0;

    lock_take(bus->lock, access.cpu);
    place = place_of(bus, bus->sequence, BUS_PORT, port, &access);
    access.offset = port - place.base;
    if (place.region && place.region->block)
        done = place.region->block(place.region->device, &access, bytes, count);
    lock_release(bus->lock, access.cpu);
    return done;
}

void bus_port_block(struct bus *bus, uint16_t port, uint8_t size, bool write, uint8_t *bytes, size_t count,
                    uint8_t cpu, uint64_t now)
{
    const struct bus_access access = {.now = now, .size = size, .write = write, .cpu = cpu};

    for (size_t i = access_block(bus, port, &access, bytes, count); i < count; i++) {
        uint64_t value = 0;

        if (write) {
            memcpy(&value, bytes + i * size, size);
            bus_write(bus, BUS_PORT, port, size, value, cpu, now);
        } else {
            value = bus_read(bus, BUS_PORT, port, size, cpu, now);
            memcpy(bytes + i * size, &value, size);
        }
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
