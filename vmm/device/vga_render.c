/* SPDX-License-Identifier: ISC */
/*
 * The picture: what the CRTC and the attribute controller make of the memory, or what DISPI's mode says. A guest may
 * have set anything, so each place is masked to the memory that there is.
 *
 * Cursor and characters do not blink; panning by pixels and the CGA's graphics modes are left out.
 */
#include "vmm/device/vga.h"

#define CR_COLUMNS   0x01
#define CR_OVERFLOW  0x07
#define CR_LINES     0x09 /* of a character, less one */
#define CR_CURSOR    0x0a
#define CR_CURSOR_TO 0x0b
#define CR_START     0x0c
#define CR_PLACE     0x0e
#define CR_HEIGHT    0x12
#define CR_PITCH     0x13
#define CR_COMPARE   0x18

#define SR_CLOCKING  1
#define SR_FONTS     3
#define SR1_8_DOTS   0x01u
#define SR1_OFF      0x20u
#define GR5_256      0x40u
#define GR6_GRAPHICS 0x01u
#define AR_MODE      16
#define AR_PLANES    18
#define AR_SELECT    20
#define AR10_LINES   0x04u /* the ninth dot of line graphics is the eighth */
#define AR10_BLINK   0x08u
#define AR10_SELECT  0x80u
#define INDEX_SHOWS  0x20u
#define CURSOR_OFF   0x20u
#define DOUBLE_SCAN  0x80u
#define GLYPH_BYTES  32u
#define LINES_FIRST  0xc0u
#define LINES_LAST   0xdfu
#define PLANE_MASK   (VGA_PLANES_SIZE / 4 - 1)

static unsigned crtc_word(const struct vga_registers *reg, unsigned high)
{
    return (unsigned)reg->crtc[high] << 8 | reg->crtc[high + 1];
}

/* Ten bits of which CR7 has the ninth and the tenth. */
static unsigned crtc_lines(const struct vga_registers *reg)
{
    unsigned overflow = reg->crtc[CR_OVERFLOW];

    return (reg->crtc[CR_HEIGHT] | (overflow & 0x02) << 7 | (overflow & 0x40) << 3) + 1;
}

/* From the line behind this one on, the picture begins at the start of the memory. */
static unsigned line_compare(const struct vga_registers *reg)
{
    return reg->crtc[CR_COMPARE] | (reg->crtc[CR_OVERFLOW] & 0x10u) << 4 | (reg->crtc[CR_LINES] & 0x40u) << 3;
}

static bool is_graphics(const struct vga_registers *reg)
{
    return reg->graphics[6] & GR6_GRAPHICS;
}

static bool has_256_colours(const struct vga_registers *reg)
{
    return reg->graphics[5] & GR5_256;
}

/* How often a line of graphics is shown. */
static unsigned repeats(const struct vga_registers *reg)
{
    unsigned lines = reg->crtc[CR_LINES];

    return ((lines & 31u) + 1) * (lines & DOUBLE_SCAN ? 2 : 1);
}

struct vga_size vga_size(const struct vga *vga)
{
    const struct vga_registers *reg = &vga->reg;
    unsigned columns = reg->crtc[CR_COLUMNS] + 1u;

    if (vga_is_linear(vga))
        return (struct vga_size){reg->dispi[DISPI_XRES], reg->dispi[DISPI_YRES]};
    if (!(reg->attribute_index & INDEX_SHOWS) || reg->sequencer[SR_CLOCKING] & SR1_OFF)
        return (struct vga_size){0, 0};
    if (!is_graphics(reg))
        return (struct vga_size){columns * (reg->sequencer[SR_CLOCKING] & SR1_8_DOTS ? 8 : 9),
                                 crtc_lines(reg)};
    return (struct vga_size){columns * (has_256_colours(reg) ? 4 : 8), crtc_lines(reg) / repeats(reg)};
}

static void put_colour(const struct vga_registers *reg, unsigned index, uint8_t *rgb)
{
    const uint8_t *colour = reg->dac[index & reg->dac_mask & 0xff];
    bool wide = reg->dispi[DISPI_ENABLE] & DISPI_8BIT_DAC;

    for (unsigned i = 0; i < 3; i++)
        rgb[i] = wide ? colour[i] : (uint8_t)((colour[i] & 0x3f) << 2 | (colour[i] & 0x3f) >> 4);
}

/* Of sixteen. */
static void put_attribute(const struct vga_registers *reg, unsigned index, uint8_t *rgb)
{
    unsigned entry = reg->attribute[index & 15], select = reg->attribute[AR_SELECT];

    if (reg->attribute[AR_MODE] & AR10_SELECT)
        put_colour(reg, (entry & 15) | (select & 15) << 4, rgb);
    else
        put_colour(reg, (entry & 0x3f) | (select & 12) << 4, rgb);
}

/* ---- text */

/* Character and attribute at an address. */
static const uint8_t *cell_at(const struct vga *vga, unsigned address)
{
    const uint8_t *memory = vga->config.memory;

    return vga->reg.text ? memory + vga->config.vram + address * 2 % VGA_TEXT_SIZE
                         : memory + (address & PLANE_MASK) * 4;
}

