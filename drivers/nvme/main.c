/* SPDX-License-Identifier: ISC */
/*
 * nvme: reads a disk again and again and compares it with what it should hold, a test's pattern. The
 * configuration:
 *
 *   <config>
 *     <disk device="00:04.0" rounds="2"/>              DEVICE session of this label; rounds 0: for ever
 *     <outside from="0x100000" to="0x10000000" step="0x100000"/>
 *                                                      then have it read into memory that is not its own
 *     <forge/>                                         then have it send the interrupts of others
 *   </config>
 *
 * The last two are for tests of what keeps a driver from others' memory: a driver that has been taken over
 * can do no more.
 */
#include "base/include/config.h"
#include "base/include/device.h"
#include "base/include/event.h"
#include "base/include/log.h"
#include "drivers/nvme/config.h"
#include "drivers/nvme/nvme.h"

#include <string.h>

#define CAP_IRQ      CAP_FREE
#define BIT_IRQ      1ull
#define IO_ADDRESS   0x7000000ull /* where the controller sees its memory: not where that is */
#define BACKGROUND   4u           /* reads that are under way beside the one that is waited for */
#define WAIT_SECONDS 5u
#define PATTERN      0x9e3779b97f4a7c15ul /* times the word's number: what a word of the disk holds */
#define VECTOR_FIRST 0x20u
#define VECTOR_LAST  0xefu
#define MSIX         0x11u
#define CAPABILITIES 0x34u
#define MSIX_BYTES   16u

static struct nvme_config config;
static struct device device;
static struct device_message message;
static volatile uint32_t *registers, *msix; /* msix: entry 0 of the table; NULL: the device has MSI */
static uint64_t tsc_hz;
static bool interrupted;
static struct nvme nvme;

static uint32_t access_read(void *context, unsigned offset)
{
    (void)context;
    return registers[offset / 4];
}

static void access_write(void *context, unsigned offset, uint32_t value)
{
    (void)context;
    registers[offset / 4] = value;
}

/* The interrupt; while the controller comes up it sends none, and a millisecond has passed each time. */
static bool access_wait(void *context)
{
    uint64_t until = tsc_read() + (nvme.block_bytes ? WAIT_SECONDS * tsc_hz : tsc_hz / 1000);

    (void)context;
    while (!interrupted && tsc_read() < until)
        event_turn(until);
    if (!interrupted)
        return !nvme.block_bytes;
    interrupted = false;
    return true;
}

static void interrupt(void *context, uint64_t bits)
{
    (void)context;
    interrupted |= bits != 0;
}

static const struct nvme_access access = {
    .read32 = access_read, .write32 = access_write, .wait = access_wait};

/* Entry 0 of the table of MSI-X, which lies in the registers' BAR. NULL: it has none, or elsewhere. */
static volatile uint32_t *msix_find(uint64_t bytes)
{
    uint32_t at, head = 0, table;
    enum error error = device_read(&device, CAPABILITIES, &at);
    for (unsigned i = 0; i < 48 && error == ERROR_OK && (at &= 0xfc) != 0; i++, at = head >> 8) {
        error = device_read(&device, at, &head);
        if (error == ERROR_OK && (head & 0xff) == MSIX) {
            error = device_read(&device, at + 4, &table);
            return error == ERROR_OK && (table & 7) == 0 && table + MSIX_BYTES <= bytes
                       ? registers + table / 4
                       : NULL;
        }
    }
    return NULL;
}

static void msix_set(uint64_t address, uint32_t data)
{
    msix[0] = (uint32_t)address;
    msix[1] = (uint32_t)(address >> 32);
    msix[2] = data;
    msix[3] = 0;
}

static bool open_device(void)
{
    struct dataspace memory;
    volatile void *bar;
    void *attached;
    uint64_t bytes;
    enum error error = device_open(config.label, &device);
    if (error == ERROR_OK) {
        error = device_bar(&device, 0, &bar, &bytes);
    }
    if (error == ERROR_OK) {
        registers = bar;
        error = memory_alloc((uint64_t)NVME_PAGES * NVME_PAGE, &memory, &attached);
    }
    if (error == ERROR_OK) {
        error = device_map(&device, &memory, IO_ADDRESS, MEM_READ | MEM_WRITE);
    }
    if (error == ERROR_OK) {
        error = device_interrupt(&device, CAP_IRQ, BIT_IRQ, &message);
    }
    if (error != ERROR_OK) {
        log_line("device %s: %s", config.label, error_text(error));
        return false;
    }
    msix = msix_find(bytes);
    if (msix != NULL) {
        msix_set(message.address, message.data);
    }
    nvme = (struct nvme){.access = &access, .memory = attached, .io_address = IO_ADDRESS};
    const char *wrong =
        nvme_stop(&nvme); /* before it may do DMA: it may still be at a dead driver's commands */
    if (wrong == NULL) {
        error = device_dma(&device, true);
        wrong = error == ERROR_OK ? nvme_start(&nvme) : error_text(error);
    }
    if (wrong != NULL) {
        log_line("device %s: %s", config.label, wrong);
        return false;
    }
    log_line("device %02x:%02x.%u: %s, %lu blocks of %u bytes", device.id >> 8, device.id >> 3 & 31,
             device.id & 7, nvme.model, nvme.blocks, nvme.block_bytes);
    return true;
}

