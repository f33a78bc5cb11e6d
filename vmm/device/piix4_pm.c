/* SPDX-License-Identifier: ISC */
/*
 * PIIX4 power management. The timer is a function of the time alone; its status bit is brought up to date on
 * each access, and only while a guest wants an interrupt of it is there a deadline.
 */
#include "vmm/device/piix4_pm.h"

#include "vmm/bus/bytes.h"
#include "vmm/bus/ticks.h"

#include <string.h>

#define TMR       0x0001
#define BM        0x0010 /* bus master status: never set here */
#define GBL       0x0020
#define PWRBTN    0x0100
#define RTC       0x0400
#define WAK       0x8000
#define ENABLES   (TMR | GBL | PWRBTN | RTC)
#define STATUSES  (ENABLES | BM | WAK)
#define SCI_EN    0x0001
#define BM_RLD    0x0002
#define SLP_TYP   0x1c00
#define SLP_SHIFT 10
#define SLP_EN    0x2000
#define CONTROLS  (SCI_EN | BM_RLD | SLP_TYP)
#define PORT_APMC 0xb2
#define PMBASE    0x40
#define DEVACTB   0x58 /* device activity B; bit 25 APMC_EN */
#define PMREGMISC 0x80
#define SMBBASE   0x90
#define SMBHSTCFG 0xd2

static const struct pci_masks masks = {
    .write =
        {
            [PCI_COMMAND] = 0x01, /* I/O; the base is decoded whatever it says, the FADT counts on it */
            [PCI_INTERRUPT_LINE] = 0xff,
            [DEVACTB] = 0xff,
            [DEVACTB + 1] = 0xff,
            [DEVACTB + 2] = 0xff,
            [DEVACTB + 3] = 0xff,
            [PMREGMISC] = 0x01,
            [SMBBASE] = 0xf0,
            [SMBBASE + 1] = 0xff, /* kept; there is no SMBus behind it */
            [SMBHSTCFG] = 0x0f,
        },
    .clear = {[PCI_STATUS + 1] = 0xf8},
};

/* Half a period: the timer's highest bit changes, up or down (ACPI 4.8.3.3). */
static unsigned half_shift(const struct piix4_pm *pm)
{
    return pm->config.timer_bits == 32 ? 31 : 23;
}

static void sync_timer(struct piix4_pm *pm, uint64_t now)
{
    uint64_t halves = ticks_from_ns(now, PIIX4_PM_HZ) >> half_shift(pm);

    if (halves <= pm->reg.halves)
        return;
    pm->reg.halves = halves;
    pm->reg.status |= TMR;
}

static void update_sci(struct piix4_pm *pm)
{
    irq_line_set(&pm->wiring.sci, pm->reg.status & pm->reg.enable & ENABLES && pm->reg.control & SCI_EN);
}

static void enter_sleep(struct piix4_pm *pm)
{
    if ((pm->reg.control & SLP_TYP) >> SLP_SHIFT != pm->config.s5_type)
        pm->reg.status |= WAK;
    else if (pm->wiring.power_off)
        pm->wiring.power_off(pm->wiring.context);
}

/* One byte of a 16-bit register replaced. */
static uint16_t with_byte(uint16_t word, unsigned high, uint64_t byte)
{
    return (uint16_t)(high ? (word & 0x00ff) | byte << 8 : (word & 0xff00) | byte);
}

static void write_byte(struct piix4_pm *pm, unsigned offset, uint64_t value)
{
    struct piix4_pm_registers *reg = &pm->reg;
    unsigned high = offset & 1;

    switch (offset & ~1u) {
    case PIIX4_PM1A_EVENT:
        reg->status &= (uint16_t)~with_byte(0, high, value);
        break;
    case PIIX4_PM1A_EVENT + 2:
        reg->enable = with_byte(reg->enable, high, value) & ENABLES;
        break;
    case PIIX4_PM1A_CONTROL:
        reg->control = with_byte(reg->control, high, value) & CONTROLS;
        if (high && value & SLP_EN >> 8)
            enter_sleep(pm);
        break;
    default: /* the timer is read-only, everything else is not there */
        break;
    }
}

