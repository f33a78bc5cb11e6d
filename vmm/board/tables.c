/* SPDX-License-Identifier: ISC */
/*
 * What firmware would do for a guest that is started without: tables that describe the machine, and the routes of
 * PCI interrupts. They must match the wiring in pc.c.
 */
#include "vmm/board/machine.h"

#include "vmm/firmware/acpi.h"
#include "vmm/firmware/bda.h"
#include "vmm/firmware/mptable.h"
#include "vmm/firmware/reset_vector.h"

#define SMI_PORT     0xb2u
#define PORT_ADDRESS 0xcf8u
#define PORT_DATA    0xcfcu
#define PORT_ELCR    0x4d0u
#define NO_VENDOR    0xffffu
#define PCI_IRQS     (1u << 5 | 1u << 10 | 1u << 11) /* that links may be set to */

/* Where firmware for this chip set leads PIRQA to PIRQD. */
static const uint8_t routes[] = {10, 10, 11, 11};

static uint16_t choose(struct machine *machine, unsigned slot, unsigned function, unsigned reg)
{
    bus_write(&machine->bus, BUS_PORT, PORT_ADDRESS, 4, 1u << 31 | slot << 11 | function << 8 | (reg & 0xfc),
              0, 0);
    return (uint16_t)(PORT_DATA + (reg & 3));
}

static unsigned config_read(struct machine *machine, unsigned slot, unsigned function, unsigned reg,
                            uint8_t size)
{
    return (unsigned)bus_read(&machine->bus, BUS_PORT, choose(machine, slot, function, reg), size, 0, 0);
}

static void config_write(struct machine *machine, unsigned slot, unsigned function, unsigned reg,
                         uint8_t value)
{
    bus_write(&machine->bus, BUS_PORT, choose(machine, slot, function, reg), 1, value, 0, 0);
}

/* Sets the bridge, the 8259s and each function that has an interrupt. Returns how many pins there are. */
static unsigned route_interrupts(struct machine *machine, struct mptable_pci pins[MPTABLE_PCI_MAX])
{
    unsigned count = 0;
    uint16_t level = 0;

    for (unsigned i = 0; i < sizeof(routes); i++) {
        config_write(machine, MACHINE_BRIDGE_SLOT, 0, PIIX3_PIRQRC + i, routes[i]);
        level |= (uint16_t)(1u << routes[i]);
    }
    bus_write(&machine->bus, BUS_PORT, PORT_ELCR, 2, level, 0, 0);
    for (unsigned at = 0; at < PCI_SLOTS * PCI_FUNCTIONS && count < MPTABLE_PCI_MAX; at++) {
        unsigned slot = at / PCI_FUNCTIONS, function = at % PCI_FUNCTIONS;
        uint8_t pin, irq;

        if (config_read(machine, slot, function, PCI_VENDOR, 2) == NO_VENDOR)
            continue;
        pin = (uint8_t)config_read(machine, slot, function, PCI_INTERRUPT_PIN, 1);
        if (pin == 0 || pin > 4)
            continue;
        irq = slot == MACHINE_BRIDGE_SLOT && function == MACHINE_PM_FUNCTION
                  ? PIIX3_SCI_IRQ
                  : routes[piix3_pirq(slot, pin - 1u)];
        config_write(machine, slot, function, PCI_INTERRUPT_LINE, irq);
        pins[count++] = (struct mptable_pci){.slot = (uint8_t)slot, .pin = pin, .irq = irq};
    }
    bus_write(&machine->bus, BUS_PORT, PORT_ADDRESS, 4, 0, 0, 0);
    return count;
}

struct acpi_config machine_acpi(const struct machine *machine)
{
    return (struct acpi_config){
        .cpus = machine->cpus,
        .lapic_base = LAPIC_MMIO_BASE,
        .ioapic_base = I82093AA_MMIO_BASE,
        .pm_base = MACHINE_PM_BASE,
        .smi_port = SMI_PORT,
        .acpi_enable = MACHINE_ACPI_ENABLE,
        .acpi_disable = MACHINE_ACPI_DISABLE,
        .sci_irq = PIIX3_SCI_IRQ,
        .century = RTC_CENTURY,
        .i8042 = true,
        .com1 = true,
        .pci_base = E820_PCI_HOLE,
        .pci_last = I82093AA_MMIO_BASE - 1,
        .pirq_irqs = PCI_IRQS,
        .isa_slot = MACHINE_BRIDGE_SLOT,
    };
}

uint64_t machine_write_tables(struct machine *machine, uint32_t signature, uint32_t features)
{
    struct mptable_pci pins[MPTABLE_PCI_MAX];
    const struct bda_config bda = {.com1 = MACHINE_COM1, .mouse = true};
    const struct mptable_config mp = {
        .cpus = machine->cpus,
        .signature = signature,
        .features = features,
        .lapic_base = LAPIC_MMIO_BASE,
        .ioapic_base = I82093AA_MMIO_BASE,
        .sci_irq = PIIX3_SCI_IRQ,
        .pci = pins,
        .pci_count = route_interrupts(machine, pins),
    };
    struct acpi_config config = machine_acpi(machine);

    config.rsdp = E820_RSDP;
    config.tables = machine->map.acpi_base;
    config.length = E820_ACPI_LENGTH;
    if (!bda_write(&machine->ram, &bda) || !mptable_build(&machine->ram, &mp) ||
        !acpi_build(&machine->ram, &config) || !reset_vector_write(&machine->ram))
        return 0;
    return config.rsdp;
}
