/* SPDX-License-Identifier: ISC */
/*
 * The driver against a model of a controller with a drive at each of two ports. The model sees the driver's
 * memory only by the addresses that it is given, ends commands in any order, and errs as it is told.
 */
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/ahci/engine.h"

#define IO       0x100000000ull /* where the controller sees the driver's memory ... */
#define DATA     0x200000000ull /* ... and the data */
#define PORTS    2u
#define SECTORS  4096u
#define DATA_MAX (128u * 1024u)

enum mood { MOOD_WELL, MOOD_SILENT, MOOD_BUSY, MOOD_NONSENSE, MOOD_RANDOM };

static _Alignas(4096) uint8_t memory[PORTS * AHCI_PORT_SIZE], data[DATA_MAX];

static struct drive {
    enum mood mood;
    bool there, ncq, atapi, fua, trim, disc, attention;
    unsigned depth;
    uint8_t media[SECTORS * 512];
    uint32_t written; /* writes that only the cache has */
    int bad;          /* sector that cannot be read or written; -1: none */
    uint32_t is, ie, cmd, tfd, sssts, serr, sact, ci;
    uint32_t clb[2];
    uint8_t log[512];
    unsigned commands, flushes, resets, trimmed;
    bool halted; /* after an error, until it is started again */
} drives[PORTS];

static struct {
    uint32_t ghc, is, bohc;
    bool handoff, stuck, gone;
} hba;

static struct ahci ahci;
static uint64_t now;
static unsigned finished[3], changes;
static struct disk_request *last;

static void *at(uint64_t address, size_t bytes)
{
    if (address >= IO && address + bytes <= IO + sizeof(memory))
        return memory + (address - IO);
    assert_in_range(address, DATA, DATA + sizeof(data) - bytes);
    return data + (address - DATA);
}

static void put_words(uint8_t *page, unsigned word, const char *text, unsigned length)
{
    for (unsigned i = 0; i < length; i++)
        page[2 * word + (i ^ 1)] = i < strlen(text) ? (uint8_t)text[i] : ' ';
}

static void put_word(uint8_t *page, unsigned word, unsigned value)
{
    page[2 * word] = (uint8_t)value;
    page[2 * word + 1] = (uint8_t)(value >> 8);
}

static void identify(const struct drive *drive, uint8_t *page)
{
    memset(page, 0, 512);
    put_words(page, 10, drive->atapi ? "DISC1" : "SERIAL0042", 20);
    put_words(page, 27, "A drive of the model's", 40);
    put_word(page, 49, 0x300);
    put_word(page, 60, SECTORS);
    put_word(page, 75, drive->depth - 1);
    put_word(page, 76, drive->ncq ? 0x100 : 0);
    put_word(page, 83, 0x4000 | 0x3400);
    put_word(page, 84, 0x4000 | (drive->fua ? 0x40 : 0));
    put_word(page, 100, SECTORS);
    put_word(page, 106, 0x6003);
    put_word(page, 169, drive->trim);
    if (drive->mood == MOOD_NONSENSE)
        for (unsigned i = 0; i < 512; i++)
            page[i] = (uint8_t)rand();
}

/* To or from the pieces; returns the bytes. */
static size_t move(const uint32_t *header, uint8_t *from, size_t bytes, bool to_drive)
{
    const uint8_t *table = at((uint64_t)header[3] << 32 | header[2], 0x100);
    size_t moved = 0;

    for (unsigned i = 0; i < header[0] >> 16 && moved < bytes; i++) {
        const uint32_t *entry = (const uint32_t *)(const void *)(table + 0x80 + 16 * i);
        size_t length = (entry[3] & 0x3fffff) + 1;
        uint8_t *place = at((uint64_t)entry[1] << 32 | entry[0], length);

        if (length > bytes - moved)
            length = bytes - moved;
        if (to_drive)
            memcpy(from + moved, place, length);
        else
            memcpy(place, from + moved, length);
        moved += length;
    }
    return moved;
}

