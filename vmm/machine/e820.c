/* SPDX-License-Identifier: ISC */
/*
 * The guest-physical memory map, and access to guest RAM. Every address that a guest hands to a device ends
 * in guest_ram_at, so that is where wrapping, holes and ends are checked, once for all.
 */
#include "vmm/machine/e820.h"

#include <string.h>

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
    add(map, E820_EBDA, E820_VGA, E820_RESERVED);
    add(map, E820_ROM, E820_HIGH_MEMORY, E820_RESERVED);
    add(map, E820_HIGH_MEMORY, map->acpi_base, E820_RAM);
    add(map, map->acpi_base, map->low_size, E820_ACPI);
    add(map, IOAPIC_BASE, IOAPIC_BASE + 0x1000u, E820_RESERVED);
    add(map, LAPIC_BASE, LAPIC_BASE + 0x1000u, E820_RESERVED);
    add(map, FIRMWARE_BASE, E820_ABOVE_4G, E820_RESERVED);
    add(map, E820_ABOVE_4G, E820_ABOVE_4G + map->high_size, E820_RAM);
    return true;
}

void *guest_ram_at(const struct guest_ram *ram, uint64_t gpa, uint64_t length)
{
    uint64_t offset = gpa - E820_ABOVE_4G;

    if (length == 0)
        return NULL;
    if (gpa < ram->low_size) {
        bool meets_vga = gpa < E820_ROM && (gpa >= E820_VGA || length > E820_VGA - gpa);

        return length > ram->low_size - gpa || meets_vga ? NULL : ram->low + gpa;
    }
    if (gpa >= E820_ABOVE_4G && offset < ram->high_size && length <= ram->high_size - offset)
        return ram->high + offset;
    return NULL;
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
