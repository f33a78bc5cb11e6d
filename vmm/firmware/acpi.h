/* SPDX-License-Identifier: ISC */
/*
 * ACPI tables of the machine: RSDP, XSDT, FADT, FACS, MADT and a small DSDT, written into guest RAM.
 *
 * ACPI 6.3: 5.2.5 RSDP, 5.2.8 XSDT, 5.2.9 FADT (written as revision 5), 5.2.10 FACS, 5.2.12 MADT, ch. 20 AML.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/firmware/e820.h"

#define ACPI_MAX_CPUS    64
#define ACPI_S5_TYPE     5 /* SLP_TYP that switches off: PM1 control, bits 12..10 */
#define ACPI_RESET_PORT  0xcf9
#define ACPI_RESET_VALUE 6

struct acpi_config {
    uint64_t rsdp;   /* guest-physical, multiple of 16; below 1 MiB for guests that search it */
    uint64_t tables; /* guest-physical, multiple of 64, below 4 GiB */
    uint64_t length; /* bytes there; 8 KiB suffices for any configuration */
    unsigned cpus;   /* 1..ACPI_MAX_CPUS, APIC IDs 0, 1, .. */
    uint32_t lapic_base;
    uint32_t ioapic_base;
    uint8_t ioapic_id;
    uint16_t pm_base;    /* PM1a event block at +0, control at +4, timer (24 bits) at +8 */
    uint16_t smi_port;   /* SMI command port, or 0: SCI_EN is always set */
    uint8_t acpi_enable; /* values for the SMI command port */
    uint8_t acpi_disable;
    uint8_t sci_irq;
    uint8_t century; /* RTC index of the century, or 0 */
    bool i8042;
    bool vga;
    bool com1;
    uint32_t pci_base; /* PCI memory window, both included; pci_last 0: no PCI bus memory */
    uint32_t pci_last;
    /* The ISA inputs that PIRQA to PIRQD may be routed to, a bit each; 0: no PCI interrupts. They are active high
     * and level-triggered, at the 8259s and at the I/O APIC's pins of the same numbers. Pin INTx (0..3) of slot s
     * is wired to PIRQ (s + x + 3) % 4 as with the PIIX3 on i440fx boards. */
    uint16_t pirq_irqs;
    uint8_t isa_slot; /* of the PIIX3 */
};

/* Build all tables. False if a range is not RAM, not aligned, too short, or a number is out of its range. */
__attribute__((warn_unused_result)) bool acpi_build(const struct guest_ram *ram,
                                                    const struct acpi_config *config);
