/* SPDX-License-Identifier: ISC */
/*
 * The VGA's ports, and DISPI. What a value means is decided where it is used, here it is only kept to its bits;
 * DISPI's modes are checked when they are switched on, so that what is on always fits into the VRAM.
 */
#include "vmm/device/vga.h"

#include <string.h>

#include "vmm/bus/bytes.h"

#define FIRST       0x3b0u /* ports */
#define PORTS       0x30u
#define DISPI_PORT  0x1ceu
#define DISPI_PORTS 5u /* 32 bits can be read at the second */

#define MISC_COLOUR    0x01u /* CRTC at 0x3d4, else at 0x3b4 */
#define CR_OVERFLOW    7
#define CR_PROTECT     17
#define CR11_PROTECTED 0x80u
#define INDEX_SHOWS    0x20u     /* of the attribute controller: the screen is on */
#define FRAME_NS       14285714u /* 70 Hz */
#define LINE_NS        31778u
#define RETRACE_NS     600000u
#define BLANK_NS       6000u
#define STATUS_BLANK   0x01u
#define STATUS_RETRACE 0x08u
#define DAC_WRITES     0u
#define DAC_READS      3u

#define XRES_MOST 16384u
#define YRES_MOST 16384u

static const uint8_t sequencer_bits[VGA_SEQUENCER] = {0x03, 0x3d, 0x0f, 0x3f, 0x0e};
static const uint8_t graphics_bits[VGA_GRAPHICS] = {0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff};

static uint8_t attribute_bits(unsigned index)
{
    static const uint8_t bits[] = {0xef, 0xff, 0x3f, 0x0f, 0x0f}; /* from 16 on */

    return index < 16 ? 0x3f : bits[index - 16];
}

/* ---- attributes and colours */

static void write_attribute(struct vga_registers *reg, uint8_t value)
{
    unsigned index = reg->attribute_index & 31u;

    if (!reg->attribute_data)
        reg->attribute_index = value & 0x3f;
    else if (index < VGA_ATTRIBUTES && (index >= 16 || !(reg->attribute_index & INDEX_SHOWS)))
        reg->attribute[index] = value & attribute_bits(index);
    reg->attribute_data = !reg->attribute_data;
}

static uint8_t read_attribute(const struct vga_registers *reg)
{
    unsigned index = reg->attribute_index & 31u;

    return index < VGA_ATTRIBUTES ? reg->attribute[index] : 0;
}

static bool has_8bit_dac(const struct vga_registers *reg)
{
    return reg->dispi[DISPI_ENABLE] & DISPI_8BIT_DAC;
}

static uint8_t read_colour(struct vga_registers *reg)
{
    uint8_t value = reg->dac[reg->dac_read][reg->dac_part];

    reg->dac_part++;
    if (reg->dac_part == 3) {
        reg->dac_part = 0;
        reg->dac_read++;
    }
    return has_8bit_dac(reg) ? value : value & 0x3f;
}

static void write_colour(struct vga_registers *reg, uint8_t value)
{
    reg->dac[reg->dac_write][reg->dac_part] = has_8bit_dac(reg) ? value : value & 0x3f;
    reg->dac_part++;
    if (reg->dac_part == 3) {
        reg->dac_part = 0;
        reg->dac_write++;
    }
}

/* ---- CRTC and the others with an index */

static void write_crtc(struct vga_registers *reg, uint8_t value)
{
    unsigned index = reg->crtc_index;

    if (index >= VGA_CRTC)
        return;
    if (index > CR_OVERFLOW || !(reg->crtc[CR_PROTECT] & CR11_PROTECTED))
        reg->crtc[index] = value;
    else if (index == CR_OVERFLOW) /* bit 8 of the line compare is not protected */
        reg->crtc[index] = (uint8_t)((reg->crtc[index] & ~0x10) | (value & 0x10));
}

