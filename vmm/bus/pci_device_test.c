/* SPDX-License-Identifier: ISC */
/*
 * A PCI function: sizing, BARs that follow their registers, INTx, MSI, saved state, and random accesses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/bus/pci_device.h"

#define SLOT 3u
#define MSI  0x40u

struct bench {
    struct bus bus;
    struct pci_bus pci;
    struct pci_device device;
    bool level;
    unsigned messages;
    uint64_t address;
    uint32_t data;
};

static void registers(void *device, struct bus_access *access)
{
    (void)device;
    if (!access->write)
        access->value = 0x5a;
}

static void set_line(void *sink, unsigned pin, bool level)
{
    assert_int_equal(pin, 2);
    ((struct bench *)sink)->level = level;
}

static void message(void *context, uint64_t address, uint32_t data)
{
    struct bench *bench = context;

    bench->messages++;
    bench->address = address;
    bench->data = data;
}

static const struct pci_device_config config = {
    .name = "test",
    .vendor = 0x1234,
    .device = 0x5678,
    .subsystem_vendor = 0x1af4,
    .subsystem = 0x1100,
    .revision = 2,
    .class = {1, 6, 1},
    .pin = 1,
    .msi = 4,
    .bar = {{PCI_BAR_MEMORY, 0x1000, false, registers},
            {PCI_BAR_PORTS, 0x20, false, registers},
            {PCI_BAR_MEMORY_64, 0x100000, true, registers},
            [PCI_ROM_BAR] = {PCI_BAR_MEMORY, 0x800, false, registers}},
};

static void set_up(struct bench *bench)
{
    const struct pci_device_wiring wiring = {.bus = &bench->bus,
                                             .device = bench,
                                             .intx = {.set = set_line, .sink = bench, .pin = 2},
                                             .message = message,
                                             .context = bench};

    memset(bench, 0, sizeof(*bench));
    bus_init(&bench->bus);
    pci_bus_init(&bench->pci);
    assert_int_equal(pci_device_init(&bench->device, &config, &wiring, &bench->pci, SLOT, 0), BUS_OK);
}

static uint32_t access_space(struct bench *bench, unsigned at, uint8_t size, bool write, uint32_t value)
{
    struct bus_access access = {.offset = at & 3, .value = value, .size = size, .write = write};

    pci_bus_config(&bench->pci, 1u << 31 | SLOT << 11 | (at & 0xfc), &access);
    return (uint32_t)access.value;
}

static uint32_t get(struct bench *bench, unsigned at)
{
    return access_space(bench, at, 4, false, 0);
}

static void put(struct bench *bench, unsigned at, uint32_t value)
{
    (void)access_space(bench, at, 4, true, value);
}

static bool is_at(struct bench *bench, enum bus_kind kind, uint64_t address)
{
    return bus_read(&bench->bus, kind, address, 1, 0, 0) == 0x5a;
}

static void test_header_and_sizes(void **state)
{
    static struct bench bench;
    static const struct {
        unsigned at;
        uint32_t initial, sized;
    } bars[] = {{0x10, 0, 0xfffff000}, {0x14, 1, 0xffffffe1}, {0x18, 0xc, 0xfff0000c}, {0x1c, 0, 0xffffffff},
                {0x20, 0, 0},          {0x24, 0, 0},          {0x30, 0, 0xfffff801}};

    (void)state;
    set_up(&bench);
    assert_int_equal(get(&bench, 0), 0x56781234);
    assert_int_equal(get(&bench, 4), 0x00100000);
    assert_int_equal(get(&bench, 8), 0x01060102);
    assert_int_equal(get(&bench, 0x2c), 0x11001af4);
    assert_int_equal(get(&bench, 0x3c), 0x00000100);
    put(&bench, 4, 3);
    for (size_t i = 0; i < sizeof(bars) / sizeof(bars[0]); i++) {
        assert_int_equal(get(&bench, bars[i].at), bars[i].initial);
        put(&bench, bars[i].at, UINT32_MAX);
        assert_int_equal(get(&bench, bars[i].at), bars[i].sized);
    }
    assert_false(is_at(&bench, BUS_MMIO, 0xfffff000));
    assert_false(is_at(&bench, BUS_PORT, 0xffe0));
}

static void test_bars(void **state)
{
    static struct bench bench;

    (void)state;
    set_up(&bench);
    put(&bench, 0x10, 0xe0000000);
    put(&bench, 0x14, 0xc000);
    put(&bench, 0x18, 0);
    put(&bench, 0x1c, 0x80);
    put(&bench, 0x30, 0xe1000000);
    assert_false(is_at(&bench, BUS_MMIO, 0xe0000000));
    put(&bench, 4, PCI_COMMAND_MEMORY);
    assert_true(is_at(&bench, BUS_MMIO, 0xe0000fff));
    assert_true(is_at(&bench, BUS_MMIO, 0x8000000000));
    assert_false(is_at(&bench, BUS_MMIO, 0xe1000000));
    assert_false(is_at(&bench, BUS_PORT, 0xc000));
    put(&bench, 0x30, 0xe1000001);
    put(&bench, 4, PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
    assert_true(is_at(&bench, BUS_MMIO, 0xe1000000));
    assert_true(is_at(&bench, BUS_PORT, 0xc01f));
    put(&bench, 0x10, 0xe2000000);
    assert_false(is_at(&bench, BUS_MMIO, 0xe0000000));
    assert_true(is_at(&bench, BUS_MMIO, 0xe2000000));
    put(&bench, 0x14, 0x1c000); /* beyond the ports there are */
    assert_false(is_at(&bench, BUS_PORT, 0xc000));
    pci_device_reset(&bench.device);
    assert_false(is_at(&bench, BUS_MMIO, 0xe2000000));
}

