/* SPDX-License-Identifier: ISC */
/*
 * An IDE controller on a bus, with disks in memory whose answers a test lets come when it wants.
 */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "vmm/device/i440fx.h"
#include "vmm/device/piix4_ide.h"

#define TEST_SECTORS 4096u
#define TEST_RAM     0x200000u
#define TEST_BMDMA   0xc000u
#define TEST_TABLE   0x10000u /* of PRDs, in RAM */
#define TEST_DATA    0x100000u
#define TEST_STEPS   100000u

enum { TEST_CONFIG_IDE = 0x80000900 };

struct test_disk {
    struct disk disk;
    struct disk_request *waiting; /* one at a time, that is the interface */
    uint8_t bytes[TEST_SECTORS * DISK_SECTOR];
    bool fails, durable, discards_asked;
    unsigned requests, flushes, discarded;
};

struct test_ide {
    struct bus bus;
    struct i440fx host;
    struct piix4_ide ide;
    struct guest_ram ram;
    struct test_disk disk[2];
    bool irq[PIIX4_IDE_CHANNELS];
    unsigned raised[PIIX4_IDE_CHANNELS];
    uint8_t memory[TEST_RAM];
};

static inline void test_disk_submit(void *context, struct disk_request *request)
{
    struct test_disk *disk = context;

    if (disk->waiting || request->sector > TEST_SECTORS || request->count > TEST_SECTORS - request->sector)
        abort(); /* what no chip may do */
    if (request->action != DISK_DISCARD && request->count > DISK_AT_ONCE)
        abort();
    if (request->action != DISK_READ && disk->disk.read_only && request->action != DISK_FLUSH)
        abort();
    disk->waiting = request;
    disk->requests++;
}

/* One answer, if a request waits. */
static inline bool test_disk_answer(struct test_disk *disk)
{
    struct disk_request *request = disk->waiting;
    enum disk_result result = disk->fails ? DISK_FAILED : DISK_DONE;
    uint32_t length;

    if (!request)
        return false;
    disk->waiting = NULL;
    length = request->count * DISK_SECTOR;
    if (result == DISK_DONE && (request->action == DISK_READ || request->action == DISK_WRITE)) {
        uint8_t *area = malloc(length); /* of that length, so that a sanitizer sees what goes beyond */
        uint8_t *sectors = &disk->bytes[request->sector * DISK_SECTOR];

        memcpy(area, sectors, length);
        if (!request->move(request->context, area, length))
            result = DISK_STOPPED;
        else if (request->action == DISK_WRITE)
            memcpy(sectors, area, length);
        free(area);
        disk->durable = request->fua;
    }
    disk->flushes += result == DISK_DONE && request->action == DISK_FLUSH;
    if (result == DISK_DONE && request->action == DISK_DISCARD) {
        memset(&disk->bytes[request->sector * DISK_SECTOR], 0, length);
        disk->discarded += request->count;
    }
    request->done(request->context, result);
    return true;
}

static inline void test_ide_work(struct test_ide *test)
{
    for (unsigned i = 0; i < TEST_STEPS; i++)
        if (!test_disk_answer(&test->disk[0]) && !test_disk_answer(&test->disk[1]))
            return;
    abort(); /* without an end */
}

static inline void test_ide_line(void *context, unsigned pin, bool level)
{
    struct test_ide *test = context;

    if (level == test->irq[pin - 14])
        abort();
    test->irq[pin - 14] = level;
    test->raised[pin - 14] += level;
}

static inline uint32_t test_in(struct test_ide *test, uint16_t port, uint8_t size)
{
    return (uint32_t)bus_read(&test->bus, BUS_PORT, port, size, 0, 0);
}

static inline void test_out(struct test_ide *test, uint16_t port, uint8_t size, uint32_t value)
{
    bus_write(&test->bus, BUS_PORT, port, size, value, 0, 0);
}

static inline uint32_t test_config(struct test_ide *test, unsigned at)
{
    test_out(test, 0xcf8, 4, TEST_CONFIG_IDE | (at & 0xfc));
    return test_in(test, (uint16_t)(0xcfc + (at & 3)), 4);
}

