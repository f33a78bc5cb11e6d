/* SPDX-License-Identifier: ISC */
/*
 * The wiring of the PC; see machine.h. Every chip is told once where its outputs lead; after that nothing
 * here is called but the wires themselves.
 */
#include "vmm/machine/machine.h"

#include "vmm/machine/acpi.h"

#include <string.h>

#define BRIDGE_SLOT   1u
#define PM_FUNCTION   3u
#define TIMER_PIN     2u /* of the I/O APIC: the 8254, as the MADT says */
#define PM_TIMER_BITS 24 /* as the FADT says */
#define ACPI_ENABLE   0xf1u
#define ACPI_DISABLE  0xf0u
#define SMI_PORT      0xb2u

void machine_request(struct machine *machine, enum machine_request request, const char *reason)
{
    if (machine->request != MACHINE_RUNS)
        return;
    machine->request = request;
    machine->reason = reason;
}

/* An ISA interrupt: both controllers see it. */
static void isa_irq(void *opaque, unsigned pin, bool level)
{
    struct machine *machine = opaque;

    i8259_set_irq(&machine->pic, pin, level);
    i82093aa_set_irq(&machine->ioapic, pin == 0 ? TIMER_PIN : pin, level);
}

static void pic_intr(void *opaque, unsigned pin, bool level)
{
    struct machine *machine = opaque;

    (void)pin;
    machine->intr = level;
    machine->attention = true;
    lapic_set_lint(&machine->lapic, 0, level);
}

static struct irq_line isa_line(struct machine *machine, unsigned pin)
{
    return (struct irq_line){.set = isa_irq, .sink = machine, .pin = pin};
}

static void apic_send(void *opaque, const struct lapic_message *message)
{
    struct machine *machine = opaque;
    struct lapic *const lapics[] = {&machine->lapic};

    (void)lapic_route(lapics, 1, message);
}

static bool ioapic_send(void *opaque, const struct lapic_message *message)
{
    struct machine *machine = opaque;
    struct lapic *const lapics[] = {&machine->lapic};

    return lapic_route(lapics, 1, message);
}

static void apic_eoi(void *opaque, uint8_t vector)
{
    struct machine *machine = opaque;

    i82093aa_eoi(&machine->ioapic, vector);
}

static void apic_wake(void *opaque, unsigned cpu)
{
    struct machine *machine = opaque;

    (void)cpu;
    machine->attention = true;
}

/* SMI has nobody to serve it. INIT for the only processor, which is running, is a reset of it as far as a
 * guest can tell; STARTUP means nothing to it. */
static void apic_event(void *opaque, unsigned cpu, enum lapic_delivery delivery, uint8_t vector)
{
    struct machine *machine = opaque;

    (void)cpu;
    (void)vector;
    if (delivery == LAPIC_NMI) {
        machine->nmi = true;
        machine->attention = true;
    } else if (delivery == LAPIC_INIT) {
        machine_request(machine, MACHINE_RESET, "INIT");
    }
}

/* Every access of the guest may change what can be delivered: EOI, TPR, a mask. */
static void lapic_page(void *opaque, struct bus_access *access)
{
    struct machine *machine = opaque;

    machine->attention |= access->write;
    lapic_access(&machine->lapic, access);
}

static void kbc_reset(void *opaque)
{
    machine_request(opaque, MACHINE_RESET, "8042 or port 0x92");
}

static void port_cf9_reset(void *opaque, bool hard)
{
    (void)hard;
    machine_request(opaque, MACHINE_RESET, "port 0xcf9");
}

static void power_off(void *opaque)
{
    machine_request(opaque, MACHINE_POWER_OFF, "S5");
}

static void init_apics(struct machine *machine)
{
    const struct lapic_config config = {
        .bsp = true, .x2apic = true, .tsc_khz = (uint32_t)(machine->clock.hz / 1000)};
    const struct lapic_link link = {
        .send = apic_send, .eoi = apic_eoi, .wake = apic_wake, .event = apic_event, .sink = machine};

    lapic_init(&machine->lapic, &config, &link);
    i82093aa_init(&machine->ioapic, &(struct i82093aa_link){.send = ioapic_send, .sink = machine});
}

static void init_chips(struct machine *machine, const struct machine_config *config)
{
    struct uart16550_wiring console = config->console;

    console.irq = isa_line(machine, MACHINE_COM1_IRQ);
    i8259_init(&machine->pic, &(struct irq_line){.set = pic_intr, .sink = machine});
    i8254_init(&machine->pit, &(struct irq_line){.set = isa_irq, .sink = machine, .pin = 0});
    mc146818_init(&machine->rtc, &(struct irq_line){.set = isa_irq, .sink = machine, .pin = 8},
                  config->wall_seconds);
    uart16550_init(&machine->uart, MACHINE_COM1, &console);
    i8042_init(&machine->i8042, &(struct i8042_wiring){.reset = kbc_reset,
                                                       .ctx = machine,
                                                       .irq = {isa_line(machine, 1), isa_line(machine, 12)}});
    i440fx_init(&machine->i440fx, &(struct i440fx_wiring){.ctx = machine});
    piix3_init(&machine->piix3,
               &(struct piix3_wiring){.reset = port_cf9_reset, .ctx = machine, .isa = isa_line(machine, 0)});
    piix4_pm_init(
        &machine->pm,
        &(struct piix4_pm_config){.base = MACHINE_PM_BASE,
                                  .timer_bits = PM_TIMER_BITS,
                                  .s5_type = ACPI_S5_TYPE,
                                  .acpi_enable = ACPI_ENABLE,
                                  .acpi_disable = ACPI_DISABLE},
        &(struct piix4_pm_wiring){.power_off = power_off,
                                  .ctx = machine,
                                  .sci = {.set = piix3_set_irq, .sink = &machine->piix3, .pin = PIIX3_SCI}});
}

