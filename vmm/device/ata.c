/* SPDX-License-Identifier: ISC */
/*
 * The drive's registers, and what the commands (ata_commands.c) have in common: a number of sectors to go, which
 * ata_next() takes in pieces, by the buffer or by the controller's DMA.
 */
#include "vmm/device/ata.h"

#include <string.h>

#include "vmm/device/atapi.h"

#define DEVICE_FIXED     0xa0u /* bits that read as ones */
#define MODE_DEFAULT     0x42u /* Ultra DMA 2 */
#define DIAGNOSTIC_OK    1u
#define SIGNATURE_PACKET 0xeb14u

static void set_intrq(struct ata_drive *drive, bool level)
{
    if (drive->reg.intrq == level)
        return;
    drive->reg.intrq = level;
    drive->wiring.changed(drive->wiring.context);
}

static void end_command(struct ata_drive *drive)
{
    struct ata_registers *reg = &drive->reg;

    reg->phase = ATA_IDLE;
    reg->sector = 0;
    reg->left = 0;
    reg->at = 0;
    reg->filled = 0;
    reg->block_end = 0;
}

void ata_finish(struct ata_drive *drive)
{
    end_command(drive);
    /* The host knows that it has read the last byte. */
    if (drive->reg.transfer != ATA_BY_PIO || drive->reg.to_disk)
        set_intrq(drive, true);
}

void ata_fail(struct ata_drive *drive, uint8_t error)
{
    end_command(drive);
    drive->reg.error = error;
    drive->reg.status |= ATA_STATUS_ERR;
    set_intrq(drive, true);
}

/* ---- requests to the disk */

static void submit(struct ata_drive *drive)
{
    const struct ata_registers *reg = &drive->reg;

    drive->stale = drive->requested; /* what was asked before a reset comes first */
    if (drive->stale)
        return;
    drive->requested = true;
    drive->request.action = (enum disk_action)reg->action;
    drive->request.fua = reg->fua;
    drive->request.sector = reg->sector;
    drive->request.count = reg->chunk;
    drive->config.disk->submit(drive->config.disk->context, &drive->request);
}

void ata_ask(struct ata_drive *drive, enum disk_action action)
{
    drive->reg.phase = ATA_WORKS;
    drive->reg.action = (uint8_t)action;
    submit(drive);
}

static bool request_move(void *context, uint8_t *bytes, uint32_t length)
{
    struct ata_drive *drive = context;
    struct ata_registers *reg = &drive->reg;

    if (drive->stale)
        return false;
    if (reg->transfer == ATA_BY_DMA)
        return drive->wiring.dma(drive->wiring.context, bytes, length, !reg->to_disk) == length;
    if (reg->transfer == ATA_BY_NONE || length > sizeof(reg->buffer))
        return reg->transfer == ATA_BY_NONE;
    if (reg->to_disk)
        memcpy(bytes, reg->buffer, length);
    else
        memcpy(reg->buffer, bytes, length);
    return true;
}

/* The place of an error, in the form of the command's address. */
static void put_address(struct ata_drive *drive)
{
    struct ata_registers *reg = &drive->reg;
    uint64_t sector = reg->sector;

    if (!(reg->device & ATA_DEVICE_LBA)) {
        uint64_t track = sector / reg->track;

        reg->device = (uint8_t)((reg->device & 0xf0) | track % reg->heads);
        sector = track / reg->heads << 8 | (sector % reg->track + 1);
    }
    for (unsigned i = 0; i < 3; i++) {
        reg->lba[i][0] = (uint8_t)(sector >> (i * 8));
        reg->lba[i][1] = (uint8_t)(sector >> (i * 8 + 24));
    }
}

static void fail_request(struct ata_drive *drive)
{
    if (drive->reg.command == ATA_COMMAND_PACKET) {
        atapi_fail(drive, ATAPI_MEDIUM_ERROR, ATAPI_CODE_READ);
        return;
    }
    put_address(drive);
    ata_fail(drive, drive->reg.action == DISK_READ ? ATA_ERROR_UNC : ATA_ERROR_ABRT);
}

/* The ranges of DATA SET MANAGEMENT, which are in the buffer, one after the other. */
static void next_range(struct ata_drive *drive)
{
    struct ata_registers *reg = &drive->reg;
    uint64_t sectors = drive->config.disk->sectors, range;

    while (reg->at < reg->filled) {
        memcpy(&range, &reg->buffer[reg->at], sizeof(range));
        reg->at += ATA_RANGE;
        reg->sector = range & ((1ull << 48) - 1);
        reg->chunk = (uint32_t)(range >> 48);
        if (reg->sector > sectors || reg->chunk > sectors - reg->sector) {
            ata_fail(drive, ATA_ERROR_IDNF);
            return;
        }
        if (reg->chunk > 0) {
            ata_ask(drive, DISK_DISCARD);
            return;
        }
    }
    ata_finish(drive);
}

