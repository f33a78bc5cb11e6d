/* SPDX-License-Identifier: ISC */
/* PCI configuration space: core/pci.h. */
#include "core/pci.h"

#include <stddef.h>

#define ID           0x00
#define COMMAND      0x04
#define CLASS        0x08
#define HEADER       0x0c
#define BARS         0x10
#define ROM          0x30
#define CAPABILITIES 0x34

#define COMMAND_MEMORY      0x002u
#define COMMAND_MASTER      0x004u
#define COMMAND_NO_PIN      0x400u
#define STATUS_CAPABILITIES 0x100000u
#define HEADER_TYPE         0x7f0000u
#define HEADER_BRIDGE       0x010000u
#define HEADER_MANY         0x800000u
#define BRIDGE_BARS         2u
#define ROM_ON              1u
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

/* The bits that can be written; the register is as before. Of what goes on decoding those that are wired to 1
 * count, too: it is not to come to where memory is. */
static uint32_t bits_writable(const struct pci_access *access, const struct pci_function *function,
                              unsigned at)
{
    uint32_t before = access->read(function->id, at), mask;
    access->write(function->id, at, UINT32_MAX);
    mask = access->read(function->id, at);
    if (!pci_is_machine(function->class_code)) {
        access->write(function->id, at, 0);
        mask &= ~access->read(function->id, at);
    }
    access->write(function->id, at, before);
    return mask;
}

/* Its lowest writable bit is its size: higher ones may be wired, to 0 or not. */
static unsigned bar_read(const struct pci_access *access, struct pci_function *function, unsigned number)
{
    unsigned at = BARS + 4 * number;
    uint32_t low = access->read(function->id, at);
    bool wide = (low & BAR_TYPE) == BAR_64;
    if (low & BAR_PORTS)
        return 1;
    if ((low & BAR_TYPE) == BAR_TYPE || (wide && number + 1 == function->bars))
        return 1;
    struct pci_bar *bar = &function->bar[number];
    uint64_t mask = bits_writable(access, function, at) & ~BAR_FLAGS;
    bar->base = low & ~BAR_FLAGS;
    if (wide) {
        mask |= (uint64_t)bits_writable(access, function, at + 4) << 32;
        bar->base |= (uint64_t)access->read(function->id, at + 4) << 32;
    }
    bar->bytes = mask & -mask;
    return wide ? 2 : 1;
}

void pci_function_read(const struct pci_access *access, unsigned id, struct pci_function *function)
{
    uint32_t command = access->read(id, COMMAND) & 0xffff, type = access->read(id, HEADER) & HEADER_TYPE;
    *function = (struct pci_function){.id = (uint16_t)id,
                                      .on = command & COMMAND_MEMORY,
                                      .bars = type == 0               ? PCI_BARS
                                              : type == HEADER_BRIDGE ? BRIDGE_BARS
                                                                      : 0,
                                      .class_code = pci_class(access, id)};
    if (!pci_is_machine(function->class_code))
        access->write(id, COMMAND, command & ~(COMMAND_MEMORY | COMMAND_MASTER));
    for (unsigned i = 0; i < function->bars; i++)
        function->word[i] = access->read(id, BARS + 4 * i);
    function->word[PCI_BARS] = access->read(id, ROM) & ~ROM_ON;
    for (unsigned i = 0; i < function->bars;)
        i += bar_read(access, function, i);
    access->write(id, COMMAND, command);
}

/* The function that has a BAR there, too; NULL: none. */
static const struct pci_function *bar_overlap(const struct pci_function *functions, unsigned count,
                                              const struct pci_function *function, unsigned number)
{
    const struct pci_bar *bar = &function->bar[number];
    for (const struct pci_function *other = functions; other < functions + count; other++)
        for (unsigned i = 0; i < PCI_BARS && (other->on || !function->on || other == function); i++) {
            const struct pci_bar *b = &other->bar[i];
            if (b->bytes && b->base && b != bar && bar->base <= b->base + b->bytes - 1 &&
                b->base <= bar->base + bar->bytes - 1)
                return other;
        }
    return NULL;
}

void pci_functions_check(struct pci_function *functions, unsigned count, const struct pci_check *check)
{
    for (struct pci_function *function = functions; function < functions + count; function++)
        for (unsigned i = 0; i < PCI_BARS; i++) {
            const struct pci_bar *bar = &function->bar[i];
            const struct pci_function *other = NULL;
            const char *found = NULL;
            if (!bar->bytes)
                continue;
            if (!bar->base)
                found = "no address";
            else if (bar->base & (bar->bytes - 1))
                found = "no multiple of its size";
            else if ((other = bar_overlap(functions, count, function, i)))
                found = "a BAR";
            else
                found = check->taken(bar->base, bar->base + bar->bytes - 1);
            if (!found)
                continue;
            function->refused |= (uint8_t)(1u << i);
            check->tell(function, i, found, other);
        }
}

const struct pci_bar *pci_bar(const struct pci_function *function, uint64_t number)
{
    bool good =
        number < PCI_BARS && !(function->refused >> number & 1) && function->bar[number].bytes >= PAGE_BYTES;
    return good ? &function->bar[number] : NULL;
}

bool pci_restore(const struct pci_access *access, const struct pci_function *function, unsigned *number,
                 uint32_t *found)
{
    bool well = true;
    for (unsigned i = 0; i <= PCI_BARS && function->bars == PCI_BARS; i++) {
        unsigned at = i == PCI_BARS ? ROM : BARS + 4 * i;
        access->write(function->id, at, function->word[i]);
        if (access->read(function->id, at) == function->word[i])
            continue;
        *number = i;
        *found = access->read(function->id, at);
        well = false;
    }
    return well;
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
