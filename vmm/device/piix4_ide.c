/* SPDX-License-Identifier: ISC */
/*
 * PIIX4 IDE: configuration space, the bus masters, and which ports decode.
 *
 * A bus master walks its table as the drive's bytes come, and copies each entry before it looks at it. What the
 * table can cost is bounded: an entry is at least two bytes long, a table holds PRD_MOST of them, and a drive
 * moves no more than its command names.
 */
#include "vmm/device/piix4_ide.h"

#include <string.h>

#include "vmm/bus/bytes.h"

#define IDETIM  0x40u /* two of 16 bits */
#define SIDETIM 0x44u
#define UDMACTL 0x48u
#define UDMATIM 0x4au
#define DECODE  0x80u /* of IDETIM's high byte */
#define PORTS   16u
#define BAR     4u

#define COMMAND_START 0x01u
#define COMMAND_READS 0x08u /* from the drive; the drive's command decides */

#define STATUS_ACTIVE    0x01u
#define STATUS_ERROR     0x02u
#define STATUS_INTERRUPT 0x04u
#define STATUS_DRIVES    0x60u /* for software to remember that a drive can */

#define PRD_BYTES 8u
#define PRD_MOST  8192u /* what 64 KiB hold, which a table must not leave */
#define PRD_LAST  0x80000000u
#define PRD_COUNT 0xfffeu

enum { MASTER_COMMAND = 0, MASTER_STATUS = 2, MASTER_TABLE = 4, MASTER_BYTES = 8 };

static void stop(struct piix4_ide_master *master, uint8_t status)
{
    master->status = (uint8_t)((master->status & ~STATUS_ACTIVE) | status);
}

static bool next_entry(struct piix4_ide_channel *channel)
{
    struct piix4_ide_master *master = &channel->reg;
    uint32_t entry[2];

    if (master->last)
        return false;
    if (master->entries == PRD_MOST ||
        !guest_ram_read(channel->ide->wiring.ram, master->next, entry, sizeof(entry))) {
        stop(master, STATUS_ERROR);
        return false;
    }
    master->entries++;
    master->next += PRD_BYTES;
    master->address = entry[0] & ~1u;
    master->left = entry[1] & PRD_COUNT ? entry[1] & PRD_COUNT : PRD_COUNT + 2;
    master->last = entry[1] & PRD_LAST;
    return true;
}

static bool is_master(const struct piix4_ide *ide)
{
    return ide->pci.reg.space[PCI_COMMAND] & PCI_COMMAND_MASTER;
}

static size_t dma(void *context, uint8_t *bytes, size_t length, bool to_guest)
{
    struct piix4_ide_channel *channel = context;
    struct piix4_ide_master *master = &channel->reg;
    size_t done = 0;

    if (!is_master(channel->ide))
        return 0;
    while (done < length && master->status & STATUS_ACTIVE) {
        size_t size = length - done < master->left ? length - done : master->left;
        uint8_t *ram = guest_ram_at(channel->ide->wiring.ram, master->address, size);

        if (size > 0 && !ram) {
            stop(master, STATUS_ERROR);
            break;
        }
        if (size > 0 && to_guest)
            memcpy(ram, bytes + done, size);
        else if (size > 0)
            memcpy(bytes + done, ram, size);
        done += size;
        master->address += (uint32_t)size;
        master->left -= (uint32_t)size;
        if (master->left == 0 && master->last)
            stop(master, 0);
        else if (master->left == 0 && done < length && !next_entry(channel))
            break;
    }
    return done;
}

static bool dma_runs(void *context)
{
    return ((const struct piix4_ide_channel *)context)->reg.status & STATUS_ACTIVE;
}

static void set_irq(void *context, unsigned pin, bool level)
{
    struct piix4_ide_channel *channel = context;

    if (level)
        channel->reg.status |= STATUS_INTERRUPT;
    irq_line_set(&channel->ide->wiring.irq[pin], level);
}

static void write_command(struct piix4_ide_channel *channel, uint8_t value)
{
    struct piix4_ide_master *master = &channel->reg;
    bool started = value & ~master->command & COMMAND_START;

    master->command = value & (COMMAND_START | COMMAND_READS);
    if (!(value & COMMAND_START))
        stop(master, 0);
    if (!started)
        return;
    master->status |= STATUS_ACTIVE;
    master->next = master->table;
    master->entries = 0;
    master->left = 0;
    master->last = false;
    ata_start_dma(ata_channel_drive(&channel->ata));
}

