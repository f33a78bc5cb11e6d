/* SPDX-License-Identifier: ISC */
/*
 * What PCI functions with registers of their own have alike: the type 0 header, BARs that move their regions on
 * the bus, INTx, and MSI. A device model has one of these beside its own registers, gives it a handler for each
 * BAR, and calls it when its interrupt changes.
 *
 * PCI Local Bus Specification 3.0, 6.1 to 6.8.
 */
#pragma once

#include "vmm/bus/device.h"
#include "vmm/bus/pci.h"

#define PCI_BARS        6
#define PCI_ROM_BAR     PCI_BARS /* number of the expansion ROM among the BARs */
#define PCI_MSI_VECTORS 32

#define PCI_COMMAND_IO       0x0001u
#define PCI_COMMAND_MEMORY   0x0002u
#define PCI_COMMAND_MASTER   0x0004u
#define PCI_COMMAND_INTX_OFF 0x0400u

enum pci_bar_kind {
    PCI_BAR_NONE,
    PCI_BAR_PORTS,
    PCI_BAR_MEMORY,
    PCI_BAR_MEMORY_64 /* takes the next number as well, which must be PCI_BAR_NONE */
};

struct pci_bar {
    enum pci_bar_kind kind;
    uint32_t length; /* bytes, a power of two: ports 4 to 256, memory from 16 on, ROM from 2048 on */
    bool prefetchable;
    bus_handler *handler;
};

struct pci_device_config {
    const char *name; /* static storage */
    uint16_t vendor, device, subsystem_vendor, subsystem;
    uint8_t revision, class[3];       /* programming interface, sub-class, base class */
    uint8_t pin;                      /* 1 to 4: INTA to INTD; 0: none */
    uint8_t msi;                      /* vectors: a power of two up to 32; 0: no MSI */
    struct pci_bar bar[PCI_BARS + 1]; /* the last is the ROM: none or PCI_BAR_MEMORY */
};

struct pci_device_registers {
    uint8_t space[PCI_SPACE_SIZE];
};

struct pci_device_wiring {
    struct bus *bus;
    void *device; /* of the BARs' handlers */
    struct irq_line intx;
    /* A message-signalled interrupt: a write of `data` to `address`. May be NULL. */
    void (*message)(void *context, uint64_t address, uint32_t data);
    void *context;
    /* Software has written to the configuration space, and what the header stands for has followed. May be
     * NULL. */
    void (*configured)(void *device);
};

struct pci_device {
    struct pci_device_registers reg;
    struct pci_device_config config;
    struct pci_device_wiring wiring;
    /* Made of the configuration at the start; a device with registers of its own behind the header adds them
     * before its first reset. The regions' places follow from the registers. */
    uint8_t initial[PCI_SPACE_SIZE];
    struct pci_masks masks;
    struct bus_region region[PCI_BARS + 1];
};

/* Put a function together and register it at a slot, and its BARs with the bus. BUS_INVALID: a length, pin or
 * number of vectors that cannot be; else errors of pci_bus_attach and bus_attach_movable. Before the VM runs. */
MUST_CHECK enum bus_status pci_device_init(struct pci_device *pci, const struct pci_device_config *config,
                                           const struct pci_device_wiring *wiring, struct pci_bus *bus,
                                           unsigned slot, unsigned function);

/* The rest is called with the chips' lock. */

/* The reset line: no BAR decodes, nothing is asserted. */
void pci_device_reset(struct pci_device *pci);

/* The level of the function's own interrupt. It reaches the INTx line unless software has switched that off or
 * MSI on. */
void pci_device_set_intx(struct pci_device *pci, bool level);

/* Send a message; a vector that is masked waits. Of the vector number, the bits count that software has granted.
 * False: MSI is off, or the function is no bus master; INTx is then the way. */
bool pci_device_send(struct pci_device *pci, unsigned vector);

/* Saved state: the fields, for the owner's own list of fields; whether these can be; and taking them, which
 * moves the BARs but drives no line. */
void pci_device_fields(struct state *state, struct pci_device_registers *reg);
MUST_CHECK bool pci_device_is_valid(const struct pci_device *pci, const struct pci_device_registers *reg);
void pci_device_load(struct pci_device *pci, const struct pci_device_registers *reg);
