/* SPDX-License-Identifier: ISC */
/*
 * PCI bus 0: which functions answer configuration cycles.
 *
 * A function is one handler of the bus's own signature; its offset is the register number. The host bridge
 * turns its own mechanism (ports 0xcf8/0xcfc, later ECAM) into these calls. A slot without function 0 answers
 * nothing at all; an absent function reads as all ones at once (PCI Local Bus Specification 3.0, 3.2.2.3.4).
 */
#pragma once

#include "vmm/bus/bus.h"

#define PCI_SLOTS      32
#define PCI_FUNCTIONS  8
#define PCI_SPACE_SIZE 256

/* Registers of the type 0 header (6.1). */
enum pci_register {
    PCI_VENDOR = 0x00,
    PCI_DEVICE = 0x02,
    PCI_COMMAND = 0x04,
    PCI_STATUS = 0x06,
    PCI_REVISION = 0x08,
    PCI_CLASS = 0x09, /* programming interface, sub-class, base class */
    PCI_LATENCY = 0x0d,
    PCI_HEADER = 0x0e,
    PCI_BAR0 = 0x10,
    PCI_SUBSYSTEM_VENDOR = 0x2c,
    PCI_SUBSYSTEM = 0x2e,
    PCI_ROM = 0x30,
    PCI_CAPABILITIES = 0x34,
    PCI_INTERRUPT_LINE = 0x3c,
    PCI_INTERRUPT_PIN = 0x3d
};

/* A configuration access: offset 0..255, size 1, 2 or 4, never across a multiple of four. */
struct pci_function {
    bus_handler *config;
    void *device;
};

struct pci_bus {
    struct pci_function function[PCI_SLOTS][PCI_FUNCTIONS];
};

/* For each byte of a configuration space: the bits that software sets, and those that it clears by a one. */
struct pci_masks {
    uint8_t write[PCI_SPACE_SIZE];
    uint8_t clear[PCI_SPACE_SIZE];
};

void pci_bus_init(struct pci_bus *bus);

/* Register a function. BUS_INVALID: no such number, or no handler; BUS_OVERLAP: the number is taken. */
__attribute__((warn_unused_result)) enum bus_status
pci_bus_attach(struct pci_bus *bus, unsigned slot, unsigned function, const struct pci_function *handler);

/* Carry out an access to the data window (offset 0..3) for the address that was written to CONFIG_ADDRESS:
 * bit 31 enable, 23:16 bus, 15:11 slot, 10:8 function, 7:2 register. */
void pci_bus_config(struct pci_bus *bus, uint32_t address, struct bus_access *access);

/* Whether a configuration space can have come from `reset` by accesses within its masks. */
bool pci_space_is_valid(const uint8_t space[PCI_SPACE_SIZE], const uint8_t reset[PCI_SPACE_SIZE],
                        const struct pci_masks *masks);

/* Read or write `space` within its masks: the configuration handler of a function without side effects, or
 * the first step of one with them. */
void pci_space_access(uint8_t space[PCI_SPACE_SIZE], const struct pci_masks *masks,
                      struct bus_access *access);
