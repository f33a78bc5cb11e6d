/* SPDX-License-Identifier: ISC */
/*
 * Loading a kernel of any kind that the monitor knows, by its first bytes: Multiboot, else Linux.
 */
#pragma once

#include "vmm/firmware/multiboot.h"

struct load_config {
    const uint8_t *kernel;
    size_t kernel_size;
    const uint8_t *initrd; /* NULL: none */
    size_t initrd_size;
    const char *command_line; /* NUL-terminated */
    const struct multiboot_module *module;
    size_t modules; /* MULTIBOOT_MODULES_MAX at most */
    const struct e820_map *map;
    uint64_t rsdp; /* guest-physical, 0: none */
};

/* Load and describe the entry. False: `message` has one line that says what was expected and what was found,
 * and guest RAM may be partly written. */
MUST_CHECK bool load_kernel(const struct guest_ram *ram, const struct load_config *config,
                            struct guest_entry *entry, char message[MESSAGE_BYTES]);
