/* SPDX-License-Identifier: ISC */
/*
 * Block sessions as disks; see block.h. A chip has one request under way with a disk, so its bytes always begin at
 * the start of the data area. A server that takes less at once than a request has gets it in pieces.
 */
#include "vmm/host/block.h"

#include "base/include/event.h"
#include "base/include/log.h"

#include <string.h>

#define WAIT_TICKS (1ull << 33) /* TSC, some seconds: then a line says what is waited for */
#define UUID       36u          /* characters */

static uint32_t ratio(const struct host_disk *disk)
{
    return disk->block.client.info.sector_bytes / DISK_SECTOR;
}

static bool has_bytes(const struct disk_request *request)
{
    return request->action == DISK_READ || request->action == DISK_WRITE;
}

static void finish(struct host_disk *disk, enum disk_result result)
{
    struct disk_request *request = disk->request;

    disk->request = NULL; /* the chip may have another at once */
    disk->waits = false;
    request->done(request->context, result);
}

/* The next piece of the request. */
static void submit_piece(struct host_disk *disk)
{
    static const enum block_action actions[DISK_ACTIONS] = {[DISK_READ] = BLOCK_READ,
                                                            [DISK_WRITE] = BLOCK_WRITE,
                                                            [DISK_FLUSH] = BLOCK_FLUSH,
                                                            [DISK_DISCARD] = BLOCK_DISCARD};
    const struct disk_request *request = disk->request;
    const struct block_header *info = &disk->block.client.info;
    uint32_t most = has_bytes(request) ? info->most : info->most_empty,
             left = (request->count - disk->at) / ratio(disk);

    disk->operation = (struct block_operation){.action = actions[request->action],
                                               .fua = request->fua,
                                               .sector = (request->sector + disk->at) / ratio(disk),
                                               .count = left < most ? left : most,
                                               .offset = has_bytes(request) ? disk->at * DISK_SECTOR : 0};
    disk->waits = !block_submit(&disk->block, &disk->operation);
}

static void submit(void *context, struct disk_request *request)
{
    struct host_disk *disk = context;
    uint8_t *data = disk->block.client.data;

    disk->request = request;
    disk->at = 0;
    if (!data)
        finish(disk, DISK_FAILED);
    else if (request->action == DISK_WRITE &&
             !request->move(request->context, data, request->count * DISK_SECTOR))
        finish(disk, DISK_STOPPED);
    else
        submit_piece(disk);
}

static void done(void *context, struct block_operation *operation, enum block_status status)
{
    struct host_disk *disk = context;
    struct disk_request *request = disk->request;

    if (status == BLOCK_NO_SPACE && !disk->gone) {
        log_line("vm %s: disk '%s': there is no space for what the guest writes", disk->name,
                 disk->description->label);
        disk->gone = true;
    }
    if (status != BLOCK_OK) {
        finish(disk, DISK_FAILED);
        return;
    }
    disk->at += operation->count * ratio(disk);
    if (disk->at < request->count)
        submit_piece(disk);
    else if (request->action == DISK_READ &&
             !request->move(request->context, disk->block.client.data, request->count * DISK_SECTOR))
        finish(disk, DISK_STOPPED);
    else
        finish(disk, DISK_DONE);
}

/* A disk that is gone stays it: the guest's commands fail from then on. */
static void changed(void *context)
{
    struct host_disk *disk = context;

    if (disk->block.client.state == BLOCK_CLIENT_FAILED) {
        log_line("vm %s: disk '%s': %s", disk->name, disk->description->label, disk->block.client.failure);
        if (disk->waits)
            finish(disk, DISK_FAILED);
    } else if (disk->waits) {
        submit_piece(disk);
    }
}

void host_disk_open(struct host_disk *disk, unsigned number)
{
    disk->block.label = disk->description->label;
    disk->block.signal = HOST_DISK_CAPS + number;
    disk->block.bit = HOST_DISK_BIT << number;
    disk->block.context = disk;
    disk->block.done = done;
    disk->block.changed = changed;
    block_start(&disk->block);
}

static uint32_t hexadecimal(const char *digits)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < 8; i++) {
        unsigned char c = (unsigned char)digits[i];

        value = value << 4 | (c <= '9' ? c & 15u : (c & 15u) + 9);
    }
    return value;
}

/* A drive has 20 characters. Of an image's UUID, VirtualBox takes the first and the last four bytes, as numbers. */
static void put_serial(char to[DISK_SERIAL + 1], const char *serial)
{
    size_t length = strnlen(serial, BLOCK_SERIAL);

    memset(to, 0, DISK_SERIAL + 1);
    if (length == UUID && serial[8] == '-' && serial[23] == '-')
        format_text(to, DISK_SERIAL + 1, "VB%08x-%08x", hexadecimal(serial),
                    __builtin_bswap32(hexadecimal(serial + UUID - 8)));
    else
        memcpy(to, serial, length < DISK_SERIAL ? length : DISK_SERIAL);
}

