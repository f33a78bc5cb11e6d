/* SPDX-License-Identifier: ISC */
/* Commands as the controller reads them (AHCI 1.3.1, 4.2; Serial ATA 3.0, 10.3.4; ATA8-ACS, 7). */
#include "drivers/ahci/engine.h"

#include <string.h>

enum ata_command {
    ATA_DATA_SET_MANAGEMENT = 0x06,
    ATA_READ_DMA_EXT = 0x25,
    ATA_READ_LOG_EXT = 0x2f,
    ATA_WRITE_DMA_EXT = 0x35,
    ATA_WRITE_DMA_FUA_EXT = 0x3d,
    ATA_READ_FPDMA_QUEUED = 0x60,
    ATA_WRITE_FPDMA_QUEUED = 0x61,
    ATA_PACKET = 0xa0,
    ATA_IDENTIFY_PACKET = 0xa1,
    ATA_READ_DMA = 0xc8,
    ATA_WRITE_DMA = 0xca,
    ATA_FLUSH_CACHE = 0xe7,
    ATA_FLUSH_CACHE_EXT = 0xea,
    ATA_IDENTIFY = 0xec,
};

#define FIS_HOST_TO_DEVICE 0x27u
#define FIS_COMMAND        0x80u /* not control */
#define FIS_WORDS          5u
#define DEVICE_LBA         0x40u
#define DEVICE_FUA         0x80u
#define HEADER_ATAPI       (1u << 5)
#define HEADER_WRITE       (1u << 6)
#define HEADER_PIECES      16 /* shift */
#define TABLE_PACKET       0x40u
#define TABLE_PIECES       0x80u
#define TRIM               1u /* feature of DATA SET MANAGEMENT */
#define TRIM_SECTORS       0xffffu
#define QUEUED_ERRORS      0x10u /* log page */
#define PACKET_DMA         1u    /* feature */
#define SCSI_READ_CAPACITY 0x25u
#define SCSI_READ_12       0xa8u

_Static_assert(TABLE_PIECES + DISK_PIECES * 16 <= TABLE, "a table has room for all pieces");

/* The registers of a command; those that NCQ uses otherwise are set by its rules. */
struct command {
    uint8_t code, device;
    uint16_t feature, count;
    uint64_t sector;
    uint32_t header; /* flags */
};

static void put_fis(uint8_t *fis, const struct command *command)
{
    fis[0] = FIS_HOST_TO_DEVICE;
    fis[1] = FIS_COMMAND;
    fis[2] = command->code;
    fis[3] = (uint8_t)command->feature;
    for (unsigned i = 0; i < 3; i++) {
        fis[4 + i] = (uint8_t)(command->sector >> 8 * i);
        fis[8 + i] = (uint8_t)(command->sector >> (24 + 8 * i));
    }
    fis[7] = command->device;
    fis[11] = (uint8_t)(command->feature >> 8);
    fis[12] = (uint8_t)command->count;
    fis[13] = (uint8_t)(command->count >> 8);
}

static void put(const struct ahci_port *port, unsigned slot, const struct command *command,
                const struct disk_piece *piece, unsigned pieces)
{
    uint8_t *table = port->memory + AT_TABLES + slot * TABLE;
    uint32_t *entry = (uint32_t *)(void *)(table + TABLE_PIECES);
    uint32_t *header = (uint32_t *)(void *)(port->memory + AT_LIST + slot * 32);
    uint64_t address = port->io_address + AT_TABLES + slot * TABLE;

    memset(table, 0, 0x20);
    put_fis(table, command);
    for (unsigned i = 0; i < pieces; i++, entry += 4) {
        entry[0] = (uint32_t)piece[i].address;
        entry[1] = (uint32_t)(piece[i].address >> 32);
        entry[2] = 0;
        entry[3] = piece[i].bytes - 1;
    }
    header[0] = FIS_WORDS | command->header | pieces << HEADER_PIECES;
    header[1] = 0;
    header[2] = (uint32_t)address;
    header[3] = (uint32_t)(address >> 32);
}

bool command_queued(const struct ahci_drive *drive, const struct disk_request *request)
{
    return drive->ncq && (request->action == DISK_READ || request->action == DISK_WRITE) &&
           !request->flushing;
}

