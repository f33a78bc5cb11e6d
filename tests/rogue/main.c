/* SPDX-License-Identifier: ISC */
/*
 * rogue: what a driver of an NVMe controller that has been taken over can do at its worst. It reads its disk and
 * compares it with the pattern of scenarios' disks, has the controller write into memory that is not its own and send
 * the interrupts of others, and reads its disk once more. The configuration:
 *
 *   <config device="00:05.0" from="0x100000" to="0x10000000" step="0x100000"/>
 */
#include "base/include/config.h"
#include "base/include/device.h"
#include "base/include/event.h"
#include "base/include/log.h"
#include "drivers/nvme/nvme.h"
#include "lib/format/format.h"
#include "lib/pci/msix.h"

#include <string.h>

#define CAP_IRQ      CAP_FREE
#define BIT_IRQ      1ull
#define IO_ADDRESS   0x7000000ull /* where the controller sees its memory: not where that is */
#define DATA         0x2000u      /* bytes that are read at once, behind the library's memory */
#define WAIT_SECONDS 5u
#define PATTERN      0x9e3779b97f4a7c15ul /* times the word's number: what a word of the disk holds */
#define VECTOR_FIRST 0x20u
#define VECTOR_LAST  0xefu

static struct {
    char device[16];
    uint64_t from, to, step;
} config;

static const char *const config_attributes[] = {"device!", "from!", "to!", "step!", NULL};
static const struct xml_schema config_schema = {.name = "config", .attributes = config_attributes};

static struct device device;
static struct device_message message;
static volatile uint32_t *registers, *msix; /* msix: entry 0 of the table */
static uint64_t tsc_hz;
static struct nvme nvme;
static struct event interrupt_event;
static bool over;
static enum disk_status status;

static bool config_read(void *context, char *text, size_t bytes, struct xml_error *error)
{
    static const struct xml_range range = {.min = 0, .max = UINT64_MAX / 2};
    const struct xml_node *root = config_parse(text, bytes, &config_schema, error);

    (void)context;
    if (!root || !xml_get_unsigned(root, "from", &range, &config.from, error) ||
        !xml_get_unsigned(root, "to", &range, &config.to, error) ||
        !xml_get_unsigned(root, "step", &range, &config.step, error))
        return false;
    format_text(config.device, sizeof(config.device), "%s", xml_get_string_or(root, "device", ""));
    return true;
}

static uint64_t now(void)
{
    return tsc_read() / (tsc_hz / 1000);
}

static uint32_t register_read(void *context, unsigned offset)
{
    (void)context;
    return registers[offset / 4];
}

static void register_write(void *context, unsigned offset, uint32_t value)
{
    (void)context;
    registers[offset / 4] = value;
}

static void done(void *context, struct disk_request *request, enum disk_status ended)
{
    (void)context;
    (void)request;
    over = true;
    status = ended;
}

static uint32_t space_read(void *context, unsigned offset)
{
    uint32_t value;
    enum error error = device_read(&device, offset, &value);

    (void)context;
    return error ? 0 : value;
}

static void interrupted(void *context, uint64_t bits)
{
    uint64_t next = nvme_work(&nvme, now());

    (void)context;
    (void)bits;
    interrupt_event.deadline = next == NVME_NEVER ? DEADLINE_NEVER : (next + 1) * (tsc_hz / 1000);
}

static void msix_set(uint64_t address, uint32_t data)
{
    msix[0] = (uint32_t)address;
    msix[1] = (uint32_t)(address >> 32);
    msix[2] = data;
    msix[3] = 0;
}

/* Into where the controller sees `address`. It may take such a command well or not, or never answer. */
static bool read_blocks(uint64_t block, uint32_t count, uint64_t address)
{
    static struct disk_request request;
    uint64_t until = tsc_read() + WAIT_SECONDS * tsc_hz;

    request = (struct disk_request){.action = DISK_READ,
                                    .sector = block,
                                    .count = count,
                                    .pieces = 1,
                                    .piece = {{address, count * nvme.identity.namespace[0].bytes}}};
    over = false;
    if (!nvme_submit(&nvme, 0, &request, now()))
        return false;
    while (!over && tsc_read() < until) {
        event_turn(tsc_read() + tsc_hz / 1000);
        interrupted(NULL, 0); /* its interrupt may have gone elsewhere */
    }
    return over && status == DISK_OK;
}