static uint8_t at_or_zero(const uint8_t *registers, unsigned count, unsigned index)
{
    return index < count ? registers[index] : 0;
}

static void write_masked(uint8_t *registers, const uint8_t *bits, unsigned count, unsigned index,
                         uint8_t value)
{
    if (index < count)
        registers[index] = value & bits[index];
}

/* Between two frames and between two lines nothing is shown; a poll finds out by the time. */
static uint8_t status(uint64_t now)
{
    uint64_t frame = now % FRAME_NS;

    if (frame < RETRACE_NS)
        return STATUS_RETRACE | STATUS_BLANK;
    return frame % LINE_NS < BLANK_NS ? STATUS_BLANK : 0;
}

static uint8_t read_port(struct vga *vga, unsigned port, uint64_t now)
{
    struct vga_registers *reg = &vga->reg;

    switch (port) {
    case 0x3c0:
        return reg->attribute_index;
    case 0x3c1:
        return read_attribute(reg);
    case 0x3c4:
        return reg->sequencer_index;
    case 0x3c5:
        return at_or_zero(reg->sequencer, VGA_SEQUENCER, reg->sequencer_index);
    case 0x3c6:
        return reg->dac_mask;
    case 0x3c7:
        return reg->dac_state;
    case 0x3c8:
        return reg->dac_write;
    case 0x3c9:
        return read_colour(reg);
    case 0x3ca:
        return reg->feature;
    case 0x3cc:
        return reg->misc;
    case 0x3ce:
        return reg->graphics_index;
    case 0x3cf:
        return at_or_zero(reg->graphics, VGA_GRAPHICS, reg->graphics_index);
    case 0x3d4:
        return reg->crtc_index;
    case 0x3d5:
        return at_or_zero(reg->crtc, VGA_CRTC, reg->crtc_index);
    case 0x3da:
        reg->attribute_data = false;
        return status(now);
    default:
        return 0;
    }
}

static void write_port(struct vga *vga, unsigned port, uint8_t value)
{
    struct vga_registers *reg = &vga->reg;

    switch (port) {
    case 0x3c0:
        write_attribute(reg, value);
        break;
    case 0x3c2:
        reg->misc = value & 0xef;
        break;
    case 0x3c4:
        reg->sequencer_index = value & 7;
        break;
    case 0x3c5:
        write_masked(reg->sequencer, sequencer_bits, VGA_SEQUENCER, reg->sequencer_index, value);
        break;
    case 0x3c6:
        reg->dac_mask = value;
        break;
    case 0x3c7:
        reg->dac_read = value;
        reg->dac_part = 0;
        reg->dac_state = DAC_READS;
        break;
    case 0x3c8:
        reg->dac_write = value;
        reg->dac_part = 0;
        reg->dac_state = DAC_WRITES;
        break;
    case 0x3c9:
        write_colour(reg, value);
        break;
    case 0x3ce:
        reg->graphics_index = value & 15;
        break;
    case 0x3cf:
        write_masked(reg->graphics, graphics_bits, VGA_GRAPHICS, reg->graphics_index, value);
        break;
    case 0x3d4:
        reg->crtc_index = value;
        break;
    case 0x3d5:
        write_crtc(reg, value);
        break;
    case 0x3da:
        reg->feature = value & 3;
        break;
    default:
        break;
    }
    if (port == 0x3c5 || port == 0x3cf)
        vga_place_text(vga);
}

/* The CRTC's ports and the status are at 0x3d0 on, or at 0x3b0 on as on a monochrome adapter; there is nothing
 * at the others. */
static void port_byte(void *context, struct bus_access *access)
{
    struct vga *vga = context;
    unsigned port = FIRST + (unsigned)access->offset;

    if (port < 0x3c0 || port >= 0x3d0) {
        if ((port >= 0x3d0) != (vga->reg.misc & MISC_COLOUR))
            return;
        port = 0x3d0 + port % 16;
    }
    if (access->write)
        write_port(vga, port, (uint8_t)access->value);
    else
        access->value = read_port(vga, port, access->now);
}

