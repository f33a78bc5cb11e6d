/* SPDX-License-Identifier: ISC */
/*
 * VGA memory as the processor sees it: the window of 128 KiB by the rules of planes, and the linear frame buffer.
 * Every place in the planes is masked to their size, and one in a bank is checked against the VRAM's.
 */
#include "vmm/device/vga.h"

#include <string.h>

#include "vmm/bus/bytes.h"

#define PLANE_MASK (VGA_PLANES_SIZE / 4 - 1)

#define SR_MAP_MASK  2
#define SR_MODE      4
#define SR4_CHAIN    0x08u
#define GR_SET_RESET 0
#define GR_ENABLE    1
#define GR_COMPARE   2
#define GR_FUNCTION  3
#define GR_READ_MAP  4
#define GR_MODE      5
#define GR_MISC      6
#define GR_DONT_CARE 7
#define GR_BIT_MASK  8
#define GR5_ODD_EVEN 0x10u
#define GR5_READ_1   0x08u

/* Windows by GR6 bits 3:2: from VGA_WINDOW on. */
static const struct {
    uint32_t first, length;
} windows[] = {{0, 0x20000}, {0, 0x10000}, {0x10000, 0x8000}, {0x18000, 0x8000}};

static unsigned window_of(const struct vga *vga)
{
    return vga->reg.graphics[GR_MISC] >> 2 & 3;
}

static uint8_t *text_of(const struct vga *vga)
{
    return vga->config.memory + vga->config.vram;
}

/* The window shows planes 0 and 1 by turns, and nothing else can come of an access. */
static bool is_text(const struct vga *vga)
{
    const struct vga_registers *reg = &vga->reg;

    return !vga_is_linear(vga) && !(reg->sequencer[SR_MODE] & SR4_CHAIN) && window_of(vga) >= 2 &&
           reg->graphics[GR_MODE] == GR5_ODD_EVEN && (reg->sequencer[SR_MAP_MASK] & 3) == 3 &&
           !(reg->graphics[GR_READ_MAP] & 2);
}

void vga_place_text(struct vga *vga)
{
    uint8_t *text = text_of(vga), *planes = vga->config.memory;
    bool is = is_text(vga), was = vga->reg.text;

    vga->reg.text = is;
    for (uint32_t i = 0; i < VGA_TEXT_SIZE && is != was; i += 2)
        if (is)
            memcpy(text + i, planes + i * 2, 2);
        else
            memcpy(planes + i * 2, text + i, 2);
    if (is || was)
        vga_mapping_changed(vga);
}

bool vga_text_is_valid(const struct vga *vga)
{
    return vga->reg.text == is_text(vga);
}

struct vga_mapping vga_text_mapping(const struct vga *vga)
{
    if (!vga->reg.text)
        return (struct vga_mapping){0};
    return (struct vga_mapping){.at = VGA_WINDOW + windows[window_of(vga)].first,
                                .offset = vga->config.vram,
                                .length = VGA_TEXT_SIZE};
}

struct vga_mapping vga_linear_mapping(const struct vga *vga)
{
    const struct bus_region *region = &vga->pci.region[0];

    if (!region->decodes)
        return (struct vga_mapping){0};
    return (struct vga_mapping){.at = region->base, .length = (uint32_t)region->length};
}

/* Byte 4 n + p of plane p. */
static uint32_t planar(uint32_t address)
{
    return (address & PLANE_MASK) * 4;
}

static uint8_t *banked(const struct vga *vga, uint32_t address)
{
    uint64_t at = ((uint64_t)vga->reg.dispi[DISPI_BANK] << 16) + (address & 0xffff);

    return at < vga->config.vram ? vga->config.memory + at : NULL;
}

/* Read mode 1: a bit for each pixel that has the colour compared with, in the planes that count. */
static uint8_t compare(const struct vga_registers *reg)
{
    unsigned differs = 0;

    for (unsigned plane = 0; plane < 4; plane++)
        if (reg->graphics[GR_DONT_CARE] >> plane & 1)
            differs |= reg->latch[plane] ^ (reg->graphics[GR_COMPARE] >> plane & 1 ? 0xffu : 0);
    return (uint8_t)~differs;
}

