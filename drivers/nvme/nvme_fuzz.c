/* SPDX-License-Identifier: ISC */
/*
 * The driver against a controller that the input makes: what it tells of itself and its namespaces, when and how it
 * answers, what it writes over its answers, when it is ready, at rest or gone. The sanitizers watch the driver's
 * memory. Here it is checked that each command that it gives names blocks of the namespace, as long as the controller
 * takes, and the bytes of its request; that a request ends once, and not as failed while the controller is at it; and
 * that all ends when the controller behaves.
 */
#include <string.h>

#include "drivers/fuzz_input.h"
#include "drivers/nvme/nvme.h"

#define DATA     0x400000000ull
#define STRETCH  0x100000u /* of data, for each request */
#define REQUESTS 70u
#define SPACES   16u
#define HELD     64u
#define TURNS    4000u

struct command {
    uint32_t head, namespace;
    uint64_t zero[2], first, second;
    uint32_t word[6];
};

struct queue {
    uint64_t submissions, completions;
    unsigned entries, head, filled, held;
    bool phase;
    struct command command[HELD];
};

struct space {
    uint32_t id;
    uint64_t blocks;
    unsigned shift;
    bool metadata, read_only;
};

static _Alignas(4096) uint8_t memory[NVME_MEMORY];
static struct nvme nvme;
static uint64_t now;
static struct {
    struct disk_request request;
    unsigned number;
    bool busy, held; /* held: the controller has it */
} requests[REQUESTS];
static struct {
    uint32_t cap[2], cc, aqa;
    uint64_t asq, acq, since;
    unsigned delay; /* ms until CSTS follows CC */
    bool gone, fatal, well, ready;
    struct queue queue[2];
    unsigned transfer, commands, spaces;
    struct space space[SPACES];
} device;

static uint8_t *at(uint64_t address, size_t size)
{
    return memory_at(memory, sizeof(memory), address, size);
}

/* ---- What the controller tells */

static void tell_controller(uint8_t *page)
{
    page[4] = page[24] = take();
    page[77] = take() % 32;
    page[516] = take() % 32;
    page[520] = take();
    page[525] = take();
    device.transfer = page[77];
    device.commands = page[520];
    device.spaces = 0;
}

static void tell_list(uint8_t *page)
{
    uint32_t id = 0;

    for (unsigned i = 0; i < 12; i++) {
        id += device.well ? i < 2 : take() % 4;
        memcpy(page + 4 * i, &id, sizeof(id));
    }
}

static void tell_space(uint8_t *page, uint32_t id)
{
    unsigned number, last;
    uint8_t kind = device.well ? 1 : take();
    struct space space = {.id = id, .blocks = device.well ? 1000 : (uint64_t)take() << take() % 64};
    uint16_t metadata = device.well || kind & 7 ? 0u : kind;

    memcpy(page, &space.blocks, sizeof(space.blocks));
    page[25] = device.well ? 0 : take() % 64;
    page[26] = device.well ? 0 : take();
    page[99] = device.well ? 0 : take();
    last = page[25];
    for (unsigned i = 0; i < 64; i++) {
        memcpy(page + 128 + 4 * i, &metadata, 2);
        page[128 + 4 * i + 2] = (uint8_t)(8 + (kind + i) % 6);
    }
    number = (page[26] & 15u) | (last > 15 ? page[26] >> 1 & 0x30u : 0);
    space.shift = 8 + (kind + number) % 6;
    space.metadata = metadata || number > last;
    space.read_only = page[99] & 1;
    if (device.spaces < SPACES)
        device.space[device.spaces++] = space;
}

static void execute_own(const struct command *command)
{
    unsigned size = command->word[0] >> 16;
    uint8_t *page;

    switch (command->head & 0xff) {
    case 1:
    case 5:
        check(size >= 1 && size < HELD && size <= (device.cap[0] & 0xffff));
        device.queue[1].entries = size + 1;
        *((command->head & 0xff) == 5 ? &device.queue[1].completions : &device.queue[1].submissions) =
            command->first;
        (void)at(command->first, size * 16);
        break;
    case 6:
        page = at(command->first, NVME_PAGE);
        memset(page, 0, NVME_PAGE);
        if (command->word[0] == 1)
            tell_controller(page);
        else if (command->word[0] == 2)
            tell_list(page);
        else
            tell_space(page, command->namespace);
        break;
    default:
        break;
    }
}

/* ---- Commands */

static const struct space *space_of(uint32_t id)
{
    unsigned i = 0;

    while (i < device.spaces && device.space[i].id != id)
        i++;
    check(i < device.spaces);
    return &device.space[i];
}

static uint64_t page_of(const struct command *command, unsigned index, unsigned pages)
{
    uint64_t address;

    if (!index)
        return command->first;
    if (pages == 2)
        return command->second;
    check((command->second & (NVME_PAGE - 1)) + 8ull * (pages - 1) <= NVME_PAGE);
    memcpy(&address, at(command->second + 8ull * (index - 1), 8), 8);
    return address;
}