/* False: the drive cannot. */
static bool packet(struct drive *drive, const uint32_t *header, const uint8_t *cdb)
{
    uint32_t sector = (uint32_t)cdb[2] << 24 | (uint32_t)cdb[3] << 16 | (uint32_t)cdb[4] << 8 | cdb[5];
    uint8_t capacity[8] = {0, 0, (SECTORS / 4 - 1) >> 8, (SECTORS / 4 - 1) & 0xff, 0, 0, 8, 0};

    if (drive->attention || !drive->disc) {
        drive->attention = false;
        return false;
    }
    if (cdb[0] == 0x25)
        return move(header, capacity, 8, false) == 8;
    assert_int_equal(cdb[0], 0xa8);
    assert_true(sector + cdb[9] <= SECTORS / 4);
    return (int)sector != drive->bad && move(header, drive->media + sector * 2048, cdb[9] * 2048u, false);
}

static bool execute(struct drive *drive, unsigned slot)
{
    const uint32_t *header =
        (const uint32_t *)at(((uint64_t)drive->clb[1] << 32 | drive->clb[0]) + 32 * slot, 32);
    const uint8_t *fis = at((uint64_t)header[3] << 32 | header[2], 0x100);
    uint64_t sector = fis[4] | (uint64_t)fis[5] << 8 | (uint64_t)fis[6] << 16 | (uint64_t)fis[8] << 24;
    bool queued = fis[2] == 0x60 || fis[2] == 0x61;
    uint32_t count = queued ? fis[3] | (uint32_t)fis[11] << 8 : fis[12] | (uint32_t)fis[13] << 8;
    uint8_t page[512];

    assert_int_equal(fis[0], 0x27);
    assert_int_equal(header[0] & 31, 5);
    assert_true(!queued || (drive->ncq && fis[12] >> 3 == slot && slot < drive->depth));
    drive->commands++;
    switch (fis[2]) {
    case 0xec:
    case 0xa1:
        assert_int_equal(fis[2] == 0xa1, drive->atapi);
        identify(drive, page);
        return move(header, page, 512, false);
    case 0x2f:
        assert_int_equal(fis[4], 0x10);
        return move(header, drive->log, 512, false);
    case 0xa0:
        return packet(drive, header, fis + 0x40);
    case 0xea:
        drive->flushes++;
        drive->written = 0;
        return true;
    case 0x06:
        assert_int_equal(fis[3], 1);
        assert_int_equal(move(header, page, 512, true), 512);
        for (unsigned i = 0; i < 64; i++)
            drive->trimmed += page[8 * i + 6] | (unsigned)page[8 * i + 7] << 8;
        return true;
    default:
        break;
    }
    count = count ? count : 65536;
    assert_true(sector + count <= SECTORS);
    if (drive->bad >= 0 && (uint64_t)drive->bad >= sector && (uint64_t)drive->bad < sector + count)
        return false;
    if (fis[2] == 0x60 || fis[2] == 0x25)
        return move(header, drive->media + 512 * sector, 512 * count, false);
    assert_true(fis[2] == 0x61 || fis[2] == 0x35 || fis[2] == 0x3d);
    drive->written += fis[2] == 0x3d || (fis[2] == 0x61 && fis[7] & 0x80) ? 0 : 1;
    return move(header, drive->media + 512 * sector, 512 * count, true);
}

/* One command of a port, any of them. */
static bool drive_step(unsigned number)
{
    struct drive *drive = &drives[number];
    unsigned slot, start = (unsigned)rand() % 32;
    bool queued;

    if (!(drive->cmd & 1) || drive->halted || !drive->there || drive->mood == MOOD_SILENT ||
        !(drive->ci | drive->sact))
        return false;
    for (slot = start; !((drive->ci | drive->sact) >> slot & 1); slot = (slot + 1) % 32)
        ;
    queued = drive->sact >> slot & 1;
    if (drive->mood == MOOD_RANDOM && rand() % 4 == 0) {
        drive->is |= (uint32_t)rand() & 0x7d40002f;
        drive->tfd = (uint32_t)rand() & 0xffff;
        drive->halted = rand() % 2;
        drive->sact &= (uint32_t)rand();
        drive->ci &= (uint32_t)rand();
    } else if (execute(drive, slot)) {
        drive->ci &= ~(1u << slot);
        drive->sact &= ~(1u << slot);
        drive->is |= queued ? 8 : 1;
    } else {
        drive->halted = true;
        drive->tfd = 0x41;
        drive->is |= 1u << 30;
        memset(drive->log, 0, sizeof(drive->log));
        drive->log[0] = (uint8_t)(queued ? slot : 0x80);
        if (queued)
            drive->ci &= ~drive->sact; /* the drive has taken them */
    }
    hba.is |= drive->is ? 1u << number : 0;
    return true;
}