static void test_intx(void **state)
{
    static struct bench bench;

    (void)state;
    set_up(&bench);
    pci_device_set_intx(&bench.device, true);
    assert_true(bench.level);
    assert_int_equal(get(&bench, 4), 0x00180000);
    put(&bench, 4, PCI_COMMAND_INTX_OFF);
    assert_false(bench.level);
    put(&bench, 4, 0);
    assert_true(bench.level);
    put(&bench, MSI, 1u << 16);
    assert_false(bench.level);
    put(&bench, MSI, 0);
    pci_device_set_intx(&bench.device, false);
    assert_false(bench.level);
    assert_int_equal(get(&bench, 4), 0x00100000);
}

static void test_msi(void **state)
{
    static struct bench bench;

    (void)state;
    set_up(&bench);
    assert_int_equal(get(&bench, MSI), 0x01840005);
    put(&bench, MSI + 4, 0xfee01000);
    put(&bench, MSI + 12, 0x43);
    assert_false(pci_device_send(&bench.device, 0)); /* off */
    put(&bench, MSI, 1u << 16 | 7u << 20);           /* more than there are */
    assert_false(pci_device_send(&bench.device, 0)); /* no bus master */
    put(&bench, 4, PCI_COMMAND_MASTER);
    assert_true(pci_device_send(&bench.device, 6));
    assert_int_equal(bench.messages, 1);
    assert_true(bench.address == 0xfee01000);
    assert_int_equal(bench.data, 0x42);
    put(&bench, MSI + 16, UINT32_MAX);
    assert_int_equal(get(&bench, MSI + 16), 0xf);
    assert_true(pci_device_send(&bench.device, 1));
    assert_true(pci_device_send(&bench.device, 1));
    assert_int_equal(bench.messages, 1);
    assert_int_equal(get(&bench, MSI + 20), 2);
    put(&bench, MSI + 16, 0xd);
    assert_int_equal(bench.messages, 2);
    assert_int_equal(bench.data, 0x41);
    assert_int_equal(get(&bench, MSI + 20), 0);
}

static void test_refused_configurations(void **state)
{
    static struct bench bench;
    const struct pci_device_wiring wiring = {.bus = &bench.bus};
    struct pci_device_config wrong[7];

    (void)state;
    set_up(&bench);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        wrong[i] = config;
    wrong[0].bar[0].length = 0x1800;
    wrong[1].bar[1].length = 0x200;
    wrong[2].bar[3].kind = PCI_BAR_MEMORY; /* the upper half of number 2 */
    wrong[3].bar[PCI_ROM_BAR].length = 0x400;
    wrong[4].pin = 5;
    wrong[5].msi = 3;
    wrong[6].bar[0].handler = NULL;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(pci_device_init(&bench.device, &wrong[i], &wiring, &bench.pci, 4, 0), BUS_INVALID);
}

/* Whatever a guest writes: the state can be saved, is one that can be, and after loading decodes alike. */
static void test_random(void **state)
{
    static struct bench bench, copy;

    (void)state;
    srand(1);
    set_up(&bench);
    set_up(&copy);
    for (unsigned round = 0; round < 50000; round++) {
        uint8_t size = (uint8_t)(1u << rand() % 3);
        unsigned at = (unsigned)rand() % (rand() % 2 ? 0x60 : PCI_SPACE_SIZE) & ~(size - 1u);
        uint32_t value = (uint32_t)rand() ^ (uint32_t)rand() << 16;

        (void)access_space(&bench, at, size, rand() % 4 != 0, rand() % 4 ? value : UINT32_MAX);
        pci_device_set_intx(&bench.device, rand() % 2);
        (void)pci_device_send(&bench.device, (unsigned)rand());
        assert_true(pci_device_is_valid(&bench.device, &bench.device.reg));
        if (round % 16 != 0)
            continue;
        pci_device_load(&copy.device, &bench.device.reg);
        for (unsigned i = 0; i <= PCI_BARS; i++) {
            assert_int_equal(copy.device.region[i].decodes, bench.device.region[i].decodes);
            if (copy.device.region[i].decodes)
                assert_true(copy.device.region[i].base == bench.device.region[i].base);
        }
    }
}

static void test_saved(void **state)
{
    static struct bench bench;
    struct pci_device_registers reg;

    (void)state;
    set_up(&bench);
    for (unsigned i = 0; i < PCI_SPACE_SIZE; i++) {
        reg = bench.device.reg;
        reg.space[i] ^= (uint8_t)~bench.device.masks.write[i];
        if (bench.device.masks.write[i] != 0xff)
            assert_false(pci_device_is_valid(&bench.device, &reg));
    }
    reg = bench.device.reg;
    reg.space[MSI + 20] = 0xf;
    assert_true(pci_device_is_valid(&bench.device, &reg));
    reg.space[MSI + 20] = 0x1f; /* a vector that there is not */
    assert_false(pci_device_is_valid(&bench.device, &reg));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header_and_sizes),
        cmocka_unit_test(test_bars),
        cmocka_unit_test(test_intx),
        cmocka_unit_test(test_msi),
        cmocka_unit_test(test_refused_configurations),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_saved),
    };

    return cmocka_run_group_tests_name("pci_device", tests, NULL, NULL);
}
