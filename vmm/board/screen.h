/* SPDX-License-Identifier: ISC */
/*
 * The screen's memory as the guest finds it: text and linear frame buffer are mapped for it where the VGA and its BAR
 * say so, and then cost no exits. Elsewhere, and where something else answers first, accesses exit as to any
 * device. Changes are made as those of shadow RAM are (shadow.h).
 */
#pragma once

#include "vmm/device/vga.h"

struct machine;

/* The owner's. */
struct machine_screen {
    uint8_t *memory; /* of a struct vga_config */
    uint32_t vram;
    /* The guest finds memory from `offset` on at an address, or no longer does. False: it does not. By the thread of
     * processor 0. */
    bool (*map)(void *context, const struct vga_mapping *mapping, bool there);
    void *context;
};

#define SCREEN_VIEWS 2u

struct machine_view {
    struct vga_mapping wanted; /* as last asked for */
    bool mapped;
};

/* Makes the guest's view as it should be, by the thread of processor 0, with the lock. */
void screen_apply(struct machine *machine);
