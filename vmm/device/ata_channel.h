/* SPDX-License-Identifier: ISC */
/*
 * A parallel ATA cable: two drives that share their ports. Both take what is written to the command block, and the
 * one that the device register selects executes commands and answers. Device 0 answers for a device 1 that is not
 * there; a cable without drives reads as ones.
 */
#pragma once

#include "vmm/bus/bus.h"
#include "vmm/device/ata.h"

#define ATA_DRIVES 2u

struct ata_channel_registers {
    uint8_t control; /* of the last write: nIEN, SRST, HOB */
    uint8_t selected;
    bool irq; /* the line */
};

struct ata_channel {
    struct ata_channel_registers reg;
    struct irq_line irq;
    struct ata_drive drive[ATA_DRIVES];
};

/* `wiring.changed` is the channel's own. */
void ata_channel_init(struct ata_channel *channel, const struct ata_config config[ATA_DRIVES],
                      const struct ata_wiring *wiring, const struct irq_line *irq);
void ata_channel_reset(struct ata_channel *channel);

/* Handlers of the eight ports of the command block, and of the one of control and alternate status. The data port
 * takes 16 and 32 bits, the others a byte. */
void ata_channel_access(void *channel, struct bus_access *access);
void ata_channel_control(void *channel, struct bus_access *access);

/* The data port, for many words. */
size_t ata_channel_block(void *channel, const struct bus_access *access, uint8_t *bytes, size_t count);

static inline struct ata_drive *ata_channel_drive(struct ata_channel *channel)
{
    return &channel->drive[channel->reg.selected];
}

bool ata_channel_is_empty(const struct ata_channel *channel);

/* Saved state, as pci_device.h has it, of the channel and its drives. ata_channel_load() sets what is valid. */
void ata_channel_fields(struct state *state, struct ata_channel *channel);
MUST_CHECK bool ata_channel_is_valid(const struct ata_channel *channel);
void ata_channel_load(struct ata_channel *channel, const struct ata_channel *loaded);
