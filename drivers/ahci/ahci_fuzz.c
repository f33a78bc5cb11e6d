/* SPDX-License-Identifier: ISC */
/*
 * The driver against a controller and a drive that the input makes: what the drive tells of itself, when and how it ends
 * commands, its registers, when it is taken away. The sanitizers watch the driver's memory. Here it is checked that
 * each command names sectors of the drive and the bytes of its request, that commands that cannot be under way together
 * are not, that a request ends once, and that all ends when drive and controller behave.
 */
#include <string.h>

#include "drivers/ahci/engine.h"
#include "drivers/fuzz_input.h"

#define DATA     0x200000000ull
#define STRETCH  0x10000000u /* of data, for each request */
#define REQUESTS 40u
#define TURNS    4000u

static _Alignas(4096) uint8_t memory[AHCI_PORT_SIZE];
static struct ahci ahci;
static uint64_t now;
static struct {
    struct disk_request request;
    bool busy;
} requests[REQUESTS];
static struct {
    uint32_t cap, ghc, is, clb[2], port_is, cmd, tfd, ssts, sact, ci, signature;
    bool gone, well, stuck;
} device;
/* What the drive told last. */
static struct {
    bool atapi, lba48, ncq, fua, trim;
    uint64_t sectors;
    uint32_t size;
    unsigned depth;
} told;

static uint8_t *at(uint64_t address, size_t size)
{
    return memory_at(memory, sizeof(memory), address, size);
}

static const uint32_t *header_of(unsigned slot)
{
    return (const uint32_t *)(const void *)at(((uint64_t)device.clb[1] << 32 | device.clb[0]) + 32ull * slot,
                                              32);
}

static const uint8_t *table_of(unsigned slot)
{
    const uint32_t *header = header_of(slot);

    check(header[2] % 128 == 0 && (header[0] & 31) == 5);
    return at((uint64_t)header[3] << 32 | header[2], 0x80 + 16ull * (header[0] >> 16));
}

/* ---- What the drive tells */

static void put_word(uint8_t *page, unsigned word, unsigned value)
{
    page[2 * word] = (uint8_t)value;
    page[2 * word + 1] = (uint8_t)(value >> 8);
}

static void identify(uint8_t *page)
{
    uint8_t kind = device.well ? 0x17 : take(), sizes = device.well ? 0 : take(),
            depth = device.well ? 31 : take();
    uint64_t sectors = device.well ? 1000 : (uint64_t)take() << take() % 64;
    unsigned slots = CAP_SLOTS(device.cap);

    memset(page, 0, 512);
    page[20] = device.well ? 'x' : take();
    put_word(page, 49, kind & 1 ? 0x300 : kind);
    put_word(page, 60, (unsigned)sectors & 0xffff);
    put_word(page, 61, (unsigned)(sectors >> 16) & 0xffff);
    put_word(page, 75, depth);
    put_word(page, 76, kind & 2 ? 0x100 : 0);
    put_word(page, 83, 0x4000 | (kind & 4 ? 0x400 : 0) | (kind & 8 ? 0x3000 : 0x1000));
    put_word(page, 84, 0x4000 | (kind & 16 ? 0x40 : 0));
    for (unsigned i = 0; i < 4; i++)
        put_word(page, 100 + i, (unsigned)(sectors >> 16 * i) & 0xffff);
    put_word(page, 106, sizes & 1 ? 0x5000 : sizes & 2 ? 0x6003 : 0);
    put_word(page, 117, sizes & 4 ? sizes : 256u << (sizes >> 3 & 3));
    put_word(page, 118, sizes == 0xff);
    put_word(page, 169, kind >> 5 & 1);
    told.lba48 = kind & 4;
    told.ncq = told.lba48 && kind & 2 && device.cap & CAP_SNCQ;
    told.fua = told.lba48 && kind & 16;
    told.trim = told.lba48 && kind >> 5 & 1;
    told.sectors = told.lba48 ? sectors : sectors & 0xffffffff;
    told.size = sizes & 1 ? 2 * ((page[234] | page[235] * 256u) | page[236] * 65536u) : 512;
    told.depth = (depth & 31) + 1u < slots ? (depth & 31) + 1u : slots;
}

