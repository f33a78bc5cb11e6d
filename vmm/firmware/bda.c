/* SPDX-License-Identifier: ISC */
/* The BIOS data area; see bda.h. What is not named is 0. */
#include "vmm/firmware/bda.h"

#include <string.h>

#define KIB               1024u
#define EQUIPMENT_FPU     0x0002u
#define EQUIPMENT_MOUSE   0x0004u
#define EQUIPMENT_COMS    9 /* shift of the number of serial ports */
#define KEYS_START        0x1eu
#define KEYS_END          0x3eu
#define TIMEOUT_TICKS     1u
#define ENHANCED_KEYBOARD 0x10u

static void put16(uint8_t *area, unsigned address, unsigned value)
{
    area[address - BDA_BASE] = (uint8_t)value;
    area[address - BDA_BASE + 1] = (uint8_t)(value >> 8);
}

bool bda_write(const struct guest_ram *ram, const struct bda_config *config)
{
    static const uint8_t ebda_kib = (RAM_VGA - E820_EBDA) / KIB;
    uint8_t area[BDA_END - BDA_BASE] = {0};
    unsigned equipment = EQUIPMENT_FPU | (config->mouse ? EQUIPMENT_MOUSE : 0);

    if (config->com1) {
        equipment |= 1u << EQUIPMENT_COMS;
        area[BDA_COM_TIMEOUT - BDA_BASE] = TIMEOUT_TICKS;
    }
    put16(area, BDA_COM, config->com1);
    put16(area, BDA_EBDA, E820_EBDA >> 4);
    put16(area, BDA_EQUIPMENT, equipment);
    put16(area, BDA_MEMORY, E820_EBDA / KIB);
    put16(area, BDA_KEYS_NEXT, KEYS_START);
    put16(area, BDA_KEYS_FREE, KEYS_START);
    put16(area, BDA_KEYS_START, KEYS_START);
    put16(area, BDA_KEYS_END, KEYS_END);
    area[BDA_DISKS - BDA_BASE] = config->disks;
    area[BDA_KEYBOARD_FLAGS - BDA_BASE] = ENHANCED_KEYBOARD;
    return guest_ram_write(ram, BDA_BASE, area, sizeof(area)) &&
           guest_ram_write(ram, E820_EBDA, &ebda_kib, sizeof(ebda_kib));
}
