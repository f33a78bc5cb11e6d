/* SPDX-License-Identifier: ISC */
/* The boot loader's information, Multiboot 1 or 2, in the form of the boot information page. */
#pragma once

#include <stdint.h>

struct boot_info;

#define MULTIBOOT1_LOADER 0x2badb002u
#define MULTIBOOT2_LOADER 0x36d76289u

/* Copy memory map, modules, RSDP and framebuffer. Panics on contents that no loader writes. */
void multiboot_read(uint32_t magic, uint64_t address, struct boot_info *info);
