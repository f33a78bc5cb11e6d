/* SPDX-License-Identifier: ISC */
/*
 * The I/O APIC: 24 redirection entries behind an index and a data register.
 *
 * An edge is sent when it comes and lost while masked, as in the chip. A level is sent when its entry is
 * unmasked, the line asserted and the remote IRR clear, and this is looked at again whenever one of the three
 * changes. So a line is never forgotten, and nothing here loops: an EOI lets each pin send at most once.
 */
#include "vmm/device/i82093aa.h"

#define REG_SELECT 0x00
#define REG_WINDOW 0x10
#define REG_EOI    0x40

#define INDEX_ID          0x00
#define INDEX_VERSION     0x01
#define INDEX_ARBITRATION 0x02
#define INDEX_ENTRY       0x10

#define ENTRY_LOGICAL    (1u << 11)
#define ENTRY_REMOTE_IRR (1u << 14)
#define ENTRY_LEVEL      (1u << 15)
#define ENTRY_MASKED     (1u << 16)
#define ENTRY_WRITABLE   0xff0000000001afffull /* all but delivery status, remote IRR and reserved bits */

void i82093aa_reset(struct i82093aa *ioapic)
{
    for (unsigned pin = 0; pin < I82093AA_PINS; pin++)
        ioapic->reg.entry[pin] = ENTRY_MASKED;
    ioapic->reg.id = 0;
    ioapic->reg.select = 0;
}

void i82093aa_init(struct i82093aa *ioapic, const struct i82093aa_wiring *wiring)
{
    *ioapic = (struct i82093aa){.wiring = *wiring};
    i82093aa_reset(ioapic);
}

static bool send(struct i82093aa *ioapic, unsigned pin)
{
    uint64_t entry = ioapic->reg.entry[pin];
    uint32_t destination = (uint32_t)(entry >> 56);
    struct lapic_message message = {
        .destination = destination == 0xff ? LAPIC_BROADCAST : destination,
        .source = LAPIC_NO_CPU,
        .vector = (uint8_t)entry,
        .delivery = entry >> 8 & 7,
        .shorthand = LAPIC_NONE,
        .logical = (entry & ENTRY_LOGICAL) != 0,
        .level = (entry & ENTRY_LEVEL) != 0,
    };

    return ioapic->wiring.send(ioapic->wiring.context, &message);
}

/* Only fixed and lowest-priority interrupts are acknowledged by an EOI; the other modes are edges always. */
static bool is_level(uint64_t entry)
{
    return entry & ENTRY_LEVEL && (entry >> 8 & 7) <= LAPIC_LOWEST;
}

static void evaluate_level(struct i82093aa *ioapic, unsigned pin)
{
    uint64_t *entry = &ioapic->reg.entry[pin];

    if (!is_level(*entry) || *entry & (ENTRY_MASKED | ENTRY_REMOTE_IRR) || !(ioapic->reg.level >> pin & 1))
        return;
    *entry |= ENTRY_REMOTE_IRR;
    if (!send(ioapic, pin))
        *entry &= ~(uint64_t)ENTRY_REMOTE_IRR;
}

void i82093aa_set_irq(void *context, unsigned pin, bool level)
{
    struct i82093aa *ioapic = context;
    uint32_t bit;

    if (pin >= I82093AA_PINS)
        return;
    bit = 1u << pin;
    if (!level) {
        ioapic->reg.level &= ~bit;
        return;
    }
    if (is_level(ioapic->reg.entry[pin])) {
        ioapic->reg.level |= bit;
        evaluate_level(ioapic, pin);
    } else if (!(ioapic->reg.level & bit)) {
        ioapic->reg.level |= bit;
        if (!(ioapic->reg.entry[pin] & ENTRY_MASKED))
            (void)send(ioapic, pin);
    }
}

void i82093aa_eoi(struct i82093aa *ioapic, uint8_t vector)
{
    for (unsigned pin = 0; pin < I82093AA_PINS; pin++) {
        uint64_t *entry = &ioapic->reg.entry[pin];

        if (!(*entry & ENTRY_REMOTE_IRR) || (uint8_t)*entry != vector)
            continue;
        *entry &= ~(uint64_t)ENTRY_REMOTE_IRR;
        evaluate_level(ioapic, pin);
    }
}