static uint32_t hba_get(void *context, unsigned offset)
{
    unsigned number = (offset - 0x100) / 0x80 % PORTS;
    struct drive *drive = &drives[number];

    (void)context;
    if (hba.gone)
        return UINT32_MAX;
    if (offset < 0x100)
        return offset == HBA_CAP    ? CAP_S64A | CAP_SNCQ | 31u << 8 | 1
               : offset == HBA_GHC  ? hba.ghc
               : offset == HBA_IS   ? hba.is
               : offset == HBA_PI   ? 3
               : offset == HBA_CAP2 ? hba.handoff
               : offset == HBA_BOHC ? hba.bohc
                                    : 0;
    assert_true(offset < 0x100 + PORTS * 0x80);
    switch (offset & 0x7f) {
    case PORT_IS:
        return drive->is;
    case PORT_CMD:
        return drive->cmd;
    case PORT_TFD:
        return drive->mood == MOOD_BUSY ? 0x80 : drive->tfd;
    case PORT_SIG:
        return drive->atapi ? SIG_ATAPI : drive->mood == MOOD_NONSENSE ? 0x1234 : SIG_ATA;
    case PORT_SSTS:
        return drive->there ? 0x123 : 0;
    case PORT_SACT:
        return drive->sact;
    case PORT_CI:
        return drive->ci;
    default:
        return 0;
    }
}

static void hba_put(void *context, unsigned offset, uint32_t value)
{
    unsigned number = (offset - 0x100) / 0x80 % PORTS;
    struct drive *drive = &drives[number];

    (void)context;
    if (offset == HBA_GHC)
        hba.ghc = value & ~(hba.stuck ? 0 : GHC_HR);
    else if (offset == HBA_IS)
        hba.is &= ~value;
    else if (offset == HBA_BOHC)
        hba.bohc = value & ~(hba.stuck ? 0 : BOHC_BOS);
    if (offset < 0x100)
        return;
    assert_true(offset < 0x100 + PORTS * 0x80);
    switch (offset & 0x7f) {
    case PORT_CLB:
    case PORT_CLBU:
        drive->clb[(offset & 0x7f) / 4] = value;
        break;
    case PORT_IS:
        drive->is &= ~value;
        break;
    case PORT_CMD:
        if (!(value & CMD_ST)) {
            drive->ci = drive->sact = 0;
            drive->halted = false;
        }
        drive->cmd = (value & ~CMD_CR) | (value & CMD_ST ? CMD_CR : 0);
        break;
    case PORT_SCTL:
        if (value & 1) {
            drive->resets++;
            drive->tfd = 0x50;
            drive->attention = true;
        }
        break;
    case PORT_SERR:
        drive->is &= ~(IS_CONNECT | IS_PHY);
        break;
    case PORT_SACT:
        assert_true(drive->cmd & CMD_ST);
        drive->sact |= value;
        break;
    case PORT_CI:
        assert_true(drive->cmd & CMD_ST);
        drive->ci |= value;
        break;
    default:
        break;
    }
}

static void port_changed(void *context, unsigned port)
{
    (void)context;
    (void)port;
    changes++;
}

static void request_done(void *context, unsigned port, struct disk_request *request, enum disk_status status)
{
    (void)context;
    (void)port;
    assert_in_range(status, DISK_OK, DISK_GONE);
    finished[status]++;
    last = request;
}

/* Time and drives go on until nothing is left to do, or for so many milliseconds. */
static void go_on(uint64_t milliseconds)
{
    uint64_t end = now + milliseconds;

    while (now < end) {
        uint64_t next = ahci_work(&ahci, now);
        bool moved = drive_step(0);

        if (drive_step(1) || moved)
            continue;
        if (hba.is)
            continue;
        now = next < end ? (next > now ? next : now + 1) : end;
    }
}

