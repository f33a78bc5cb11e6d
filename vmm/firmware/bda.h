/* SPDX-License-Identifier: ISC */
/*
 * The BIOS data area at 0x400, as firmware leaves it on this machine: guests that are entered without
 * firmware read there how much memory lies below 1 MiB, where the EBDA is, and which ports and drives there
 * are (IBM PS/2 and PC BIOS Interface Technical Reference, "ROM BIOS data areas"). It says what the memory
 * map says.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vmm/firmware/e820.h"

#define BDA_BASE           0x400u
#define BDA_COM            0x400u /* ports of COM1 to COM4 */
#define BDA_EBDA           0x40eu /* segment */
#define BDA_EQUIPMENT      0x410u
#define BDA_MEMORY         0x413u /* KiB from 0 to the EBDA */
#define BDA_KEYS_NEXT      0x41au /* ring of key strokes, offsets from 0x400 */
#define BDA_KEYS_FREE      0x41cu
#define BDA_DISKS          0x475u
#define BDA_COM_TIMEOUT    0x47cu
#define BDA_KEYS_START     0x480u
#define BDA_KEYS_END       0x482u
#define BDA_KEYBOARD_FLAGS 0x496u
#define BDA_END            0x500u

struct bda_config {
    uint16_t com1; /* 0: none */
    bool mouse;
    uint8_t disks;
};

/* Writes the area and the EBDA's first byte, its size. False: that is not RAM. */
__attribute__((warn_unused_result)) bool bda_write(const struct guest_ram *ram,
                                                   const struct bda_config *config);
