/* SPDX-License-Identifier: ISC */
/*
 * The drive's commands: each decodes and checks its registers here, before it changes anything.
 */
#include "vmm/device/ata.h"
#include "vmm/device/atapi.h"

#define FLAG_WRITE    0x01u
#define FLAG_EXT      0x02u /* 48-bit address */
#define FLAG_DMA      0x04u
#define FLAG_MULTIPLE 0x08u
#define FLAG_FUA      0x10u
#define FLAG_VERIFY   0x20u

#define DISKS 1u
#define CDS   2u

#define FEATURE_TRIM 0x01u
#define POWER_ACTIVE 0xffu

/* The sectors that the registers name. False: not on the disk. */
static bool decode_sectors(struct ata_drive *drive, bool ext)
{
    struct ata_registers *reg = &drive->reg;
    uint64_t sectors = drive->config.disk->sectors, low = 0, high = 0;
    unsigned head = reg->device & 15u, number = reg->lba[0][0];

    for (unsigned i = 0; i < 3; i++) {
        low |= (uint64_t)reg->lba[i][0] << (i * 8);
        high |= (uint64_t)reg->lba[i][1] << (i * 8 + 24);
    }
    reg->left = ext ? reg->count[0] | (unsigned)reg->count[1] << 8 : reg->count[0];
    if (reg->left == 0)
        reg->left = ext ? 65536 : 256;
    if (ext) {
        reg->sector = low | high;
    } else if (reg->device & ATA_DEVICE_LBA) {
        reg->sector = low | (uint64_t)head << 24;
    } else {
        if (number == 0 || number > reg->track || head >= reg->heads)
            return false;
        reg->sector = ((low >> 8) * reg->heads + head) * reg->track + number - 1;
    }
    return reg->sector < sectors && reg->left <= sectors - reg->sector;
}

static void begin_transfer(struct ata_drive *drive, const struct ata_command *command)
{
    struct ata_registers *reg = &drive->reg;
    unsigned flags = command->flags, block = flags & FLAG_MULTIPLE ? reg->multiple : 1;

    if (block == 0 || (flags & FLAG_WRITE && drive->config.disk->read_only)) {
        ata_fail(drive, ATA_ERROR_ABRT);
        return;
    }
    if (!decode_sectors(drive, flags & FLAG_EXT)) {
        ata_fail(drive, ATA_ERROR_IDNF);
        return;
    }
    reg->to_disk = flags & FLAG_WRITE;
    reg->fua = reg->to_disk && (flags & FLAG_FUA || !reg->write_cache);
    reg->block = (uint16_t)(block * DISK_SECTOR);
    reg->transfer = ATA_BY_PIO;
    if (flags & FLAG_VERIFY)
        reg->transfer = ATA_BY_NONE;
    if (flags & FLAG_DMA) {
        reg->transfer = ATA_BY_DMA;
        ata_await_dma(drive);
    } else {
        ata_next(drive);
    }
}

static void begin_trim(struct ata_drive *drive, const struct ata_command *command)
{
    struct ata_registers *reg = &drive->reg;

    (void)command;
    if (reg->feature[0] != FEATURE_TRIM || reg->count[0] != 1 || reg->count[1] != 0 ||
        !drive->config.disk->discards || drive->config.disk->read_only) {
        ata_fail(drive, ATA_ERROR_ABRT);
        return;
    }
    reg->transfer = ATA_BY_DMA;
    reg->to_disk = true;
    reg->filled = DISK_SECTOR;
    ata_await_dma(drive);
}

static void begin_flush(struct ata_drive *drive, const struct ata_command *command)
{
    (void)command;
    drive->reg.chunk = 0;
    ata_ask(drive, DISK_FLUSH);
}

static void begin_nothing(struct ata_drive *drive, const struct ata_command *command)
{
    (void)command;
    ata_finish(drive);
}

static void begin_seek(struct ata_drive *drive, const struct ata_command *command)
{
    if (decode_sectors(drive, command->flags & FLAG_EXT))
        ata_finish(drive);
    else
        ata_fail(drive, ATA_ERROR_IDNF);
}

static void begin_identify(struct ata_drive *drive, const struct ata_command *command)
{
    struct ata_registers *reg = &drive->reg;

    (void)command;
    ata_identify(drive, reg->buffer);
    reg->transfer = ATA_BY_PIO;
    reg->block = DISK_SECTOR;
    reg->at = 0;
    reg->filled = DISK_SECTOR;
    ata_open_block(drive, ATA_IN, true);
}

static void begin_parameters(struct ata_drive *drive, const struct ata_command *command)
{
    struct ata_registers *reg = &drive->reg;

    (void)command;
    if (reg->count[0] == 0 || reg->count[0] > ATA_TRACK) {
        ata_fail(drive, ATA_ERROR_ABRT);
        return;
    }
    reg->heads = (uint8_t)((reg->device & 15) + 1);
    reg->track = reg->count[0];
    ata_finish(drive);
}

static void begin_multiple(struct ata_drive *drive, const struct ata_command *command)
{
    uint8_t count = drive->reg.count[0];

    (void)command;
    if (count > ATA_MULTIPLE || (count & (count - 1)) != 0) {
        ata_fail(drive, ATA_ERROR_ABRT);
        return;
    }
    drive->reg.multiple = count;
    ata_finish(drive);
}

