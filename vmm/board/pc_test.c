/* SPDX-License-Identifier: ISC */
/* What the whole machine hands its guest before it runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/board/machine.h"
#include "vmm/bus/pci_device.h"
#include "vmm/firmware/bda.h"

static uint8_t low[E820_MIN_RAM];
static struct machine machine;

static unsigned get16(unsigned address)
{
    return low[address] | (unsigned)low[address + 1] << 8;
}

static int set_up(void **state)
{
    struct machine_config config = {.name = "test", .ram = {.low = low, .low_size = sizeof(low)}, .cpus = 2};

    (void)state;
    clock_init(&config.clock, 0, 2000000000);
    assert_true(e820_layout(sizeof(low), &config.map));
    assert_true(machine_init(&machine, &config));
    return 0;
}

/* The tables are where a guest without firmware looks for them. */
static void test_tables(void **state)
{
    (void)state;
    assert_int_equal(machine_write_tables(&machine, 0, 0), E820_RSDP);
    assert_memory_equal(low + E820_RSDP, "RSD PTR ", 8);
    assert_int_equal(get16(BDA_COM), MACHINE_COM1);
    assert_int_equal(get16(BDA_EBDA) << 4, E820_EBDA);
    assert_int_equal(get16(BDA_MEMORY) << 10, E820_EBDA);
    assert_int_equal(get16(BDA_EQUIPMENT), 0x206);
    assert_int_equal(low[BDA_DISKS], 0);
    assert_int_equal(low[0xffff0], 0xea); /* a jump */
}

static uint32_t config(unsigned slot, unsigned function, unsigned reg, uint8_t size)
{
    bus_write(&machine.bus, BUS_PORT, 0xcf8, 4, 1u << 31 | slot << 11 | function << 8 | (reg & 0xfc), 0, 0);
    return (uint32_t)bus_read(&machine.bus, BUS_PORT, 0xcfc + (reg & 3), size, 0, 0);
}

/* PCI interrupts are led as firmware does it: INTA of slot 4 comes at input 11, level-triggered. */
static void test_routes(void **state)
{
    static const struct pci_device_config config_space = {.name = "test", .vendor = 0x1234, .pin = 1};
    static struct pci_device device;
    const struct pci_device_wiring wiring = {
        .bus = &machine.bus, .intx = {.set = piix3_set_intx, .sink = &machine.piix3, .pin = 4 * 4}};

    (void)state;
    assert_int_equal(pci_device_init(&device, &config_space, &wiring, &machine.i440fx.pci, 4, 0), BUS_OK);
    assert_int_equal(machine_write_tables(&machine, 0, 0), E820_RSDP);
    assert_int_equal(config(1, 0, PIIX3_PIRQRC, 4), 0x0b0b0a0a);
    assert_int_equal(config(1, 3, PCI_INTERRUPT_LINE, 1), PIIX3_SCI_IRQ);
    assert_int_equal(config(4, 0, PCI_INTERRUPT_LINE, 1), 11);
    assert_int_equal(bus_read(&machine.bus, BUS_PORT, 0x4d0, 2, 0, 0), 0x0c00);
    pci_device_set_intx(&device, true);
    assert_int_equal(machine.piix3.reg.driven, 1u << 11);
    pci_device_set_intx(&device, false);
    assert_int_equal(machine.piix3.reg.driven, 0);
}

static uint32_t version(uint64_t base, uint8_t cpu)
{
    return (uint32_t)bus_read(&machine.bus, BUS_MMIO, base + APIC_VERSION, 4, cpu, 0);
}

/* A processor's APIC is where it has moved it; the others' stay. */
static void test_apic_moves(void **state)
{
    static const uint64_t places[] = {0xfef00000, 0xd0000000, sizeof(low), 0xa0000, 0xfffff000, 0xffffff000};
    static const uint64_t refused[] = {0x1000, sizeof(low) - 0x1000, 0xf0000, 0xfec00000};
    struct lapic *lapic = &machine.cpu[1].lapic;
    uint32_t here = version(LAPIC_MMIO_BASE, 1);

    (void)state;
    assert_int_equal(here & 0xff, 0x14);
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        assert_true(lapic_msr_write(lapic, MSR_APIC_BASE, places[i] | APIC_BASE_ENABLED, 0));
        assert_int_equal(version(places[i], 1), here);
        assert_int_equal(version(LAPIC_MMIO_BASE, 1), UINT32_MAX);
        assert_int_equal(version(places[i], 0), UINT32_MAX);
        assert_int_equal(version(LAPIC_MMIO_BASE, 0), here);
        machine.cpu[1].attention = false;
        bus_write(&machine.bus, BUS_MMIO, places[i] + APIC_TPR, 4, 0x20, 1, 0);
        assert_int_equal(lapic->tpr, 0x20);
        assert_true(machine.cpu[1].attention);
    }
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        assert_false(lapic_msr_write(lapic, MSR_APIC_BASE, refused[i] | APIC_BASE_ENABLED, 0));
    assert_int_equal(version(places[5], 1), here);
    assert_true(lapic_msr_write(lapic, MSR_APIC_BASE, LAPIC_MMIO_BASE | APIC_BASE_ENABLED, 0));
    assert_int_equal(version(LAPIC_MMIO_BASE, 1), here);
    assert_int_equal(version(places[5], 1), UINT32_MAX);
    assert_true(lapic_msr_write(lapic, MSR_APIC_BASE, places[0] | APIC_BASE_ENABLED, 0));
    machine_reset(&machine, 0);
    assert_int_equal(version(LAPIC_MMIO_BASE, 1), here);
    assert_int_equal(version(places[0], 1), UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup(test_tables, set_up),
                                       cmocka_unit_test_setup(test_routes, set_up),
                                       cmocka_unit_test_setup(test_apic_moves, set_up)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