/* The request that a transfer is for, by its address. */
static unsigned check_transfer(const struct command *command, const struct space *space, uint64_t block,
                               uint64_t count)
{
    uint64_t size = count << space->shift, number = (command->first - DATA) / STRETCH, done = 0;
    unsigned pages = (unsigned)(((command->first & (NVME_PAGE - 1)) + size + NVME_PAGE - 1) / NVME_PAGE);
    const struct disk_request *request;

    check(command->first >= DATA && number < REQUESTS && requests[number].busy);
    request = &requests[number].request;
    check(request->sector == block && request->count == count);
    check(request->action == ((command->head & 0xff) == 1 ? DISK_WRITE : DISK_READ));
    check(!device.transfer || device.transfer > 20 || size <= (uint64_t)NVME_PAGE << device.transfer);
    for (unsigned i = 0, piece = 0, offset = 0; i < pages; i++) {
        uint64_t address = page_of(command, i, pages);

        check(address == request->piece[piece].address + offset);
        offset += NVME_PAGE - (unsigned)(address & (NVME_PAGE - 1));
        if (offset >= request->piece[piece].bytes) {
            done += request->piece[piece++].bytes;
            offset = 0;
        }
    }
    check(done == size);
    return (unsigned)number;
}

static void check_io(const struct command *command)
{
    const struct space *space = space_of(command->namespace);
    uint64_t block = command->word[0] | (uint64_t)command->word[1] << 32,
             count = (command->word[2] & 0xffff) + 1u;
    uint32_t range[4];

    check(!space->metadata && space->shift >= 9 && space->shift <= 12);
    switch (command->head & 0xff) {
    case 0:
        return;
    case 1:
    case 2:
        requests[check_transfer(command, space, block, count)].held = true;
        break;
    case 9:
        memcpy(range, at(command->first, 16), 16);
        block = range[2] | (uint64_t)range[3] << 32;
        count = range[1];
        check(device.commands & 4);
        break;
    default:
        check((command->head & 0xff) == 8 && device.commands & 8);
    }
    check(count && block < space->blocks && count <= space->blocks - block);
    check((command->head & 0xff) == 2 || !space->read_only);
}

static void complete(struct queue *queue, uint32_t id, uint32_t status)
{
    uint32_t *entry;

    if (!queue->entries || !queue->completions)
        return;
    entry = (uint32_t *)(void *)at(queue->completions + 16ull * queue->filled, 16);
    entry[3] = (id & 0xffff) | (uint32_t)queue->phase << 16 | status << 17;
    queue->filled = (queue->filled + 1) % queue->entries;
    queue->phase ^= queue->filled == 0;
}

static void let_go(const struct command *command)
{
    uint64_t number = (command->first - DATA) / STRETCH;

    if (command->first >= DATA && number < REQUESTS)
        requests[number].held = false;
}

/* One of those that it holds, well or not. */
static void answer(unsigned number)
{
    struct queue *queue = &device.queue[number];
    uint8_t how = device.well ? 0 : take();
    unsigned which = how % (queue->held ? queue->held : 1);
    struct command command;
    uint32_t status = how & 0x80 ? (uint32_t)take() << 7 | (how & 0x7f) : 0;

    if (!queue->held)
        return;
    command = queue->command[which];
    queue->command[which] = queue->command[--queue->held];
    if (number)
        let_go(&command);
    else if (!status)
        execute_own(&command);
    complete(queue, command.head >> 16, status);
}

/* ---- Registers */

static void come(void)
{
    bool enabled = device.cc & 1;

    if (device.ready == enabled || (!device.well && now < device.since + device.delay))
        return;
    device.ready = enabled;
    if (!enabled)
        for (unsigned i = 0; i < REQUESTS; i++)
            requests[i].held = false;
}

static uint32_t device_read(void *context, unsigned offset)
{
    (void)context;
    come();
    if (device.gone)
        return UINT32_MAX;
    if (offset == 0x1c)
        return device.ready | (device.fatal && device.cc & 1 ? 2u : 0u);
    return offset < 8 ? device.cap[offset / 4] : offset == 8 ? 0x10400 : 0;
}

static void doorbell(unsigned number, uint32_t value)
{
    struct queue *queue = &device.queue[number / 2];

    check(number < 4 && device.cc & 1);
    if (!queue->entries || !queue->submissions)
        return; /* its word that they were made was a lie */
    check(value < queue->entries);
    while (!(number % 2) && queue->head != value) {
        struct command *command = &queue->command[queue->held];

        check(queue->held < queue->entries - 1);
        memcpy(command, at(queue->submissions + 64ull * queue->head, 64), 64);
        if (number / 2)
            check_io(command);
        queue->held++;
        queue->head = (queue->head + 1) % queue->entries;
    }
}

