/* SPDX-License-Identifier: ISC */
/*
 * 82441FX: the two configuration ports and the bridge's own configuration space.
 */
#include "vmm/device/i440fx.h"

#include "vmm/bus/bytes.h"

#include <string.h>

#define CONFIG_ADDRESS_BITS 0x80fffffcu

/* Bits of the configuration space that software can change (chapter 3.2, in the order of the registers). */
static const struct pci_masks masks = {
    .write =
        {
            [PCI_COMMAND] = 0x40,     /* parity error response; memory and bus master are hardwired */
            [PCI_COMMAND + 1] = 0x01, /* SERR# enable */
            [PCI_LATENCY] = 0xf8,
            [0x50] = 0x7f,
            [0x51] = 0xe7, /* PMCCFG */
            [0x52] = 0xff, /* DETURBO */
            [0x53] = 0xff, /* DBC */
            [0x54] = 0x82, /* AXC */
            [0x55] = 0xff,
            [0x56] = 0x0f, /* DRT */
            [0x57] = 0x7f,
            [0x58] = 0x7f, /* DRAMC, DRAMT */
            [0x59] = 0x30,
            [0x5a] = 0x33,
            [0x5b] = 0x33,
            [0x5c] = 0x33,
            [0x5d] = 0x33,
            [0x5e] = 0x33,
            [0x5f] = 0x33, /* PAM: read and write enables; no cache bits */
            [0x60] = 0xff,
            [0x61] = 0xff,
            [0x62] = 0xff,
            [0x63] = 0xff, /* DRB */
            [0x64] = 0xff,
            [0x65] = 0xff,
            [0x66] = 0xff,
            [0x67] = 0xff,
            [0x68] = 0xc0, /* FDHC */
            [0x70] = 0xf8,
            [0x71] = 0x1f,         /* MTT, CLT */
            [I440FX_SMRAM] = 0x68, /* DOPEN, DCLS, GSMRAME; DLCK is set once, see below */
            [0x90] = 0x9b,         /* ERRCMD */
            [0x93] = 0x0e,         /* TRC: kept; reset is asked for at the PIIX3 */
        },
    .clear = {[PCI_STATUS + 1] = 0xf9, [0x91] = 0x11},
};

static const struct {
    uint8_t at, value;
} defaults[] = {
    {PCI_VENDOR, 0x86},
    {PCI_VENDOR + 1, 0x80},
    {PCI_DEVICE, 0x37},
    {PCI_DEVICE + 1, 0x12},
    {PCI_COMMAND, 0x06},
    {PCI_STATUS, 0x80},
    {PCI_STATUS + 1, 0x02},
    {PCI_REVISION, 0x02},
    {PCI_CLASS + 2, 0x06},
    {0x53, 0x80},
    {0x57, 0x01},
    {0x58, 0x10},
    {0x60, 0x01},
    {0x61, 0x01},
    {0x62, 0x01},
    {0x63, 0x01},
    {0x64, 0x01},
    {0x65, 0x01},
    {0x66, 0x01},
    {0x67, 0x01},
    {0x71, 0x10},
    {I440FX_SMRAM, 0x02},
    /* 1af4:1100: by it SeaBIOS knows that there is fw_cfg. */
    {PCI_SUBSYSTEM_VENDOR, 0xf4},
    {PCI_SUBSYSTEM_VENDOR + 1, 0x1a},
    {PCI_SUBSYSTEM + 1, 0x11},
};

#define SMRAM_DOPEN 0x40
#define SMRAM_DLCK  0x10

static void write_smram(struct i440fx *bridge, uint8_t old, uint8_t value)
{
    uint8_t *smram = &bridge->reg.space[I440FX_SMRAM];

    if (old & SMRAM_DLCK) { /* locked until reset */
        *smram = old;
        return;
    }
    if (value & SMRAM_DLCK)
        *smram = (uint8_t)((*smram | SMRAM_DLCK) & ~SMRAM_DOPEN);
}

static void config_byte(void *device, struct bus_access *access)
{
    struct i440fx *bridge = device;
    size_t at = (size_t)access->offset % PCI_SPACE_SIZE;
    uint8_t old = bridge->reg.space[at];

    pci_space_access(bridge->reg.space, &masks, access);
    if (!access->write)
        return;
    if (at == I440FX_SMRAM)
        write_smram(bridge, old, (uint8_t)access->value);
    if (at == I440FX_SMRAM || (at >= I440FX_PAM0 && at < I440FX_PAM0 + I440FX_PAM_COUNT))
        if (bridge->reg.space[at] != old && bridge->wiring.memory_changed)
            bridge->wiring.memory_changed(bridge->wiring.context);
}