static void answered(struct ata_drive *drive)
{
    struct ata_registers *reg = &drive->reg;

    if (reg->action == DISK_FLUSH) {
        ata_finish(drive);
        return;
    }
    if (reg->action == DISK_DISCARD) {
        next_range(drive);
        return;
    }
    reg->sector += reg->chunk;
    reg->left -= reg->chunk;
    if (reg->transfer != ATA_BY_PIO || reg->to_disk) {
        ata_next(drive);
        return;
    }
    reg->at = 0;
    reg->filled = (uint16_t)(reg->chunk * DISK_SECTOR);
    ata_open_block(drive, ATA_IN, true);
}

static void request_done(void *context, enum disk_result result)
{
    struct ata_drive *drive = context;
    bool stale = drive->stale;

    drive->requested = false;
    drive->stale = false;
    if (drive->reg.phase != ATA_WORKS)
        return;
    if (stale)
        submit(drive);
    else if (result == DISK_STOPPED)
        drive->reg.phase = ATA_STALLED;
    else if (result == DISK_FAILED)
        fail_request(drive);
    else
        answered(drive);
}

/* ---- transfers */

void ata_open_block(struct ata_drive *drive, enum ata_phase phase, bool interrupt)
{
    struct ata_registers *reg = &drive->reg;
    unsigned left = reg->filled - reg->at, size = left < reg->block ? left : reg->block;

    reg->phase = (uint8_t)phase;
    reg->block_end = (uint16_t)(reg->at + size);
    if (reg->command == ATA_COMMAND_PACKET)
        atapi_open_block(drive, size);
    if (interrupt)
        set_intrq(drive, true);
}

void ata_next(struct ata_drive *drive)
{
    struct ata_registers *reg = &drive->reg;
    uint32_t most = reg->transfer == ATA_BY_PIO ? ATA_BUFFER_SECTORS : DISK_AT_ONCE;
    bool first = reg->phase == ATA_IDLE;

    reg->chunk = reg->left < most ? (uint32_t)reg->left : most;
    if (reg->chunk == 0 && reg->command == ATA_COMMAND_PACKET)
        atapi_finish(drive);
    else if (reg->chunk == 0)
        ata_finish(drive);
    else if (!reg->to_disk || reg->transfer == ATA_BY_DMA)
        ata_ask(drive, reg->to_disk ? DISK_WRITE : DISK_READ);
    else {
        reg->at = 0;
        reg->filled = (uint16_t)(reg->chunk * DISK_SECTOR);
        ata_open_block(drive, ATA_OUT, !first);
    }
}

static void end_block(struct ata_drive *drive)
{
    struct ata_registers *reg = &drive->reg;

    if (reg->at < reg->filled)
        ata_open_block(drive, (enum ata_phase)reg->phase, true);
    else if (reg->phase == ATA_IN)
        ata_next(drive);
    else if (reg->command == ATA_COMMAND_PACKET)
        atapi_packet(drive);
    else
        ata_ask(drive, DISK_WRITE);
}

size_t ata_data(struct ata_drive *drive, uint8_t *bytes, size_t length, bool write)
{
    struct ata_registers *reg = &drive->reg;
    size_t done = 0;

    while (done < length && reg->phase == (write ? ATA_OUT : ATA_IN)) {
        size_t left = (size_t)(reg->block_end - reg->at), size = length - done < left ? length - done : left;

        if (write)
            memcpy(&reg->buffer[reg->at], &bytes[done], size);
        else
            memcpy(&bytes[done], &reg->buffer[reg->at], size);
        reg->at = (uint16_t)(reg->at + size);
        done += size;
        if (reg->at == reg->block_end)
            end_block(drive);
    }
    return done;
}

void ata_await_dma(struct ata_drive *drive)
{
    drive->reg.phase = ATA_DMA;
    if (drive->wiring.dma_runs(drive->wiring.context))
        ata_start_dma(drive);
}

void ata_start_dma(struct ata_drive *drive)
{
    struct ata_registers *reg = &drive->reg;
    bool to_guest = reg->command == ATA_COMMAND_PACKET;

    if (reg->phase != ATA_DMA)
        return;
    if (reg->filled == 0) {
        ata_next(drive);
    } else if (drive->wiring.dma(drive->wiring.context, reg->buffer, reg->filled, to_guest) != reg->filled) {
        reg->phase = ATA_STALLED;
    } else if (to_guest) {
        reg->filled = 0;
        atapi_finish(drive);
    } else {
        reg->at = 0;
        next_range(drive);
    }
}

/* ---- registers */

