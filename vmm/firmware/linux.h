/* SPDX-License-Identifier: ISC */
/*
 * Loading a Linux kernel into guest RAM and entering it without firmware: the Linux/x86 boot protocol
 * (Documentation/arch/x86/boot.rst), 64-bit entry where the kernel has it, else 32-bit.
 *
 *     0x1000  GDT                       0x4000  page tables (6 pages, 4 GiB one to one by 2 MiB)
 *     0x2000  boot_params (zero page)   0xb000  end of the initial stack
 *     0x3000  command line
 *
 * The kernel file and initrd come from outside and are checked field by field; nothing in them is believed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/include/check.h"
#include "vmm/firmware/e820.h"
#include "vmm/firmware/entry.h"
#include "vmm/firmware/message.h"

#define LINUX_GDT          0x1000u
#define LINUX_BOOT_PARAMS  0x2000u
#define LINUX_COMMAND_LINE 0x3000u
#define LINUX_PAGE_TABLES  0x4000u
#define LINUX_STACK        0xb000u
#define LINUX_COMMAND_MAX  2047u /* bytes without the terminating NUL */

struct linux_config {
    const uint8_t *kernel;
    size_t kernel_size;
    const uint8_t *initrd; /* NULL: none */
    size_t initrd_size;
    const char *command_line; /* NUL-terminated; NULL: empty */
    const struct e820_map *map;
    uint64_t rsdp; /* guest-physical, 0: none */
    bool vga_text; /* the screen is in VGA text mode 3 */
};

/* Load and describe the entry. False: `message` has one line that says what was expected and what was found,
 * and guest RAM may be partly written. */
MUST_CHECK bool linux_load(const struct guest_ram *ram, const struct linux_config *config,
                           struct guest_entry *entry, char message[MESSAGE_BYTES]);