/* A line of a glyph: nine dots, the leftmost the highest. */
static unsigned dots_of(const struct vga *vga, const uint8_t *cell, unsigned line)
{
    const struct vga_registers *reg = &vga->reg;
    unsigned fonts = reg->sequencer[SR_FONTS], character = cell[0];
    unsigned font = cell[1] & 8 ? (fonts >> 2 & 3) | (fonts >> 3 & 4) : (fonts & 3) | (fonts >> 2 & 4);
    unsigned at = (font & 3) * 0x4000 + (font >> 2) * 0x2000 + character * GLYPH_BYTES + line;
    unsigned dots = vga->config.memory[(at & PLANE_MASK) * 4 + 2] * 2u;

    if (reg->attribute[AR_MODE] & AR10_LINES && character >= LINES_FIRST && character <= LINES_LAST)
        dots |= dots >> 1 & 1;
    return dots;
}

static bool is_cursor(const struct vga_registers *reg, unsigned address, unsigned line)
{
    return !(reg->crtc[CR_CURSOR] & CURSOR_OFF) && address == crtc_word(reg, CR_PLACE) &&
           line >= (reg->crtc[CR_CURSOR] & 31u) && line <= (reg->crtc[CR_CURSOR_TO] & 31u);
}

static void render_text(const struct vga *vga, unsigned start, unsigned y, uint32_t width, uint8_t *rgb)
{
    const struct vga_registers *reg = &vga->reg;
    unsigned lines = (reg->crtc[CR_LINES] & 31u) + 1, line = y % lines;
    unsigned dots = reg->sequencer[SR_CLOCKING] & SR1_8_DOTS ? 8 : 9;
    unsigned backs = reg->attribute[AR_MODE] & AR10_BLINK ? 7 : 15;

    for (unsigned column = 0; column < width / dots; column++) {
        unsigned address = start + y / lines * reg->crtc[CR_PITCH] * 2u + column;
        const uint8_t *cell = cell_at(vga, address);
        unsigned shape = is_cursor(reg, address, line) ? 0x1ffu : dots_of(vga, cell, line);

        for (unsigned dot = 0; dot < dots; dot++, rgb += 3)
            put_attribute(reg, shape >> (8 - dot) & 1 ? cell[1] & 15 : cell[1] >> 4 & backs, rgb);
    }
}

/* ---- graphics */

static void render_16(const struct vga *vga, unsigned start, unsigned y, uint32_t width, uint8_t *rgb)
{
    const struct vga_registers *reg = &vga->reg;
    unsigned line = start + y * reg->crtc[CR_PITCH] * 2u;

    for (unsigned x = 0; x < width; x++, rgb += 3) {
        const uint8_t *planes = vga->config.memory + ((line + x / 8) & PLANE_MASK) * 4;
        unsigned index = 0;

        for (unsigned plane = 0; plane < 4; plane++)
            index |= (planes[plane] >> (7 - x % 8) & 1u) << plane;
        put_attribute(reg, index & reg->attribute[AR_PLANES], rgb);
    }
}

static void render_256(const struct vga *vga, unsigned start, unsigned y, uint32_t width, uint8_t *rgb)
{
    const struct vga_registers *reg = &vga->reg;
    unsigned line = start * 4 + y * reg->crtc[CR_PITCH] * 8u;

    for (unsigned x = 0; x < width; x++, rgb += 3)
        put_colour(reg, vga->config.memory[(line + x) % VGA_PLANES_SIZE], rgb);
}

static void put_direct(unsigned bpp, uint32_t pixel, uint8_t *rgb)
{
    unsigned green = bpp == 16 ? 6 : 5, red = 5 + green;

    if (bpp >= 24) {
        rgb[0] = (uint8_t)(pixel >> 16);
        rgb[1] = (uint8_t)(pixel >> 8);
        rgb[2] = (uint8_t)pixel;
        return;
    }
    rgb[0] = (uint8_t)((pixel >> red & 31) * 255 / 31);
    rgb[1] = (uint8_t)((pixel >> 5 & ((1u << green) - 1)) * 255 / ((1u << green) - 1));
    rgb[2] = (uint8_t)((pixel & 31) * 255 / 31);
}

static void render_linear(const struct vga *vga, unsigned y, uint32_t width, uint8_t *rgb)
{
    const uint16_t *dispi = vga->reg.dispi;
    unsigned bytes = VGA_DISPI_BYTES(dispi[DISPI_BPP]);
    uint64_t line =
        ((uint64_t)dispi[DISPI_Y_OFFSET] + y) * dispi[DISPI_VIRTUAL_WIDTH] + dispi[DISPI_X_OFFSET];

    for (uint32_t x = 0; x < width; x++, rgb += 3) {
        uint32_t pixel = 0;

        for (unsigned i = 0; i < bytes; i++)
            pixel |= (uint32_t)vga->config.memory[((line + x) * bytes + i) & (vga->config.vram - 1)]
                     << (i * 8);
        if (bytes == 1)
            put_colour(&vga->reg, pixel, rgb);
        else
            put_direct(dispi[DISPI_BPP], pixel, rgb);
    }
}

void vga_render(const struct vga *vga, uint8_t *rgb)
{
    const struct vga_registers *reg = &vga->reg;
    struct vga_size size = vga_size(vga);
    unsigned factor = is_graphics(reg) ? repeats(reg) : 1, compare = line_compare(reg);

    for (unsigned y = 0; y < size.height; y++, rgb += 3 * (size_t)size.width) {
        bool below = y * factor > compare;
        unsigned start = below ? 0 : crtc_word(reg, CR_START), from = below ? y - compare / factor - 1 : y;

        if (vga_is_linear(vga))
            render_linear(vga, y, size.width, rgb);
        else if (!is_graphics(reg))
            render_text(vga, start, from, size.width, rgb);
        else if (has_256_colours(reg))
            render_256(vga, start, from, size.width, rgb);
        else
            render_16(vga, start, from, size.width, rgb);
    }
}
