/* SPDX-License-Identifier: ISC */
/*
 * The drive's saved state. A command may be saved in its middle, so what is loaded must be a command that the
 * drive can have begun: nothing is checked again later.
 */
#include "vmm/device/ata.h"
#include "vmm/device/atapi.h"

static void command_fields(struct state *state, struct ata_registers *reg)
{
    size_t used;

    state_u8(state, &reg->phase);
    state_u8(state, &reg->transfer);
    state_u8(state, &reg->action);
    state_bool(state, &reg->to_disk);
    state_bool(state, &reg->fua);
    state_u64(state, &reg->sector);
    state_u64(state, &reg->left);
    state_u32(state, &reg->chunk);
    state_u16(state, &reg->block);
    state_u16(state, &reg->at);
    state_u16(state, &reg->filled);
    state_u16(state, &reg->block_end);
    used = reg->phase == ATA_OUT ? reg->at : reg->filled;
    if (used > sizeof(reg->buffer))
        state->failed = true;
    else
        state_bytes(state, reg->buffer, used);
}

void ata_fields(struct state *state, struct ata_registers *reg)
{
    state_bytes(state, reg->feature, sizeof(reg->feature));
    state_bytes(state, reg->count, sizeof(reg->count));
    state_bytes(state, reg->lba[0], sizeof(reg->lba));
    state_u8(state, &reg->device);
    state_u8(state, &reg->status);
    state_u8(state, &reg->error);
    state_u8(state, &reg->command);
    state_bool(state, &reg->intrq);
    command_fields(state, reg);
    state_u8(state, &reg->multiple);
    state_u8(state, &reg->heads);
    state_u8(state, &reg->track);
    state_u8(state, &reg->mode);
    state_bool(state, &reg->write_cache);
    state_u8(state, &reg->cd.key);
    state_u8(state, &reg->cd.code);
    state_u8(state, &reg->cd.attention);
    state_bool(state, &reg->cd.open);
    state_bool(state, &reg->cd.locked);
    state_bool(state, &reg->cd.changed);
}

/* A request that the drive can have made. */
static bool request_is_valid(const struct ata_drive *drive, const struct ata_registers *reg)
{
    const struct disk *disk = drive->config.disk;
    uint32_t most = reg->transfer == ATA_BY_PIO ? ATA_BUFFER_SECTORS : DISK_AT_ONCE;

    switch (reg->action) {
    case DISK_READ:
        return !reg->to_disk && reg->chunk > 0 && reg->chunk <= reg->left && reg->chunk <= most;
    case DISK_WRITE:
        return reg->to_disk && reg->chunk > 0 && reg->chunk <= reg->left && reg->chunk <= most &&
               (reg->transfer == ATA_BY_DMA ||
                (reg->transfer == ATA_BY_PIO && reg->filled == reg->chunk * DISK_SECTOR));
    case DISK_DISCARD:
        return disk->discards && reg->to_disk && reg->command == ATA_COMMAND_TRIM && reg->chunk > 0 &&
               reg->chunk <= UINT16_MAX && reg->chunk <= disk->sectors - reg->sector &&
               reg->filled == DISK_SECTOR && reg->at % ATA_RANGE == 0;
    default:
        return reg->action == DISK_FLUSH && reg->chunk == 0;
    }
}

/* What is in the buffer, for whoever goes on with it. */
static bool buffer_is_valid(const struct ata_drive *drive, const struct ata_registers *reg)
{
    bool cd = drive->config.kind == ATA_CD, packet = reg->command == ATA_COMMAND_PACKET;

    switch (reg->phase) {
    case ATA_IN:
        return reg->at < reg->block_end && reg->transfer == ATA_BY_PIO && !reg->to_disk;
    case ATA_OUT:
        if (reg->at >= reg->block_end || (cd && reg->filled != ATA_PACKET))
            return false;
        return cd ? packet
                  : reg->to_disk && reg->transfer == ATA_BY_PIO && reg->chunk <= reg->left &&
                        reg->chunk <= ATA_BUFFER_SECTORS && reg->filled == reg->chunk * DISK_SECTOR;
    case ATA_DMA:
        if (reg->transfer != ATA_BY_DMA || (cd && (!packet || reg->to_disk)))
            return false;
        if (reg->filled == 0)
            return reg->left > 0;
        return cd || (reg->command == ATA_COMMAND_TRIM && reg->filled == DISK_SECTOR &&
                      drive->config.disk->discards);
    default:
        return true;
    }
}

/* No command that the drive does not have, and none of a disk that is not there. */
static bool command_is_valid(const struct ata_drive *drive, const struct ata_registers *reg)
{
    const struct disk *disk = drive->config.disk;

    if (reg->phase >= ATA_PHASES || reg->transfer >= ATA_TRANSFERS || reg->action >= DISK_ACTIONS)
        return false;
    if (reg->filled > sizeof(reg->buffer) || reg->block_end > reg->filled || reg->at > reg->filled)
        return false;
    if (!disk)
        return reg->left == 0 && !reg->to_disk && reg->phase != ATA_WORKS && buffer_is_valid(drive, reg);
    if (reg->sector > disk->sectors || reg->left > disk->sectors - reg->sector)
        return false;
    if (drive->config.kind == ATA_CD && reg->phase == ATA_WORKS &&
        (reg->action != DISK_READ || reg->command != ATA_COMMAND_PACKET))
        return false;
    if (reg->to_disk && (drive->config.kind == ATA_CD || disk->read_only))
        return false;
    return (reg->phase != ATA_WORKS || request_is_valid(drive, reg)) && buffer_is_valid(drive, reg);
}

bool ata_is_valid(const struct ata_drive *drive, const struct ata_registers *reg)
{
    bool known = reg->phase == ATA_IDLE || ata_command_find(drive, reg->command);

    if (drive->config.kind == ATA_NONE)
        return reg->phase == ATA_IDLE && reg->filled == 0;
    if (reg->status & ~(ATA_STATUS_OK | ATA_STATUS_ERR) || !known)
        return false;
    if (reg->heads == 0 || reg->heads > ATA_HEADS || reg->track == 0 || reg->track > ATA_TRACK)
        return false;
    if (reg->multiple > ATA_MULTIPLE || (reg->multiple & (reg->multiple - 1)) || !ata_is_mode(reg->mode))
        return false;
    if (reg->phase != ATA_IDLE && reg->transfer == ATA_BY_PIO && reg->block == 0)
        return false;
    return command_is_valid(drive, reg);
}
