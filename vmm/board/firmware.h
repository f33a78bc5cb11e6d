/* SPDX-License-Identifier: ISC */
/*
 * What a machine with firmware is made of beside its chips: the ROM, and what the firmware is told by fw_cfg and
 * CMOS memory.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/include/check.h"
#include "vmm/board/shadow.h"
#include "vmm/firmware/cmos.h"
#include "vmm/firmware/table_loader.h"

struct machine;

/* A file of fw_cfg: an option ROM ("genroms/x.bin", "vgaroms/x.bin") or a setting ("etc/x"). */
struct firmware_file {
    const char *name;
    const void *data; /* NULL: `number`, in eight bytes */
    uint32_t size;
    uint64_t number;
};

/* All of it stays the caller's. */
struct machine_firmware {
    const uint8_t *rom;
    uint32_t rom_size; /* a multiple of 64 KiB, FIRMWARE_ROM_MAX at most */
    /* Changes what the guest finds from an address on. With the lock, by the thread of processor 0. False: it
     * cannot, and a line was logged; the machine then fails. */
    bool (*map)(void *context, uint64_t gpa, uint64_t bytes, enum machine_memory what);
    void *context;
    enum cmos_boot boot[CMOS_BOOT_ORDER];
    bool boot_menu; /* offer one */
    const struct firmware_file *file;
    unsigned files;
};

#define FIRMWARE_ROM_MAX (8u << 20)

/* Bytes that fw_cfg gives, besides the caller's. */
struct firmware_tables {
    struct table_loader acpi;
    uint8_t e820[2 * 20]; /* address, length, type */
};

/* Fills fw_cfg and CMOS memory. False: a file's name is empty, too long or there twice, or there are too many. */
MUST_CHECK bool firmware_offer(struct machine *machine);
