/* SPDX-License-Identifier: ISC */
/*
 * The bus: decoding, overlap, splitting, clocks, and a random comparison with a byte-wise model. Helpers that
 * stand beside it (byte splitting, ticks, PCI dispatch) are tested here too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/bus/bus.h"
#include "vmm/bus/bytes.h"
#include "vmm/bus/pci.h"
#include "vmm/bus/ticks.h"

struct ram {
    uint8_t byte[64];
    size_t length;
    unsigned calls;
    struct bus_access last;
};

static void ram_access(void *device, struct bus_access *access)
{
    struct ram *ram = device;

    ram->calls++;
    ram->last = *access;
    assert_true(access->offset + access->size <= ram->length);
    if (access->write) {
        if (access->size < 8)
            assert_int_equal(access->value >> (access->size * 8), 0);
        memcpy(&ram->byte[access->offset], &access->value, access->size);
    } else {
        assert_true(access->value ==
                    (access->size == 8 ? UINT64_MAX : (UINT64_C(1) << (access->size * 8)) - 1));
        access->value = UINT64_MAX; /* junk above size must be cut off by the bus */
        memcpy(&access->value, &ram->byte[access->offset], access->size);
    }
}

static enum bus_status attach(struct bus *bus, enum bus_kind kind, struct ram *ram, uint64_t base,
                              uint64_t length)
{
    struct bus_region region = {
        .name = "ram", .base = base, .length = length, .handler = ram_access, .device = ram};

    ram->length = (size_t)length;
    return bus_attach(bus, kind, &region);
}

static void test_attach(void **state)
{
    struct bus bus;
    struct ram ram = {0};

    (void)state;
    bus_init(&bus);
    assert_int_equal(attach(&bus, BUS_PORT, &ram, 0x60, 1), BUS_OK);
    assert_int_equal(attach(&bus, BUS_PORT, &ram, 0x64, 1), BUS_OK);
    assert_int_equal(attach(&bus, BUS_PORT, &ram, 0x40, 4), BUS_OK);
    assert_int_equal(attach(&bus, BUS_PORT, &ram, 0x61, 3), BUS_OK);
    assert_int_equal(attach(&bus, BUS_PORT, &ram, 0x60, 1), BUS_OVERLAP);
    assert_int_equal(attach(&bus, BUS_PORT, &ram, 0x3f, 2), BUS_OVERLAP);
    assert_int_equal(attach(&bus, BUS_PORT, &ram, 0x43, 1), BUS_OVERLAP);
    assert_int_equal(attach(&bus, BUS_PORT, &ram, 0x00, 0x10000), BUS_OVERLAP);
    assert_int_equal(attach(&bus, BUS_PORT, &ram, 0x80, 0), BUS_INVALID);
    assert_int_equal(attach(&bus, BUS_PORT, &ram, 0xffff, 2), BUS_INVALID);
    assert_int_equal(attach(&bus, BUS_PORT, &ram, 0x10000, 1), BUS_INVALID);
    assert_int_equal(attach(&bus, BUS_PORT, &ram, UINT64_MAX, 1), BUS_INVALID);
    assert_int_equal(attach(&bus, BUS_PORT, &ram, 0xffff, 1), BUS_OK);
    assert_int_equal(attach(&bus, BUS_MMIO, &ram, UINT64_MAX, 2), BUS_INVALID);
    assert_int_equal(attach(&bus, BUS_MMIO, &ram, UINT64_MAX, 1), BUS_OK);
    assert_int_equal(attach(&bus, BUS_MMIO, &ram, 0, UINT64_MAX), BUS_OK);
    assert_int_equal(attach(&bus, BUS_MMIO, &ram, 5, 1), BUS_OVERLAP);
    for (size_t i = 1; i < bus.regions[BUS_PORT]; i++)
        assert_true(bus.region[BUS_PORT][i - 1].base < bus.region[BUS_PORT][i].base);
}

static void test_full(void **state)
{
    struct bus bus;
    struct ram ram = {0};

    (void)state;
    bus_init(&bus);
    for (unsigned i = 0; i < BUS_MAX_REGIONS; i++)
        assert_int_equal(attach(&bus, BUS_PORT, &ram, 0x1000 - 16 * i, 8), BUS_OK);
    assert_int_equal(attach(&bus, BUS_PORT, &ram, 0x2000, 8), BUS_FULL);
    assert_int_equal(attach(&bus, BUS_MMIO, &ram, 0x2000, 8), BUS_OK);
}

