/* SPDX-License-Identifier: ISC */
/*
 * An ATA drive: a disk, or a CD drive, which takes ATAPI packets (atapi.h). It has the registers of its command
 * block and executes commands; cable and controller are others' affair (ata_channel.h).
 *
 * What a command has to do with the disk goes there in requests of at most DISK_AT_ONCE sectors, one at a time,
 * and the drive is busy until the answer. Reset does not wait for it: the answer that comes then is dropped, and
 * a new command's first request follows it. So an old write never lands after a new one.
 *
 * Manual: ATA/ATAPI-6 (T13 1410D), and ATA8-ACS (1699D) for DATA SET MANAGEMENT.
 */
#pragma once

#include <stddef.h>

#include "base/include/check.h"
#include "vmm/bus/state.h"
#include "vmm/device/disk.h"

#define ATA_BUFFER         8192u /* bytes */
#define ATA_BUFFER_SECTORS (ATA_BUFFER / DISK_SECTOR)
#define ATA_PACKET         12u /* bytes of one */
#define ATA_MULTIPLE       16u /* sectors of a DRQ block at most */
#define ATA_HEADS          16u
#define ATA_TRACK          63u /* sectors */
#define ATA_CYLINDERS      16383u

enum ata_kind { ATA_NONE, ATA_DISK, ATA_CD };

/* Offsets of the command block; that of ATA_DATA is not for ata_read and ata_write. */
enum ata_register {
    ATA_DATA,
    ATA_ERROR, /* written: features */
    ATA_COUNT, /* of a packet: interrupt reason */
    ATA_LBA_LOW,
    ATA_LBA_MID, /* this and the next, of a packet: byte count */
    ATA_LBA_HIGH,
    ATA_DEVICE,
    ATA_STATUS, /* written: command */
    ATA_REGISTERS
};

#define ATA_STATUS_ERR  0x01u
#define ATA_STATUS_DRQ  0x08u
#define ATA_STATUS_DSC  0x10u
#define ATA_STATUS_DRDY 0x40u
#define ATA_STATUS_BSY  0x80u
#define ATA_STATUS_OK   (ATA_STATUS_DRDY | ATA_STATUS_DSC)

#define ATA_ERROR_ABRT 0x04u
#define ATA_ERROR_IDNF 0x10u
#define ATA_ERROR_UNC  0x40u

#define ATA_DEVICE_LBA    0x40u
#define ATA_DEVICE_SELECT 0x10u

#define ATA_COMMAND_TRIM       0x06u /* DATA SET MANAGEMENT */
#define ATA_COMMAND_RESET      0x08u
#define ATA_COMMAND_DIAGNOSTIC 0x90u
#define ATA_COMMAND_PACKET     0xa0u

#define ATA_RANGE 8u /* bytes of a range of sectors to be trimmed */

enum ata_phase {
    ATA_IDLE,
    ATA_IN,      /* the host reads the buffer, up to block_end */
    ATA_OUT,     /* the host writes it */
    ATA_WORKS,   /* the disk has a request */
    ATA_DMA,     /* waits for the controller's DMA */
    ATA_STALLED, /* that has ended before the drive has: reset helps */
    ATA_PHASES
};

enum ata_transfer { ATA_BY_NONE, ATA_BY_PIO, ATA_BY_DMA, ATA_TRANSFERS };

/* See atapi.c. */
struct atapi_registers {
    uint8_t key, code; /* sense: key and additional code */
    uint8_t attention; /* additional code of a unit attention; 0: none */
    bool open, locked; /* the tray */
    bool changed;      /* the medium has, since the last GET EVENT STATUS NOTIFICATION */
};