static void config_access(void *device, struct bus_access *access)
{
    bus_split_bytes(device, access, config_byte);
}

static void port_access(void *device, struct bus_access *access)
{
    struct i440fx *bridge = device;

    if ((access->offset & 3) + access->size > 4) { /* across the two registers */
        bus_split_bytes(device, access, port_access);
    } else if (access->offset >= 4) {
        pci_bus_config(&bridge->pci, bridge->reg.config_address, access);
    } else if (access->size != 4) {
        if (bridge->forward)
            bridge->forward(bridge->forward_device, access);
    } else if (access->write) {
        bridge->reg.config_address = (uint32_t)access->value & CONFIG_ADDRESS_BITS;
    } else {
        access->value = bridge->reg.config_address;
    }
}

void i440fx_init(struct i440fx *bridge, const struct i440fx_wiring *wiring)
{
    memset(bridge, 0, sizeof *bridge);
    bridge->wiring = *wiring;
    pci_bus_init(&bridge->pci);
    bridge->pci.function[0][0] = (struct pci_function){.config = config_access, .device = bridge};
    i440fx_reset(bridge);
}

static void reset_space(uint8_t space[PCI_SPACE_SIZE])
{
    memset(space, 0, PCI_SPACE_SIZE);
    for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++)
        space[defaults[i].at] = defaults[i].value;
}

void i440fx_reset(struct i440fx *bridge)
{
    bridge->reg.config_address = 0;
    reset_space(bridge->reg.space);
    if (bridge->wiring.memory_changed)
        bridge->wiring.memory_changed(bridge->wiring.context);
}

enum bus_status i440fx_attach(struct i440fx *bridge, struct bus *bus)
{
    const struct bus_region region = {
        .name = "pci config", .base = 0xcf8, .length = 8, .handler = port_access, .device = bridge};

    return bus_attach(bus, BUS_PORT, &region);
}

void i440fx_forward(struct i440fx *bridge, bus_handler *handler, void *device)
{
    bridge->forward = handler;
    bridge->forward_device = device;
}

/* PAM0 has the BIOS area 0xf0000 in its high half; then two segments of 16 KiB a register from 0xc0000 on. */
unsigned i440fx_pam(const struct i440fx *bridge, uint32_t address)
{
    const uint8_t *pam = &bridge->reg.space[I440FX_PAM0];
    uint32_t segment;

    if (address < 0xc0000 || address > 0xfffff)
        return 0;
    if (address >= 0xf0000)
        return pam[0] >> 4 & 3;
    segment = (address - 0xc0000) >> 14;
    return pam[1 + segment / 2] >> (segment & 1 ? 4 : 0) & 3;
}

static void reset_device(void *device, uint64_t now)
{
    (void)now;
    i440fx_reset(device);
}

static enum bus_status attach_device(void *device, struct bus *bus)
{
    return i440fx_attach(device, bus);
}

static void fields(struct state *state, struct i440fx_registers *reg)
{
    state_u32(state, &reg->config_address);
    state_bytes(state, reg->space, sizeof(reg->space));
}

/* The lock of SMRAM is set, and closes it, beside the masks. */
static bool is_valid(const struct i440fx_registers *reg)
{
    uint8_t reset[PCI_SPACE_SIZE], smram = reg->space[I440FX_SMRAM];

    reset_space(reset);
    reset[I440FX_SMRAM] |= smram & SMRAM_DLCK;
    return !(reg->config_address & ~CONFIG_ADDRESS_BITS) && !(smram & SMRAM_DLCK && smram & SMRAM_DOPEN) &&
           pci_space_is_valid(reg->space, reset, &masks);
}

static void save_device(const void *device, struct state *state)
{
    struct i440fx_registers reg = ((const struct i440fx *)device)->reg;

    fields(state, &reg);
}

static bool load_device(void *device, struct state *state)
{
    struct i440fx *bridge = device;
    struct i440fx_registers reg = bridge->reg;

    fields(state, &reg);
    if (!state_is_whole(state) || !is_valid(&reg))
        return false;
    bridge->reg = reg;
    if (bridge->wiring.memory_changed)
        bridge->wiring.memory_changed(bridge->wiring.context);
    return true;
}

const struct device_class i440fx_class = {.name = "i440fx",
                                          .version = 1,
                                          .save = save_device,
                                          .load = load_device,
                                          .reset = reset_device,
                                          .attach = attach_device};