static const char *device_start(void)
{
    struct msix_table table;
    struct dataspace memory;
    volatile void *bar;
    void *attached;
    const char *wrong;
    uint64_t bytes;
    enum error error = device_open(config.device, &device);

    if (!error)
        error = device_bar(&device, 0, &bar, &bytes);
    if (!error)
        error = memory_alloc(NVME_MEMORY + DATA, &memory, &attached);
    if (!error)
        error = device_map(&device, &memory, IO_ADDRESS, MEM_READ | MEM_WRITE);
    if (!error)
        error = device_interrupt(&device, CAP_IRQ, BIT_IRQ, &message);
    if (error)
        return error_text(error);
    if (!msix_find(space_read, NULL, &table) || table.bar != 0 || table.offset > bytes - MSIX_ENTRY)
        return "expected a table of MSI-X beside its registers, found none";
    registers = bar;
    msix = registers + table.offset / 4;
    msix_set(message.address, message.data);
    nvme = (struct nvme){.wiring = {.read = register_read, .write = register_write, .done = done},
                         .memory = attached,
                         .io_address = IO_ADDRESS};
    while (!nvme_rest(&nvme, bytes, now(), &wrong)) {
        if (wrong)
            return wrong;
        event_turn(tsc_read() + tsc_hz / 1000);
    }
    error = device_dma(&device, true);
    if (error)
        return error_text(error);
    nvme_start(&nvme, now());
    interrupt_event.deadline = 0;
    while (nvme.state != NVME_READY && nvme.state != NVME_DEAD)
        event_turn(DEADLINE_NEVER);
    return nvme.state == NVME_DEAD ? nvme.wrong : nvme.identity.namespace[0].wrong;
}

static bool disk_is_right(void)
{
    const struct nvme_namespace *disk = &nvme.identity.namespace[0];
    const uint64_t *words = (const uint64_t *)(const void *)(nvme.memory + NVME_MEMORY);
    uint32_t per = DATA / disk->bytes;

    for (uint64_t block = 0; block + per <= disk->sectors; block += per) {
        memset(nvme.memory + NVME_MEMORY, 0, DATA);
        if (!read_blocks(block, per, IO_ADDRESS + NVME_MEMORY)) {
            log_line("block %lu cannot be read", block);
            return false;
        }
        for (unsigned i = 0; i < DATA / 8; i++)
            if (words[i] != (block * disk->bytes / 8 + i) * PATTERN) {
                log_line("block %lu: word %u is 0x%lx", block, i, words[i]);
                return false;
            }
    }
    log_line("%lu blocks are as they should be", disk->sectors);
    return true;
}

static void reach_outside(void)
{
    unsigned tried = 0, refused = 0;

    for (uint64_t address = config.from; address < config.to && config.step >= NVME_PAGE;
         address += config.step) {
        tried++;
        refused += !read_blocks(0, 1, address & ~(uint64_t)(NVME_PAGE - 1));
    }
    log_line("outside: %u addresses from 0x%lx on, %u refused by the controller itself", tried, config.from,
             refused);
}

/* Each vector, in either vendor's way to name it; the commands' answers are found without an interrupt. */
static void send_others(void)
{
    unsigned sent = 0;

    for (unsigned vector = VECTOR_FIRST; vector <= VECTOR_LAST; vector++)
        for (unsigned way = 0; way < 2; way++) {
            msix_set(way ? (message.address & ~0x1fe0ull) | (uint64_t)vector << 5 : message.address,
                     way ? message.data : vector);
            sent += read_blocks(0, 1, IO_ADDRESS + NVME_MEMORY);
        }
    msix_set(message.address, message.data);
    log_line("forge: %u messages", sent);
}

int component_main(void)
{
    struct pd_info info;
    const char *wrong;

    if (!config_load(config_read, NULL) || pd_info(&info) != ERROR_OK)
        return 1;
    tsc_hz = info.tsc_hz;
    interrupt_event = (struct event){.bits = BIT_IRQ, .deadline = DEADLINE_NEVER, .handle = interrupted};
    event_add(&interrupt_event);
    wrong = device_start();
    if (wrong) {
        log_line("device %s: %s", config.device, wrong);
        return 1;
    }
    if (!disk_is_right())
        return 1;
    reach_outside();
    send_others();
    if (!disk_is_right())
        return 1;
    log_line("done");
    return 0;
}