struct ata_registers {
    /* The command block. [1]: as before the last write, the high bytes of 48-bit commands. */
    uint8_t feature[2], count[2], lba[3][2];
    uint8_t device, status, error; /* status without BSY and DRQ */
    uint8_t command;               /* the last */
    bool intrq;
    /* The command that is executed. */
    uint8_t phase, transfer, action; /* of the request */
    bool to_disk, fua;
    uint64_t sector;     /* the next */
    uint64_t left;       /* sectors from it on */
    uint32_t chunk;      /* sectors of the request */
    uint16_t block;      /* bytes that the host transfers at one interrupt */
    uint16_t at, filled; /* in the buffer: the next byte; how many there are or are to come */
    uint16_t block_end;
    /* Settings. */
    uint8_t multiple, heads, track, mode;
    bool write_cache;
    struct atapi_registers cd;
    uint8_t buffer[ATA_BUFFER];
};

struct ata_config {
    enum ata_kind kind;
    const struct disk *disk; /* of a CD drive: NULL, without medium */
    bool serial;             /* the cable: SATA */
};

/* The controller. */
struct ata_wiring {
    void (*changed)(void *context);  /* reg.intrq has */
    bool (*dma_runs)(void *context); /* DMA can be made now; else ata_start_dma() comes later */
    /* Copies; the number of bytes that were copied, less than `length` where the guest has ended its DMA. */
    size_t (*dma)(void *context, uint8_t *bytes, size_t length, bool to_guest);
    void *context;
};

struct ata_drive {
    struct ata_registers reg;
    struct ata_config config;
    struct ata_wiring wiring;
    /* What the disk has, whatever becomes of the drive: not saved. */
    struct disk_request request;
    bool requested, stale; /* the answer to `request` is to come; it is to be dropped */
};

void ata_init(struct ata_drive *drive, const struct ata_config *config, const struct ata_wiring *wiring);

/* Hard: as after power-up; else by SRST or DEVICE RESET, which keep the settings. */
void ata_reset(struct ata_drive *drive, bool hard);

/* As the alternate status register. */
uint8_t ata_status(const struct ata_drive *drive);

/* The command block but for data. `high`: the host has set HOB. A write to ATA_STATUS is a command. */
uint8_t ata_read(struct ata_drive *drive, enum ata_register reg, bool high);
void ata_write(struct ata_drive *drive, enum ata_register reg, uint8_t value);

/* The data register, for so many bytes; how many the drive has given or taken. */
size_t ata_data(struct ata_drive *drive, uint8_t *bytes, size_t length, bool write);

/* DMA can be made now. */
void ata_start_dma(struct ata_drive *drive);

/* Saved state, as pci_device.h has it. A request that was under way is made again when its drive is loaded. */
void ata_fields(struct state *state, struct ata_registers *reg);
MUST_CHECK bool ata_is_valid(const struct ata_drive *drive, const struct ata_registers *reg);
void ata_load(struct ata_drive *drive, const struct ata_registers *reg);

/* ---- between the files of the drive */

struct ata_command {
    uint8_t code, kinds, flags;
    void (*begin)(struct ata_drive *drive, const struct ata_command *command);
};

/* NULL: the drive does not know it. */
const struct ata_command *ata_command_find(const struct ata_drive *drive, uint8_t code);

/* A transfer mode of SET FEATURES that the drive has. */
bool ata_is_mode(uint8_t mode);

/* The command is over, with an error or without. */
void ata_finish(struct ata_drive *drive);
void ata_fail(struct ata_drive *drive, uint8_t error);

/* A request to the disk, of `chunk` sectors at `sector`. */
void ata_ask(struct ata_drive *drive, enum disk_action action);

/* The next of `left` sectors, or the end. */
void ata_next(struct ata_drive *drive);

/* The next DRQ block of the buffer, up to `filled`. */
void ata_open_block(struct ata_drive *drive, enum ata_phase phase, bool interrupt);

/* Wait for the host's DMA, or begin at once. */
void ata_await_dma(struct ata_drive *drive);

/* The answer to IDENTIFY DEVICE or IDENTIFY PACKET DEVICE. */
void ata_identify(const struct ata_drive *drive, uint8_t data[DISK_SECTOR]);
