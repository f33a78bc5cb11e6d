/* SPDX-License-Identifier: ISC */
/*
 * 82371AB (PIIX4) IDE controller: PCI function 1 beside the ISA bridge, with two cables at the ports that a PC has
 * for them since the AT, and DMA by a bus master for each.
 *
 * Firmware would switch the ports on (IDETIM); here they are after reset, for guests that are loaded without any.
 * A controller without drives is not there.
 *
 * Manual: Intel 82371AB data sheet (290562), 4; Programming Interface for Bus Master IDE Controller, 1.0.
 */
#pragma once

#include "vmm/bus/pci_device.h"
#include "vmm/device/ata_channel.h"

#define PIIX4_IDE_CHANNELS 2u

struct piix4_ide_config {
    struct ata_config drive[PIIX4_IDE_CHANNELS][ATA_DRIVES];
    uint8_t slot, function;
};

struct piix4_ide_wiring {
    struct bus *bus;
    struct pci_bus *pci;
    const struct guest_ram *ram;
    struct irq_line irq[PIIX4_IDE_CHANNELS]; /* ISA IRQ 14 and 15 */
};

/* A bus master. */
struct piix4_ide_master {
    uint8_t command, status;
    uint32_t table;   /* as written */
    uint32_t next;    /* the entry after the present one */
    uint32_t entries; /* that were read since the start */
    uint32_t address, left;
    bool last; /* the present one is */
};

struct piix4_ide;

struct piix4_ide_channel {
    struct ata_channel ata; /* first: it is the context of its drives' wiring */
    struct piix4_ide_master reg;
    struct piix4_ide *ide;
    struct bus_region block, control;
};

struct piix4_ide {
    struct piix4_ide_config config;
    struct piix4_ide_wiring wiring;
    struct pci_device pci;
    struct piix4_ide_channel channel[PIIX4_IDE_CHANNELS];
    struct piix4_ide_channel loaded[PIIX4_IDE_CHANNELS]; /* of the loader, too large for a stack */
};

extern const struct device_class piix4_ide_class;

void piix4_ide_init(struct piix4_ide *ide, const struct piix4_ide_config *config,
                    const struct piix4_ide_wiring *wiring);
