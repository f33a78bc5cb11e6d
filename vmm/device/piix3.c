/* SPDX-License-Identifier: ISC */
/*
 * PIIX3 function 0. The ISA inputs are recomputed from pins and routing whenever either changes, and only
 * those that this bridge drove or drives are touched: the others belong to ISA devices.
 */
#include "vmm/device/piix3.h"

#include "vmm/bus/bytes.h"

#include <string.h>

#define PIRQ_OFF     0x80
#define PIRQ_INPUTS  0xdef8u /* 3 to 7, 9 to 12, 14, 15; the rest is reserved */
#define RESET_HARD   0x02
#define RESET_CPU    0x04
#define RESET_OFFSET 1 /* of port 0xcf9 from 0xcf8 */

static const struct pci_masks masks = {
    .write =
        {
            [PCI_COMMAND] = 0x08,     /* special cycles; I/O, memory and master are hardwired */
            [PCI_COMMAND + 1] = 0x01, /* SERR# enable */
            [0x4c] = 0xff,            /* IORT */
            [0x4e] = 0xff,
            [0x4f] = 0x07, /* XBCS */
            [0x60] = 0x8f,
            [0x61] = 0x8f,
            [0x62] = 0x8f,
            [0x63] = 0x8f,
            [0x69] = 0xfe, /* TOM */
            [0x6a] = 0x9d, /* MSTAT */
            [0x70] = 0xef,
            [0x71] = 0xef, /* MBIRQ */
            [0x76] = 0x8f,
            [0x77] = 0x8f, /* MBDMA */
            [0x78] = 0xfd,
            [0x79] = 0xff, /* PCSC */
            [0x80] = 0x7f, /* APICBASE */
            [0x82] = 0x0f, /* DLC */
            [0xa0] = 0x1f, /* SMICNTL */
            [0xa2] = 0xff,
            [0xa3] = 0x01, /* SMIEN */
            [0xa4] = 0xff,
            [0xa5] = 0xff,
            [0xa6] = 0xff,
            [0xa7] = 0xff, /* SEE */
            [0xa8] = 0xff, /* FTMR */
            [0xac] = 0xff,
            [0xae] = 0xff, /* CTLTMR, CTHTMR */
        },
    .clear = {[PCI_STATUS + 1] = 0x78, [0x6b] = 0x80, [0xaa] = 0xff, [0xab] = 0x01},
};

static const struct {
    uint8_t at, value;
} defaults[] = {
    {PCI_VENDOR, 0x86},     {PCI_VENDOR + 1, 0x80}, {PCI_DEVICE + 1, 0x70}, {PCI_COMMAND, 0x07},
    {PCI_STATUS + 1, 0x02}, {PCI_CLASS + 1, 0x01},  {PCI_CLASS + 2, 0x06},  {PCI_HEADER, 0x80},
    {0x4c, 0x4d},           {0x4e, 0x03},           {0x60, 0x80},           {0x61, 0x80},
    {0x62, 0x80},           {0x63, 0x80},           {0x69, 0x02},           {0x70, 0x80},
    {0x71, 0x80},           {0x76, 0x0c},           {0x77, 0x0c},           {0x78, 0x02},
    {0xa0, 0x08},           {0xa8, 0x0f},
};

static uint16_t routed(const struct piix3_registers *reg)
{
    unsigned inputs = reg->pin[PIIX3_SCI] ? 1u << PIIX3_SCI_IRQ : 0;

    for (unsigned pirq = 0; pirq < 4; pirq++) {
        uint8_t route = reg->space[PIIX3_PIRQRC + pirq];

        if (reg->pin[pirq] && !(route & PIRQ_OFF))
            inputs |= 1u << (route & 15) & PIRQ_INPUTS;
    }
    return (uint16_t)inputs;
}

static void update(struct piix3 *bridge)
{
    unsigned inputs = routed(&bridge->reg), changed = inputs ^ bridge->reg.driven;

    bridge->reg.driven = (uint16_t)inputs;
    if (!bridge->wiring.isa.set)
        return;
    for (unsigned irq = 0; changed; irq++, changed >>= 1)
        if (changed & 1)
            bridge->wiring.isa.set(bridge->wiring.isa.sink, irq, inputs >> irq & 1);
}

