/* SPDX-License-Identifier: ISC */
/*
 * The ports of a cable; see ata_channel.h.
 */
#include "vmm/device/ata_channel.h"

#include <string.h>

#include "vmm/bus/bytes.h"

#define CONTROL_NIEN 0x02u
#define CONTROL_SRST 0x04u
#define CONTROL_HOB  0x80u
#define FLOATING     0xffu

static bool is_there(const struct ata_drive *drive)
{
    return drive->config.kind != ATA_NONE;
}

bool ata_channel_is_empty(const struct ata_channel *channel)
{
    return !is_there(&channel->drive[0]) && !is_there(&channel->drive[1]);
}

/* INTRQ of a drive that is not selected, or with nIEN set, does not reach the host. */
static bool line(const struct ata_channel *channel)
{
    return channel->drive[channel->reg.selected].reg.intrq && !(channel->reg.control & CONTROL_NIEN);
}

static void update(void *context)
{
    struct ata_channel *channel = context;
    bool level = line(channel);

    if (channel->reg.irq == level)
        return;
    channel->reg.irq = level;
    irq_line_set(&channel->irq, level);
}

void ata_channel_init(struct ata_channel *channel, const struct ata_config config[ATA_DRIVES],
                      const struct ata_wiring *wiring, const struct irq_line *irq)
{
    struct ata_wiring own = *wiring;

    memset(channel, 0, sizeof(*channel));
    channel->irq = *irq;
    own.changed = update;
    own.context = channel;
    for (unsigned i = 0; i < ATA_DRIVES; i++)
        ata_init(&channel->drive[i], &config[i], &own);
}

static void reset_drives(struct ata_channel *channel, bool hard)
{
    channel->reg.selected = 0;
    for (unsigned i = 0; i < ATA_DRIVES; i++)
        ata_reset(&channel->drive[i], hard);
    update(channel);
}

void ata_channel_reset(struct ata_channel *channel)
{
    channel->reg.control = 0;
    reset_drives(channel, true);
}

/* The drive that answers; NULL: the bus floats. */
static struct ata_drive *answering(struct ata_channel *channel)
{
    struct ata_drive *drive = ata_channel_drive(channel);

    if (!is_there(drive) && channel->reg.selected == 1)
        drive = &channel->drive[0];
    return is_there(drive) ? drive : NULL;
}

/* In reset, a drive is busy. */
static uint8_t status(struct ata_channel *channel, bool alternate)
{
    struct ata_drive *drive = answering(channel);

    if (!drive)
        return FLOATING;
    if (channel->reg.control & CONTROL_SRST)
        return ATA_STATUS_BSY;
    if (drive != ata_channel_drive(channel))
        return 0;
    return alternate ? ata_status(drive) : ata_read(drive, ATA_STATUS, false);
}

static uint8_t read_byte(struct ata_channel *channel, enum ata_register number)
{
    struct ata_drive *drive = answering(channel);

    if (number == ATA_STATUS)
        return status(channel, false);
    if (!drive)
        return FLOATING;
    if (number == ATA_DEVICE && drive != ata_channel_drive(channel))
        return ata_read(drive, number, false) | ATA_DEVICE_SELECT;
    return ata_read(drive, number, channel->reg.control & CONTROL_HOB);
}

static void command(struct ata_channel *channel, uint8_t code)
{
    struct ata_drive *drive = ata_channel_drive(channel);

    if (code != ATA_COMMAND_DIAGNOSTIC) {
        if (is_there(drive))
            ata_write(drive, ATA_STATUS, code);
        return;
    }
    /* Both make it, and device 0 reports. */
    for (unsigned i = 0; i < ATA_DRIVES; i++)
        if (ata_status(&channel->drive[i]) & (ATA_STATUS_BSY | ATA_STATUS_DRQ))
            return;
    channel->reg.selected = 0;
    ata_reset(&channel->drive[1], false);
    if (is_there(&channel->drive[0]))
        ata_write(&channel->drive[0], ATA_STATUS, code);
}