/* ---- Commands */

static void check_bytes(unsigned slot, uint64_t sector, uint64_t count, bool write)
{
    const uint32_t *entry = (const uint32_t *)(const void *)(table_of(slot) + 0x80);
    uint64_t address = (uint64_t)entry[1] << 32 | entry[0], number = (address - DATA) / STRETCH, size = 0;
    unsigned pieces = header_of(slot)[0] >> 16;
    const struct disk_request *request;

    check(pieces && address >= DATA && number < REQUESTS && requests[number].busy);
    request = &requests[number].request;
    check(request->pieces == pieces && request->sector == sector && request->count == count);
    check(request->action == (write ? DISK_WRITE : DISK_READ) && !write == !(header_of(slot)[0] >> 6 & 1));
    check(!write || !told.atapi);
    for (unsigned i = 0; i < pieces; i++, entry += 4) {
        address = (uint64_t)entry[1] << 32 | entry[0];
        check(address == request->piece[i].address && (entry[3] & 0x3fffff) + 1 == request->piece[i].bytes);
        check(device.cap & CAP_S64A || address >> 32 == 0);
        size += (entry[3] & 0x3fffff) + 1;
    }
    check(size == count * told.size && sector < told.sectors && count <= told.sectors - sector);
}

static void check_trim(unsigned slot)
{
    const uint32_t *entry = (const uint32_t *)(const void *)(table_of(slot) + 0x80);
    const uint8_t *page = at((uint64_t)entry[1] << 32 | entry[0], 512);

    check(told.trim && entry[3] + 1 == 512);
    for (unsigned i = 0; i < 64; i++) {
        uint64_t range;

        memcpy(&range, page + 8 * i, 8);
        check(!(range >> 48) || (range & 0xffffffffffff) + (range >> 48) <= told.sectors);
    }
}

/* A command that the driver has just issued, beside others. */
static void check_command(unsigned slot, uint32_t others)
{
    const uint8_t *fis = table_of(slot);
    uint64_t sector = 0;
    uint32_t count = fis[12] | (uint32_t)fis[13] << 8, feature = fis[3] | (uint32_t)fis[11] << 8;
    bool queued = fis[2] == 0x60 || fis[2] == 0x61;

    for (unsigned i = 0; i < 3; i++)
        sector |= (uint64_t)fis[4 + i] << 8 * i | (uint64_t)fis[8 + i] << (24 + 8 * i);
    check(fis[0] == 0x27 && fis[1] == 0x80 && slot < CAP_SLOTS(device.cap));
    check(device.cmd & 1 && !(device.tfd & 0x88 && device.well));
    check(queued == !!(device.sact >> slot & 1));
    check(queued ? (device.sact & others) == others : !others);
    switch (fis[2]) {
    case 0x60:
    case 0x61:
        check(told.ncq && slot < told.depth && count == slot << 3);
        check_bytes(slot, sector, feature ? feature : 65536, fis[2] == 0x61);
        break;
    case 0x25:
    case 0x35:
    case 0x3d:
        check(told.lba48 && (fis[2] != 0x3d || told.fua));
        check_bytes(slot, sector, count ? count : 65536, fis[2] != 0x25);
        break;
    case 0xc8:
    case 0xca:
        sector = (sector & 0xffffff) | (uint64_t)(fis[7] & 15) << 24;
        check(count <= 256 && !(count >> 8 && count & 0xff));
        check_bytes(slot, sector, count & 0xff ? count & 0xff : 256, fis[2] == 0xca);
        break;
    case 0x06:
        check_trim(slot);
        break;
    default:
        check(fis[2] == 0xec || fis[2] == 0xa1 || fis[2] == 0x2f || fis[2] == 0xa0 || fis[2] == 0xea ||
              fis[2] == 0xe7);
    }
}