static void device_write(void *context, unsigned offset, uint32_t value)
{
    (void)context;
    if (offset == 0x14) {
        device.cc = value;
        device.since = now;
        for (unsigned i = 0; i < 2; i++)
            device.queue[i] = (struct queue){.phase = true};
        device.queue[0].submissions = device.asq;
        device.queue[0].completions = device.acq;
        device.queue[0].entries = (device.aqa & 0xfff) + 1;
        come();
    } else if (offset == 0x24) {
        device.aqa = value;
    } else if (offset >= 0x28 && offset < 0x38) {
        memcpy((uint8_t *)(offset < 0x30 ? &device.asq : &device.acq) + offset % 8, &value, sizeof(value));
    } else if (offset >= 0x1000) {
        doorbell((offset - 0x1000) / (4u << (device.cap[1] & 0xf)), value);
    }
}

/* ---- The driver's user */

static void done(void *context, struct disk_request *request, enum disk_status status)
{
    for (unsigned i = 0; i < REQUESTS; i++)
        if (request == &requests[i].request) {
            (void)context;
            check(requests[i].busy);
            check(status == DISK_GONE || !requests[i].held || !device.ready);
            requests[i].busy = false;
            return;
        }
    check(false);
}

static void submit(void)
{
    unsigned number = take() % REQUESTS, how = take(), space = how >> 4 & 3;
    uint32_t count = take() | (how & 8 ? (uint32_t)take() << 8 : 0), size = 0;
    struct disk_request *request = &requests[number].request;

    if (requests[number].busy)
        return;
    if (nvme.known && space < nvme.before.namespaces)
        size = count * nvme.before.namespace[space].bytes;
    *request = (struct disk_request){.action = (enum disk_action)(how % 5),
                                     .fua = how & 0x80,
                                     .sector = (uint64_t)take() << take() % 64,
                                     .count = count,
                                     .pieces = 1 + (how >> 6 & 1)};
    request->piece[0].address = DATA + (uint64_t)number * STRETCH + take() * 64u;
    request->piece[0].bytes = size;
    if (request->pieces == 2) {
        uint32_t first = NVME_PAGE - (uint32_t)(request->piece[0].address & (NVME_PAGE - 1));

        first = first < size ? first : size;
        request->piece[0].bytes = first;
        request->piece[1].address = DATA + (uint64_t)number * STRETCH + STRETCH / 2 + take() % 2 * 8u;
        request->piece[1].bytes = size - first;
    }
    if (size > STRETCH / 2)
        request->count = 0;
    requests[number].busy = true;
    requests[number].held = false;
    requests[number].number = space;
    if (!nvme_submit(&nvme, space, request, now))
        requests[number].busy = false;
}

static void scribble(void)
{
    unsigned area = take() & 1 ? 0x3000u : 0x1000u, place = take() * 4u;
    uint8_t value = take();

    memory[area + place] = value;
    memory[area + place + 2] ^= value >> 7;
}

static void step(void)
{
    uint8_t operation = take();

    switch (operation & 7) {
    case 0:
    case 1:
        submit();
        break;
    case 2:
        answer(0);
        break;
    case 3:
        answer(1);
        break;
    case 4:
        now += operation >> 3 == 31 ? 30001 : (unsigned)operation >> 3;
        break;
    case 5:
        device.gone = operation == 0xfd;
        device.fatal = operation >> 3 == 30;
        device.delay = operation >> 3 == 29 ? 200000 : (unsigned)operation >> 4;
        break;
    case 6:
        if (operation >> 3 < 16)
            scribble();
        else
            complete(&device.queue[1], take(), take());
        break;
    default:
        break;
    }
    (void)nvme_work(&nvme, now);
}

static bool busy(void)
{
    bool any = false;

    for (unsigned i = 0; i < REQUESTS; i++)
        any |= requests[i].busy;
    return any;
}

/* The controller behaves from now on. */
static void settle(void)
{
    device.well = true;
    device.fatal = false;
    for (unsigned i = 0; i < TURNS; i++) {
        uint64_t next;

        answer(0);
        answer(1);
        next = nvme_work(&nvme, now);
        if (!busy() && (nvme.state == NVME_DEAD || (nvme.state == NVME_READY && next == NVME_NEVER)))
            return;
        if (next == NVME_NEVER || next <= now || device.queue[0].held || device.queue[1].held)
            next = now + 1;
        now = next;
    }
    check(false);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
    const char *wrong = NULL;

    bytes = input;
    left = length;
    now = 0;
    memset(&device, 0, sizeof(device));
    memset(requests, 0, sizeof(requests));
    memset(memory, 0, 0x5000);
    nvme = (struct nvme){.wiring = {.read = device_read, .write = device_write, .done = done},
                         .memory = memory,
                         .io_address = FUZZ_IO};
    device.cap[0] = take() | (uint32_t)take() << 24;
    device.cap[1] = 0x20u | take() % 4;
    for (unsigned i = 0; i < 10 && !wrong && !nvme_rest(&nvme, 0x4000, now, &wrong); i++)
        now += take();
    if (wrong || device.ready)
        return 0;
    nvme_start(&nvme, now);
    for (unsigned i = 0; left && i < 16 && nvme.state < NVME_READY; i++) { /* most inputs are to get there */
        (void)nvme_work(&nvme, ++now);
        answer(0);
    }
    while (left && nvme.state != NVME_DEAD)
        step();
    settle();
    return 0;
}
