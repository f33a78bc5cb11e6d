/* SPDX-License-Identifier: ISC */
/*
 * A PCI function. Configuration space is bytes and masks, made once of the configuration; what a write means is
 * worked out afterwards from the bytes alone: the places of the regions, the level of the line, the messages
 * that no longer wait. So loading saved state is the same step as a write.
 */
#include "vmm/bus/pci_device.h"

#include <string.h>

#define STATUS_INTX         0x08u
#define STATUS_CAPABILITIES 0x10u
#define BAR_PORTS           0x1u
#define BAR_64              0x4u
#define BAR_PREFETCHABLE    0x8u
#define ROM_ENABLE          0x1u
#define ROM_SHORTEST        2048u
#define PORTS_LONGEST       256u

/* The MSI capability (6.8.1), with 64-bit address and masks for each vector. */
#define MSI_AT         0x40u
#define MSI_ID         0x05u
#define MSI_CONTROL    (MSI_AT + 2)
#define MSI_ADDRESS    (MSI_AT + 4)
#define MSI_DATA       (MSI_AT + 12)
#define MSI_MASK       (MSI_AT + 16)
#define MSI_PENDING    (MSI_AT + 20)
#define MSI_ENABLE     0x0001u
#define MSI_64_MASKING 0x0180u

static uint32_t get(const uint8_t *at, unsigned size)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < size; i++)
        value |= (uint32_t)at[i] << (i * 8);
    return value;
}

static void put(uint8_t *at, uint32_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        at[i] = (uint8_t)(value >> (i * 8));
}

static unsigned bar_offset(unsigned number)
{
    return number == PCI_ROM_BAR ? PCI_ROM : PCI_BAR0 + 4 * number;
}

static enum bus_kind bar_bus(const struct pci_bar *bar)
{
    return bar->kind == PCI_BAR_PORTS ? BUS_PORT : BUS_MMIO;
}

static bool bar_is_valid(const struct pci_device_config *config, unsigned number)
{
    const struct pci_bar *bar = &config->bar[number];
    uint32_t shortest = number == PCI_ROM_BAR ? ROM_SHORTEST : bar->kind == PCI_BAR_PORTS ? 4 : 16;

    if (bar->kind == PCI_BAR_NONE)
        return true;
    if (!bar->handler || bar->length < shortest || (bar->length & (bar->length - 1)) != 0)
        return false;
    if (bar->kind == PCI_BAR_PORTS)
        return number != PCI_ROM_BAR && bar->length <= PORTS_LONGEST;
    return bar->kind == PCI_BAR_MEMORY ||
           (number + 1 < PCI_BARS && config->bar[number + 1].kind == PCI_BAR_NONE);
}

static bool config_is_valid(const struct pci_device_config *config)
{
    for (unsigned i = 0; i <= PCI_BARS; i++)
        if (!bar_is_valid(config, i))
            return false;
    return config->pin <= 4 && config->msi <= PCI_MSI_VECTORS && (config->msi & (config->msi - 1)) == 0;
}

static void make_bar(struct pci_device *pci, unsigned number)
{
    const struct pci_bar *bar = &pci->config.bar[number];
    uint8_t *write = &pci->masks.write[bar_offset(number)];
    uint32_t flags = bar->prefetchable ? BAR_PREFETCHABLE : 0;

    if (bar->kind == PCI_BAR_PORTS)
        flags = BAR_PORTS;
    if (bar->kind == PCI_BAR_MEMORY_64) {
        flags |= BAR_64;
        put(write + 4, UINT32_MAX, 4);
    }
    put(write, ~(bar->length - 1), 4);
    if (number == PCI_ROM_BAR)
        write[0] |= ROM_ENABLE;
    else
        put(&pci->initial[bar_offset(number)], flags, 4);
    pci->masks.write[PCI_COMMAND] |= bar->kind == PCI_BAR_PORTS ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
    pci->region[number] = (struct bus_region){.name = pci->config.name,
                                              .length = bar->length,
                                              .handler = bar->handler,
                                              .device = pci->wiring.device};
}