static void write_byte(struct ata_channel *channel, enum ata_register number, uint8_t value)
{
    channel->reg.control &= (uint8_t)~CONTROL_HOB;
    if (channel->reg.control & CONTROL_SRST)
        return;
    if (number == ATA_STATUS) {
        command(channel, value);
        return;
    }
    for (unsigned i = 0; i < ATA_DRIVES; i++)
        if (is_there(&channel->drive[i]))
            ata_write(&channel->drive[i], number, value);
    if (number == ATA_DEVICE && !(ata_status(ata_channel_drive(channel)) & ATA_STATUS_BSY))
        channel->reg.selected = value & ATA_DEVICE_SELECT ? 1 : 0;
    update(channel);
}

static void access_data(struct ata_channel *channel, struct bus_access *access)
{
    uint8_t bytes[4] = {0};
    size_t done;

    if (access->write)
        memcpy(bytes, &access->value, access->size);
    done = ata_data(ata_channel_drive(channel), bytes, access->size, access->write);
    if (access->write || ata_channel_is_empty(channel))
        return;
    access->value = 0;
    memcpy(&access->value, bytes, done);
}

/* A word that the drive has in part only is its last. */
size_t ata_channel_block(void *context, const struct bus_access *access, uint8_t *bytes, size_t count)
{
    size_t done, rest;

    if (access->offset != ATA_DATA || access->size == 1)
        return 0;
    done = ata_data(ata_channel_drive(context), bytes, count * access->size, access->write);
    rest = done % access->size ? access->size - done % access->size : 0;
    if (!access->write)
        memset(bytes + done, 0, rest);
    return (done + rest) / access->size;
}

static void access_byte(void *context, struct bus_access *access)
{
    enum ata_register number = (enum ata_register)(access->offset & 7);

    if (number == ATA_DATA)
        return;
    if (access->write)
        write_byte(context, number, (uint8_t)access->value);
    else
        access->value = read_byte(context, number);
}

void ata_channel_access(void *context, struct bus_access *access)
{
    if (access->offset == ATA_DATA && (access->size == 2 || access->size == 4))
        access_data(context, access);
    else
        bus_split_bytes(context, access, access_byte);
}

void ata_channel_control(void *context, struct bus_access *access)
{
    struct ata_channel *channel = context;
    uint8_t value = (uint8_t)access->value, old = channel->reg.control;

    if (!access->write) {
        access->value = status(channel, true);
        return;
    }
    channel->reg.control = value & (CONTROL_NIEN | CONTROL_SRST | CONTROL_HOB);
    if (value & ~old & CONTROL_SRST)
        reset_drives(channel, false);
    update(channel);
}

void ata_channel_fields(struct state *state, struct ata_channel *channel)
{
    state_u8(state, &channel->reg.control);
    state_u8(state, &channel->reg.selected);
    state_bool(state, &channel->reg.irq);
    for (unsigned i = 0; i < ATA_DRIVES; i++)
        ata_fields(state, &channel->drive[i].reg);
}

bool ata_channel_is_valid(const struct ata_channel *channel)
{
    if (channel->reg.selected >= ATA_DRIVES ||
        channel->reg.control & ~(CONTROL_NIEN | CONTROL_SRST | CONTROL_HOB))
        return false;
    for (unsigned i = 0; i < ATA_DRIVES; i++)
        if (!ata_is_valid(&channel->drive[i], &channel->drive[i].reg))
            return false;
    return channel->reg.irq == line(channel);
}

void ata_channel_load(struct ata_channel *channel, const struct ata_channel *loaded)
{
    channel->reg = loaded->reg;
    for (unsigned i = 0; i < ATA_DRIVES; i++)
        ata_load(&channel->drive[i], &loaded->drive[i].reg);
}