static int setup(void **state)
{
    const char *wrong;

    (void)state;
    srand(42);
    memset(memory, 0, sizeof(memory));
    memset(&hba, 0, sizeof(hba));
    memset(finished, 0, sizeof(finished));
    memset(&ahci, 0, sizeof(ahci));
    changes = 0;
    now = 1000;
    for (unsigned i = 0; i < PORTS; i++) {
        memset(&drives[i], 0, sizeof(drives[i]));
        drives[i].there = true;
        drives[i].tfd = 0x50;
        drives[i].bad = -1;
        drives[i].depth = 8;
        for (unsigned j = 0; j < sizeof(drives[i].media); j++)
            drives[i].media[j] = (uint8_t)(j / 512 * 7 + j);
    }
    drives[0].ncq = true;
    drives[0].trim = true;
    drives[1].atapi = true;
    drives[1].disc = true;
    ahci.wiring = (struct ahci_wiring){NULL, hba_get, hba_put, port_changed, request_done};
    assert_true(ahci_rest(&ahci, now, &wrong));
    assert_int_equal(ahci_ports(&ahci), PORTS);
    return 0;
}

static void start(void)
{
    assert_null(ahci_start(&ahci, now, memory, IO));
    go_on(5000);
}

static struct disk_request request_of(enum disk_action action, uint64_t sector, uint32_t count, size_t offset,
                                      uint32_t bytes)
{
    return (struct disk_request){.action = action,
                                 .sector = sector,
                                 .count = count,
                                 .pieces = bytes ? 1 : 0,
                                 .piece = {{DATA + offset, bytes}}};
}

static void test_identify(void **state)
{
    const struct ahci_drive *disk, *disc;

    (void)state;
    start();
    disk = ahci_drive(&ahci, 0);
    disc = ahci_drive(&ahci, 1);
    assert_non_null(disk);
    assert_string_equal(disk->serial, "SERIAL0042");
    assert_string_equal(disk->model, "A drive of the model's");
    assert_int_equal(disk->sectors, SECTORS);
    assert_int_equal(disk->bytes, 512);
    assert_int_equal(disk->physical, 4096);
    assert_int_equal(disk->depth, 8);
    assert_true(disk->ncq && disk->discards && disk->flushes_ext && !disk->fua);
    assert_non_null(disc);
    assert_int_equal(disc->sectors, SECTORS / 4);
    assert_int_equal(disc->bytes, 2048);
    assert_null(ahci_drive(&ahci, 2));
    assert_null(ahci_drive(&ahci, AHCI_PORTS));
    assert_int_equal(changes, 2);
}

/* All slots, ended in any order, in two pieces each. */
static void test_queue(void **state)
{
    struct disk_request request[9];

    (void)state;
    start();
    for (unsigned i = 0; i < 8; i++) {
        request[i] = request_of(DISK_READ, 100 + 8 * i, 8, i * 4096, 1024);
        request[i].pieces = 2;
        request[i].piece[1] = (struct disk_piece){DATA + i * 4096 + 1024, 3072};
        assert_true(ahci_submit(&ahci, 0, &request[i], now));
    }
    request[8] = request[7];
    assert_false(ahci_submit(&ahci, 0, &request[8], now));
    go_on(100);
    assert_int_equal(finished[DISK_OK], 8);
    assert_memory_equal(data, drives[0].media + 100 * 512, 8 * 4096);
}

static void test_write_and_flush(void **state)
{
    struct disk_request write = request_of(DISK_WRITE, 7, 2, 512, 1024),
                        flush = request_of(DISK_FLUSH, 0, 0, 0, 0);
    struct disk_request discard = request_of(DISK_DISCARD, 0, SECTORS, 0, 0);

    (void)state;
    start();
    memset(data, 0xa5, sizeof(data));
    assert_true(ahci_submit(&ahci, 0, &write, now));
    assert_true(ahci_submit(&ahci, 0, &flush, now)); /* waits until the drive has nothing else */
    assert_true(ahci_submit(&ahci, 0, &discard, now));
    go_on(100);
    assert_int_equal(finished[DISK_OK], 3);
    assert_memory_equal(drives[0].media + 7 * 512, data, 1024);
    assert_int_equal(drives[0].flushes, 1);
    assert_int_equal(drives[0].trimmed, SECTORS);
}

