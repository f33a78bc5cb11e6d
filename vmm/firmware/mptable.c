/* SPDX-License-Identifier: ISC */
/*
 * MP tables; see mptable.h. A PCI and an ISA bus, whose interrupts go to the pins of the I/O APIC as the MADT says:
 * IRQ 0 to pin 2, the others to those of their numbers. An input that PCI uses is none of the ISA bus's. The 8259s
 * are wired to the first processor's LINT0.
 */
#include "vmm/firmware/mptable.h"

#include "vmm/firmware/irqs.h"

#include <string.h>

#define POINTER_LENGTH   16u
#define HEADER_LENGTH    44u
#define PROCESSOR_LENGTH 20u
#define ENTRY_LENGTH     8u
#define CPUS_MAX         64u
#define ISA_IRQS         16u
#define APIC_VERSION     0x14u
#define IOAPIC_VERSION   0x11u

enum { ENTRY_PROCESSOR, ENTRY_BUS, ENTRY_IOAPIC, ENTRY_INTERRUPT, ENTRY_LOCAL };
enum { BUS_PCI, BUS_ISA, BUSES };
enum { TYPE_INT, TYPE_NMI, TYPE_SMI, TYPE_EXTINT };

#define HIGH_LEVEL 0x0du
#define ALL_APICS  0xffu

static void put(uint8_t *to, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        to[i] = (uint8_t)(value >> i * 8);
}

static uint8_t checksum(const uint8_t *bytes, unsigned length)
{
    unsigned sum = 0;

    for (unsigned i = 0; i < length; i++)
        sum += bytes[i];
    return (uint8_t)(0u - sum);
}

static uint8_t *put_processor(uint8_t *at, const struct mptable_config *config, unsigned cpu)
{
    at[0] = ENTRY_PROCESSOR;
    at[1] = (uint8_t)cpu;
    at[2] = APIC_VERSION;
    at[3] = cpu == 0 ? 3 : 1; /* enabled; the first boots */
    put(at + 4, config->signature, 4);
    put(at + 8, config->features, 4);
    return at + PROCESSOR_LENGTH;
}

static uint8_t *put_bus(uint8_t *at, uint8_t bus, const char type[6])
{
    at[0] = ENTRY_BUS;
    at[1] = bus;
    memcpy(at + 2, type, 6);
    return at + ENTRY_LENGTH;
}

/* An interrupt of a bus to a pin of the I/O APIC, or of a local APIC. */
static uint8_t *put_interrupt(uint8_t *at, uint8_t entry, uint8_t type, uint16_t flags, uint8_t bus,
                              uint8_t irq, uint8_t apic, uint8_t pin)
{
    at[0] = entry;
    at[1] = type;
    put(at + 2, flags, 2);
    at[4] = bus;
    at[5] = irq;
    at[6] = apic;
    at[7] = pin;
    return at + ENTRY_LENGTH;
}

/* The ISA inputs that are the ISA bus's, a bit each. Input 2 is the second 8259. */
static uint32_t isa_irqs(const struct mptable_config *config)
{
    uint32_t irqs = ((1u << ISA_IRQS) - 1) & ~(1u << 2);

    for (unsigned i = 0; i < config->pci_count; i++)
        if (config->pci[i].irq != config->sci_irq)
            irqs &= ~(1u << config->pci[i].irq % ISA_IRQS);
    return irqs;
}

static uint8_t *put_interrupts(uint8_t *at, const struct mptable_config *config)
{
    uint32_t irqs = isa_irqs(config);

    for (uint8_t irq = 0; irq < ISA_IRQS; irq++)
        if (irqs >> irq & 1)
            at = put_interrupt(at, ENTRY_INTERRUPT, TYPE_INT, irq == config->sci_irq ? HIGH_LEVEL : 0,
                               BUS_ISA, irq, config->ioapic_id, irq == 0 ? 2 : irq);
    for (unsigned i = 0; i < config->pci_count; i++) {
        const struct mptable_pci *pci = &config->pci[i];

        at = put_interrupt(at, ENTRY_INTERRUPT, TYPE_INT, HIGH_LEVEL, BUS_PCI,
                           (uint8_t)(pci->slot << 2 | ((pci->pin - 1) & 3)), config->ioapic_id,
                           pci->irq % ISA_IRQS);
    }
    at = put_interrupt(at, ENTRY_LOCAL, TYPE_EXTINT, 0, BUS_ISA, 0, 0, 0);
    return put_interrupt(at, ENTRY_LOCAL, TYPE_NMI, 0, BUS_ISA, 0, ALL_APICS, 1);
}

static void put_entries(uint8_t *at, const struct mptable_config *config)
{
    for (unsigned cpu = 0; cpu < config->cpus; cpu++)
        at = put_processor(at, config, cpu);
    at = put_bus(at, BUS_PCI, "PCI   ");
    at = put_bus(at, BUS_ISA, "ISA   ");
    at[0] = ENTRY_IOAPIC;
    at[1] = config->ioapic_id;
    at[2] = IOAPIC_VERSION;
    at[3] = 1; /* enabled */
    put(at + 4, config->ioapic_base, 4);
    (void)put_interrupts(at + ENTRY_LENGTH, config); /* where they end, the table does */
}

bool mptable_build(const struct guest_ram *ram, const struct mptable_config *config)
{
    unsigned others, length;
    uint8_t *pointer, *table;

    if (config->cpus == 0 || config->cpus > CPUS_MAX || config->pci_count > MPTABLE_PCI_MAX)
        return false;
    others = BUSES + 1 + irqs_count(isa_irqs(config)) + config->pci_count + 2;
    length = HEADER_LENGTH + config->cpus * PROCESSOR_LENGTH + others * ENTRY_LENGTH;
    pointer = guest_ram_at(ram, MPTABLE_BASE, POINTER_LENGTH + length);
    if (!pointer)
        return false;
    table = pointer + POINTER_LENGTH;
    memset(pointer, 0, POINTER_LENGTH + length);
    memcpy(pointer, "_MP_", 4);
    put(pointer + 4, MPTABLE_BASE + POINTER_LENGTH, 4);
    pointer[8] = 1; /* paragraphs */
    pointer[9] = 4; /* revision 1.4 */
    pointer[10] = checksum(pointer, POINTER_LENGTH);
    memcpy(table, "PCMP", 4);
    put(table + 4, length, 2);
    table[6] = 4;
    memcpy(table + 8, "DONJON  ", 8);
    memcpy(table + 16, "DONJONVM    ", 12);
    put(table + 34, config->cpus + others, 2);
    put(table + 36, config->lapic_base, 4);
    put_entries(table + HEADER_LENGTH, config);
    table[7] = checksum(table, length);
    return true;
}