static size_t ram_block(void *device, const struct bus_access *access, uint8_t *bytes, size_t count)
{
    struct ram *ram = device;

    ram->last = *access;
    if (count > 3) /* its FIFO */
        count = 3;
    for (size_t i = 0; i < count * access->size; i++)
        if (access->write)
            ram->byte[32] = bytes[i];
        else
            bytes[i] = 0x55;
    return count;
}

/* What a device does not take at once comes one by one; so does what no device has. */
static void test_block(void **state)
{
    struct bus bus;
    struct ram fifo = {.length = 64}, other = {.length = 64};
    struct bus_region region = {.name = "fifo",
                                .base = 0x100,
                                .length = 64,
                                .handler = ram_access,
                                .block = ram_block,
                                .device = &fifo};
    uint8_t bytes[16];

    (void)state;
    bus_init(&bus);
    assert_int_equal(bus_attach(&bus, BUS_PORT, &region), BUS_OK);
    assert_int_equal(attach(&bus, BUS_PORT, &other, 0x200, 64), BUS_OK);
    memset(fifo.byte, 0x11, sizeof(fifo.byte));
    bus_port_block(&bus, 0x104, 2, false, bytes, 5, 1, 7);
    assert_memory_equal(bytes, "\x55\x55\x55\x55\x55\x55\x11\x11\x11\x11", 10);
    assert_int_equal(fifo.calls, 2);
    assert_int_equal(fifo.last.offset, 4);
    assert_int_equal(fifo.last.cpu, 1);
    assert_int_equal(fifo.last.now, 7);
    bus_port_block(&bus, 0x208, 4, true, (uint8_t[]){1, 2, 3, 4, 5, 6, 7, 8}, 2, 0, 0);
    assert_int_equal(other.calls, 2);
    assert_memory_equal(&other.byte[8], "\5\6\7\x8", 4);
    bus_port_block(&bus, 0x300, 4, false, bytes, 4, 0, 0);
    for (unsigned i = 0; i < 16; i++)
        assert_int_equal(bytes[i], 0xff);
    bus_port_block(&bus, 0xffff, 4, false, bytes, 1, 0, 0); /* beyond the last port */
    bus_port_block(&bus, 0x104, 1, true, bytes, 0, 0, 0);
}

/* A vCPU's own window: it alone sees it, whole and in pieces, and it meets no region. */
static void test_window(void **state)
{
    struct bus bus;
    struct ram common = {.length = 16}, own = {.length = 16};
    const struct bus_region region = {
        .name = "common", .base = 0x100, .length = 16, .handler = ram_access, .device = &common};
    struct bus_region window = {
        .name = "own", .base = 0x108, .length = 16, .handler = ram_access, .device = &own};

    (void)state;
    bus_init(&bus);
    assert_int_equal(bus_attach(&bus, BUS_MMIO, &region), BUS_OK);
    assert_int_equal(bus_set_window(&bus, 1, &window), BUS_OVERLAP);
    window.base = 0x110;
    assert_int_equal(bus_set_window(&bus, BUS_CPUS, &window), BUS_INVALID);
    assert_int_equal(bus_set_window(&bus, 1, &window), BUS_OK);
    bus_write(&bus, BUS_MMIO, 0x110, 4, 0x11223344, 1, 0);
    bus_write(&bus, BUS_MMIO, 0x110, 4, 0x55555555, 0, 0);
    assert_int_equal(own.calls, 1);
    assert_int_equal(bus_read(&bus, BUS_MMIO, 0x110, 4, 1, 0), 0x11223344);
    assert_int_equal(bus_read(&bus, BUS_MMIO, 0x110, 4, 0, 0), 0xffffffff);
    assert_int_equal(bus_read(&bus, BUS_MMIO, 0x110, 4, 255, 0), 0xffffffff);
    assert_int_equal(bus_read(&bus, BUS_PORT, 0x110, 4, 1, 0), 0xffffffff);
    assert_int_equal(bus_read(&bus, BUS_MMIO, 0x10e, 4, 1, 0), 0x33440000); /* of both */
    window.length = 0;
    assert_int_equal(bus_set_window(&bus, 1, &window), BUS_OK);
    assert_int_equal(bus_read(&bus, BUS_MMIO, 0x110, 4, 1, 0), 0xffffffff);
}

