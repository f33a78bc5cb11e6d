/* SPDX-License-Identifier: ISC */
/*
 * The guest-physical memory map; see e820.h.
 */
#include "vmm/firmware/e820.h"

#define PAGE_MASK     0xfffull
#define IOAPIC_BASE   0xfec00000u
#define LAPIC_BASE    0xfee00000u
#define FIRMWARE_BASE 0xfffc0000u

static void add(struct e820_map *map, uint64_t base, uint64_t end, enum e820_type type)
{
    struct e820_entry *entry = &map->entry[map->entries];

    if (base >= end)
        return;
    map->entries++;
    *entry = (struct e820_entry){base, end - base, type};
}

bool e820_layout(uint64_t ram, struct e820_map *map)
{
    *map = (struct e820_map){.entries = 0};
    if (ram < E820_MIN_RAM || ram > E820_MAX_RAM)
        return false;
    ram &= ~PAGE_MASK;
    map->low_size = ram < E820_PCI_HOLE ? ram : E820_PCI_HOLE;
    map->high_size = ram - map->low_size;
    map->acpi_base = map->low_size - E820_ACPI_LENGTH;
    add(map, 0, E820_EBDA, E820_RAM);
    add(map, E820_EBDA, RAM_VGA, E820_RESERVED);
    add(map, RAM_ROM, E820_HIGH_MEMORY, E820_RESERVED);
    add(map, E820_HIGH_MEMORY, map->acpi_base, E820_RAM);
    add(map, map->acpi_base, map->low_size, E820_ACPI);
    add(map, IOAPIC_BASE, IOAPIC_BASE + 0x1000u, E820_RESERVED);
    add(map, LAPIC_BASE, LAPIC_BASE + 0x1000u, E820_RESERVED);
    add(map, FIRMWARE_BASE, RAM_ABOVE_4G, E820_RESERVED);
    add(map, RAM_ABOVE_4G, RAM_ABOVE_4G + map->high_size, E820_RAM);
    return true;
}
