/* SPDX-License-Identifier: ISC */
/* IOAPICs. See ioapic.h. */
#include "kernel/ioapic.h"

#include <stddef.h>

#include "kernel/lock.h"
#include "kernel/memory.h"
#include "kernel/print.h"

#define IOAPICS     8
#define IOREGSEL    0x00
#define IOWIN       0x10
#define IOAPICVER   0x01
#define IOREDTBL    0x10
#define REDIR_LOW   0x2000u
#define REDIR_LEVEL 0x8000u
#define REDIR_MASK  0x10000u

/* Bits 4 to 19 of a message's address stand in the upper half from bit 16 on, whatever their meaning. */
#define ADDRESS_BITS  0xffff0u
#define ADDRESS_SHIFT 12

static struct ioapic {
    volatile char *registers;
    uint32_t gsi, pins;
    uint8_t id;
} ioapics[IOAPICS];
static unsigned count;
static struct lock lock; /* of index and window, which are two accesses */

static void ioapic_write(const struct ioapic *ioapic, uint32_t index, uint32_t value)
{
    *(volatile uint32_t *)(ioapic->registers + IOREGSEL) = index;
    *(volatile uint32_t *)(ioapic->registers + IOWIN) = value;
}

static uint32_t ioapic_read(const struct ioapic *ioapic, uint32_t index)
{
    *(volatile uint32_t *)(ioapic->registers + IOREGSEL) = index;
    return *(volatile uint32_t *)(ioapic->registers + IOWIN);
}

void ioapic_add(uint8_t id, uint64_t physical, uint32_t gsi)
{
    struct ioapic *ioapic = &ioapics[count];

    if (count == IOAPICS) {
        print("more than %u IOAPICs: the one at 0x%lx is left out", IOAPICS, physical);
        return;
    }
    count++;
    ioapic->registers = memory_map_device(physical);
    ioapic->gsi = gsi;
    ioapic->id = id;
    ioapic->pins = (ioapic_read(ioapic, IOAPICVER) >> 16 & 0xff) + 1;
    for (uint32_t pin = 0; pin < ioapic->pins; pin++)
        ioapic_write(ioapic, IOREDTBL + 2 * pin, REDIR_MASK);
}

uint32_t ioapic_gsis(void)
{
    uint32_t end = 0;

    for (unsigned i = 0; i < count; i++)
        if (ioapics[i].gsi + ioapics[i].pins > end)
            end = ioapics[i].gsi + ioapics[i].pins;
    return end;
}

static const struct ioapic *ioapic_of(uint32_t gsi)
{
    for (unsigned i = 0; i < count; i++)
        if (gsi >= ioapics[i].gsi && gsi - ioapics[i].gsi < ioapics[i].pins)
            return &ioapics[i];
    return NULL;
}

uint8_t ioapic_id(uint32_t gsi)
{
    const struct ioapic *ioapic = ioapic_of(gsi);

    return ioapic ? ioapic->id : 0;
}

void ioapic_route(uint32_t gsi, uint8_t vector, bool level, bool low, uint64_t address)
{
    const struct ioapic *ioapic = ioapic_of(gsi);

    if (!ioapic)
        return;
    lock_take(&lock);
    ioapic_write(ioapic, IOREDTBL + 2 * (gsi - ioapic->gsi) + 1,
                 (uint32_t)(address & ADDRESS_BITS) << ADDRESS_SHIFT);
    ioapic_write(ioapic, IOREDTBL + 2 * (gsi - ioapic->gsi),
                 vector | REDIR_MASK | (level ? REDIR_LEVEL : 0) | (low ? REDIR_LOW : 0));
    lock_release(&lock);
}

void ioapic_mask(uint32_t gsi, bool masked)
{
    const struct ioapic *ioapic = ioapic_of(gsi);
    uint32_t index, value;

    if (!ioapic)
        return;
    index = IOREDTBL + 2 * (gsi - ioapic->gsi);
    lock_take(&lock);
    value = ioapic_read(ioapic, index) & ~REDIR_MASK;
    ioapic_write(ioapic, index, value | (masked ? REDIR_MASK : 0));
    lock_release(&lock);
}
