/* SPDX-License-Identifier: ISC */
/*
 * Dispatch of configuration cycles, and the byte-wise register file that every function has.
 */
#include "vmm/bus/pci.h"

#include "vmm/bus/bytes.h"

#include <string.h>

#define ADDRESS_ENABLE (UINT32_C(1) << 31)

void pci_bus_init(struct pci_bus *bus)
{
    memset(bus, 0, sizeof *bus);
}

enum bus_status pci_bus_attach(struct pci_bus *bus, unsigned slot, unsigned function,
                               const struct pci_function *handler)
{
    if (slot >= PCI_SLOTS || function >= PCI_FUNCTIONS || !handler->config)
        return BUS_INVALID;
    if (bus->function[slot][function].config)
        return BUS_OVERLAP;
    bus->function[slot][function] = *handler;
    return BUS_OK;
}

void pci_bus_config(struct pci_bus *bus, uint32_t address, struct bus_access *access)
{
    const struct pci_function *function = &bus->function[address >> 11 & 31][address >> 8 & 7];
    struct bus_access config = *access;

    if (!(address & ADDRESS_ENABLE) || (address >> 16 & 0xff) != 0 || !function->config)
        return; /* a read leaves the ones that the bus put there */
    config.offset = (address & 0xfc) + (access->offset & 3);
    function->config(function->device, &config);
    access->value = config.value;
}

struct space {
    uint8_t *byte;
    const struct pci_masks *masks;
};

static void space_byte(void *device, struct bus_access *access)
{
    const struct space *space = device;
    size_t at = (size_t)access->offset % PCI_SPACE_SIZE;
    unsigned old = space->byte[at], mask = space->masks->write[at], value = (unsigned)access->value;

    if (access->write)
        space->byte[at] = (uint8_t)(((old & ~mask) | (value & mask)) & ~(value & space->masks->clear[at]));
    else
        access->value = old;
}

void pci_space_access(uint8_t space[PCI_SPACE_SIZE], const struct pci_masks *masks, struct bus_access *access)
{
    struct space view = {.byte = space, .masks = masks};

    bus_split_bytes(&view, access, space_byte);
}

/* Bits that a one clears are set by the device, if at all. */
bool pci_space_is_valid(const uint8_t space[PCI_SPACE_SIZE], const uint8_t reset[PCI_SPACE_SIZE],
                        const struct pci_masks *masks)
{
    for (unsigned i = 0; i < PCI_SPACE_SIZE; i++)
        if ((space[i] ^ reset[i]) & ~(masks->write[i] | masks->clear[i]))
            return false;
    return true;
}