/* A count of 0 is the most that the register cannot hold. */
static struct command transfer(const struct ahci_drive *drive, unsigned slot,
                               const struct disk_request *request)
{
    bool write = request->action == DISK_WRITE, fua = write && request->fua && drive->fua;
    struct command command = {.device = DEVICE_LBA,
                              .count = (uint16_t)request->count,
                              .sector = request->sector,
                              .header = write ? HEADER_WRITE : 0};

    if (drive->ncq) {
        command.code = write ? ATA_WRITE_FPDMA_QUEUED : ATA_READ_FPDMA_QUEUED;
        command.feature = (uint16_t)request->count;
        command.count = (uint16_t)(slot << 3);
        command.device |= fua ? DEVICE_FUA : 0;
    } else if (drive->lba48) {
        command.code = fua ? ATA_WRITE_DMA_FUA_EXT : write ? ATA_WRITE_DMA_EXT : ATA_READ_DMA_EXT;
    } else {
        command.code = write ? ATA_WRITE_DMA : ATA_READ_DMA;
        command.device |= (uint8_t)(request->sector >> 24 & 0xf);
        command.sector &= 0xffffff;
    }
    return command;
}

/* Ranges of 65,535 sectors at most, 64 in a block; a request of AHCI_SECTORS needs two. */
static struct command discard(const struct ahci_port *port, const struct disk_request *request,
                              struct disk_piece *piece)
{
    uint64_t *range = (uint64_t *)(void *)(port->memory + AT_RANGES), sector = request->sector;
    uint32_t left = request->count;

    memset(range, 0, OWN_BYTES);
    for (unsigned i = 0; left; i++) {
        uint32_t count = left < TRIM_SECTORS ? left : TRIM_SECTORS;

        range[i] = (uint64_t)count << 48 | sector;
        sector += count;
        left -= count;
    }
    *piece = (struct disk_piece){port->io_address + AT_RANGES, OWN_BYTES};
    return (struct command){.code = ATA_DATA_SET_MANAGEMENT,
                            .device = DEVICE_LBA,
                            .feature = TRIM,
                            .count = 1,
                            .header = HEADER_WRITE};
}

/* MMC-6, 6.20: READ (12). */
static void put_packet(const struct ahci_port *port, unsigned slot, uint8_t code, uint32_t sector,
                       uint32_t count)
{
    uint8_t *packet = port->memory + AT_TABLES + slot * TABLE + TABLE_PACKET;

    memset(packet, 0, 16);
    packet[0] = code;
    for (unsigned i = 0; i < 4; i++) {
        packet[2 + i] = (uint8_t)(sector >> (24 - 8 * i));
        packet[6 + i] = (uint8_t)(count >> (24 - 8 * i));
    }
}

void command_put(const struct ahci_port *port, unsigned slot, const struct disk_request *request)
{
    const struct ahci_drive *drive = &port->drive;
    struct disk_piece own;
    struct command command;

    if (request->action == DISK_FLUSH || request->flushing) {
        command = (struct command){.code = drive->flushes_ext ? ATA_FLUSH_CACHE_EXT : ATA_FLUSH_CACHE};
        put(port, slot, &command, NULL, 0);
    } else if (request->action == DISK_DISCARD) {
        command = discard(port, request, &own);
        put(port, slot, &command, &own, 1);
    } else if (drive->atapi) {
        command = (struct command){.code = ATA_PACKET, .feature = PACKET_DMA, .header = HEADER_ATAPI};
        put(port, slot, &command, request->piece, request->pieces);
        put_packet(port, slot, SCSI_READ_12, (uint32_t)request->sector, request->count);
    } else {
        command = transfer(drive, slot, request);
        put(port, slot, &command, request->piece, request->pieces);
    }
}

void command_put_own(const struct ahci_port *port, enum own_command which)
{
    static const struct command commands[] = {
        [OWN_IDENTIFY] = {.code = ATA_IDENTIFY},
        [OWN_IDENTIFY_PACKET] = {.code = ATA_IDENTIFY_PACKET},
        [OWN_CAPACITY] = {.code = ATA_PACKET, .feature = PACKET_DMA, .header = HEADER_ATAPI},
        [OWN_LOG] = {.code = ATA_READ_LOG_EXT, .device = DEVICE_LBA, .count = 1, .sector = QUEUED_ERRORS},
    };
    struct disk_piece own = {port->io_address + AT_DATA, which == OWN_CAPACITY ? 8 : OWN_BYTES};

    memset(port->memory + AT_DATA, 0, OWN_BYTES);
    put(port, 0, &commands[which], &own, 1);
    if (which == OWN_CAPACITY)
        put_packet(port, 0, SCSI_READ_CAPACITY, 0, 0);
}