static bool attach_chips(struct machine *machine)
{
    struct bus *bus = &machine->bus;
    const struct bus_region lapic = {"lapic", LAPIC_MMIO_BASE, LAPIC_MMIO_LENGTH, lapic_page, machine};
    const struct bus_region ioapic = {"i82093aa", I82093AA_MMIO_BASE, I82093AA_MMIO_LENGTH, i82093aa_access,
                                      &machine->ioapic};

    return bus_attach(bus, BUS_MMIO, &lapic) == BUS_OK && bus_attach(bus, BUS_MMIO, &ioapic) == BUS_OK &&
           i8259_attach(&machine->pic, bus) == BUS_OK && i8254_attach(&machine->pit, bus) == BUS_OK &&
           mc146818_attach(&machine->rtc, bus) == BUS_OK && uart16550_attach(&machine->uart, bus) == BUS_OK &&
           i8042_attach(&machine->i8042, bus) == BUS_OK && i440fx_attach(&machine->i440fx, bus) == BUS_OK &&
           piix3_attach(&machine->piix3, &machine->i440fx, BRIDGE_SLOT) == BUS_OK &&
           piix4_pm_attach(&machine->pm, bus) == BUS_OK &&
           piix4_pm_attach_pci(&machine->pm, &machine->i440fx.pci, BRIDGE_SLOT, PM_FUNCTION) == BUS_OK;
}

/* The console's clock follows the UART's transmitter. */
static bool moves_deadline(const struct machine *machine, const void *device)
{
    for (size_t i = 0; i < machine->bus.clocks; i++)
        if (machine->bus.clock[i].device == device)
            return true;
    return device == &machine->uart;
}

/* Most exits are port accesses, and not a few go nowhere: for those a bit is all that is looked at. */
static void map_ports(struct machine *machine)
{
    for (size_t i = 0; i < machine->bus.regions[BUS_PORT]; i++) {
        const struct bus_region *region = &machine->bus.region[BUS_PORT][i];
        bool timed = moves_deadline(machine, region->device);

        for (uint64_t port = region->base; port < region->base + region->length; port++) {
            machine->decoded[port >> 3] |= (uint8_t)(1u << (port & 7));
            if (timed)
                machine->timed[port >> 3] |= (uint8_t)(1u << (port & 7));
        }
    }
}

bool machine_init(struct machine *machine, const struct machine_config *config)
{
    memset(machine, 0, sizeof *machine);
    machine->name = config->name;
    machine->clock = config->clock;
    machine->ram = config->ram;
    machine->map = config->map;
    bus_init(&machine->bus);
    init_apics(machine);
    init_chips(machine, config);
    kvmclock_init(&machine->kvmclock, &machine->ram, machine->lapic.config.tsc_khz, 0,
                  (uint64_t)config->wall_seconds * CLOCK_NS_PER_S, true);
    if (config->console_clock.advance && bus_attach_clock(&machine->bus, &config->console_clock) != BUS_OK)
        return false;
    if (!attach_chips(machine))
        return false;
    map_ports(machine);
    return true;
}

void machine_reset(struct machine *machine, uint64_t now)
{
    lapic_reset(&machine->lapic);
    i82093aa_reset(&machine->ioapic);
    i8259_reset(&machine->pic);
    i8254_reset(&machine->pit, now);
    mc146818_reset(&machine->rtc);
    uart16550_reset(&machine->uart);
    i8042_reset(&machine->i8042);
    i440fx_reset(&machine->i440fx);
    piix3_reset(&machine->piix3);
    piix4_pm_reset(&machine->pm, now);
    machine->nmi = false;
    machine->attention = true;
    machine->request = MACHINE_RUNS;
    machine->reason = NULL;
}

uint64_t machine_write_tables(struct machine *machine)
{
    const struct acpi_config config = {
        .rsdp = E820_RSDP,
        .tables = machine->map.acpi_base,
        .length = E820_ACPI_LENGTH,
        .cpus = 1,
        .lapic_base = LAPIC_MMIO_BASE,
        .ioapic_base = I82093AA_MMIO_BASE,
        .pm_base = MACHINE_PM_BASE,
        .smi_port = SMI_PORT,
        .acpi_enable = ACPI_ENABLE,
        .acpi_disable = ACPI_DISABLE,
        .sci_irq = PIIX3_SCI_IRQ,
        .century = RTC_CENTURY,
        .i8042 = true,
        .com1 = true,
        .pci_base = E820_PCI_HOLE,
        .pci_last = I82093AA_MMIO_BASE - 1,
    };

    return acpi_build(&machine->ram, &config) ? config.rsdp : 0;
}
