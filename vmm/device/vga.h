/* SPDX-License-Identifier: ISC */
/*
 * VGA with VirtualBox's identity, and the DISPI interface for larger modes (Bochs's, with VirtualBox's numbers).
 *
 * The four planes of the first 256 KiB lie byte by byte beside each other: address n of plane p is byte 4 n + p. So
 * chained modes, and those of DISPI, are plain bytes. Text is two planes of the four; while nothing else can be
 * seen of that in the window, text has bytes of its own (VGA_TEXT) that are as the window shows them, and may be
 * mapped for the guest. The first access of another kind moves them to the planes.
 *
 * The memory is the owner's, and saved as guest RAM is.
 *
 * Manuals: IBM VGA XGA Technical Reference Manual (1992), 2; for the register values of the modes, any VGA BIOS.
 */
#pragma once

#include "vmm/bus/pci_device.h"

#define VGA_WINDOW      0xa0000u
#define VGA_WINDOW_SIZE 0x20000u
#define VGA_TEXT_SIZE   0x8000u /* behind the VRAM */
#define VGA_VRAM_LEAST  0x100000u
#define VGA_VRAM_MOST   0x10000000u
#define VGA_PLANES_SIZE 0x40000u

#define VGA_CRTC       25u
#define VGA_SEQUENCER  5u
#define VGA_GRAPHICS   9u
#define VGA_ATTRIBUTES 21u
#define VGA_COLOURS    256u
#define VGA_DISPI      12u

enum vga_dispi {
    DISPI_ID,
    DISPI_XRES,
    DISPI_YRES,
    DISPI_BPP,
    DISPI_ENABLE,
    DISPI_BANK,
    DISPI_VIRTUAL_WIDTH,
    DISPI_VIRTUAL_HEIGHT,
    DISPI_X_OFFSET,
    DISPI_Y_OFFSET,
    DISPI_MEMORY,
    DISPI_BASE
};

#define DISPI_ENABLED  0x01u
#define DISPI_SIZES    0x02u /* XRES, YRES and BPP read as the most there is */
#define DISPI_8BIT_DAC 0x20u
#define DISPI_LINEAR   0x40u
#define DISPI_NO_CLEAR 0x80u

struct vga_registers {
    uint8_t misc, feature;
    uint8_t crtc_index, crtc[VGA_CRTC];
    uint8_t sequencer_index, sequencer[VGA_SEQUENCER];
    uint8_t graphics_index, graphics[VGA_GRAPHICS];
    uint8_t attribute_index, attribute[VGA_ATTRIBUTES];
    bool attribute_data; /* the next write to 0x3c0 is no index */
    uint8_t dac_mask, dac_read, dac_write, dac_part, dac_state;
    uint8_t dac[VGA_COLOURS][3];
    uint8_t latch[4];
    uint16_t dispi_index, dispi[VGA_DISPI];
    bool text; /* the text's bytes are behind the VRAM, not in the planes */
};

/* What of its memory the guest may have mapped, and where; length 0: nothing. */
struct vga_mapping {
    uint64_t at;
    uint32_t offset, length;
};

struct vga_config {
    uint8_t *memory; /* VRAM, and VGA_TEXT_SIZE behind it */
    uint32_t vram;   /* bytes, a power of two */
    uint8_t slot;
};

struct vga_wiring {
    struct pci_bus *pci;
    struct irq_line intx;
    void (*mapping)(void *context); /* a mapping may have changed; may be NULL */
    void *context;
};

struct vga {
    struct vga_registers reg;
    struct vga_config config;
    struct vga_wiring wiring;
    struct pci_device pci;
};

extern const struct device_class vga_class;

/* Memory NULL: there is no such device. */
void vga_init(struct vga *vga, const struct vga_config *config, const struct vga_wiring *wiring);

/* The text in the window, and the linear frame buffer where its BAR is. */
struct vga_mapping vga_text_mapping(const struct vga *vga);
struct vga_mapping vga_linear_mapping(const struct vga *vga);

/* The picture, as a screen shows it. 0 x 0: it is blank. */
struct vga_size {
    uint32_t width, height;
};
struct vga_size vga_size(const struct vga *vga);

/* Three bytes a pixel, red first, of the size that vga_size() gives. */
void vga_render(const struct vga *vga, uint8_t *rgb);

/* ---- between the files of the device */

#define VGA_DISPI_BYTES(bpp) (((bpp) + 7u) / 8u)

static inline bool vga_is_linear(const struct vga *vga)
{
    return vga->reg.dispi[DISPI_ENABLE] & DISPI_ENABLED;
}

/* Moves the text where it belongs by the registers; and whether it is there. */
void vga_place_text(struct vga *vga);
bool vga_text_is_valid(const struct vga *vga);

static inline void vga_mapping_changed(const struct vga *vga)
{
    if (vga->wiring.mapping)
        vga->wiring.mapping(vga->wiring.context);
}

/* An access to the window, and to the linear frame buffer. */
void vga_window_access(void *vga, struct bus_access *access);
void vga_linear_access(void *vga, struct bus_access *access);