/* The drive has done it. */
static void execute(unsigned slot)
{
    const uint8_t *fis = table_of(slot);
    const uint32_t *entry = (const uint32_t *)(const void *)(fis + 0x80);
    uint8_t *own;

    if (fis[2] != 0xec && fis[2] != 0xa1 && fis[2] != 0x2f && (fis[2] != 0xa0 || fis[0x40] != 0x25))
        return;
    own = at((uint64_t)entry[1] << 32 | entry[0], entry[3] + 1);
    if (fis[2] == 0xec || fis[2] == 0xa1) {
        identify(own);
        told.atapi = fis[2] == 0xa1;
    } else if (fis[2] == 0x2f) {
        own[0] = take();
    } else {
        for (unsigned i = 0; i < 8; i++)
            own[i] = i == 6 ? 8 : i == 2 || i == 3 ? 3 : 0;
        if (!device.well && take() & 1)
            own[take() & 7] = take();
        told.sectors = ((uint64_t)own[0] << 24 | (uint32_t)own[1] << 16 | (uint32_t)own[2] << 8 | own[3]) + 1;
        told.size = 2048;
    }
}

/* ---- Registers */

static uint32_t device_read(void *context, unsigned offset)
{
    (void)context;
    if (device.gone)
        return UINT32_MAX;
    switch (offset) {
    case 0x00:
        return device.cap;
    case 0x04:
        return device.ghc;
    case 0x08:
        return device.port_is ? device.is | 1 : device.is & ~1u;
    case 0x0c:
        return 1;
    case 0x110:
        return device.port_is;
    case 0x118:
        return device.cmd | (device.cmd & 1 || device.stuck ? CMD_CR : 0);
    case 0x120:
        return device.tfd;
    case 0x124:
        return device.signature;
    case 0x128:
        return device.ssts;
    case 0x134:
        return device.sact;
    case 0x138:
        return device.ci;
    default:
        return 0;
    }
}

static void device_write(void *context, unsigned offset, uint32_t value)
{
    (void)context;
    switch (offset) {
    case 0x04:
        device.ghc = value & ~GHC_HR;
        break;
    case 0x100:
    case 0x104:
        device.clb[offset / 4 & 1] = value;
        break;
    case 0x110:
        device.port_is &= ~value;
        break;
    case 0x118:
        if (!(value & 1))
            device.sact = device.ci = 0;
        device.cmd = value & ~(CMD_CR | CMD_FR);
        break;
    case 0x12c:
        device.tfd = value & 1 ? 0x80 : device.tfd & ~0x80u;
        break;
    case 0x134:
        device.sact |= value;
        break;
    case 0x138:
        check(value && !(value & (value - 1)));
        check_command((unsigned)__builtin_ctz(value), (device.ci | device.sact) & ~value);
        device.ci |= value;
        break;
    default:
        break;
    }
}

static void changed(void *context, unsigned port)
{
    (void)context;
    check(port == 0);
}

static void done(void *context, unsigned port, struct disk_request *request, enum disk_status status)
{
    unsigned i = 0;

    (void)context;
    (void)port;
    (void)status;
    while (i < REQUESTS && request != &requests[i].request)
        i++;
    check(i < REQUESTS && requests[i].busy);
    requests[i].busy = false;
}