void piix3_set_irq(void *device, unsigned pin, bool level)
{
    struct piix3 *bridge = device;

    if (pin >= PIIX3_PINS || bridge->reg.pin[pin] == level)
        return;
    bridge->reg.pin[pin] = level;
    update(bridge);
}

/* A slot has one pin at each PIRQ. */
void piix3_set_intx(void *device, unsigned pin, bool level)
{
    struct piix3 *bridge = device;
    unsigned slot = pin / 4, pirq = piix3_pirq(slot, pin % 4);
    uint32_t *slots = &bridge->reg.slots[pirq];

    if (slot >= PCI_SLOTS)
        return;
    *slots = level ? *slots | 1u << slot : *slots & ~(1u << slot);
    piix3_set_irq(bridge, pirq, *slots != 0);
}

static void config_access(void *device, struct bus_access *access)
{
    struct piix3 *bridge = device;

    pci_space_access(bridge->reg.space, &masks, access);
    if (access->write)
        update(bridge);
}

/* Reset control: bit 1 says which reset, and bit 2 going from 0 to 1 makes it. */
static void reset_byte(void *device, struct bus_access *access)
{
    struct piix3 *bridge = device;
    uint8_t old = bridge->reg.reset_control;

    if ((access->offset & 3) != RESET_OFFSET)
        return;
    if (!access->write) {
        access->value = old;
        return;
    }
    bridge->reg.reset_control = (uint8_t)access->value & (RESET_HARD | RESET_CPU);
    if (access->value & ~(uint64_t)old & RESET_CPU && bridge->wiring.reset)
        bridge->wiring.reset(bridge->wiring.context, access->value & RESET_HARD);
}

static void reset_access(void *device, struct bus_access *access)
{
    bus_split_bytes(device, access, reset_byte);
}

void piix3_init(struct piix3 *bridge, const struct piix3_wiring *wiring)
{
    memset(bridge, 0, sizeof *bridge);
    bridge->wiring = *wiring;
    piix3_reset(bridge);
}

static void reset_space(uint8_t space[PCI_SPACE_SIZE])
{
    memset(space, 0, PCI_SPACE_SIZE);
    for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++)
        space[defaults[i].at] = defaults[i].value;
}

void piix3_reset(struct piix3 *bridge)
{
    reset_space(bridge->reg.space);
    bridge->reg.reset_control = 0;
    update(bridge);
}

enum bus_status piix3_attach(struct piix3 *bridge, struct i440fx *host, unsigned slot)
{
    const struct pci_function function = {.config = config_access, .device = bridge};
    enum bus_status status = pci_bus_attach(&host->pci, slot, 0, &function);

    if (status == BUS_OK)
        i440fx_forward(host, reset_access, bridge);
    return status;
}

static void reset_device(void *device, uint64_t now)
{
    (void)now;
    piix3_reset(device);
}

static void fields(struct state *state, struct piix3_registers *reg)
{
    state_bytes(state, reg->space, sizeof(reg->space));
    state_u8(state, &reg->reset_control);
    for (unsigned i = 0; i < 4; i++)
        state_u32(state, &reg->slots[i]);
    for (unsigned i = 0; i < PIIX3_PINS; i++)
        state_bool(state, &reg->pin[i]);
    state_u16(state, &reg->driven);
}

static bool is_valid(const struct piix3_registers *reg)
{
    uint8_t reset[PCI_SPACE_SIZE];

    for (unsigned i = 0; i < 4; i++)
        if (reg->slots[i] && !reg->pin[i])
            return false;
    reset_space(reset);
    return !(reg->reset_control & ~(RESET_HARD | RESET_CPU)) && reg->driven == routed(reg) &&
           pci_space_is_valid(reg->space, reset, &masks);
}

static void save_device(const void *device, struct state *state)
{
    struct piix3_registers reg = ((const struct piix3 *)device)->reg;

    fields(state, &reg);
}

static bool load_device(void *device, struct state *state)
{
    struct piix3 *bridge = device;
    struct piix3_registers reg = bridge->reg;

    fields(state, &reg);
    if (!state_is_whole(state) || !is_valid(&reg))
        return false;
    bridge->reg = reg;
    return true;
}

const struct device_class piix3_class = {
    .name = "piix3", .version = 2, .save = save_device, .load = load_device, .reset = reset_device};