/* Durable by the drive, where it can, else by a flush. */
static void test_fua(void **state)
{
    for (unsigned way = 0; way < 3; way++) {
        struct disk_request write = request_of(DISK_WRITE, 9, 1, 0, 512);

        setup(state);
        drives[0].fua = way > 0;
        drives[0].ncq = way > 1;
        write.fua = true;
        start();
        assert_true(ahci_submit(&ahci, 0, &write, now));
        go_on(100);
        assert_int_equal(finished[DISK_OK], 1);
        assert_int_equal(drives[0].flushes, way == 0);
        assert_int_equal(drives[0].written, 0);
    }
}

/* One of eight cannot be read: that one is told so, the others are read. */
static void test_bad_sector(void **state)
{
    struct disk_request request[8];

    for (unsigned ncq = 0; ncq < 2; ncq++) {
        setup(state);
        drives[0].ncq = ncq;
        drives[0].bad = 130;
        start();
        for (unsigned i = 0; i < 8; i++) {
            request[i] = request_of(DISK_READ, 100 + 8 * i, 8, i * 4096, 4096);
            assert_true(ahci_submit(&ahci, 0, &request[i], now));
        }
        go_on(100);
        assert_int_equal(finished[DISK_OK], 7);
        assert_int_equal(finished[DISK_MEDIUM], 1);
        assert_memory_equal(data, drives[0].media + 100 * 512, 3 * 4096);
        assert_memory_equal(data + 4 * 4096, drives[0].media + 132 * 512, 4 * 4096);
        assert_int_equal(drives[0].resets, 0);
    }
}

/* A drive that stops answering is reset, and its requests are given to it again; in the end it is given up. */
static void test_silent(void **state)
{
    struct disk_request request[2];

    (void)state;
    start();
    drives[0].mood = MOOD_SILENT;
    for (unsigned i = 0; i < 2; i++) {
        request[i] = request_of(DISK_READ, 8 * i, 8, i * 4096, 4096);
        assert_true(ahci_submit(&ahci, 0, &request[i], now));
    }
    go_on(31000);
    assert_int_equal(drives[0].resets, 1);
    drives[0].mood = MOOD_WELL;
    go_on(2000);
    go_on(31000);
    assert_int_equal(finished[DISK_OK], 2);
    assert_int_equal(changes, 2);
    drives[0].mood = MOOD_SILENT;
    assert_true(ahci_submit(&ahci, 0, &request[0], now));
    go_on(400000);
    assert_int_equal(finished[DISK_OK], 2);
    assert_int_equal(finished[DISK_MEDIUM] + finished[DISK_GONE], 1);
    assert_null(ahci_drive(&ahci, 0));
    assert_non_null(ahci.port[0].wrong);
    assert_non_null(ahci_drive(&ahci, 1));
}

static void plug(unsigned number, bool there)
{
    drives[number].there = there;
    drives[number].is |= IS_PHY | (there ? IS_CONNECT : 0);
    hba.is |= 1u << number;
}

/* It is as large as before a reset, but takes other commands: what waits was not meant for these. */
static void test_other_abilities(void **state)
{
    for (unsigned i = 0; i < 3; i++) {
        struct disk_request request = request_of(DISK_READ, 0, 8, 0, 4096);

        setup(state);
        start();
        drives[0].mood = MOOD_SILENT;
        assert_true(ahci_submit(&ahci, 0, &request, now));
        go_on(30500);
        drives[0].mood = MOOD_WELL;
        drives[0].trim ^= i == 0;
        drives[0].ncq ^= i == 1;
        drives[0].depth -= i == 2;
        go_on(62000);
        assert_int_equal(finished[DISK_GONE], 1);
        assert_int_equal(finished[DISK_OK], 0);
        assert_non_null(ahci_drive(&ahci, 0)); /* another one */
    }
}

