/* SPDX-License-Identifier: ISC */
/*
 * MP tables; see mptable.h. One ISA bus; its interrupts go to the pins of the I/O APIC as the MADT says: IRQ
 * 0 to pin 2, the others to those of their numbers. The 8259s are wired to the first processor's LINT0.
 */
#include "vmm/firmware/mptable.h"

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

/* An interrupt of the ISA bus to a pin of the I/O APIC, or of a local APIC. */
static uint8_t *put_interrupt(uint8_t *at, uint8_t entry, uint8_t type, uint16_t flags, uint8_t irq,
                              uint8_t apic, uint8_t pin)
{
    at[0] = entry;
    at[1] = type;
    put(at + 2, flags, 2);
    at[4] = 0; /* the bus */
    at[5] = irq;
    at[6] = apic;
    at[7] = pin;
    return at + ENTRY_LENGTH;
}

static uint8_t *put_entries(uint8_t *at, const struct mptable_config *config)
{
    for (unsigned cpu = 0; cpu < config->cpus; cpu++)
        at = put_processor(at, config, cpu);
    at[0] = ENTRY_BUS;
    memcpy(at + 2, "ISA   ", 6);
    at += ENTRY_LENGTH;
    at[0] = ENTRY_IOAPIC;
    at[1] = config->ioapic_id;
    at[2] = IOAPIC_VERSION;
    at[3] = 1; /* enabled */
    put(at + 4, config->ioapic_base, 4);
    at += ENTRY_LENGTH;
    for (uint8_t irq = 0; irq < ISA_IRQS; irq++)
        if (irq != 2) /* the second 8259 */
            at = put_interrupt(at, ENTRY_INTERRUPT, TYPE_INT, irq == config->sci_irq ? HIGH_LEVEL : 0, irq,
                               config->ioapic_id, irq == 0 ? 2 : irq);
    at = put_interrupt(at, ENTRY_LOCAL, TYPE_EXTINT, 0, 0, 0, 0);
    return put_interrupt(at, ENTRY_LOCAL, TYPE_NMI, 0, 0, ALL_APICS, 1);
}

bool mptable_build(const struct guest_ram *ram, const struct mptable_config *config)
{
    unsigned entries = config->cpus + 2 + (ISA_IRQS - 1) + 2;
    unsigned length =
        HEADER_LENGTH + config->cpus * PROCESSOR_LENGTH + (entries - config->cpus) * ENTRY_LENGTH;
    uint8_t *pointer = guest_ram_at(ram, MPTABLE_BASE, POINTER_LENGTH + length);
    uint8_t *table = pointer + POINTER_LENGTH;

    if (!pointer || config->cpus == 0 || config->cpus > CPUS_MAX)
        return false;
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
    put(table + 34, entries, 2);
    put(table + 36, config->lapic_base, 4);
    (void)put_entries(table + HEADER_LENGTH, config);
    table[7] = checksum(table, length);
    return true;
}
