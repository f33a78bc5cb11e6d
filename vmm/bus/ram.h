/* SPDX-License-Identifier: ISC */
/*
 * Guest RAM, and the functions by which loaders and devices reach it.
 *
 * A PC has RAM from 0 and from 4 GiB on; the window of a VGA card below 1 MiB is not RAM. With firmware, its ROM
 * ends at 4 GiB. From RAM_ROM to RAM_HIGH the host bridge says for each 16 KiB whether reads reach RAM, or the
 * ROM's last 128 KiB, which end at RAM_HIGH; and whether writes reach RAM or nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/include/check.h"

#define RAM_VGA      0xa0000u /* the window, up to RAM_ROM */
#define RAM_ROM      0xc0000u /* RAM again, where ROMs are shadowed */
#define RAM_HIGH     0x100000u
#define RAM_SEGMENT  0x4000u
#define RAM_SEGMENTS ((RAM_HIGH - RAM_ROM) / RAM_SEGMENT)
#define RAM_ROM_LOW  0x20000u /* bytes of the ROM that are seen below RAM_HIGH, at most */
#define RAM_ABOVE_4G 0x100000000ull

/* Guest RAM as the monitor has it mapped. `low` has memory behind the VGA window too, which these functions do
 * not reach. Sizes are bytes from 0, the window included, and from 4 GiB. */
struct guest_ram {
    uint8_t *low;
    uint64_t low_size;
    uint8_t *high;
    uint64_t high_size;
    /* Bit i and bit RAM_SEGMENTS + i: reads and writes of segment i do not reach RAM. Atomic. */
    uint32_t shadow;
    const uint8_t *rom; /* NULL: none */
    uint32_t rom_size;
};

/* Where a guest-physical range lies for the monitor. NULL if it is empty, or not RAM from first to last byte for
 * reads and writes alike.
 * The guest may change the bytes at any time: copy, then check the copy. */
void *guest_ram_at(const struct guest_ram *ram, uint64_t gpa, uint64_t length);

/* The same for memory that is only read, or only written: of the segments from RAM_ROM on it is what such an
 * access reaches, which may be the ROM. */
const void *guest_ram_to_read(const struct guest_ram *ram, uint64_t gpa, uint64_t length);
void *guest_ram_to_write(const struct guest_ram *ram, uint64_t gpa, uint64_t length);

/* Whether an address is one of neither RAM nor ROM between RAM and 4 GiB, where devices are. */
static inline bool guest_ram_is_hole(const struct guest_ram *ram, uint64_t gpa)
{
    return gpa - ram->low_size < RAM_ABOVE_4G - ram->rom_size - ram->low_size;
}

/* Whether any byte from `first` to `last` is RAM. */
bool guest_ram_meets(const struct guest_ram *ram, uint64_t first, uint64_t last);

/* Copy from and to guest RAM, or fill it. False, and nothing copied, if the range is not all RAM. */
MUST_CHECK bool guest_ram_read(const struct guest_ram *ram, uint64_t gpa, void *to, size_t length);
MUST_CHECK bool guest_ram_write(const struct guest_ram *ram, uint64_t gpa, const void *from, size_t length);
MUST_CHECK bool guest_ram_fill(const struct guest_ram *ram, uint64_t gpa, uint8_t byte, uint64_t length);