bool ata_is_mode(uint8_t mode)
{
    return mode < 2 || (mode >= 0x08 && mode <= 0x0c) || (mode >= 0x20 && mode <= 0x22) ||
           (mode >= 0x40 && mode <= 0x42);
}

static void begin_features(struct ata_drive *drive, const struct ata_command *command)
{
    struct ata_registers *reg = &drive->reg;
    bool known = true;

    (void)command;
    switch (reg->feature[0]) {
    case 0x02:
    case 0x82:
        reg->write_cache = reg->feature[0] == 0x02;
        break;
    case 0x03:
        known = ata_is_mode(reg->count[0]);
        if (known)
            reg->mode = reg->count[0];
        break;
    case 0x55: /* look-ahead; settings and reset: as it is */
    case 0xaa:
    case 0x66:
    case 0xcc:
        break;
    default:
        known = false;
    }
    if (known)
        ata_finish(drive);
    else
        ata_fail(drive, ATA_ERROR_ABRT);
}

static void begin_power(struct ata_drive *drive, const struct ata_command *command)
{
    (void)command;
    drive->reg.count[0] = POWER_ACTIVE;
    ata_finish(drive);
}

static void begin_packet(struct ata_drive *drive, const struct ata_command *command)
{
    (void)command;
    atapi_begin(drive);
}

static void begin_reset(struct ata_drive *drive, const struct ata_command *command)
{
    (void)command;
    ata_reset(drive, false);
}

static void begin_diagnostic(struct ata_drive *drive, const struct ata_command *command)
{
    (void)command;
    ata_reset(drive, false);
    ata_finish(drive);
}

static const struct ata_command commands[] = {
    {ATA_COMMAND_TRIM, DISKS, FLAG_DMA, begin_trim},
    {ATA_COMMAND_RESET, CDS, 0, begin_reset},
    {0x10, DISKS, 0, begin_nothing}, /* RECALIBRATE */
    {0x20, DISKS, 0, begin_transfer},
    {0x21, DISKS, 0, begin_transfer},
    {0x24, DISKS, FLAG_EXT, begin_transfer},
    {0x25, DISKS, FLAG_EXT | FLAG_DMA, begin_transfer},
    {0x29, DISKS, FLAG_EXT | FLAG_MULTIPLE, begin_transfer},
    {0x30, DISKS, FLAG_WRITE, begin_transfer},
    {0x31, DISKS, FLAG_WRITE, begin_transfer},
    {0x34, DISKS, FLAG_WRITE | FLAG_EXT, begin_transfer},
    {0x35, DISKS, FLAG_WRITE | FLAG_EXT | FLAG_DMA, begin_transfer},
    {0x39, DISKS, FLAG_WRITE | FLAG_EXT | FLAG_MULTIPLE, begin_transfer},
    {0x3d, DISKS, FLAG_WRITE | FLAG_EXT | FLAG_DMA | FLAG_FUA, begin_transfer},
    {0x40, DISKS, FLAG_VERIFY, begin_transfer},
    {0x41, DISKS, FLAG_VERIFY, begin_transfer},
    {0x42, DISKS, FLAG_VERIFY | FLAG_EXT, begin_transfer},
    {0x70, DISKS, 0, begin_seek},
    {ATA_COMMAND_DIAGNOSTIC, DISKS | CDS, 0, begin_diagnostic},
    {0x91, DISKS, 0, begin_parameters},
    {ATA_COMMAND_PACKET, CDS, 0, begin_packet},
    {0xa1, CDS, 0, begin_identify},
    {0xc4, DISKS, FLAG_MULTIPLE, begin_transfer},
    {0xc5, DISKS, FLAG_WRITE | FLAG_MULTIPLE, begin_transfer},
    {0xc6, DISKS, 0, begin_multiple},
    {0xc8, DISKS, FLAG_DMA, begin_transfer},
    {0xc9, DISKS, FLAG_DMA, begin_transfer},
    {0xca, DISKS, FLAG_WRITE | FLAG_DMA, begin_transfer},
    {0xcb, DISKS, FLAG_WRITE | FLAG_DMA, begin_transfer},
    {0xce, DISKS, FLAG_WRITE | FLAG_EXT | FLAG_MULTIPLE | FLAG_FUA, begin_transfer},
    {0xe0, DISKS | CDS, 0, begin_nothing}, /* STANDBY and IDLE, at once or later */
    {0xe1, DISKS | CDS, 0, begin_nothing},
    {0xe2, DISKS | CDS, 0, begin_nothing},
    {0xe3, DISKS | CDS, 0, begin_nothing},
    {0xe5, DISKS | CDS, 0, begin_power},
    {0xe7, DISKS, 0, begin_flush},
    {0xea, DISKS, FLAG_EXT, begin_flush},
    {0xec, DISKS, 0, begin_identify},
    {0xef, DISKS | CDS, 0, begin_features},
};

const struct ata_command *ata_command_find(const struct ata_drive *drive, uint8_t code)
{
    unsigned kind = drive->config.kind == ATA_DISK ? DISKS : CDS;

    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (commands[i].code == code)
            return commands[i].kinds & kind ? &commands[i] : NULL;
    return NULL;
}