static void write_status(struct piix4_ide_master *master, uint8_t value)
{
    unsigned cleared = value & (STATUS_ERROR | STATUS_INTERRUPT), kept = STATUS_DRIVES | cleared;

    master->status = (uint8_t)((master->status & ~kept) | (value & STATUS_DRIVES));
}

static void master_byte(void *context, struct bus_access *access)
{
    struct piix4_ide *ide = context;
    struct piix4_ide_channel *channel = &ide->channel[access->offset / MASTER_BYTES % PIIX4_IDE_CHANNELS];
    struct piix4_ide_master *master = &channel->reg;
    unsigned at = access->offset % MASTER_BYTES, shift = at % 4 * 8;

    if (at >= MASTER_TABLE && access->write)
        master->table =
            ((master->table & ~(0xffu << shift)) | (uint32_t)(access->value & 0xff) << shift) & ~3u;
    else if (at >= MASTER_TABLE)
        access->value = master->table >> shift & 0xff;
    else if (at == MASTER_COMMAND && access->write)
        write_command(channel, (uint8_t)access->value);
    else if (at == MASTER_STATUS && access->write)
        write_status(master, (uint8_t)access->value);
    else if (!access->write)
        access->value = at == MASTER_COMMAND ? master->command : at == MASTER_STATUS ? master->status : 0;
}

static void master_access(void *context, struct bus_access *access)
{
    bus_split_bytes(context, access, master_byte);
}

/* A cable without drives has no ports. */
static void move_ports(void *device)
{
    static const uint16_t block[] = {0x1f0, 0x170}, control[] = {0x3f6, 0x376};
    struct piix4_ide *ide = device;
    const uint8_t *space = ide->pci.reg.space;

    for (unsigned i = 0; i < PIIX4_IDE_CHANNELS; i++) {
        struct piix4_ide_channel *channel = &ide->channel[i];
        bool on = space[PCI_COMMAND] & PCI_COMMAND_IO && space[IDETIM + 2 * i + 1] & DECODE &&
                  !ata_channel_is_empty(&channel->ata);

        (void)bus_move(ide->wiring.bus, BUS_PORT, &channel->block, block[i], on); /* ports have no RAM */
        (void)bus_move(ide->wiring.bus, BUS_PORT, &channel->control, control[i], on);
    }
}

static bool is_there(const struct piix4_ide *ide)
{
    return !ata_channel_is_empty(&ide->channel[0].ata) || !ata_channel_is_empty(&ide->channel[1].ata);
}

void piix4_ide_init(struct piix4_ide *ide, const struct piix4_ide_config *config,
                    const struct piix4_ide_wiring *wiring)
{
    const struct ata_wiring drives = {.dma_runs = dma_runs, .dma = dma};

    memset(ide, 0, sizeof(*ide));
    ide->config = *config;
    ide->wiring = *wiring;
    for (unsigned i = 0; i < PIIX4_IDE_CHANNELS; i++) {
        struct piix4_ide_channel *channel = &ide->channel[i];
        const struct irq_line irq = {.set = set_irq, .sink = channel, .pin = i};

        channel->ide = ide;
        ata_channel_init(&channel->ata, config->drive[i], &drives, &irq);
        channel->block = (struct bus_region){.name = "ide",
                                             .length = ATA_REGISTERS,
                                             .handler = ata_channel_access,
                                             .block = ata_channel_block,
                                             .device = &channel->ata};
        channel->control = (struct bus_region){
            .name = "ide control", .length = 1, .handler = ata_channel_control, .device = &channel->ata};
    }
}

static void add_registers(struct pci_device *pci)
{
    memset(&pci->masks.write[IDETIM], 0xff, 4);
    pci->masks.write[SIDETIM] = 0xff;
    pci->masks.write[UDMACTL] = 0x0f;
    pci->masks.write[UDMATIM] = 0x33;
    pci->masks.write[UDMATIM + 1] = 0x33;
    pci->initial[IDETIM + 1] = DECODE;
    pci->initial[IDETIM + 3] = DECODE;
    pci_device_reset(pci);
}