bool host_disk_take(struct host_disk *disk)
{
    const struct block_client *client = &disk->block.client;
    const struct block_header *info = &client->info;
    bool dvd = disk->description->type == VM_DVD;

    if (!client->known)
        return false; /* changed() has said why */
    if (dvd ? info->sector_bytes > 2048 : info->sector_bytes != DISK_SECTOR) {
        log_line("vm %s: disk '%s': expected sectors of %s bytes, found %u", disk->name,
                 disk->description->label, dvd ? "at most 2048" : "512", info->sector_bytes);
        return false;
    }
    if (client->data_bytes < HOST_DISK_AREA) {
        log_line("vm %s: disk '%s': expected a data area of %u bytes, found %u", disk->name,
                 disk->description->label, HOST_DISK_AREA, client->data_bytes);
        return false;
    }
    disk->disk = (struct disk){.sectors = info->sectors * ratio(disk),
                               .read_only = dvd || info->flags & BLOCK_READ_ONLY,
                               .discards = info->flags & BLOCK_DISCARDS,
                               .physical_bytes = info->physical_bytes,
                               .submit = submit,
                               .context = disk};
    if (disk->disk.sectors >> 48) {
        log_line("vm %s: disk '%s': expected at most 2^48 sectors, found %lu", disk->name,
                 disk->description->label, disk->disk.sectors);
        return false;
    }
    put_serial(disk->disk.serial, info->serial);
    return true;
}

static bool is_open(const struct host_disk *disk)
{
    return disk->block.client.known || disk->block.client.state == BLOCK_CLIENT_FAILED;
}

/* A server may be long in coming: the user is told what for. */
static bool await(struct host_disk *disk)
{
    uint64_t until = clock_read_tsc() + WAIT_TICKS;

    while (!is_open(disk)) {
        event_turn(until);
        if (clock_read_tsc() < until)
            continue;
        log_line("vm %s: waits for disk '%s'", disk->name, disk->description->label);
        until = DEADLINE_NEVER;
    }
    return host_disk_take(disk);
}

bool host_disks_open(struct host_disks *disks, const struct vm_description *vm)
{
    for (size_t i = 0; i < vm->disks; i++) {
        struct host_disk *disk = &disks->disk[i];

        disk->description = &vm->disk[i];
        disk->name = vm->name;
        if (disk->description->label[0])
            host_disk_open(disk, (unsigned)i);
    }
    disks->count = vm->disks;
    for (size_t i = 0; i < vm->disks; i++)
        if (vm->disk[i].label[0] && !await(&disks->disk[i]))
            return false;
    return true;
}

void host_disks_wire(const struct host_disks *disks, struct machine_config *config)
{
    for (size_t i = 0; i < disks->count; i++) {
        const struct host_disk *disk = &disks->disk[i];
        const struct vm_disk *place = disk->description;

        config->ide[place->port][place->device] = (struct ata_config){
            .kind = place->type == VM_DVD ? ATA_CD : ATA_DISK, .disk = place->label[0] ? &disk->disk : NULL};
    }
}

/* ---- the library's events */

static void handle(struct host_disk *disk, uint64_t bits)
{
    struct event *event = &disk->block.event;

    event->deadline = DEADLINE_NEVER;
    event->handle(event->context, bits);
}

/* A session that is asked for again after a time, or answers that are too many for one turn. */
static uint64_t deadline(void *context)
{
    const struct host_disks *disks = context;
    uint64_t earliest = DEADLINE_NEVER;

    for (size_t i = 0; i < disks->count; i++)
        if (disks->disk[i].block.event.handle && disks->disk[i].block.event.deadline < earliest)
            earliest = disks->disk[i].block.event.deadline;
    return earliest == DEADLINE_NEVER ? BUS_NEVER : clock_ns(disks->clock, earliest);
}

static void advance(void *context, uint64_t now)
{
    struct host_disks *disks = context;

    for (size_t i = 0; i < disks->count; i++) {
        struct host_disk *disk = &disks->disk[i];
        uint64_t due = disk->block.event.deadline;

        if (disk->block.event.handle && due != DEADLINE_NEVER && clock_ns(disks->clock, due) <= now)
            handle(disk, 0);
    }
}

void host_disks_signal(struct host_disks *disks, uint64_t bits)
{
    for (size_t i = 0; i < disks->count; i++) {
        const struct event *event = &disks->disk[i].block.event;

        if (event->handle && bits & event->bits)
            handle(&disks->disk[i], bits & event->bits);
    }
}

bool host_disks_start(struct host_disks *disks, struct machine *machine)
{
    const struct bus_clock clock = {.deadline = deadline, .advance = advance, .device = disks};

    disks->clock = &machine->clock;
    host_disks_signal(disks, NT_PARENT_NEWS); /* those that came while something else was waited for */
    return disks->count == 0 || bus_attach_clock(&machine->bus, &clock) == BUS_OK;
}
