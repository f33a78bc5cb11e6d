/* SPDX-License-Identifier: ISC */
/*
 * Tables by which firmware would describe this machine to the guest. They must match the wiring in pc.c.
 */
#include "vmm/board/machine.h"

#include "vmm/firmware/acpi.h"
#include "vmm/firmware/bda.h"
#include "vmm/firmware/mptable.h"
#include "vmm/firmware/reset_vector.h"

#define SMI_PORT 0xb2u

uint64_t machine_write_tables(struct machine *machine, uint32_t signature, uint32_t features)
{
    const struct bda_config bda = {.com1 = MACHINE_COM1, .mouse = true};
    const struct mptable_config mp = {
        .cpus = machine->cpus,
        .signature = signature,
        .features = features,
        .lapic_base = LAPIC_MMIO_BASE,
        .ioapic_base = I82093AA_MMIO_BASE,
        .sci_irq = PIIX3_SCI_IRQ,
    };
    const struct acpi_config config = {
        .rsdp = E820_RSDP,
        .tables = machine->map.acpi_base,
        .length = E820_ACPI_LENGTH,
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
    };

    if (!bda_write(&machine->ram, &bda) || !mptable_build(&machine->ram, &mp) ||
        !acpi_build(&machine->ram, &config) || !reset_vector_write(&machine->ram))
        return 0;
    return config.rsdp;
}
