/* SPDX-License-Identifier: ISC */
/*
 * The wiring of the PC; see machine.h. Every chip is told once where its outputs lead. After that only
 * the functions of the wires are called here.
 */
#include "vmm/board/machine.h"

#include "vmm/board/parts.h"
#include "vmm/firmware/acpi.h"

#include <string.h>

#define TIMER_PIN     2u /* of the I/O APIC: the 8254, as the MADT says */
#define PM_TIMER_BITS 24 /* as the FADT says */

/* An ISA interrupt: both controllers see it. */
static void isa_irq(void *context, unsigned pin, bool level)
{
    struct machine *machine = context;

    i8259_set_irq(&machine->pic, pin, level);
    i82093aa_set_irq(&machine->ioapic, pin == 0 ? TIMER_PIN : pin, level);
}

static struct irq_line isa_line(struct machine *machine, unsigned pin)
{
    return (struct irq_line){.set = isa_irq, .sink = machine, .pin = pin};
}

static void apic_send(void *context, const struct lapic_message *message)
{
    struct machine_cpu *cpu = context;

    (void)lapic_route(cpu->machine->lapics, cpu->machine->cpus, message);
}

static bool ioapic_send(void *context, const struct lapic_message *message)
{
    struct machine *machine = context;

    return lapic_route(machine->lapics, machine->cpus, message);
}

/* By the thread of the processor. */
static void apic_eoi(void *context, uint8_t vector)
{
    struct machine_cpu *cpu = context;

    machine_lock(cpu->machine, cpu->number);
    i82093aa_eoi(&cpu->machine->ioapic, vector);
    machine_unlock(cpu->machine, cpu->number);
}

static void apic_wake(void *context, unsigned cpu)
{
    const struct machine_cpu *own = context;

    machine_wake(own->machine, cpu);
}

/* SMI has nobody to serve it. INIT of the first processor is a reset of the machine as far as a guest can
 * tell: it begins at the firmware, which would do just that. */
static void apic_event(void *context, unsigned cpu, enum lapic_delivery delivery, uint8_t vector)
{
    struct machine *machine = ((struct machine_cpu *)context)->machine;
    struct machine_cpu *target = &machine->cpu[cpu];

    if (delivery == LAPIC_INIT && cpu == 0) {
        machine_request(machine, MACHINE_RESET, "INIT");
        return;
    }
    if (delivery == LAPIC_NMI)
        __atomic_store_n(&target->nmi, true, __ATOMIC_RELEASE);
    else if (delivery == LAPIC_INIT)
        startup_send_init(&target->startup);
    else if (delivery != LAPIC_STARTUP || !startup_send_vector(&target->startup, vector))
        return;
    machine_wake(machine, cpu);
}

/* Every access of the guest may change what can be delivered: EOI, TPR, a mask. */
static void lapic_page(void *context, struct bus_access *access)
{
    struct machine *machine = context;
    struct machine_cpu *cpu = &machine->cpu[access->cpu];

    if (access->write)
        cpu->attention = true;
    lapic_access(&cpu->lapic, access);
}

static void lapic_moved_page(void *context, struct bus_access *access)
{
    struct machine_cpu *cpu = context;

    if (access->write)
        cpu->attention = true;
    lapic_access_moved(&cpu->lapic, access);
}

/* Not over memory, whose accesses do not exit, nor over another chip. */
static bool apic_move(void *context, uint64_t base)
{
    struct machine_cpu *cpu = context;
    struct machine *machine = cpu->machine;
    bool elsewhere = base != LAPIC_MMIO_BASE;
    const struct bus_region window = {.name = "lapic",
                                      .base = base,
                                      .length = elsewhere ? LAPIC_MMIO_LENGTH : 0,
                                      .handler = lapic_moved_page,
                                      .device = cpu};

    if (elsewhere && (guest_ram_meets(&machine->ram, base, base + (LAPIC_MMIO_LENGTH - 1)) ||
                      guest_ram_to_read(&machine->ram, base, 1)))
        return false;
    return bus_set_window(&machine->bus, cpu->number, &window) == BUS_OK;
}

static void kbc_reset(void *context)
{
    machine_request(context, MACHINE_RESET, "8042 or port 0x92");
}

static void port_cf9_reset(void *context, bool hard)
{
    (void)hard;
    machine_request(context, MACHINE_RESET, "port 0xcf9");
}

static void power_off(void *context)
{
    machine_request(context, MACHINE_POWER_OFF, "S5");
}

