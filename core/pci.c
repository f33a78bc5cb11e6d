/* SPDX-License-Identifier: ISC */
/* PCI configuration space: core/pci.h. */
#include "core/pci.h"

#include <stddef.h>

#define ID           0x00
#define COMMAND      0x04
#define CLASS        0x08
#define HEADER       0x0c
#define BARS         0x10
#define CAPABILITIES 0x34

#define COMMAND_MEMORY      0x002u
#define COMMAND_MASTER      0x004u
#define COMMAND_NO_PIN      0x400u
#define STATUS_CAPABILITIES 0x100000u
#define HEADER_TYPE         0x7f0000u
#define HEADER_MANY         0x800000u
#define BAR_PORTS           1u
#define BAR_TYPE            6u
#define BAR_64              4u
#define BAR_FLAGS           0xfu
#define CAPABILITY_MSI      0x05u
#define CAPABILITY_EXPRESS  0x10u
#define CAPABILITY_MSIX     0x11u
#define CAPABILITIES_MAX    48u /* that fit */
#define MSI_ON              0x10000u
#define MSI_MANY            0x700000u
#define MSI_64              0x800000u
#define MSIX_ON             0x80000000u
#define MSIX_MASKED         0x40000000u
#define MSIX_LAST(control)  ((control) >> 16 & 0x7ff)
#define EXPRESS_CONTROL     8u /* of the device; its status, cleared by ones, above */
#define EXPRESS_NO_SNOOP    0x0800u
#define CLASS_BRIDGE        0x06u   /* base class */
#define CLASS_IOMMU         0x0806u /* base class and subclass */
#define PAGE_BYTES          0x1000u

static bool hex(const char **text, unsigned digits, uint32_t *value)
{
    *value = 0;
    for (; digits--; (*text)++) {
        char c = **text;
        if (c >= '0' && c <= '9')
            *value = *value << 4 | (uint32_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            *value = *value << 4 | (uint32_t)(c - 'a' + 10);
        else
            return false;
    }
    return true;
}

bool pci_label(const char *label, bool *is_class, uint32_t *value)
{
    const char *text = label;
    uint32_t bus, device, function;
    *is_class = hex(&text, 6, value) && !*text;
    text = label;
    if (*is_class)
        return true;
    if (!hex(&text, 2, &bus) || *text++ != ':' || !hex(&text, 2, &device) || *text++ != '.' ||
        !hex(&text, 1, &function) || *text || device > 31 || function > 7)
        return false;
    *value = bus << 8 | device << 3 | function;
    return true;
}

unsigned pci_next(const struct pci_access *access, unsigned id)
{
    for (; id < PCI_FUNCTIONS; id++) {
        bool many = id % 8 == 0 || (access->read(id & ~7u, HEADER) & HEADER_MANY);
        if (!many)
            id |= 7; /* functions that would be shadows of the first */
        else if (access->read(id, ID) % 0x10000 != 0xffff)
            return id;
        else if (id % 8 == 0)
            id |= 7;
    }
    return PCI_FUNCTIONS;
}

uint32_t pci_class(const struct pci_access *access, unsigned id)
{
    return access->read(id, CLASS) >> 8;
}

bool pci_is_machine(uint32_t class_code)
{
    return class_code >> 16 == CLASS_BRIDGE || class_code >> 8 == CLASS_IOMMU;
}

bool pci_bar(const struct pci_access *access, unsigned id, unsigned number, uint64_t *base, uint64_t *bytes)
{
    unsigned at = BARS + 4 * number;
    uint32_t command = access->read(id, COMMAND) & 0xffff, low, high = 0, size, size_high = UINT32_MAX;
    if (number >= PCI_BARS || (access->read(id, HEADER) & HEADER_TYPE))
        return false;
    low = access->read(id, at);
    bool wide = (low & BAR_TYPE) == BAR_64;
    if ((low & BAR_PORTS) || (wide && number == PCI_BARS - 1))
        return false;
    access->write(id, COMMAND, command & ~(COMMAND_MEMORY | COMMAND_MASTER));
    access->write(id, at, UINT32_MAX);
    size = access->read(id, at) & ~BAR_FLAGS;
    access->write(id, at, low);
    if (wide) {
        high = access->read(id, at + 4);
        access->write(id, at + 4, UINT32_MAX);
        size_high = access->read(id, at + 4);
        access->write(id, at + 4, high);
    }
    access->write(id, COMMAND, command);
    *base = (uint64_t)high << 32 | (low & ~BAR_FLAGS);
    *bytes = ~((uint64_t)size_high << 32 | size) + 1;
    return *base && *bytes >= PAGE_BYTES && *base % PAGE_BYTES == 0 && !(*bytes & (*bytes - 1));
}

void pci_command(const struct pci_access *access, unsigned id, bool memory, bool dma)
{
    access->write(id, COMMAND, COMMAND_NO_PIN | (memory ? COMMAND_MEMORY : 0) | (dma ? COMMAND_MASTER : 0));
}

/* Where a capability stands; 0: the function has none of the kind. A list that is a ring ends, too. */
static unsigned capability(const struct pci_access *access, unsigned id, unsigned kind)
{
    unsigned at = 0;
    if (access->read(id, COMMAND) & STATUS_CAPABILITIES)
        at = access->read(id, CAPABILITIES) & 0xfc;
    for (unsigned i = 0; at && i < CAPABILITIES_MAX; i++) {
        uint32_t head = access->read(id, at);
        if ((head & 0xff) == kind)
            return at;
        at = head >> 8 & 0xfc;
    }
    return 0;
}

void pci_quiet(const struct pci_access *access, unsigned id)
{
    unsigned msi = capability(access, id, CAPABILITY_MSI), msix = capability(access, id, CAPABILITY_MSIX);
    unsigned express = capability(access, id, CAPABILITY_EXPRESS);
    if (msi)
        access->write(id, msi, access->read(id, msi) & ~MSI_ON);
    if (msix)
        access->write(id, msix, access->read(id, msix) & ~MSIX_ON);
    if (express)
        access->write(id, express + EXPRESS_CONTROL,
                      access->read(id, express + EXPRESS_CONTROL) & 0xffff & ~EXPRESS_NO_SNOOP);
}

unsigned pci_messages(const struct pci_access *access, unsigned id)
{
    unsigned msix = capability(access, id, CAPABILITY_MSIX);
    if (msix)
        return MSIX_LAST(access->read(id, msix)) + 1;
    return capability(access, id, CAPABILITY_MSI) ? 1 : 0;
}

bool pci_message(const struct pci_access *access, unsigned id, uint64_t address, uint32_t data)
{
    unsigned msi = capability(access, id, CAPABILITY_MSI), msix = capability(access, id, CAPABILITY_MSIX);
    if (msix) {
        access->write(id, msix, (access->read(id, msix) & ~MSIX_MASKED) | MSIX_ON);
        return true;
    }
    if (!msi)
        return false;
    uint32_t control = access->read(id, msi);
    access->write(id, msi + 4, (uint32_t)address);
    if (control & MSI_64)
        access->write(id, msi + 8, (uint32_t)(address >> 32));
    access->write(id, msi + (control & MSI_64 ? 12 : 8), data & 0xffff);
    access->write(id, msi, (control & ~MSI_MANY) | MSI_ON);
    return true;
}