static void put_signature(struct ata_drive *drive)
{
    struct ata_registers *reg = &drive->reg;
    unsigned middle = drive->config.kind == ATA_CD ? SIGNATURE_PACKET : 0;

    memset(reg->lba, 0, sizeof(reg->lba));
    memset(reg->count, 0, sizeof(reg->count));
    reg->count[0] = 1;
    reg->lba[0][0] = 1;
    reg->lba[1][0] = (uint8_t)middle;
    reg->lba[2][0] = (uint8_t)(middle >> 8);
}

/* Commands that only others know are aborted; a CD drive shows what it is, so that the host asks again. */
static void begin_command(struct ata_drive *drive, uint8_t code)
{
    struct ata_registers *reg = &drive->reg;
    const struct ata_command *command = ata_command_find(drive, code);

    if (reg->phase != ATA_IDLE && (drive->config.kind != ATA_CD || code != ATA_COMMAND_RESET))
        return;
    set_intrq(drive, false);
    reg->command = code;
    reg->status = ATA_STATUS_OK;
    reg->error = 0;
    reg->transfer = ATA_BY_NONE;
    reg->to_disk = false;
    reg->fua = false;
    if (command) {
        command->begin(drive, command);
        return;
    }
    if (drive->config.kind == ATA_CD)
        put_signature(drive);
    ata_fail(drive, ATA_ERROR_ABRT);
}

uint8_t ata_status(const struct ata_drive *drive)
{
    static const uint8_t phases[ATA_PHASES] = {[ATA_IN] = ATA_STATUS_DRQ,
                                               [ATA_OUT] = ATA_STATUS_DRQ,
                                               [ATA_WORKS] = ATA_STATUS_BSY,
                                               [ATA_DMA] = ATA_STATUS_DRQ,
                                               [ATA_STALLED] = ATA_STATUS_DRQ};

    return drive->reg.status | phases[drive->reg.phase];
}

uint8_t ata_read(struct ata_drive *drive, enum ata_register number, bool high)
{
    struct ata_registers *reg = &drive->reg;

    switch (number) {
    case ATA_ERROR:
        return reg->error;
    case ATA_COUNT:
        return reg->count[high];
    case ATA_LBA_LOW:
    case ATA_LBA_MID:
    case ATA_LBA_HIGH:
        return reg->lba[number - ATA_LBA_LOW][high];
    case ATA_DEVICE:
        return reg->device | DEVICE_FIXED;
    case ATA_STATUS:
        set_intrq(drive, false);
        return ata_status(drive);
    default:
        return 0;
    }
}

static void shift(uint8_t pair[2], uint8_t value)
{
    pair[1] = pair[0];
    pair[0] = value;
}

/* What is written while a command is executed is lost. */
void ata_write(struct ata_drive *drive, enum ata_register number, uint8_t value)
{
    struct ata_registers *reg = &drive->reg;

    if (number == ATA_STATUS) {
        begin_command(drive, value);
        return;
    }
    if (reg->phase != ATA_IDLE)
        return;
    switch (number) {
    case ATA_ERROR:
        shift(reg->feature, value);
        break;
    case ATA_COUNT:
        shift(reg->count, value);
        break;
    case ATA_LBA_LOW:
    case ATA_LBA_MID:
    case ATA_LBA_HIGH:
        shift(reg->lba[number - ATA_LBA_LOW], value);
        break;
    case ATA_DEVICE:
        reg->device = value;
        break;
    default:
        break;
    }
}

void ata_init(struct ata_drive *drive, const struct ata_config *config, const struct ata_wiring *wiring)
{
    *drive = (struct ata_drive){
        .config = *config,
        .wiring = *wiring,
        .request = {.move = request_move, .done = request_done, .context = drive},
    };
    ata_reset(drive, true);
}

void ata_reset(struct ata_drive *drive, bool hard)
{
    struct ata_registers *reg = &drive->reg;

    drive->stale = drive->requested;
    set_intrq(drive, false);
    if (hard) {
        *reg = (struct ata_registers){
            .heads = ATA_HEADS, .track = ATA_TRACK, .mode = MODE_DEFAULT, .write_cache = true};
        if (drive->config.disk)
            reg->cd.attention = ATAPI_CODE_RESET;
    }
    end_command(drive);
    reg->transfer = ATA_BY_NONE;
    reg->device = 0;
    reg->error = DIAGNOSTIC_OK;
    reg->status = drive->config.kind == ATA_CD ? 0 : ATA_STATUS_OK;
    put_signature(drive);
}

void ata_load(struct ata_drive *drive, const struct ata_registers *reg)
{
    drive->stale = drive->requested;
    drive->reg = *reg;
    if (reg->phase == ATA_WORKS)
        submit(drive);
}
