/* SPDX-License-Identifier: ISC */
/*
 * Access to guest RAM. Every address that a guest hands to a device goes through guest_ram_at, the one place
 * that checks wrapping, holes and ends.
 */
#include "vmm/bus/ram.h"

#include <string.h>

enum { READS = 1, WRITES = 2 };

/* The segments that a range from RAM_ROM on meets, a bit each. */
static uint32_t segments_of(uint64_t gpa, uint64_t length)
{
    uint64_t first = (gpa - RAM_ROM) / RAM_SEGMENT, last = (gpa - RAM_ROM + (length - 1)) / RAM_SEGMENT;

    return (2u << (last < RAM_SEGMENTS ? last : RAM_SEGMENTS - 1)) - (1u << first);
}

static uint32_t hidden_segments(const struct guest_ram *ram, unsigned accesses)
{
    uint32_t shadow = __atomic_load_n(&ram->shadow, __ATOMIC_RELAXED);

    return (accesses & READS ? shadow & ((1u << RAM_SEGMENTS) - 1) : 0) |
           (accesses & WRITES ? shadow >> RAM_SEGMENTS : 0);
}

/* Whether a range that begins below RAM_HIGH is RAM for these accesses. */
static bool reaches_ram(const struct guest_ram *ram, uint64_t gpa, uint64_t length, unsigned accesses)
{
    if (gpa < RAM_ROM)
        return gpa < RAM_VGA && length <= RAM_VGA - gpa;
    return !(hidden_segments(ram, accesses) & segments_of(gpa, length));
}

static inline __attribute__((always_inline)) void *ram_at(const struct guest_ram *ram, uint64_t gpa,
                                                          uint64_t length, unsigned accesses)
{
    uint64_t offset = gpa - RAM_ABOVE_4G;

    if (length == 0)
        return NULL;
    if (gpa < ram->low_size) {
        if (length > ram->low_size - gpa || (gpa < RAM_HIGH && !reaches_ram(ram, gpa, length, accesses)))
            return NULL;
        return ram->low + gpa;
    }
    if (gpa >= RAM_ABOVE_4G && offset < ram->high_size && length <= ram->high_size - offset)
        return ram->high + offset;
    return NULL;
}

/* The ROM ends at 4 GiB, and where reads do not reach RAM its end is seen below RAM_HIGH as well. */
static const void *rom_at(const struct guest_ram *ram, uint64_t gpa, uint64_t length)
{
    uint64_t end = RAM_ABOVE_4G, size = ram->rom_size;

    if (gpa < RAM_HIGH) {
        end = RAM_HIGH;
        size = size < RAM_ROM_LOW ? size : RAM_ROM_LOW;
    }
    if (gpa >= end || end - gpa > size || length > end - gpa)
        return NULL;
    if (end == RAM_HIGH && segments_of(gpa, length) & ~hidden_segments(ram, READS))
        return NULL;
    return ram->rom + (ram->rom_size - (end - gpa));
}

void *guest_ram_at(const struct guest_ram *ram, uint64_t gpa, uint64_t length)
{
    return ram_at(ram, gpa, length, READS | WRITES);
}

const void *guest_ram_to_read(const struct guest_ram *ram, uint64_t gpa, uint64_t length)
{
    const void *at = ram_at(ram, gpa, length, READS);

    return at || !ram->rom || length == 0 ? at : rom_at(ram, gpa, length);
}

void *guest_ram_to_write(const struct guest_ram *ram, uint64_t gpa, uint64_t length)
{
    return ram_at(ram, gpa, length, WRITES);
}

bool guest_ram_meets(const struct guest_ram *ram, uint64_t first, uint64_t last)
{
    if (first < ram->low_size && (first < RAM_VGA || last >= RAM_ROM))
        return true;
    return last >= RAM_ABOVE_4G && ram->high_size > 0 &&
           (first < RAM_ABOVE_4G || first - RAM_ABOVE_4G < ram->high_size);
}

bool guest_ram_read(const struct guest_ram *ram, uint64_t gpa, void *to, size_t length)
{
    const void *from = guest_ram_at(ram, gpa, length);

    if (length == 0)
        return true;
    if (!from)
        return false;
    memcpy(to, from, length);
    return true;
}

bool guest_ram_write(const struct guest_ram *ram, uint64_t gpa, const void *from, size_t length)
{
    void *to = guest_ram_at(ram, gpa, length);

    if (length == 0)
        return true;
    if (!to)
        return false;
    memcpy(to, from, length);
    return true;
}

bool guest_ram_fill(const struct guest_ram *ram, uint64_t gpa, uint8_t byte, uint64_t length)
{
    void *to = guest_ram_at(ram, gpa, length);

    if (length == 0)
        return true;
    if (!to)
        return false;
    memset(to, byte, (size_t)length);
    return true;
}