static void test_unplug(void **state)
{
    struct disk_request request = request_of(DISK_READ, 0, 8, 0, 4096);

    (void)state;
    start();
    drives[0].mood = MOOD_SILENT;
    assert_true(ahci_submit(&ahci, 0, &request, now));
    plug(0, false);
    go_on(5000);
    assert_int_equal(finished[DISK_GONE], 1);
    assert_null(ahci_drive(&ahci, 0));
    assert_false(ahci_submit(&ahci, 0, &request, now));
    drives[0].mood = MOOD_WELL;
    plug(0, true);
    go_on(5000);
    assert_non_null(ahci_drive(&ahci, 0));
    assert_true(ahci_submit(&ahci, 0, &request, now));
    go_on(100);
    assert_int_equal(finished[DISK_OK], 1);
}

static void test_disc(void **state)
{
    struct disk_request request = request_of(DISK_READ, 3, 2, 0, 4096);

    (void)state;
    drives[1].disc = false;
    start();
    assert_non_null(ahci_drive(&ahci, 1));
    assert_int_equal(ahci_drive(&ahci, 1)->sectors, 0);
    drives[1].disc = drives[1].attention = true;
    go_on(10000);
    assert_int_equal(ahci_drive(&ahci, 1)->sectors, SECTORS / 4);
    assert_true(ahci_submit(&ahci, 1, &request, now));
    go_on(100);
    assert_int_equal(finished[DISK_OK], 1);
    assert_memory_equal(data, drives[1].media + 3 * 2048, 4096);
    request.action = DISK_WRITE;
    assert_true(ahci_submit(&ahci, 1, &request, now));
    assert_int_equal(finished[DISK_MEDIUM], 1);
    /* Taken out: the next read is refused, and then it is told. */
    drives[1].disc = false;
    request.action = DISK_READ;
    assert_true(ahci_submit(&ahci, 1, &request, now));
    go_on(10000);
    assert_int_equal(finished[DISK_MEDIUM], 2);
    assert_int_equal(drives[1].resets, 0);
}

static void test_refusals(void **state)
{
    const uint64_t top = UINT64_MAX;
    struct disk_request wrong[] = {
        request_of(DISK_READ, SECTORS, 1, 0, 512),
        request_of(DISK_READ, SECTORS - 1, 2, 0, 1024),
        request_of(DISK_READ, top, 2, 0, 1024),
        request_of(DISK_READ, 0, 0, 0, 0),
        request_of(DISK_READ, 0, 1, 0, 1024),
        request_of(DISK_READ, 0, 1, 1, 512),
        request_of(DISK_WRITE, 0, 2, 0, 512),
        request_of(DISK_DISCARD, 1, SECTORS, 0, 0),
        request_of(DISK_READ, 0, AHCI_SECTORS + 1, 0, 512),
    };
    unsigned commands;

    (void)state;
    start();
    commands = drives[0].commands;
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
        assert_true(ahci_submit(&ahci, 0, &wrong[i], now));
    assert_int_equal(finished[DISK_MEDIUM], sizeof(wrong) / sizeof(*wrong));
    assert_int_equal(drives[0].commands, commands);
}

static void test_rest(void **state)
{
    const char *wrong;

    (void)state;
    memset(&ahci.rest, 0, sizeof(ahci.rest));
    hba.handoff = hba.stuck = true;
    hba.bohc = BOHC_BOS;
    assert_false(ahci_rest(&ahci, now, &wrong)); /* the firmware has it, and keeps it */
    assert_null(wrong);
    assert_int_equal(hba.bohc & BOHC_OOS, BOHC_OOS);
    assert_false(ahci_rest(&ahci, now + 2000, &wrong));
    assert_int_equal(hba.ghc & GHC_HR, GHC_HR);
    assert_null(wrong);
    assert_false(ahci_rest(&ahci, now + 3000, &wrong));
    assert_non_null(wrong);
    hba.ghc = 0;
    assert_true(ahci_rest(&ahci, now + 3000, &wrong));
    hba.gone = true;
    assert_false(ahci_rest(&ahci, now, &wrong));
    assert_non_null(wrong);
}

