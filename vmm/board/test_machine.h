/* SPDX-License-Identifier: ISC */
/*
 * A machine for tests of saved state, and accesses to it of all kinds.
 */
#pragma once

#include "vmm/board/machine.h"

#include <stdlib.h>
#include <string.h>

#define TEST_HZ 2000000000ull

struct test_machine {
    struct machine machine;
    uint64_t now;
    struct disk disk; /* does not answer */
    struct machine_screen screen;
    uint8_t vram[VGA_VRAM_LEAST + VGA_TEXT_SIZE];
    uint8_t low[E820_MIN_RAM];
};

static inline void test_machine_ask(void *context, struct disk_request *request)
{
    (void)context;
    (void)request;
}

static inline bool test_machine_map(void *context, const struct vga_mapping *mapping, bool there)
{
    (void)context;
    (void)mapping;
    (void)there;
    return true;
}

static inline bool test_machine_init(struct test_machine *test)
{
    struct machine_config config = {.name = "test",
                                    .ram = {.low = test->low, .low_size = sizeof(test->low)},
                                    .cpus = 2,
                                    .wall_seconds = 1700000000};

    test->now = 0;
    test->disk = (struct disk){.sectors = 1000000, .discards = true, .submit = test_machine_ask};
    test->screen = (struct machine_screen){
        .memory = test->vram, .vram = VGA_VRAM_LEAST, .map = test_machine_map, .context = test};
    config.screen = &test->screen;
    config.ide[0][0] = (struct ata_config){.kind = ATA_DISK, .disk = &test->disk};
    config.ide[1][1] = (struct ata_config){.kind = ATA_CD, .disk = &test->disk};
    clock_init(&config.clock, 0, TEST_HZ);
    if (!e820_layout(sizeof(test->low), &config.map) || !machine_init(&test->machine, &config))
        return false;
    bus_write(&test->machine.bus, BUS_PORT, 0xcf8, 4, 0x80000904, 0, 0); /* the IDE controller's ports */
    bus_write(&test->machine.bus, BUS_PORT, 0xcfc, 2, PCI_COMMAND_IO | PCI_COMMAND_MASTER, 0, 0);
    return true;
}

/* xorshift64 */
static inline uint64_t test_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* Time goes on, due events happen, and one access is made, mostly to a register of a chip. Returns what is read. */
static inline uint64_t test_machine_access(struct test_machine *test, uint64_t *seed)
{
    static const uint16_t ports[] = {
        0x20,  0x21,  0xa0,  0xa1,  0x4d0, 0x4d1, 0x40,  0x41,  0x42,  0x43,  0x61,  0x70,  0x71,
        0x72,  0x73,  0x60,  0x64,  0x92,  0x3f8, 0x3f9, 0x3fa, 0x3fb, 0x3fc, 0x3fd, 0x3fe, 0x3ff,
        0xcf8, 0xcf9, 0xcfc, 0x600, 0x602, 0x604, 0xb2,  0x1f0, 0x1f2, 0x1f6, 0x1f7, 0x3f6, 0x170,
        0x176, 0x177, 0x376, 0x3c0, 0x3c4, 0x3c5, 0x3c9, 0x3ce, 0x3cf, 0x3d4, 0x3d5, 0x1ce, 0x1cf};
    static const uint16_t registers[] = {0x20,  0x80,  0xb0,  0xd0,  0xe0,  0xf0,  0x280, 0x300,
                                         0x310, 0x320, 0x350, 0x360, 0x370, 0x380, 0x3e0, 0x3f0};
    struct machine *machine = &test->machine;
    uint64_t choice = test_random(seed), value = test_random(seed);
    uint8_t cpu = choice >> 8 & 1, size = (uint8_t)(1u << (choice >> 10 & 3) % 3);
    uint16_t port = ports[(choice >> 16) % (sizeof(ports) / sizeof(ports[0]))];
    uint64_t address =
        LAPIC_MMIO_BASE + registers[(choice >> 16) % (sizeof(registers) / sizeof(registers[0]))];
    uint64_t result = 0;

    test->now += (choice >> 40) & ((1ull << (choice >> 32 & 31)) - 1);
    for (unsigned i = 0; i < machine->cpus; i++)
        machine_advance(machine, i, test->now);
    switch (choice & 7) {
    case 0:
        if (choice & 0x8000)
            return lapic_msr_write(
                &machine->cpu[cpu].lapic, choice & 0x4000 ? MSR_TSC_DEADLINE : MSR_APIC_BASE,
                choice & 0x4000 ? value >> 20 : LAPIC_MMIO_BASE | (value & 0xd00), test->now);
        break;
    case 1:
        address = I82093AA_MMIO_BASE + (choice & 0x8000 ? 0x10 : 0);
        value = choice & 0x8000 ? value & 0x0100000000018fffull : value & 0x3f;
        size = 4;
        break;
    case 2:
        break;
    case 3:
        if (choice & 0x8000) { /* what a processor does with its interrupts */
            int vector = lapic_pending_vector(&machine->cpu[cpu].lapic);

            if (vector >= 0)
                lapic_accept(&machine->cpu[cpu].lapic, (unsigned)vector);
            else if (cpu == 0 && machine->intr)
                vector = i8259_acknowledge(&machine->pic);
            return (uint64_t)vector;
        }
        address = 0;
        break;
    default:
        address = 0;
    }
    if (!address && choice & 0x4000 && port == 0xcf8) {
        size = 4;
        value = 0x80000000u | (value & 0x0bff);
    }
    if (choice & 0x2000)
        result = address ? bus_read(&machine->bus, BUS_MMIO, address, 4, cpu, test->now)
                         : bus_read(&machine->bus, BUS_PORT, port, size, cpu, test->now);
    else if (address)
        bus_write(&machine->bus, BUS_MMIO, address, 4, (uint32_t)value, cpu, test->now);
    else
        bus_write(&machine->bus, BUS_PORT, port, size, value & (~0ull >> (64 - size * 8)), cpu, test->now);
    return result;
}
