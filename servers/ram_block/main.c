/* SPDX-License-Identifier: ISC */
/*
 * ram_block: disks in RAM, each for one client at a time. What is on them goes with this component: a server that is
 * started anew has other disks, and its serial numbers say so unless the disk can only be read. The configuration:
 *
 *   <config>
 *     <disk label="scratch" mebibytes="64"/>             zeros
 *     <disk label="image" rom="image.vdi" mebibytes="80"/> the ROM's bytes, then zeros
 *     <disk label="table" rom="disk.img" read-only="yes" serial="T1"/>
 *   </config>
 */
#include "base/include/config.h"
#include "base/include/dataspace.h"
#include "base/include/log.h"
#include "lib/block/block_server.h"
#include "servers/ram_block/config.h"

#include <string.h>

#define CAP_CLIENTS CAP_FREE
#define TURNS       20000u /* a second */
#define DEPTH       BLOCK_TAGS
#define SERIAL_LIFE 17u /* bytes at its end: '-' and 16 digits */

static struct ram_config config;
static struct server_place places[RAM_DISKS];
static struct block_session sessions[RAM_DISKS];
static struct {
    uint8_t *bytes;
    struct block_header header;
} disks[RAM_DISKS];

static const struct block_header *disk_of(void *context, unsigned place)
{
    (void)context;
    return &disks[place].header;
}

static unsigned choose(void *context, const struct server_request *request)
{
    unsigned number = 0;

    (void)context;
    while (number < config.disks && strcmp(config.disk[number].label, request->label) != 0)
        number++;
    return number < config.disks ? number : RAM_DISKS;
}

static struct block_server server;

static bool begin(void *context, unsigned place, const struct block_request *request)
{
    uint8_t *at = disks[place].bytes + request->sector * RAM_SECTOR,
            *bytes = block_bytes(&server, place, request);
    size_t length = (size_t)request->count * RAM_SECTOR;

    (void)context;
    switch (request->action) {
    case BLOCK_READ:
        memcpy(bytes, at, length);
        break;
    case BLOCK_WRITE:
        memcpy(at, bytes, length);
        break;
    case BLOCK_WRITE_ZEROES:
    case BLOCK_DISCARD:
        memset(at, 0, length);
        break;
    default:
        break;
    }
    block_answer(&server, place, request->tag, BLOCK_OK);
    return true;
}

/* A disk that can be written is another one in each life of this component. */
static void serial_make(const struct ram_disk *disk, char *serial, uint64_t life)
{
    size_t length = strlen(disk->serial);

    if (!disk->read_only && length > BLOCK_SERIAL - 1 - SERIAL_LIFE)
        length = BLOCK_SERIAL - 1 - SERIAL_LIFE;
    memcpy(serial, disk->serial, length);
    if (!disk->read_only)
        format_text(serial + length, BLOCK_SERIAL - length, "-%016lx", life);
}

static bool disk_make(unsigned number)
{
    const struct ram_disk *disk = &config.disk[number];
    struct block_header *header = &disks[number].header;
    struct rom rom = {.data = NULL};
    struct dataspace memory;
    uint64_t bytes = disk->bytes;
    void *attached;
    enum error error = disk->rom[0] ? rom_open(disk->rom, &rom) : ERROR_OK;

    if (!error && !bytes)
        bytes = (rom.bytes + RAM_SECTOR - 1) / RAM_SECTOR * RAM_SECTOR;
    if (!error && (!bytes || bytes < rom.bytes)) {
        log_line("disk '%s': expected a ROM of 1 to %lu bytes, found %lu", disk->label, bytes, rom.bytes);
        return false;
    }
    if (!error)
        error = memory_alloc(bytes, &memory, &attached);
    if (error) {
        log_line("disk '%s': %s", disk->label, error_text(error));
        return false;
    }
    if (rom.data) {
        memcpy(attached, rom.data, rom.bytes);
        error = rom_close(&rom);
        (void)error; /* it stays attached then, which does no harm */
    }
    disks[number].bytes = attached;
    *header = (struct block_header){.flags = (disk->read_only ? BLOCK_READ_ONLY : 0u) | BLOCK_DISCARDS,
                                    .sectors = bytes / RAM_SECTOR,
                                    .sector_bytes = RAM_SECTOR,
                                    .physical_bytes = RAM_SECTOR,
                                    .discard = 1,
                                    .most = (BLOCK_DONATION - BLOCK_DATA) / RAM_SECTOR,
                                    .most_empty = 2048,
                                    .depth = DEPTH};
    serial_make(disk, header->serial, tsc_read());
    log_line("disk '%s': %lu sectors of %u bytes, serial '%s'", disk->label, header->sectors,
             header->sector_bytes, header->serial);
    return true;
}

int component_main(void)
{
    struct pd_info info;

    if (!config_load(ram_config_read, &config) || pd_info(&info) != ERROR_OK)
        return 1;
    for (unsigned i = 0; i < config.disks; i++)
        if (!disk_make(i))
            return 1;
    server = (struct block_server){.server = {.place = places,
                                              .places = config.disks,
                                              .period = info.tsc_hz / TURNS,
                                              .signal = CAP_CLIENTS,
                                              .bit = 0,
                                              .choose = choose},
                                   .session = sessions,
                                   .disk = disk_of,
                                   .begin = begin};
    block_server_start(&server);
    event_loop();
}