static void test_wrong_drives(void **state)
{
    static const struct {
        enum mood mood;
        unsigned word, value;
    } wrong[] = {{MOOD_BUSY, 0, 0}, {MOOD_NONSENSE, 0, 0}};

    for (unsigned i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        setup(state);
        drives[0].mood = wrong[i].mood;
        assert_null(ahci_start(&ahci, now, memory, IO));
        go_on(400000);
        assert_null(ahci_drive(&ahci, 0));
        assert_non_null(ahci.port[0].wrong);
        assert_non_null(ahci_drive(&ahci, 1));
    }
}

static void test_gone(void **state)
{
    struct disk_request request = request_of(DISK_READ, 0, 8, 0, 4096);

    (void)state;
    start();
    drives[0].mood = MOOD_SILENT;
    assert_true(ahci_submit(&ahci, 0, &request, now));
    hba.gone = true;
    hba.is = 0;
    assert_int_equal(ahci_work(&ahci, now), AHCI_NEVER);
    assert_int_equal(finished[DISK_GONE], 1);
    assert_null(ahci_drive(&ahci, 0));
    assert_null(ahci_drive(&ahci, 1));
}

static void test_identify_page(void **state)
{
    struct ahci_drive drive;
    uint8_t page[512];

    (void)state;
    identify(&drives[0], page);
    assert_null(identify_read(page, false, true, 4, &drive));
    assert_int_equal(drive.depth, 4);
    put_word(page, 106, 0x5000);
    put_word(page, 117, 2048);
    assert_null(identify_read(page, false, true, 32, &drive));
    assert_int_equal(drive.bytes, 4096);
    put_word(page, 117, 1000);
    assert_non_null(identify_read(page, false, true, 32, &drive));
    identify(&drives[0], page);
    put_word(page, 49, 0x100);
    assert_non_null(identify_read(page, false, true, 32, &drive));
    identify(&drives[0], page);
    put_word(page, 100, 0);
    assert_non_null(identify_read(page, false, true, 32, &drive));
    identify(&drives[0], page);
    put_word(page, 83, 0xffff); /* not valid: 28 bits */
    assert_null(identify_read(page, false, true, 32, &drive));
    assert_false(drive.lba48 || drive.ncq || drive.discards || drive.flushes);
    assert_int_equal(drive.sectors, SECTORS);
    put_word(page, 61, 0x1000);
    assert_non_null(identify_read(page, false, true, 32, &drive)); /* which name no more than 2^28 */
}

/* Whatever a drive does, each request ends once, and time goes on. */
static void test_random(void **state)
{
    static struct disk_request request[16];
    unsigned submitted = 0;

    for (unsigned round = 0; round < 300; round++) {
        if (round % 20 == 0) {
            setup(state);
            srand(round);
            start();
            submitted = 0;
        }
        drives[0].mood = drives[1].mood = rand() % 3 ? MOOD_RANDOM : MOOD_WELL;
        for (unsigned i = 0; i < 16; i++) {
            request[i] =
                request_of((enum disk_action)(rand() % 4), (uint64_t)rand() % 1000, 8, i * 4096, 4096);
            if (request[i].action == DISK_FLUSH)
                request[i].count = request[i].pieces = 0;
            if (i % 2)
                request[i] = request_of(DISK_READ, (uint64_t)rand() % 500, 2, i * 4096, 4096);
            request[i].fua = rand() % 2;
            submitted += ahci_submit(&ahci, i % 2, &request[i], now);
        }
        if (rand() % 8 == 0)
            plug((unsigned)rand() % 2, rand() % 2);
        go_on(500);
        drives[0].mood = drives[1].mood = MOOD_WELL;
        drives[0].halted = drives[1].halted = false;
        go_on(400000);
        assert_int_equal(finished[0] + finished[1] + finished[2], submitted);
    }
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_identify),
        TEST(test_queue),
        TEST(test_write_and_flush),
        TEST(test_fua),
        TEST(test_bad_sector),
        TEST(test_silent),
        TEST(test_other_abilities),
        TEST(test_unplug),
        TEST(test_disc),
        TEST(test_refusals),
        TEST(test_rest),
        TEST(test_wrong_drives),
        TEST(test_gone),
        TEST(test_identify_page),
        TEST(test_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
