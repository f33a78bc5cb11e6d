/* SPDX-License-Identifier: ISC */
/*
 * QEMU's firmware configuration device: what SeaBIOS reads to know the machine.
 *
 * Items are bytes under a 16-bit key. Some keys have a fixed meaning; those from FW_CFG_FILE on are files, whose
 * names a directory item has. A guest writes a key to port 0x510 and reads its item at port 0x511, or it has an
 * item copied to RAM by a descriptor, whose address it writes to port 0x514. Items cannot be written.
 *
 * Specification: QEMU, docs/specs/fw_cfg.rst, with version bits 0 and 1 (the traditional and the DMA interface).
 */
#pragma once

#include "vmm/bus/device.h"

#include <stdbool.h>
#include <stdint.h>

/* Keys of items that are no files. */
enum fw_cfg_key {
    FW_CFG_SIGNATURE = 0x00,
    FW_CFG_ID = 0x01,
    FW_CFG_RAM_SIZE = 0x03,
    FW_CFG_NO_GRAPHIC = 0x04,
    FW_CFG_CPUS = 0x05,
    FW_CFG_NUMA = 0x0d,
    FW_CFG_BOOT_MENU = 0x0e,
    FW_CFG_MAX_CPUS = 0x0f,
    FW_CFG_FILE_DIRECTORY = 0x19,
    FW_CFG_FILE = 0x20, /* the first; the others follow */
    FW_CFG_ACPI_TABLES = 0x8000,
    FW_CFG_SMBIOS = 0x8001,
    FW_CFG_IRQ0_OVERRIDE = 0x8002
};

#define FW_CFG_NAME     56u /* bytes of a file's name with its end */
#define FW_CFG_FILES    32u
#define FW_CFG_ITEMS    (FW_CFG_FILES + 16u)
#define FW_CFG_DMA_MOST (16u << 20) /* bytes that one descriptor copies */

struct fw_cfg_item {
    uint16_t key;
    uint32_t size;
    const uint8_t *data; /* NULL: `number` */
    uint64_t number;     /* little-endian */
};

struct fw_cfg_registers {
    uint16_t key;
    uint32_t offset;   /* of the next byte: at most the item's size */
    uint32_t dma_high; /* upper half of the descriptor's address, as written last */
};

struct fw_cfg_config {
    struct fw_cfg_item item[FW_CFG_ITEMS];
    uint32_t items;
    uint32_t files;
    uint8_t directory[4 + FW_CFG_FILES * (8 + FW_CFG_NAME)];
    bool present; /* else it decodes nothing */
};

struct fw_cfg {
    struct fw_cfg_registers reg;
    struct fw_cfg_config config;
    const struct guest_ram *ram;
};

extern const struct device_class fw_cfg_class;

/* With signature, version and an empty directory. `ram` must outlive it. */
void fw_cfg_init(struct fw_cfg *fw, const struct guest_ram *ram, bool present);

/* Add items, before the VM runs. Data stays the caller's; numbers have 1 to 8 bytes. False: no room, the key or
 * name is taken, or the name is empty or too long. */
MUST_CHECK bool fw_cfg_add_number(struct fw_cfg *fw, uint16_t key, uint64_t number, unsigned bytes);
MUST_CHECK bool fw_cfg_add_file(struct fw_cfg *fw, const char *name, const void *data, uint32_t size);
MUST_CHECK bool fw_cfg_add_file_number(struct fw_cfg *fw, const char *name, uint64_t number, unsigned bytes);
