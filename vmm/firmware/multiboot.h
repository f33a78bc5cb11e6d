/* SPDX-License-Identifier: ISC */
/*
 * Loading a Multiboot kernel (Multiboot Specification 0.6.96, an ELF32 program) into guest RAM and entering
 * it as the specification says: flat 32-bit protected mode, no paging, EAX the magic, EBX the information.
 *
 * Segments may lie between the BIOS data area and the EBDA, and from 1 MiB up to the ACPI tables. The
 * information, with the memory map, the list of modules and all strings, is one block on the first pages from
 * MULTIBOOT_INFO on that no segment meets. Modules lie on pages of their own, in their order, behind the last
 * segment.
 *
 * The a.out kludge and video modes are not offered. The image comes from outside and is checked
 * field by field; nothing in it is believed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/include/check.h"
#include "vmm/firmware/e820.h"
#include "vmm/firmware/entry.h"
#include "vmm/firmware/message.h"

#define MULTIBOOT_LOWEST       0x500u /* behind the BIOS data area */
#define MULTIBOOT_INFO         0x1000u
#define MULTIBOOT_COMMAND_MAX  2047u /* bytes without the terminating NUL */
#define MULTIBOOT_MAGIC        0x2badb002u
#define MULTIBOOT_SEGMENTS_MAX 16u /* program headers */
#define MULTIBOOT_MODULES_MAX  8u

struct multiboot_module {
    const uint8_t *data;
    size_t size;
    const char *command_line; /* NUL-terminated; NULL: empty */
};

struct multiboot_config {
    const uint8_t *image;
    size_t size;
    const char *command_line; /* NUL-terminated; NULL: empty */
    const struct e820_map *map;
    const struct multiboot_module *module;
    size_t modules;
};

/* Whether an image is to be loaded by multiboot_load, by its first bytes: an ELF file. */
bool multiboot_is(const void *image, size_t size);

/* Load and describe the entry, which the program's header may give as a virtual address. False: `message` has
 * one line that says what was expected and what was found, and guest RAM may be partly written. */
MUST_CHECK bool multiboot_load(const struct guest_ram *ram, const struct multiboot_config *config,
                               struct guest_entry *entry, char message[MESSAGE_BYTES]);