/* The first word that is not as it should be; the count if all are. */
static unsigned differs(const uint64_t *words, unsigned count, uint64_t first)
{
    unsigned i = 0;
    while (i < count && words[i] == (first + i) * PATTERN) {
        i++;
    }
    return i;
}

static bool read_round(void)
{
    unsigned per = NVME_BYTES / nvme.block_bytes, status;
    uint64_t *data = (uint64_t *)(void *)(nvme.memory + NVME_DATA * NVME_PAGE);
    for (uint64_t block = 0; block + per <= nvme.blocks; block += per) {
        memset(data, 0, NVME_BYTES);
        bool begun = true;
        for (unsigned i = 0; i < BACKGROUND; i++) {
            begun = begun && nvme_read_begin(&nvme, block, 1, IO_ADDRESS + (NVME_PAGES - 1) * NVME_PAGE);
        }
        if (!begun || !nvme_read(&nvme, block, per, IO_ADDRESS + NVME_DATA * NVME_PAGE, &status)) {
            log_line("block %lu cannot be read: status 0x%x", block, begun ? status : 0);
            return false;
        }
        uint64_t first = block * nvme.block_bytes / 8;
        unsigned good = differs(data, NVME_BYTES / 8, first);
        if (good < NVME_BYTES / 8) {
            log_line("block %lu: word %u is 0x%lx, expected 0x%lx", block, good, data[good],
                     (first + good) * PATTERN);
            return false;
        }
    }
    return true;
}

/* Into memory that is not the controller's. It may take such a command well or not: what counts is the
 * memory. */
static void reach_outside(void)
{
    unsigned tried = 0, refused = 0, status;
    for (uint64_t address = config.from; address < config.to && config.step >= NVME_PAGE;
         address += config.step) {
        tried++;
        refused += !nvme_read(&nvme, 0, 1, address & ~(uint64_t)(NVME_PAGE - 1), &status);
    }
    log_line("outside: %u addresses from 0x%lx on, %u refused by the controller itself", tried, config.from,
             refused);
}

/* Each vector, in either vendor's way to name it; the commands' answers are found without an interrupt. */
static void send_others(void)
{
    unsigned sent = 0, status;
    for (unsigned vector = VECTOR_FIRST; msix != NULL && vector <= VECTOR_LAST; vector++) {
        for (unsigned way = 0; way < 2; way++) {
            uint64_t address =
                way == 0 ? message.address : (message.address & ~0x1fe0ull) | (uint64_t)vector << 5;
            msix_set(address, way == 0 ? vector : message.data);
            bool begun = nvme_read_begin(&nvme, 0, 1, IO_ADDRESS + (NVME_PAGES - 1) * NVME_PAGE);
            msix_set(message.address, message.data);
            sent += begun && nvme_read(&nvme, 0, 1, IO_ADDRESS + NVME_DATA * NVME_PAGE, &status);
        }
    }
    log_line("forge: %u messages", sent);
}

int component_main(void)
{
    static struct event event = {.bits = BIT_IRQ, .deadline = DEADLINE_NEVER, .handle = interrupt};
    struct pd_info info;
    if (!config_load(nvme_config_read, &config) || pd_info(&info) != ERROR_OK) {
        return 1;
    }
    tsc_hz = info.tsc_hz;
    event_add(&event);
    if (!open_device()) {
        return 1;
    }
    for (uint64_t i = 0; config.rounds == 0 || i < config.rounds; i++) {
        if (!read_round()) {
            return 1;
        }
        if (i == 0) {
            log_line("%lu blocks are as they should be", nvme.blocks);
        }
    }
    if (config.outside) {
        reach_outside();
    }
    if (config.forge) {
        send_others();
    }
    if (!read_round()) {
        return 1;
    }
    log_line("done");
    return 0;
}