static void init_apics(struct machine *machine)
{
    for (unsigned i = 0; i < machine->cpus; i++) {
        struct machine_cpu *cpu = &machine->cpu[i];
        const struct lapic_config config = {
            .cpu = i, .bsp = i == 0, .x2apic = true, .tsc_khz = (uint32_t)(machine->clock.hz / 1000)};
        const struct lapic_link link = {.send = apic_send,
                                        .eoi = apic_eoi,
                                        .wake = apic_wake,
                                        .event = apic_event,
                                        .move = apic_move,
                                        .sink = cpu};

        cpu->number = (uint8_t)i;
        cpu->machine = machine;
        cpu->startup = i == 0 ? 0 : STARTUP_WAITS;
        lapic_init(&cpu->lapic, &config, &link);
        machine->lapics[i] = &cpu->lapic;
    }
    lapic_wire(&machine->cpu[0].lapic);
    i82093aa_init(&machine->ioapic, &(struct i82093aa_wiring){.send = ioapic_send, .context = machine});
}

static void init_ide(struct machine *machine, const struct machine_config *config)
{
    struct piix4_ide_config drives = {.slot = MACHINE_BRIDGE_SLOT, .function = MACHINE_IDE_FUNCTION};

    memcpy(drives.drive, config->ide, sizeof(drives.drive));
    piix4_ide_init(&machine->ide, &drives,
                   &(struct piix4_ide_wiring){.bus = &machine->bus,
                                              .pci = &machine->i440fx.pci,
                                              .ram = &machine->ram,
                                              .irq = {isa_line(machine, 14), isa_line(machine, 15)}});
}

static void init_vga(struct machine *machine)
{
    const struct machine_screen *screen = machine->screen;
    const struct irq_line intx = {
        .set = piix3_set_intx, .sink = &machine->piix3, .pin = 4 * MACHINE_VGA_SLOT};

    vga_init(&machine->vga,
             &(struct vga_config){.memory = screen ? screen->memory : NULL,
                                  .vram = screen ? screen->vram : 0,
                                  .slot = MACHINE_VGA_SLOT},
             &(struct vga_wiring){
                 .pci = &machine->i440fx.pci, .intx = intx, .mapping = shadow_change, .context = machine});
}

static void init_chips(struct machine *machine, const struct machine_config *config)
{
    struct uart16550_wiring console = config->console;

    console.irq = isa_line(machine, MACHINE_COM1_IRQ);
    i8259_init(&machine->pic, &(struct irq_line){.set = machine_set_intr, .sink = machine});
    i8254_init(&machine->pit, &(struct irq_line){.set = isa_irq, .sink = machine, .pin = 0});
    mc146818_init(&machine->rtc, &(struct irq_line){.set = isa_irq, .sink = machine, .pin = 8},
                  config->wall_seconds);
    uart16550_init(&machine->uart, MACHINE_COM1, &console);
    i8042_init(&machine->i8042, &(struct i8042_wiring){.reset = kbc_reset,
                                                       .context = machine,
                                                       .irq = {isa_line(machine, 1), isa_line(machine, 12)}});
    i440fx_init(&machine->i440fx,
                &(struct i440fx_wiring){.memory_changed = shadow_changed, .context = machine});
    piix3_init(
        &machine->piix3,
        &(struct piix3_wiring){.reset = port_cf9_reset, .context = machine, .isa = isa_line(machine, 0)});
    piix4_pm_init(
        &machine->pm,
        &(struct piix4_pm_config){.base = MACHINE_PM_BASE,
                                  .timer_bits = PM_TIMER_BITS,
                                  .s5_type = ACPI_S5_TYPE,
                                  .acpi_enable = MACHINE_ACPI_ENABLE,
                                  .acpi_disable = MACHINE_ACPI_DISABLE},
        &(struct piix4_pm_wiring){.power_off = power_off,
                                  .context = machine,
                                  .sci = {.set = piix3_set_irq, .sink = &machine->piix3, .pin = PIIX3_SCI}});
    init_ide(machine, config);
    init_vga(machine);
}

/* What the parts cannot attach themselves: the page that is each processor's own, and PCI functions. */
static bool attach_chips(struct machine *machine)
{
    const struct bus_region lapic = {.name = "lapic",
                                     .base = LAPIC_MMIO_BASE,
                                     .length = LAPIC_MMIO_LENGTH,
                                     .handler = lapic_page,
                                     .device = machine,
                                     .unlocked = true};

    return bus_attach(&machine->bus, BUS_MMIO, &lapic) == BUS_OK && machine_attach(machine) &&
           debug_port_attach(&machine->debug, &machine->bus) == BUS_OK &&
           piix3_attach(&machine->piix3, &machine->i440fx, MACHINE_BRIDGE_SLOT) == BUS_OK &&
           piix4_pm_attach_pci(&machine->pm, &machine->i440fx.pci, MACHINE_BRIDGE_SLOT,
                               MACHINE_PM_FUNCTION) == BUS_OK;
}