static void port_access(void *context, struct bus_access *access)
{
    bus_split_bytes(context, access, port_byte);
}

/* ---- DISPI */

/* Bytes of a line, and the lines that there are for it. */
static void lay_out(struct vga *vga, uint32_t width)
{
    uint16_t *dispi = vga->reg.dispi;
    uint32_t most = vga->config.vram / (width * VGA_DISPI_BYTES(dispi[DISPI_BPP]));

    dispi[DISPI_VIRTUAL_WIDTH] = (uint16_t)width;
    dispi[DISPI_VIRTUAL_HEIGHT] = (uint16_t)(most < UINT16_MAX ? most : UINT16_MAX);
}

static bool fits(const struct vga *vga, uint32_t width)
{
    const uint16_t *dispi = vga->reg.dispi;
    uint64_t line = (uint64_t)width * VGA_DISPI_BYTES(dispi[DISPI_BPP]);

    return line > 0 && line * dispi[DISPI_YRES] <= vga->config.vram;
}

static bool is_depth(unsigned bpp)
{
    return bpp == 8 || bpp == 15 || bpp == 16 || bpp == 24 || bpp == 32;
}

static void enable(struct vga *vga, uint16_t value)
{
    uint16_t *dispi = vga->reg.dispi;
    bool on = value & DISPI_ENABLED, was = vga_is_linear(vga);

    if (on && (!is_depth(dispi[DISPI_BPP]) || dispi[DISPI_YRES] == 0 || !fits(vga, dispi[DISPI_XRES])))
        return;
    dispi[DISPI_ENABLE] =
        value & (DISPI_ENABLED | DISPI_SIZES | DISPI_8BIT_DAC | DISPI_LINEAR | DISPI_NO_CLEAR);
    vga_place_text(vga);
    if (!on || was)
        return;
    dispi[DISPI_X_OFFSET] = 0;
    dispi[DISPI_Y_OFFSET] = 0;
    lay_out(vga, dispi[DISPI_XRES]);
    if (!(value & DISPI_NO_CLEAR))
        memset(vga->config.memory, 0,
               (size_t)dispi[DISPI_XRES] * VGA_DISPI_BYTES(dispi[DISPI_BPP]) * dispi[DISPI_YRES]);
}

static void write_dispi(struct vga *vga, uint16_t value)
{
    uint16_t *dispi = vga->reg.dispi;
    bool on = vga_is_linear(vga);

    switch (vga->reg.dispi_index) {
    case DISPI_ID: /* versions: Bochs's, and VirtualBox's */
        if ((value >= 0xb0c0 && value <= 0xb0c5) || (value >= 0xbe00 && value <= 0xbe02))
            dispi[DISPI_ID] = value;
        break;
    case DISPI_XRES:
    case DISPI_YRES:
    case DISPI_BPP:
        if (!on && value <= XRES_MOST)
            dispi[vga->reg.dispi_index] = value;
        break;
    case DISPI_ENABLE:
        enable(vga, value);
        break;
    case DISPI_BANK:
        if ((uint32_t)value << 16 < vga->config.vram)
            dispi[DISPI_BANK] = value;
        break;
    case DISPI_VIRTUAL_WIDTH:
        if (on && value >= dispi[DISPI_XRES] && fits(vga, value))
            lay_out(vga, value);
        break;
    case DISPI_X_OFFSET:
    case DISPI_Y_OFFSET: /* beyond the VRAM, the picture goes on at its beginning */
        dispi[vga->reg.dispi_index] = value;
        break;
    default:
        break;
    }
}

