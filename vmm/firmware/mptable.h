/* SPDX-License-Identifier: ISC */
/*
 * The tables of the MultiProcessor Specification 1.4, for guests that do not read ACPI: the floating pointer
 * structure (4.1) and behind it the configuration table (4.2) with processors, buses, I/O APIC and
 * interrupts.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vmm/firmware/e820.h"

#define MPTABLE_BASE 0xf1000u /* in the ROM area, where a guest searches; behind the RSDP */

#define MPTABLE_PCI_MAX 128u

/* An interrupt pin (1 to 4: INTA to INTD) of a slot of PCI bus 0, and the ISA input that it is routed to, which is
 * the I/O APIC's pin as well: active high, level-triggered. */
struct mptable_pci {
    uint8_t slot, pin, irq;
};

struct mptable_config {
    unsigned cpus;      /* APIC IDs 0, 1, ... */
    uint32_t signature; /* of the processors, EAX of CPUID 1 */
    uint32_t features;  /* EDX of CPUID 1 */
    uint32_t lapic_base, ioapic_base;
    uint8_t ioapic_id;
    uint8_t sci_irq; /* active high, level */
    const struct mptable_pci *pci;
    unsigned pci_count; /* MPTABLE_PCI_MAX at most */
};

/* Writes both at MPTABLE_BASE. False: that is not RAM, or there are more than 64 processors or none, or too many
 * interrupts. */
__attribute__((warn_unused_result)) bool mptable_build(const struct guest_ram *ram,
                                                       const struct mptable_config *config);