static void write_entry(struct i82093aa *ioapic, unsigned index, uint32_t value)
{
    unsigned pin = index / 2;
    uint64_t *entry = &ioapic->reg.entry[pin];
    uint64_t kept = *entry & ENTRY_REMOTE_IRR;
    uint64_t merged;

    if (index & 1)
        merged = (uint32_t)*entry | (uint64_t)value << 32;
    else
        merged = (*entry & ~0xffffffffull) | value;
    *entry = (merged & ENTRY_WRITABLE) | kept;
    if (!is_level(*entry))
        *entry &= ~(uint64_t)ENTRY_REMOTE_IRR;
    evaluate_level(ioapic, pin);
}

static void window_write(struct i82093aa *ioapic, uint32_t value)
{
    unsigned index = ioapic->reg.select;

    if (index == INDEX_ID)
        ioapic->reg.id = value >> 24 & 0xf;
    else if (index >= INDEX_ENTRY && index < INDEX_ENTRY + 2 * I82093AA_PINS)
        write_entry(ioapic, index - INDEX_ENTRY, value);
}

static uint32_t window_read(const struct i82093aa *ioapic)
{
    unsigned index = ioapic->reg.select;

    if (index == INDEX_ID || index == INDEX_ARBITRATION)
        return (uint32_t)ioapic->reg.id << 24;
    if (index == INDEX_VERSION)
        return 0x20 | (I82093AA_PINS - 1) << 16;
    if (index >= INDEX_ENTRY && index < INDEX_ENTRY + 2 * I82093AA_PINS)
        return (uint32_t)(ioapic->reg.entry[(index - INDEX_ENTRY) / 2] >> index % 2 * 32);
    return 0;
}

static void write_register(struct i82093aa *ioapic, const struct bus_access *access)
{
    if (access->offset == REG_SELECT)
        ioapic->reg.select = (uint8_t)access->value;
    else if (access->offset == REG_WINDOW && access->size >= 4)
        window_write(ioapic, (uint32_t)access->value);
    else if (access->offset == REG_EOI)
        i82093aa_eoi(ioapic, (uint8_t)access->value);
}

/* The three registers are 32 bits wide. A narrow write of the window has no meaning and vanishes; a narrow
 * read gets the bytes it names. */
void i82093aa_access(void *context, struct bus_access *access)
{
    struct i82093aa *ioapic = context;
    uint64_t offset = access->offset;

    if (access->write) {
        write_register(ioapic, access);
        return;
    }
    access->value = 0;
    if (offset < REG_SELECT + 4)
        access->value = (uint64_t)ioapic->reg.select >> offset * 8;
    else if (offset >= REG_WINDOW && offset < REG_WINDOW + 4)
        access->value = (uint64_t)window_read(ioapic) >> (offset - REG_WINDOW) * 8;
}

enum bus_status i82093aa_attach(struct i82093aa *ioapic, struct bus *bus)
{
    const struct bus_region region = {.name = "i82093aa",
                                      .base = I82093AA_MMIO_BASE,
                                      .length = I82093AA_MMIO_LENGTH,
                                      .handler = i82093aa_access,
                                      .device = ioapic};

    return bus_attach(bus, BUS_MMIO, &region);
}

static void reset_device(void *device, uint64_t now)
{
    (void)now;
    i82093aa_reset(device);
}

static enum bus_status attach_device(void *device, struct bus *bus)
{
    return i82093aa_attach(device, bus);
}

static void fields(struct state *state, struct i82093aa_registers *reg)
{
    for (unsigned pin = 0; pin < I82093AA_PINS; pin++)
        state_u64(state, &reg->entry[pin]);
    state_u32(state, &reg->level);
    state_u8(state, &reg->id);
    state_u8(state, &reg->select);
}

static bool is_valid(const struct i82093aa_registers *reg)
{
    for (unsigned pin = 0; pin < I82093AA_PINS; pin++) {
        uint64_t entry = reg->entry[pin];

        if (entry & ~(ENTRY_WRITABLE | ENTRY_REMOTE_IRR) || (entry & ENTRY_REMOTE_IRR && !is_level(entry)))
            return false;
    }
    return !(reg->level >> I82093AA_PINS) && reg->id <= 0xf;
}

static void save_device(const void *device, struct state *state)
{
    struct i82093aa_registers reg = ((const struct i82093aa *)device)->reg;

    fields(state, &reg);
}

static bool load_device(void *device, struct state *state)
{
    struct i82093aa *ioapic = device;
    struct i82093aa_registers reg = ioapic->reg;

    fields(state, &reg);
    if (!state_is_whole(state) || !is_valid(&reg))
        return false;
    ioapic->reg = reg;
    return true;
}

const struct device_class i82093aa_class = {.name = "i82093aa",
                                            .version = 1,
                                            .save = save_device,
                                            .load = load_device,
                                            .reset = reset_device,
                                            .attach = attach_device};