static uint16_t read_dispi(const struct vga *vga)
{
    const uint16_t *dispi = vga->reg.dispi;
    const uint8_t *bar = &vga->pci.reg.space[PCI_BAR0];

    switch (vga->reg.dispi_index) {
    case DISPI_XRES:
        return dispi[DISPI_ENABLE] & DISPI_SIZES ? XRES_MOST : dispi[DISPI_XRES];
    case DISPI_YRES:
        return dispi[DISPI_ENABLE] & DISPI_SIZES ? YRES_MOST : dispi[DISPI_YRES];
    case DISPI_BPP:
        return dispi[DISPI_ENABLE] & DISPI_SIZES ? 32 : dispi[DISPI_BPP];
    case DISPI_MEMORY: /* as Bochs has it: in 64 KiB */
        return (uint16_t)(vga->config.vram >> 16);
    case DISPI_BASE:
        return (uint16_t)(bar[2] | bar[3] << 8);
    default:
        return vga->reg.dispi_index < VGA_DISPI ? dispi[vga->reg.dispi_index] : 0;
    }
}

/* An index at the first port, its register at the second: 16 bits each. The VRAM's size is 32 bits at the second. */
static void dispi_access(void *context, struct bus_access *access)
{
    struct vga *vga = context;

    if (access->offset == 1 && access->size == 4 && !access->write)
        access->value = vga->config.vram;
    if (access->offset > 1 || access->size != 2)
        return;
    if (access->offset == 0 && access->write)
        vga->reg.dispi_index = (uint16_t)access->value;
    else if (access->offset == 0)
        access->value = vga->reg.dispi_index;
    else if (access->write)
        write_dispi(vga, (uint16_t)access->value);
    else
        access->value = read_dispi(vga);
}

/* ---- the device */

static void reset_registers(struct vga *vga)
{
    vga->reg = (struct vga_registers){.misc = MISC_COLOUR, .dac_mask = 0xff, .dispi = {[DISPI_ID] = 0xb0c5}};
}

void vga_init(struct vga *vga, const struct vga_config *config, const struct vga_wiring *wiring)
{
    *vga = (struct vga){.config = *config, .wiring = *wiring};
    reset_registers(vga);
}

static void configured(void *device)
{
    vga_mapping_changed(device);
}

/* The memory keeps what it has. */
static void reset_device(void *device, uint64_t now)
{
    struct vga *vga = device;

    (void)now;
    if (!vga->config.memory)
        return;
    reset_registers(vga);
    pci_device_reset(&vga->pci);
    vga_mapping_changed(vga);
}

static enum bus_status attach_device(void *device, struct bus *bus)
{
    struct vga *vga = device;
    const struct bus_region ports = {.name = "vga",
                                     .base = FIRST,
                                     .length = PORTS,
                                     .handler = port_access,
                                     .device = vga},
                            dispi = {.name = "dispi",
                                     .base = DISPI_PORT,
                                     .length = DISPI_PORTS,
                                     .handler = dispi_access,
                                     .device = vga},
                            window = {.name = "vga",
                                      .base = VGA_WINDOW,
                                      .length = VGA_WINDOW_SIZE,
                                      .handler = vga_window_access,
                                      .device = vga};
    const struct pci_device_config config = {
        .name = "vga",
        .vendor = 0x80ee,
        .device = 0xbeef,
        .class = {0x00, 0x00, 0x03},
        .pin = 1,
        .bar[0] = {PCI_BAR_MEMORY, vga->config.vram, true, vga_linear_access}};
    const struct pci_device_wiring wiring = {
        .bus = bus, .device = vga, .intx = vga->wiring.intx, .configured = configured};
    enum bus_status status;

    if (!vga->config.memory)
        return BUS_OK;
    if (vga->config.vram < VGA_VRAM_LEAST || vga->config.vram > VGA_VRAM_MOST)
        return BUS_INVALID;
    status = bus_attach(bus, BUS_PORT, &ports);
    if (status == BUS_OK)
        status = bus_attach(bus, BUS_PORT, &dispi);
    if (status == BUS_OK)
        status = bus_attach(bus, BUS_MMIO, &window);
    return status == BUS_OK
               ? pci_device_init(&vga->pci, &config, &wiring, vga->wiring.pci, vga->config.slot, 0)
               : status;
}