static uint8_t read_byte(struct vga *vga, uint32_t address)
{
    struct vga_registers *reg = &vga->reg;
    const uint8_t *memory = vga->config.memory, *linear;

    if (vga_is_linear(vga)) {
        linear = banked(vga, address);
        return linear ? *linear : 0xff;
    }
    if (reg->text)
        return text_of(vga)[address % VGA_TEXT_SIZE];
    if (reg->sequencer[SR_MODE] & SR4_CHAIN)
        return memory[address % 0x10000];
    if (reg->graphics[GR_MODE] & GR5_ODD_EVEN)
        return memory[planar(address >> 1) + ((reg->graphics[GR_READ_MAP] & 2) | (address & 1))];
    memcpy(reg->latch, memory + planar(address), 4);
    return reg->graphics[GR_MODE] & GR5_READ_1 ? compare(reg) : reg->latch[reg->graphics[GR_READ_MAP] & 3];
}

/* What the processor's byte becomes for a plane, before function and bit mask. */
static uint8_t source(const struct vga_registers *reg, unsigned plane, uint8_t value)
{
    unsigned mode = reg->graphics[GR_MODE] & 3, rotate = reg->graphics[GR_FUNCTION] & 7;
    uint8_t set = reg->graphics[GR_SET_RESET] >> plane & 1 ? 0xff : 0;

    if (mode == 2)
        return value >> plane & 1 ? 0xff : 0;
    if (mode == 3 || (reg->graphics[GR_ENABLE] >> plane & 1))
        return set;
    return (uint8_t)(value >> rotate | value << (8 - rotate));
}

static uint8_t mix(unsigned function, uint8_t value, uint8_t latch)
{
    switch (function) {
    case 1:
        return value & latch;
    case 2:
        return value | latch;
    case 3:
        return value ^ latch;
    default:
        return value;
    }
}

static void write_planes(struct vga *vga, uint32_t address, uint8_t value)
{
    const struct vga_registers *reg = &vga->reg;
    uint8_t *planes = vga->config.memory + planar(address), mask = reg->graphics[GR_BIT_MASK];
    unsigned mode = reg->graphics[GR_MODE] & 3, rotate = reg->graphics[GR_FUNCTION] & 7;

    if (mode == 3)
        mask &= (uint8_t)(value >> rotate | value << (8 - rotate));
    for (unsigned plane = 0; plane < 4; plane++) {
        uint8_t latch = reg->latch[plane], mixed;

        if (!(reg->sequencer[SR_MAP_MASK] >> plane & 1))
            continue;
        mixed = mix(reg->graphics[GR_FUNCTION] >> 3 & 3, source(reg, plane, value), latch);
        planes[plane] = mode == 1 ? latch : (uint8_t)((mixed & mask) | (latch & ~mask));
    }
}

static void write_byte(struct vga *vga, uint32_t address, uint8_t value)
{
    const struct vga_registers *reg = &vga->reg;
    uint8_t *memory = vga->config.memory, *linear;
    unsigned chained = address & 3, odd = address & 1;

    if (vga_is_linear(vga)) {
        linear = banked(vga, address);
        if (linear)
            *linear = value;
    } else if (reg->text) {
        text_of(vga)[address % VGA_TEXT_SIZE] = value;
    } else if (reg->sequencer[SR_MODE] & SR4_CHAIN) {
        if (reg->sequencer[SR_MAP_MASK] >> chained & 1)
            memory[address % 0x10000] = value;
    } else if (reg->graphics[GR_MODE] & GR5_ODD_EVEN) {
        for (unsigned plane = odd; plane < 4; plane += 2)
            if (reg->sequencer[SR_MAP_MASK] >> plane & 1)
                memory[planar(address >> 1) + plane] = value;
    } else {
        write_planes(vga, address, value);
    }
}

static void window_byte(void *context, struct bus_access *access)
{
    struct vga *vga = context;
    unsigned window = vga_is_linear(vga) ? 1 : window_of(vga);
    uint32_t address = (uint32_t)access->offset - windows[window].first;

    if (address >= windows[window].length)
        return;
    if (access->write)
        write_byte(vga, address, (uint8_t)access->value);
    else
        access->value = read_byte(vga, address);
}

void vga_window_access(void *context, struct bus_access *access)
{
    bus_split_bytes(context, access, window_byte);
}

/* The bus keeps offset and size within the BAR. */
void vga_linear_access(void *context, struct bus_access *access)
{
    const struct vga *vga = context;

    if (access->write)
        memcpy(vga->config.memory + access->offset, &access->value, access->size);
    else
        memcpy(&access->value, vga->config.memory + access->offset, access->size);
}