static enum bus_status attach_device(void *device, struct bus *bus)
{
    static const struct pci_device_config config = {.name = "ide",
                                                    .vendor = 0x8086,
                                                    .device = 0x7111,
                                                    .revision = 1,
                                                    .class = {0x80, 0x01, 0x01}, /* ISA ports; bus master */
                                                    .bar[BAR] = {PCI_BAR_PORTS, PORTS, false, master_access}};
    struct piix4_ide *ide = device;
    const struct pci_device_wiring wiring = {.bus = bus, .device = ide, .configured = move_ports};
    enum bus_status status;

    if (!is_there(ide))
        return BUS_OK;
    status =
        pci_device_init(&ide->pci, &config, &wiring, ide->wiring.pci, ide->config.slot, ide->config.function);
    if (status != BUS_OK)
        return status;
    add_registers(&ide->pci);
    for (unsigned i = 0; i < PIIX4_IDE_CHANNELS && status == BUS_OK; i++) {
        status = bus_attach_movable(bus, BUS_PORT, &ide->channel[i].block);
        if (status == BUS_OK)
            status = bus_attach_movable(bus, BUS_PORT, &ide->channel[i].control);
    }
    return status;
}

static void reset_device(void *device, uint64_t now)
{
    struct piix4_ide *ide = device;

    (void)now;
    if (!is_there(ide))
        return;
    for (unsigned i = 0; i < PIIX4_IDE_CHANNELS; i++) {
        ata_channel_reset(&ide->channel[i].ata);
        ide->channel[i].reg = (struct piix4_ide_master){0};
    }
    pci_device_reset(&ide->pci);
    move_ports(ide);
}

/* ---- saved state */

static void master_fields(struct state *state, struct piix4_ide_master *master)
{
    state_u8(state, &master->command);
    state_u8(state, &master->status);
    state_u32(state, &master->table);
    state_u32(state, &master->next);
    state_u32(state, &master->entries);
    state_u32(state, &master->address);
    state_u32(state, &master->left);
    state_bool(state, &master->last);
}

static void fields(struct state *state, struct pci_device_registers *pci,
                   struct piix4_ide_channel channel[PIIX4_IDE_CHANNELS])
{
    pci_device_fields(state, pci);
    for (unsigned i = 0; i < PIIX4_IDE_CHANNELS; i++) {
        master_fields(state, &channel[i].reg);
        ata_channel_fields(state, &channel[i].ata);
    }
}

static bool master_is_valid(const struct piix4_ide_master *master)
{
    return !(master->command & ~(COMMAND_START | COMMAND_READS)) &&
           !(master->status & ~(STATUS_ACTIVE | STATUS_ERROR | STATUS_INTERRUPT | STATUS_DRIVES)) &&
           (!(master->status & STATUS_ACTIVE) || master->command & COMMAND_START) && !(master->table & 3) &&
           master->left <= PRD_COUNT + 2 && master->entries <= PRD_MOST;
}

static void save_device(const void *device, struct state *state)
{
    struct piix4_ide *ide = (struct piix4_ide *)(uintptr_t)device; /* only read when saved */

    fields(state, &ide->pci.reg, ide->channel);
}

static bool load_device(void *device, struct state *state)
{
    struct piix4_ide *ide = device;
    struct pci_device_registers pci = ide->pci.reg;
    bool valid = true;

    memcpy(ide->loaded, ide->channel, sizeof(ide->loaded));
    fields(state, &pci, ide->loaded);
    if (!state_is_whole(state) || !pci_device_is_valid(&ide->pci, &pci))
        return false;
    for (unsigned i = 0; i < PIIX4_IDE_CHANNELS; i++)
        valid &= master_is_valid(&ide->loaded[i].reg) && ata_channel_is_valid(&ide->loaded[i].ata);
    if (!valid || !is_there(ide))
        return valid;
    pci_device_load(&ide->pci, &pci);
    for (unsigned i = 0; i < PIIX4_IDE_CHANNELS; i++) {
        ide->channel[i].reg = ide->loaded[i].reg;
        ata_channel_load(&ide->channel[i].ata, &ide->loaded[i].ata);
    }
    move_ports(ide);
    return true;
}

const struct device_class piix4_ide_class = {.name = "piix4-ide",
                                             .version = 1,
                                             .reset = reset_device,
                                             .attach = attach_device,
                                             .save = save_device,
                                             .load = load_device};