static void fields(struct state *state, struct vga_registers *reg, struct pci_device_registers *pci)
{
    uint8_t *const bytes[] = {
        &reg->misc,           &reg->feature,         &reg->crtc_index, &reg->sequencer_index,
        &reg->graphics_index, &reg->attribute_index, &reg->dac_mask,   &reg->dac_read,
        &reg->dac_write,      &reg->dac_part,        &reg->dac_state};

    for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++)
        state_u8(state, bytes[i]);
    state_bytes(state, reg->crtc, sizeof(reg->crtc));
    state_bytes(state, reg->sequencer, sizeof(reg->sequencer));
    state_bytes(state, reg->graphics, sizeof(reg->graphics));
    state_bytes(state, reg->attribute, sizeof(reg->attribute));
    state_bool(state, &reg->attribute_data);
    state_bytes(state, reg->dac[0], sizeof(reg->dac));
    state_bytes(state, reg->latch, sizeof(reg->latch));
    state_u16(state, &reg->dispi_index);
    for (unsigned i = 0; i < VGA_DISPI; i++)
        state_u16(state, &reg->dispi[i]);
    state_bool(state, &reg->text);
    pci_device_fields(state, pci);
}

static void save_device(const void *device, struct state *state)
{
    struct vga_registers reg = ((const struct vga *)device)->reg;
    struct pci_device_registers pci = ((const struct vga *)device)->pci.reg;

    fields(state, &reg, &pci);
}

static bool is_within(const uint8_t *registers, const uint8_t *bits, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (registers[i] & ~bits[i])
            return false;
    return true;
}

static bool dispi_is_valid(const struct vga *loaded)
{
    const uint16_t *dispi = loaded->reg.dispi;

    if (dispi[DISPI_XRES] > XRES_MOST || dispi[DISPI_YRES] > YRES_MOST ||
        (uint32_t)dispi[DISPI_BANK] << 16 >= loaded->config.vram)
        return false;
    return !vga_is_linear(loaded) ||
           (is_depth(dispi[DISPI_BPP]) && dispi[DISPI_YRES] > 0 && dispi[DISPI_XRES] > 0 &&
            dispi[DISPI_VIRTUAL_WIDTH] >= dispi[DISPI_XRES] && fits(loaded, dispi[DISPI_VIRTUAL_WIDTH]));
}

static bool registers_are_valid(const struct vga_registers *reg)
{
    for (unsigned i = 0; i < VGA_ATTRIBUTES; i++)
        if (reg->attribute[i] & ~attribute_bits(i))
            return false;
    return is_within(reg->sequencer, sequencer_bits, VGA_SEQUENCER) &&
           is_within(reg->graphics, graphics_bits, VGA_GRAPHICS) && reg->dac_part < 3 &&
           !(reg->attribute_index & 0xc0);
}

/* `text` says where the bytes are that come with the memory. */
static bool load_device(void *device, struct state *state)
{
    struct vga *vga = device, loaded = *vga;
    struct pci_device_registers pci = vga->pci.reg;

    fields(state, &loaded.reg, &pci);
    if (!state_is_whole(state) || !registers_are_valid(&loaded.reg) || !vga_text_is_valid(&loaded))
        return false;
    if (!vga->config.memory)
        return true;
    if (!dispi_is_valid(&loaded) || !pci_device_is_valid(&vga->pci, &pci))
        return false;
    vga->reg = loaded.reg;
    pci_device_load(&vga->pci, &pci);
    vga_mapping_changed(vga);
    return true;
}

const struct device_class vga_class = {.name = "vga",
                                       .version = 1,
                                       .reset = reset_device,
                                       .attach = attach_device,
                                       .save = save_device,
                                       .load = load_device};
