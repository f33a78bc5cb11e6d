/* SPDX-License-Identifier: ISC */
/*
 * 82441FX host bridge: PCI configuration mechanism 1 and function 00:00.0.
 *
 * Ports 0xcf8 and 0xcfc. CONFIG_ADDRESS is a dword register: narrower cycles to 0xcf8 to 0xcfb pass on to the
 * bus and reach the PIIX3, whose reset control register is 0xcf9. The bridge's DRAM, PAM and SMRAM registers
 * are kept; who maps guest memory may watch them.
 *
 * Manual: Intel 82441FX (PMC) data sheet (290549), chapter 3.
 */
#pragma once

#include "vmm/bus/device.h"
#include "vmm/bus/pci.h"

#include <stdbool.h>
#include <stdint.h>

#define I440FX_DRB       0x60 /* eight DRAM row boundaries, units of 8 MiB */
#define I440FX_PAM0      0x59
#define I440FX_PAM_COUNT 7
#define I440FX_SMRAM     0x72

/* What happens to an access in a PAM segment: neither bit set goes to PCI (the ROM). */
#define PAM_READ  0x1
#define PAM_WRITE 0x2

struct i440fx_registers {
    uint32_t config_address;
    uint8_t space[PCI_SPACE_SIZE];
};

struct i440fx_wiring {
    /* A PAM or SMRAM register changed. Called within the access; may be NULL. */
    void (*memory_changed)(void *context);
    void *context;
};

struct i440fx {
    struct i440fx_registers reg;
    struct i440fx_wiring wiring;
    struct pci_bus pci;
    bus_handler *forward; /* narrow accesses to 0xcf8 to 0xcfb; offset from 0xcf8 */
    void *forward_device;
};

extern const struct device_class i440fx_class;

/* The bridge puts itself at 00:00.0; further functions register with pci_bus_attach(&bridge->pci, ...). */
void i440fx_init(struct i440fx *bridge, const struct i440fx_wiring *wiring);
void i440fx_reset(struct i440fx *bridge);

/* Register ports 0xcf8 to 0xcff. Errors: those of bus_attach. */
__attribute__((warn_unused_result)) enum bus_status i440fx_attach(struct i440fx *bridge, struct bus *bus);

/* Who sees the accesses to 0xcf8 to 0xcfb that are no dword. Without anyone they read as ones. */
void i440fx_forward(struct i440fx *bridge, bus_handler *handler, void *device);

/* PAM_READ and PAM_WRITE of the segment that an address in 0xc0000 to 0xfffff lies in; 0 outside. */
unsigned i440fx_pam(const struct i440fx *bridge, uint32_t address);