static uint64_t read_byte(const struct piix4_pm *pm, unsigned offset, uint64_t now)
{
    uint64_t timer = ticks_from_ns(now, PIIX4_PM_HZ) & (pm->config.timer_bits == 32 ? UINT32_MAX : 0xffffff);

    switch (offset & ~3u) {
    case PIIX4_PM1A_EVENT:
        return ((uint32_t)pm->reg.enable << 16 | pm->reg.status) >> (offset & 3) * 8 & 0xff;
    case PIIX4_PM1A_CONTROL:
        return (uint32_t)pm->reg.control >> (offset & 3) * 8 & 0xff;
    case PIIX4_PM_TIMER:
        return timer >> (offset & 3) * 8 & 0xff;
    default:
        return 0;
    }
}

static void pm_byte(void *device, struct bus_access *access)
{
    struct piix4_pm *pm = device;
    unsigned offset = (unsigned)access->offset % PIIX4_PM_LENGTH;

    if (access->write)
        write_byte(pm, offset, access->value);
    else
        access->value = read_byte(pm, offset, access->now);
}

static void pm_access(void *device, struct bus_access *access)
{
    struct piix4_pm *pm = device;

    sync_timer(pm, access->now);
    bus_split_bytes(pm, access, pm_byte);
    update_sci(pm);
}

static void smi_byte(void *device, struct bus_access *access)
{
    struct piix4_pm *pm = device;
    uint8_t *port = access->offset & 1 ? &pm->reg.smi_status : &pm->reg.smi_command;

    if (!access->write) {
        access->value = *port;
        return;
    }
    *port = (uint8_t)access->value;
    if (access->offset & 1)
        return;
    if (*port == pm->config.acpi_enable)
        pm->reg.control |= SCI_EN;
    else if (*port == pm->config.acpi_disable)
        pm->reg.control &= (uint16_t)~SCI_EN;
    sync_timer(pm, access->now);
    update_sci(pm);
}

static void smi_access(void *device, struct bus_access *access)
{
    bus_split_bytes(device, access, smi_byte);
}

static void config_access(void *device, struct bus_access *access)
{
    struct piix4_pm *pm = device;

    pci_space_access(pm->reg.space, &masks, access);
}

void piix4_pm_power_button(struct piix4_pm *pm, uint64_t now)
{
    sync_timer(pm, now);
    pm->reg.status |= PWRBTN;
    update_sci(pm);
}

static uint64_t piix4_pm_deadline(void *device)
{
    const struct piix4_pm *pm = device;

    if (!(pm->reg.control & SCI_EN) || !(pm->reg.enable & TMR) || pm->reg.status & TMR)
        return BUS_NEVER;
    return ns_from_ticks((pm->reg.halves + 1) << half_shift(pm), PIIX4_PM_HZ);
}

static void piix4_pm_advance(void *device, uint64_t now)
{
    sync_timer(device, now);
    update_sci(device);
}

void piix4_pm_init(struct piix4_pm *pm, const struct piix4_pm_config *config,
                   const struct piix4_pm_wiring *wiring)
{
    memset(pm, 0, sizeof *pm);
    pm->config = *config;
    pm->wiring = *wiring;
    piix4_pm_reset(pm, 0);
}