static void make_msi(struct pci_device *pci)
{
    uint32_t vectors = pci->config.msi == 32 ? UINT32_MAX : (1u << pci->config.msi) - 1;
    unsigned shift = (unsigned)__builtin_ctz(pci->config.msi);

    pci->initial[PCI_STATUS] |= STATUS_CAPABILITIES;
    pci->initial[PCI_CAPABILITIES] = MSI_AT;
    pci->initial[MSI_AT] = MSI_ID;
    put(&pci->initial[MSI_CONTROL], MSI_64_MASKING | shift << 1, 2);
    put(&pci->masks.write[MSI_CONTROL], MSI_ENABLE | 0x70, 2);
    put(&pci->masks.write[MSI_ADDRESS], ~3u, 4);
    put(&pci->masks.write[MSI_ADDRESS + 4], UINT32_MAX, 4);
    put(&pci->masks.write[MSI_DATA], 0xffff, 2);
    put(&pci->masks.write[MSI_MASK], vectors, 4);
}

static void make_space(struct pci_device *pci)
{
    const struct pci_device_config *config = &pci->config;
    uint8_t *initial = pci->initial, *write = pci->masks.write;

    put(&initial[PCI_VENDOR], config->vendor, 2);
    put(&initial[PCI_DEVICE], config->device, 2);
    put(&initial[PCI_SUBSYSTEM_VENDOR], config->subsystem_vendor, 2);
    put(&initial[PCI_SUBSYSTEM], config->subsystem, 2);
    initial[PCI_REVISION] = config->revision;
    memcpy(&initial[PCI_CLASS], config->class, sizeof(config->class));
    initial[PCI_INTERRUPT_PIN] = config->pin;
    put(&write[PCI_COMMAND], PCI_COMMAND_MASTER | (config->pin ? PCI_COMMAND_INTX_OFF : 0), 2);
    write[PCI_INTERRUPT_LINE] = 0xff;
    for (unsigned i = 0; i <= PCI_BARS; i++)
        if (config->bar[i].kind != PCI_BAR_NONE)
            make_bar(pci, i);
    if (config->msi)
        make_msi(pci);
}

/* Where a BAR lies by its registers. False: it decodes nothing. An address of zero is what a BAR has before it
 * is set, and the last addresses of 32 bits what a BAR has while its size is asked for. */
static bool bar_place(const struct pci_device *pci, unsigned number, uint64_t *base)
{
    const struct pci_bar *bar = &pci->config.bar[number];
    const uint8_t *space = pci->reg.space, *at = &space[bar_offset(number)];
    uint32_t enable = bar->kind == PCI_BAR_PORTS ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;

    *base = get(at, 4) & ~(bar->length - 1);
    if (bar->kind == PCI_BAR_MEMORY_64)
        *base |= (uint64_t)get(at + 4, 4) << 32;
    if (!(space[PCI_COMMAND] & enable) || *base == 0 || *base + (bar->length - 1) == UINT32_MAX)
        return false;
    return number != PCI_ROM_BAR || at[0] & ROM_ENABLE;
}

static void move_bars(struct pci_device *pci)
{
    for (unsigned i = 0; i <= PCI_BARS; i++) {
        uint64_t base;
        bool decodes;

        if (pci->config.bar[i].kind == PCI_BAR_NONE)
            continue;
        decodes = bar_place(pci, i, &base);
        /* Where a BAR cannot be, the guest finds nothing at its address: that is the whole answer. */
        (void)bus_move(pci->wiring.bus, bar_bus(&pci->config.bar[i]), &pci->region[i], base, decodes);
    }
}

static bool msi_is_on(const struct pci_device *pci)
{
    return pci->config.msi && pci->reg.space[MSI_CONTROL] & MSI_ENABLE;
}

static void drive_intx(struct pci_device *pci)
{
    bool off = get(&pci->reg.space[PCI_COMMAND], 2) & PCI_COMMAND_INTX_OFF || msi_is_on(pci);

    irq_line_set(&pci->wiring.intx, pci->reg.space[PCI_STATUS] & STATUS_INTX && !off);
}

static bool can_send(const struct pci_device *pci)
{
    return msi_is_on(pci) && pci->reg.space[PCI_COMMAND] & PCI_COMMAND_MASTER;
}

/* Software grants a power of two of vectors, which may be more than there are: as many as there are. */
static unsigned vectors_granted(const struct pci_device *pci)
{
    unsigned granted = 1u << (pci->reg.space[MSI_CONTROL] >> 4 & 7);

    return granted < pci->config.msi ? granted : pci->config.msi;
}