static void test_split(void **state)
{
    struct bus bus;
    struct ram a = {0}, b = {0};

    (void)state;
    bus_init(&bus);
    assert_int_equal(attach(&bus, BUS_PORT, &a, 0x10, 2), BUS_OK);
    assert_int_equal(attach(&bus, BUS_PORT, &b, 0x12, 1), BUS_OK);
    bus_write(&bus, BUS_PORT, 0x10, 4, 0x44332211, 3, 77);
    assert_int_equal(a.byte[0], 0x11);
    assert_int_equal(a.byte[1], 0x22);
    assert_int_equal(b.byte[0], 0x33);
    assert_int_equal(a.calls, 2);
    assert_int_equal(a.last.cpu, 3);
    assert_int_equal(a.last.now, 77);
    assert_int_equal(bus_read(&bus, BUS_PORT, 0x0f, 4, 0, 0), 0x332211ff);
    assert_int_equal(bus_read(&bus, BUS_PORT, 0x12, 2, 0, 0), 0xff33);
    assert_int_equal(bus_read(&bus, BUS_PORT, 0x20, 4, 0, 0), 0xffffffff);
    assert_int_equal(bus_read(&bus, BUS_PORT, 0xffff, 4, 0, 0), 0xffffffff);
    assert_int_equal(bus_read(&bus, BUS_PORT, 0x10, 3, 0, 0), 0x332211);
    assert_int_equal(bus_read(&bus, BUS_PORT, 0x10, 0, 0, 0), 0);
    assert_true(bus_read(&bus, BUS_MMIO, UINT64_MAX - 2, 8, 0, 0) == UINT64_MAX);
    bus_write(&bus, BUS_MMIO, UINT64_MAX - 2, 8, 0, 0, 0);
}

/* Against a flat model of 256 addresses. */
static void test_random(void **state)
{
    static const uint8_t sizes[] = {1, 2, 4, 8};

    (void)state;
    srand(1);
    for (unsigned round = 0; round < 20; round++) {
        struct bus bus;
        struct ram ram[32] = {0};
        uint8_t model[256 + 8], decoded[256 + 8] = {0};

        memset(model, 0xff, sizeof model);
        bus_init(&bus);
        for (unsigned i = 0; i < 32; i++) {
            uint64_t base = (unsigned)rand() % 250, length = 1 + (unsigned)rand() % 12;
            bool free = true;

            length = base + length > 256 ? 256 - base : length;
            for (uint64_t at = base; at < base + length; at++)
                free &= !decoded[at];
            assert_int_equal(attach(&bus, BUS_MMIO, &ram[i], base, length), free ? BUS_OK : BUS_OVERLAP);
            for (uint64_t at = base; free && at < base + length; at++) {
                decoded[at] = 1;
                model[at] = 0;
            }
        }
        for (unsigned i = 0; i < 5000; i++) {
            uint8_t size = sizes[rand() % 4];
            uint64_t at = (unsigned)rand() % 256, value = (uint64_t)rand() * 0x10001, expected = 0;

            if (rand() & 1) {
                bus_write(&bus, BUS_MMIO, at, size, value, 0, 0);
                for (unsigned k = 0; k < size; k++)
                    if (decoded[at + k])
                        model[at + k] = (uint8_t)(value >> (k * 8));
            } else {
                memcpy(&expected, &model[at], size);
                assert_true(bus_read(&bus, BUS_MMIO, at, size, 0, 0) == expected);
            }
        }
    }
}

struct alarm {
    uint64_t at;
    unsigned advanced;
};

static uint64_t alarm_deadline(void *device)
{
    return ((struct alarm *)device)->at;
}

static void alarm_advance(void *device, uint64_t now)
{
    struct alarm *alarm = device;

    alarm->advanced++;
    alarm->at = now + 10;
}

static void test_clocks(void **state)
{
    struct bus bus;
    struct alarm a = {.at = 5}, b = {.at = 3}, never = {.at = BUS_NEVER};
    struct bus_clock clock = {.deadline = alarm_deadline, .advance = alarm_advance, .device = &never};

    (void)state;
    bus_init(&bus);
    assert_true(bus_deadline(&bus) == BUS_NEVER);
    assert_int_equal(bus_attach_clock(&bus, &clock), BUS_OK);
    assert_true(bus_deadline(&bus) == BUS_NEVER);
    clock.device = &a;
    assert_int_equal(bus_attach_clock(&bus, &clock), BUS_OK);
    clock.device = &b;
    assert_int_equal(bus_attach_clock(&bus, &clock), BUS_OK);
    assert_int_equal(bus_deadline(&bus), 3);
    bus_advance(&bus, 2);
    assert_int_equal(a.advanced + b.advanced, 0);
    bus_advance(&bus, 4);
    assert_int_equal(b.advanced, 1);
    assert_int_equal(a.advanced, 0);
    assert_int_equal(bus_deadline(&bus), 5);
    for (unsigned i = 3; i < BUS_MAX_CLOCKS; i++)
        assert_int_equal(bus_attach_clock(&bus, &clock), BUS_OK);
    assert_int_equal(bus_attach_clock(&bus, &clock), BUS_FULL);
    clock.advance = NULL;
    assert_int_equal(bus_attach_clock(&bus, &clock), BUS_INVALID);
}

