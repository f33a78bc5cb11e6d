/* SPDX-License-Identifier: ISC */
/*
 * Power management of the 82371AB (PIIX4): the ACPI fixed registers, the PM timer and the SMI command ports.
 *
 * 64 ports at a base that the machine chooses and its FADT tells; APMC and APMS at 0xb2 and 0xb3. There is no
 * SMM: the two commands that switch between ACPI and legacy mode are carried out at once. Sleep states other
 * than soft-off are not entered; the machine wakes in the same instant.
 *
 * Manuals: Intel 82371AB data sheet (290562), 7.1 to 7.3; ACPI Specification 6.4, 4.8.3.
 */
#pragma once

#include "vmm/bus/device.h"
#include "vmm/bus/pci.h"

#include <stdbool.h>
#include <stdint.h>

#define PIIX4_PM_HZ     3579545u
#define PIIX4_PM_LENGTH 64 /* ports */

/* Offsets of the blocks that the FADT names. */
#define PIIX4_PM1A_EVENT   0x00 /* status word, enable word */
#define PIIX4_PM1A_CONTROL 0x04
#define PIIX4_PM_TIMER     0x08
#define PIIX4_GPE0         0x0c /* two status bytes, two enable bytes: all zero */

struct piix4_pm_registers {
    uint16_t status;
    uint16_t enable;
    uint16_t control;
    uint64_t halves;     /* half periods of the timer for which TMR_STS is accounted */
    uint8_t smi_command; /* APMC as last written */
    uint8_t smi_status;  /* APMS */
    uint8_t space[PCI_SPACE_SIZE];
};

struct piix4_pm_config {
    uint16_t base;        /* of the ports, a multiple of 64: 0xb000 or 0x600 are usual */
    uint8_t timer_bits;   /* 24 or 32 (FADT flag TMR_VAL_EXT) */
    uint8_t s5_type;      /* SLP_TYP of soft-off, as the DSDT's \_S5 says: 0 to 7 */
    uint8_t acpi_enable;  /* FADT ACPI_ENABLE */
    uint8_t acpi_disable; /* FADT ACPI_DISABLE, another value */
};

struct piix4_pm_wiring {
    void (*power_off)(void *context);
    void *context;
    struct irq_line sci; /* level-triggered; PIIX3_SCI of the bridge, which shares the input */
};

struct piix4_pm {
    struct piix4_pm_registers reg;
    struct piix4_pm_config config;
    struct piix4_pm_wiring wiring;
};

extern const struct device_class piix4_pm_class;

void piix4_pm_init(struct piix4_pm *pm, const struct piix4_pm_config *config,
                   const struct piix4_pm_wiring *wiring);

/* To legacy mode, all events cleared. The timer runs on: it has no reset. */
void piix4_pm_reset(struct piix4_pm *pm, uint64_t now);

/* Register the ports and the clock. Errors: those of bus_attach and bus_attach_clock. */
__attribute__((warn_unused_result)) enum bus_status piix4_pm_attach(struct piix4_pm *pm, struct bus *bus);

/* Register the PCI function 8086:7113 too (00:01.3 on a PC): its PMBASE shows the base and cannot be moved.
 */
__attribute__((warn_unused_result)) enum bus_status
piix4_pm_attach_pci(struct piix4_pm *pm, struct pci_bus *pci, unsigned slot, unsigned function);

/* The power button is pressed: what a host does to ask the guest to shut down. */
void piix4_pm_power_button(struct piix4_pm *pm, uint64_t now);