static void submit(void)
{
    unsigned number = take() % REQUESTS, how = take();
    const struct ahci_drive *drive = ahci_drive(&ahci, 0);
    struct disk_request *request = &requests[number].request;
    uint32_t size;

    if (requests[number].busy)
        return;
    *request = (struct disk_request){.action = (enum disk_action)(how % 5),
                                     .fua = how & 0x80,
                                     .sector = (uint64_t)take() << take() % 64,
                                     .count = take() | (how & 8 ? (uint32_t)take() << 8 : 0),
                                     .pieces = how >> 4 & 7};
    size = request->count * (drive ? drive->bytes : 512) + (how == 0x14 ? take() % 2 * 512u : 0);
    for (unsigned i = 0; i < request->pieces && i < DISK_PIECES; i++) {
        uint32_t part = i + 1 < request->pieces ? (size / 2) & ~1u : size;

        request->piece[i] = (struct disk_piece){DATA + (uint64_t)number * STRETCH + i * 0x2000000u, part};
        size -= part;
    }
    requests[number].busy = true;
    if (!ahci_submit(&ahci, 0, request, now))
        requests[number].busy = false;
}

/* One of those that it has, well or as `how` says. */
static void answer(uint8_t how)
{
    uint32_t any = device.ci | device.sact;
    unsigned slot = how & 31;

    if (!any || !(device.cmd & 1) || !(device.ssts & 1))
        return;
    while (!(any >> slot & 1))
        slot = (slot + 1) & 31;
    if (how >> 5 == 7) {
        device.tfd = 0x41;
        device.port_is |= IS_TASK_FILE;
        return;
    }
    if (how >> 5 == 6) { /* it ends without a word, perhaps with others */
        device.ci &= take() * 0x01010101u;
        device.sact &= device.ci;
        return;
    }
    if (device.ci >> slot & 1)
        execute(slot);
    device.ci &= ~(1u << slot);
    device.sact &= ~(1u << slot);
    device.port_is |= 9;
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
    case 3:
        answer(take());
        break;
    case 4:
        now += operation >> 3 == 31 ? 30001 : (unsigned)operation >> 3;
        break;
    case 5:
        device.tfd = operation >> 3 == 1 ? 0x80 : 0x50;
        device.stuck = operation >> 3 == 2;
        device.gone = operation >> 3 == 3;
        if (operation >> 3 == 4)
            device.signature = take() & 1 ? SIG_ATAPI : SIG_ATA;
        break;
    case 6:
        device.ssts = operation >> 3 == 7 ? 0 : 0x113;
        device.port_is |= operation >> 3 == 7 || operation >> 3 == 8 ? IS_CONNECT | IS_PHY : 0;
        break;
    default:
        device.port_is |= 1u << (operation >> 3);
        break;
    }
    (void)ahci_work(&ahci, now);
}

static bool busy(void)
{
    bool any = false;

    for (unsigned i = 0; i < REQUESTS; i++)
        any |= requests[i].busy;
    return any;
}

static void settle(void)
{
    device.well = true;
    device.stuck = false;
    device.tfd = 0x50;
    for (unsigned i = 0; i < TURNS && busy(); i++) {
        uint64_t next;

        answer(0);
        next = ahci_work(&ahci, now);
        now = next != AHCI_NEVER && next > now && !(device.ci | device.sact) ? next : now + 1;
    }
    check(!busy());
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
    const char *wrong = NULL;

    bytes = input;
    left = length;
    now = 0;
    memset(&device, 0, sizeof(device));
    memset(&told, 0, sizeof(told));
    memset(requests, 0, sizeof(requests));
    memset(memory, 0, sizeof(memory));
    ahci = (struct ahci){
        .wiring = {.read = device_read, .write = device_write, .changed = changed, .done = done}};
    device.cap = (take() & 31u) << 8 | (take() & 3 ? CAP_SNCQ | CAP_S64A : CAP_S64A);
    device.signature = take() & 3 ? SIG_ATA : SIG_ATAPI;
    device.ssts = 0x113;
    device.tfd = 0x50;
    if (!ahci_rest(&ahci, now, &wrong) || ahci_start(&ahci, now, memory, FUZZ_IO))
        return 0;
    for (unsigned i = 0; left && i < 8 && ahci.port[0].state < AHCI_READY;
         i++) { /* most inputs are to get there */
        (void)ahci_work(&ahci, ++now);
        answer(0);
    }
    while (left)
        step();
    settle();
    return 0;
}