/* The console's clock follows the UART's transmitter. */
static bool moves_deadline(const struct machine *machine, const void *device)
{
    for (size_t i = 0; i < machine->bus.clocks; i++)
        if (machine->bus.clock[i].device == device)
            return true;
    return device == &machine->uart;
}

static void mark_timed(struct machine *machine)
{
    for (size_t i = 0; i < machine->bus.regions[BUS_PORT]; i++) {
        struct bus_region *region = &machine->bus.region[BUS_PORT][i];

        region->timed = moves_deadline(machine, region->device);
    }
}

static void earlier(void *context)
{
    machine_wake(context, 0);
}

static void init_lock(struct machine *machine, const struct machine_config *config)
{
    if (machine->cpus == 1 || !config->lock)
        return;
    machine->lock = *config->lock;
    machine->wake = config->wake;
    machine->wake_context = config->wake_context;
    machine->bus.lock = &machine->lock;
    machine->bus.earlier = earlier;
    machine->bus.owner = machine;
}

bool machine_init(struct machine *machine, const struct machine_config *config)
{
    memset(machine, 0, sizeof *machine);
    machine->name = config->name;
    machine->clock = config->clock;
    machine->ram = config->ram;
    machine->map = config->map;
    machine->firmware = config->firmware;
    machine->debug = config->debug;
    machine->cpus = config->cpus ? config->cpus : 1;
    machine->screen = config->screen;
    if (machine->cpus > MACHINE_CPUS)
        return false;
    bus_init(&machine->bus);
    machine->bus.ram = &machine->ram;
    init_lock(machine, config);
    shadow_init(machine);
    init_apics(machine);
    init_chips(machine, config);
    if (!firmware_offer(machine))
        return false;
    kvmclock_init(&machine->kvmclock, &machine->ram, machine->cpu[0].lapic.config.tsc_khz, 0,
                  (uint64_t)config->wall_seconds * CLOCK_NS_PER_S, true);
    if (config->console_clock.advance && bus_attach_clock(&machine->bus, &config->console_clock) != BUS_OK)
        return false;
    if (!attach_chips(machine))
        return false;
    mark_timed(machine);
    return true;
}

static void reset_processor(void *device, uint64_t now)
{
    struct machine_cpu *cpu = device;

    (void)now;
    (void)apic_move(cpu, LAPIC_MMIO_BASE); /* has no error */
    cpu->nmi = false;
    cpu->kicked = false;
    cpu->startup = cpu->number == 0 ? 0 : STARTUP_WAITS;
    cpu->attention = true;
    if (cpu->number == 0)
        lapic_wire(&cpu->lapic);
}

static void save_processor(const void *device, struct state *state)
{
    const struct machine_cpu *cpu = device;
    uint32_t startup = cpu->startup;
    bool nmi = cpu->nmi, kicked = cpu->kicked;

    state_u32(state, &startup);
    state_bool(state, &nmi);
    state_bool(state, &kicked);
}

static bool load_processor(void *device, struct state *state)
{
    struct machine_cpu *cpu = device;
    uint32_t startup = 0;
    bool nmi = false, kicked = false;

    state_u32(state, &startup);
    state_bool(state, &nmi);
    state_bool(state, &kicked);
    if (!state_is_whole(state) || startup & ~STARTUP_BITS)
        return false;
    cpu->startup = startup;
    cpu->nmi = nmi;
    cpu->kicked = kicked;
    cpu->attention = true;
    return true;
}

const struct device_class processor_class = {.name = "processor",
                                             .version = 1,
                                             .reset = reset_processor,
                                             .save = save_processor,
                                             .load = load_processor};

/* Virtual time 0 is the clock's start. */
void machine_start_tsc(struct machine *machine, uint64_t tsc)
{
    uint64_t at_zero = machine->clock.start - tsc, now = clock_ns(&machine->clock, tsc);

    for (unsigned i = 0; i < machine->cpus; i++) {
        struct lapic *lapic = &machine->cpu[i].lapic;

        lapic_tsc_move(lapic, at_zero - lapic->config.tsc_at_zero, now);
    }
    machine->kvmclock.tsc_at_zero = at_zero;
}
