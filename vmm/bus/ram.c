/* SPDX-License-Identifier: ISC */
/*
 * Access to guest RAM. Every address that a guest hands to a device goes through guest_ram_at, the one place
 * that checks wrapping, holes and ends.
 */
#include "vmm/bus/ram.h"

#include <string.h>

void *guest_ram_at(const struct guest_ram *ram, uint64_t gpa, uint64_t length)
{
    uint64_t offset = gpa - RAM_ABOVE_4G;

    if (length == 0)
        return NULL;
    if (gpa < ram->low_size) {
        bool meets_vga = gpa < RAM_ROM && (gpa >= RAM_VGA || length > RAM_VGA - gpa);

        return length > ram->low_size - gpa || meets_vga ? NULL : ram->low + gpa;
    }
    if (gpa >= RAM_ABOVE_4G && offset < ram->high_size && length <= ram->high_size - offset)
        return ram->high + offset;
    return NULL;
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