static void send_message(struct pci_device *pci, unsigned vector)
{
    const uint8_t *space = pci->reg.space;
    uint64_t address = get(&space[MSI_ADDRESS], 4) | (uint64_t)get(&space[MSI_ADDRESS + 4], 4) << 32;
    uint32_t data = get(&space[MSI_DATA], 2) & ~(vectors_granted(pci) - 1);

    if (pci->wiring.message)
        pci->wiring.message(pci->wiring.context, address, data | vector);
}

bool pci_device_send(struct pci_device *pci, unsigned vector)
{
    uint8_t *space = pci->reg.space;

    if (!can_send(pci))
        return false;
    vector &= vectors_granted(pci) - 1;
    if (get(&space[MSI_MASK], 4) >> vector & 1)
        put(&space[MSI_PENDING], get(&space[MSI_PENDING], 4) | 1u << vector, 4);
    else
        send_message(pci, vector);
    return true;
}

static void send_waiting(struct pci_device *pci)
{
    uint8_t *space = pci->reg.space;
    uint32_t pending;

    if (!can_send(pci))
        return;
    pending = get(&space[MSI_PENDING], 4);
    for (unsigned vector = 0; vector < vectors_granted(pci); vector++)
        if ((pending & ~get(&space[MSI_MASK], 4)) >> vector & 1) {
            put(&space[MSI_PENDING], pending &= ~(1u << vector), 4);
            send_message(pci, vector);
        }
}

static void config_access(void *device, struct bus_access *access)
{
    struct pci_device *pci = device;

    pci_space_access(pci->reg.space, &pci->masks, access);
    if (!access->write)
        return;
    move_bars(pci);
    drive_intx(pci);
    send_waiting(pci);
    if (pci->wiring.configured)
        pci->wiring.configured(pci->wiring.device);
}

void pci_device_set_intx(struct pci_device *pci, bool level)
{
    uint8_t *status = &pci->reg.space[PCI_STATUS];

    if (pci->config.pin == 0)
        return;
    *status = (uint8_t)(level ? *status | STATUS_INTX : *status & ~STATUS_INTX);
    drive_intx(pci);
}

void pci_device_reset(struct pci_device *pci)
{
    memcpy(pci->reg.space, pci->initial, sizeof(pci->reg.space));
    move_bars(pci);
    drive_intx(pci);
}

enum bus_status pci_device_init(struct pci_device *pci, const struct pci_device_config *config,
                                const struct pci_device_wiring *wiring, struct pci_bus *bus, unsigned slot,
                                unsigned function)
{
    const struct pci_function entry = {.config = config_access, .device = pci};
    enum bus_status status;

    if (!config_is_valid(config))
        return BUS_INVALID;
    *pci = (struct pci_device){.config = *config, .wiring = *wiring};
    make_space(pci);
    memcpy(pci->reg.space, pci->initial, sizeof(pci->reg.space));
    status = pci_bus_attach(bus, slot, function, &entry);
    for (unsigned i = 0; i <= PCI_BARS && status == BUS_OK; i++)
        if (config->bar[i].kind != PCI_BAR_NONE)
            status = bus_attach_movable(wiring->bus, bar_bus(&config->bar[i]), &pci->region[i]);
    return status;
}

void pci_device_fields(struct state *state, struct pci_device_registers *reg)
{
    state_bytes(state, reg->space, sizeof(reg->space));
}

/* The device itself sets the interrupt's status and the messages that wait. */
bool pci_device_is_valid(const struct pci_device *pci, const struct pci_device_registers *reg)
{
    uint8_t initial[PCI_SPACE_SIZE];

    memcpy(initial, pci->initial, sizeof(initial));
    if (pci->config.pin)
        initial[PCI_STATUS] |= reg->space[PCI_STATUS] & STATUS_INTX;
    for (unsigned i = 0; i < 4 && pci->config.msi; i++)
        initial[MSI_PENDING + i] |= reg->space[MSI_PENDING + i] & pci->masks.write[MSI_MASK + i];
    return pci_space_is_valid(reg->space, initial, &pci->masks);
}

void pci_device_load(struct pci_device *pci, const struct pci_device_registers *reg)
{
    pci->reg = *reg;
    move_bars(pci);
}
