/* SPDX-License-Identifier: ISC */
/* The kernel's own half of the address spaces, and which physical memory others may have. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "abi/boot.h"

/* Choose the pool's place, build the final page tables and switch to them. The one-to-one mapping of boot.S
 * ends with memory_drop_identity. Fills in the boot information's kernel region. */
void memory_init(struct boot_info *info);
void memory_drop_identity(void);

/* Memory for one more CPU's area at CPU_BASE (layout.h): `number` from 1 on. NULL: the pool is empty. */
void *memory_map_cpu(unsigned number);

/* A page of RAM below 640 KiB that no module uses, for as long as the one-to-one mapping stands; 0: there is
 * none. */
uint64_t memory_low_page(const struct boot_info *info);

/* Map a page of device registers, uncached; at most MEMORY_DEVICES. From then on MEM refuses it to others. */
#define MEMORY_DEVICES BOOT_DEVICES
volatile void *memory_map_device(uint64_t physical);
/* Which they are, into info->device. */
void memory_devices(struct boot_info *info);

/* Fill in the kernel's half of a new HST root. */
void memory_kernel_half(uint64_t *root);
uint64_t memory_kernel_root(void); /* CR3 value of the kernel's half alone */

/* Pages that SPACE_COPY may take from MEM: not the kernel's, not of devices that the kernel drives. */
bool memory_may_be_mapped(uint64_t page, uint64_t count);
