/* SPDX-License-Identifier: ISC */
/*
 * What a PC's CMOS memory tells firmware: memory sizes, equipment, boot order, number of processors. The indices and
 * their meaning are those that SeaBIOS and the BIOS of Bochs read (CMOS map of Ralf Brown's list, and Bochs's own
 * indices 0x38, 0x3d, 0x5b to 0x5f).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vmm/firmware/e820.h"

#define CMOS_SIZE 128u /* what is written, from index 0 on */

enum cmos_boot {
    CMOS_BOOT_NONE,
    CMOS_BOOT_FLOPPY,
    CMOS_BOOT_DISK,
    CMOS_BOOT_DVD,
    CMOS_BOOT_NETWORK,
    CMOS_BOOT_DEVICES
};

#define CMOS_BOOT_ORDER 3u /* devices that there is room for */

struct cmos_config {
    const struct e820_map *map;
    unsigned cpus;  /* 1 to 256 */
    uint8_t floppy; /* type of the first drive: 0 none, 4 for 1.44 MB */
    bool mouse;
    enum cmos_boot boot[CMOS_BOOT_ORDER]; /* first to last */
};

/* The bytes from index 0x0e on; those before it, which are the clock's, stay as they are. */
void cmos_fill(uint8_t cmos[CMOS_SIZE], const struct cmos_config *config);