static void reset_space(uint8_t space[PCI_SPACE_SIZE], const struct piix4_pm_config *config)
{
    memset(space, 0, PCI_SPACE_SIZE);
    space[PCI_VENDOR] = 0x86;
    space[PCI_VENDOR + 1] = 0x80;
    space[PCI_DEVICE] = 0x13;
    space[PCI_DEVICE + 1] = 0x71;
    space[PCI_STATUS] = 0x80;
    space[PCI_STATUS + 1] = 0x02;
    space[PCI_REVISION] = 0x03;
    space[PCI_CLASS + 1] = 0x80;
    space[PCI_CLASS + 2] = 0x06;
    space[PCI_INTERRUPT_LINE] = 9;
    space[PCI_INTERRUPT_PIN] = 1;
    space[PMBASE] = (uint8_t)(config->base | 1);
    space[PMBASE + 1] = (uint8_t)(config->base >> 8);
    space[DEVACTB + 3] =
        0x02; /* APMC_EN: SeaBIOS takes it that SMM is set up, and does not wait for an SMI */
    space[PMREGMISC] = 0x01;
    space[SMBBASE] = 0x01;
}

void piix4_pm_reset(struct piix4_pm *pm, uint64_t now)
{
    pm->reg = (struct piix4_pm_registers){.halves = ticks_from_ns(now, PIIX4_PM_HZ) >> half_shift(pm)};
    reset_space(pm->reg.space, &pm->config);
    update_sci(pm);
}

enum bus_status piix4_pm_attach(struct piix4_pm *pm, struct bus *bus)
{
    const struct bus_region registers = {.name = "piix4 pm",
                                         .base = pm->config.base,
                                         .length = PIIX4_PM_LENGTH,
                                         .handler = pm_access,
                                         .device = pm};
    const struct bus_region smi = {
        .name = "apm control", .base = PORT_APMC, .length = 2, .handler = smi_access, .device = pm};
    const struct bus_clock clock = {.deadline = piix4_pm_deadline, .advance = piix4_pm_advance, .device = pm};
    enum bus_status status = bus_attach(bus, BUS_PORT, &registers);

    if (status == BUS_OK)
        status = bus_attach(bus, BUS_PORT, &smi);
    if (status == BUS_OK)
        status = bus_attach_clock(bus, &clock);
    return status;
}

enum bus_status piix4_pm_attach_pci(struct piix4_pm *pm, struct pci_bus *pci, unsigned slot,
                                    unsigned function)
{
    const struct pci_function entry = {.config = config_access, .device = pm};

    return pci_bus_attach(pci, slot, function, &entry);
}

static void reset_device(void *device, uint64_t now)
{
    piix4_pm_reset(device, now);
}

static enum bus_status attach_device(void *device, struct bus *bus)
{
    return piix4_pm_attach(device, bus);
}

static void fields(struct state *state, struct piix4_pm_registers *reg)
{
    state_u16(state, &reg->status);
    state_u16(state, &reg->enable);
    state_u16(state, &reg->control);
    state_u64(state, &reg->halves);
    state_u8(state, &reg->smi_command);
    state_u8(state, &reg->smi_status);
    state_bytes(state, reg->space, sizeof(reg->space));
}

static bool is_valid(const struct piix4_pm *pm, const struct piix4_pm_registers *reg, uint64_t now)
{
    uint8_t reset[PCI_SPACE_SIZE];

    reset_space(reset, &pm->config);
    return !(reg->status & ~STATUSES) && !(reg->enable & ~ENABLES) && !(reg->control & ~CONTROLS) &&
           reg->halves <= ticks_from_ns(now, PIIX4_PM_HZ) >> half_shift(pm) &&
           pci_space_is_valid(reg->space, reset, &masks);
}

static void save_device(const void *device, struct state *state)
{
    struct piix4_pm_registers reg = ((const struct piix4_pm *)device)->reg;

    fields(state, &reg);
}

static bool load_device(void *device, struct state *state)
{
    struct piix4_pm *pm = device;
    struct piix4_pm_registers reg = pm->reg;

    fields(state, &reg);
    if (!state_is_whole(state) || !is_valid(pm, &reg, state->now))
        return false;
    pm->reg = reg;
    return true;
}

const struct device_class piix4_pm_class = {.name = "piix4_pm",
                                            .version = 1,
                                            .save = save_device,
                                            .load = load_device,
                                            .reset = reset_device,
                                            .attach = attach_device};
