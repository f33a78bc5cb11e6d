/* SPDX-License-Identifier: ISC */
/*
 * Guest-physical memory: where RAM lies, what firmware says about it (E820, ACPI 6 table 15.4), and the one
 * way by which loaders and device models reach it.
 *
 *     0          .. 0x9fc00      RAM; the BIOS data area at 0x400 (bda.h)
 *     0x9fc00    .. 0xa0000      RAM, reserved (extended BIOS data area)
 *     0xa0000    .. 0xc0000      VGA window, not RAM
 *     0xc0000    .. 0x100000     RAM that shadows ROMs, reserved; RSDP, reset vector
 *     0x100000   .. low_size     RAM, its last 64 KiB ACPI tables
 *     0xc0000000 .. 4 GiB        PCI devices, IOAPIC, LAPIC, firmware
 *     4 GiB      .. + high_size  RAM
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define E820_EBDA        0x9fc00u
#define E820_VGA         0xa0000u
#define E820_ROM         0xc0000u
#define E820_RSDP        0xf0000u
#define E820_HIGH_MEMORY 0x100000u
#define E820_PCI_HOLE    0xc0000000u
#define E820_ABOVE_4G    0x100000000ull
#define E820_ACPI_LENGTH 0x10000u
#define E820_MIN_RAM     (4ull << 20)
#define E820_MAX_RAM     (1ull << 40)
#define E820_MAX_ENTRIES 12

enum e820_type { E820_RAM = 1, E820_RESERVED = 2, E820_ACPI = 3, E820_NVS = 4 };

struct e820_entry {
    uint64_t base;
    uint64_t length;
    uint32_t type;
};

struct e820_map {
    struct e820_entry entry[E820_MAX_ENTRIES]; /* ascending, disjoint */
    size_t entries;
    uint64_t low_size;  /* bytes of guest-physical memory from 0, VGA window included */
    uint64_t high_size; /* bytes from 4 GiB */
    uint64_t acpi_base; /* E820_ACPI_LENGTH bytes for tables */
};

/* Lay out a guest of `ram` bytes, rounded down to pages. False if not in E820_MIN_RAM..E820_MAX_RAM. */
__attribute__((warn_unused_result)) bool e820_layout(uint64_t ram, struct e820_map *map);

/* Guest RAM as the monitor has it mapped. Sizes as in struct e820_map; `low` has memory behind the VGA window
 * too, which nobody reaches through here. */
struct guest_ram {
    uint8_t *low;
    uint64_t low_size;
    uint8_t *high;
    uint64_t high_size;
};

/* Where a guest-physical range lies for the monitor. NULL if it is empty or not RAM from first to last byte.
 * The guest may change what is there at any time: copy, then check the copy. */
void *guest_ram_at(const struct guest_ram *ram, uint64_t gpa, uint64_t length);

/* Copy from and to guest RAM, or fill it. False, and nothing copied, if the range is not all RAM. */
__attribute__((warn_unused_result)) bool guest_ram_read(const struct guest_ram *ram, uint64_t gpa, void *to,
                                                        size_t length);
__attribute__((warn_unused_result)) bool guest_ram_write(const struct guest_ram *ram, uint64_t gpa,
                                                         const void *from, size_t length);
__attribute__((warn_unused_result)) bool guest_ram_fill(const struct guest_ram *ram, uint64_t gpa,
                                                        uint8_t byte, uint64_t length);