static void test_ticks(void **state)
{
    static const uint32_t rates[] = {1, 32768, 1193182, 1843200, 3579545, 1000000000, UINT32_MAX};

    (void)state;
    srand(2);
    for (size_t r = 0; r < sizeof rates / sizeof rates[0]; r++)
        for (unsigned i = 0; i < 2000; i++) {
            uint64_t ns = ((uint64_t)rand() << 31 ^ (uint64_t)rand()) >> (rand() % 60);
            unsigned __int128 exact = (unsigned __int128)ns * rates[r] / NS_PER_SECOND;
            uint64_t tick, first;

            tick = ticks_from_ns(ns, rates[r]);
            assert_true(tick == (uint64_t)exact);
            first = ns_from_ticks(tick + 1, rates[r]);
            if (rates[r] <= NS_PER_SECOND) {
                assert_true(first > ns);
                assert_true(ticks_from_ns(first, rates[r]) == tick + 1);
                assert_true(ticks_from_ns(first - 1, rates[r]) == tick);
            }
        }
    assert_true(ns_from_ticks(UINT64_MAX, 1193182) == UINT64_MAX);
}

static void test_pci(void **state)
{
    static const struct pci_masks masks = {.write = {[0x40] = 0xf0, [0x41] = 0xff}, .clear = {[0x42] = 0x0f}};
    struct pci_bus bus;
    struct ram ram = {.length = 64};
    struct pci_function function = {.config = ram_access, .device = &ram};
    struct bus_access read = {.offset = 2, .size = 2, .value = 0xffff};
    uint8_t space[PCI_SPACE_SIZE] = {[0x40] = 0x05, [0x42] = 0xff};
    struct bus_access write = {.offset = 0x40, .size = 4, .value = 0x5a5a5a5a, .write = true};

    (void)state;
    pci_bus_init(&bus);
    assert_int_equal(pci_bus_attach(&bus, 32, 0, &function), BUS_INVALID);
    assert_int_equal(pci_bus_attach(&bus, 0, 8, &function), BUS_INVALID);
    assert_int_equal(pci_bus_attach(&bus, 3, 1, &function), BUS_OK);
    assert_int_equal(pci_bus_attach(&bus, 3, 1, &function), BUS_OVERLAP);
    ram.byte[0x12] = 0x34;
    ram.byte[0x13] = 0x12;
    pci_bus_config(&bus, 0x80000000 | 3 << 11 | 1 << 8 | 0x10, &read);
    assert_int_equal(read.value & 0xffff, 0x1234);
    read.value = 0xffff;
    pci_bus_config(&bus, 3 << 11 | 1 << 8 | 0x10, &read);
    assert_int_equal(read.value, 0xffff);
    pci_bus_config(&bus, 0x80010000 | 3 << 11 | 1 << 8 | 0x10, &read);
    assert_int_equal(read.value, 0xffff);
    pci_bus_config(&bus, 0x80000000 | 3 << 11 | 0x10, &read);
    assert_int_equal(read.value, 0xffff);

    pci_space_access(space, &masks, &write);
    assert_int_equal(space[0x40], 0x55);
    assert_int_equal(space[0x41], 0x5a);
    assert_int_equal(space[0x42], 0xf5);
    assert_int_equal(space[0x43], 0);
    write.write = false;
    pci_space_access(space, &masks, &write);
    assert_int_equal(write.value, 0x00f55a55);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attach), cmocka_unit_test(test_full),   cmocka_unit_test(test_split),
        cmocka_unit_test(test_random), cmocka_unit_test(test_clocks), cmocka_unit_test(test_ticks),
        cmocka_unit_test(test_pci),    cmocka_unit_test(test_block),  cmocka_unit_test(test_window),
    };

    return cmocka_run_group_tests_name("bus", tests, NULL, NULL);
}
