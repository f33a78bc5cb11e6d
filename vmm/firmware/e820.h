/* SPDX-License-Identifier: ISC */
/*
 * Guest-physical memory as firmware describes it (E820, ACPI 6 table 15.4):
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

#include "base/include/check.h"
#include "vmm/bus/ram.h"

#define E820_EBDA        0x9fc00u
#define E820_RSDP        0xf0000u
#define E820_HIGH_MEMORY 0x100000u
#define E820_PCI_HOLE    0xc0000000u
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
MUST_CHECK bool e820_layout(uint64_t ram, struct e820_map *map);