static inline void test_configure(struct test_ide *test, unsigned at, uint8_t size, uint32_t value)
{
    test_out(test, 0xcf8, 4, TEST_CONFIG_IDE | (at & 0xfc));
    test_out(test, (uint16_t)(0xcfc + (at & 3)), size, value);
}

static inline void test_disk_init(struct test_disk *disk, uint64_t seed)
{
    uint64_t *words = (uint64_t *)(void *)disk->bytes;

    *disk = (struct test_disk){.disk = {.sectors = TEST_SECTORS,
                                        .discards = true,
                                        .physical_bytes = 4096,
                                        .serial = "VB1234-5678",
                                        .submit = test_disk_submit,
                                        .context = disk}};
    for (size_t i = 0; i < sizeof(disk->bytes) / 8; i++)
        words[i] = (i + seed) * 0x9e3779b97f4a7c15ull;
}

/* As firmware leaves it. `cd`: with a medium, or an empty drive. Master of the first cable: a disk; master of the
 * second: the CD drive. */
static inline bool test_ide_init(struct test_ide *test, bool medium)
{
    struct piix4_ide_config config = {.slot = 1, .function = 1};
    struct piix4_ide_wiring wiring = {.bus = &test->bus,
                                      .pci = &test->host.pci,
                                      .ram = &test->ram,
                                      .irq = {{.set = test_ide_line, .sink = test, .pin = 14},
                                              {.set = test_ide_line, .sink = test, .pin = 15}}};

    memset(test, 0, sizeof(*test));
    test->ram = (struct guest_ram){.low = test->memory, .low_size = sizeof(test->memory)};
    for (unsigned i = 0; i < 2; i++)
        test_disk_init(&test->disk[i], i);
    bus_init(&test->bus);
    test->bus.ram = &test->ram;
    i440fx_init(&test->host, &(struct i440fx_wiring){0});
    config.drive[0][0] = (struct ata_config){.kind = ATA_DISK, .disk = &test->disk[0].disk};
    config.drive[1][0] = (struct ata_config){.kind = ATA_CD, .disk = medium ? &test->disk[1].disk : NULL};
    piix4_ide_init(&test->ide, &config, &wiring);
    if (i440fx_attach(&test->host, &test->bus) != BUS_OK ||
        piix4_ide_class.attach(&test->ide, &test->bus) != BUS_OK)
        return false;
    test_configure(test, 0x20, 4, TEST_BMDMA);
    test_configure(test, 4, 2, PCI_COMMAND_IO | PCI_COMMAND_MASTER);
    return true;
}

/* xorshift64 */
static inline uint64_t test_ide_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* Writes the command block of the master, then the command. */
static inline void test_command(struct test_ide *test, uint16_t base, uint8_t code, uint64_t sector,
                                unsigned count, bool ext)
{
    if (ext) {
        test_out(test, base + 2, 1, count >> 8);
        for (unsigned i = 0; i < 3; i++)
            test_out(test, (uint16_t)(base + 3 + i), 1, (uint8_t)(sector >> (24 + i * 8)));
    }
    test_out(test, base + 2, 1, (uint8_t)count);
    for (unsigned i = 0; i < 3; i++)
        test_out(test, (uint16_t)(base + 3 + i), 1, (uint8_t)(sector >> (i * 8)));
    test_out(test, base + 6, 1, 0xe0 | (ext ? 0 : (uint8_t)(sector >> 24 & 15)));
    test_out(test, base + 7, 1, code);
}

static inline void test_prd(struct test_ide *test, unsigned index, uint32_t address, uint32_t count)
{
    memcpy(&test->memory[TEST_TABLE + index * 8], &address, 4);
    memcpy(&test->memory[TEST_TABLE + index * 8 + 4], &count, 4);
}

static inline void test_start_dma(struct test_ide *test, unsigned channel)
{
    uint16_t port = (uint16_t)(TEST_BMDMA + channel * 8);

    test_out(test, port, 1, 0);
    test_out(test, port + 2, 1, 0x66);
    test_out(test, port + 4, 4, TEST_TABLE);
    test_out(test, port, 1, 0x09);
}
