/* SPDX-License-Identifier: ISC */
/*
 * The firmware's tables of IOMMUs: ACPI's IVRS (AMD I/O Virtualization Technology, 5.2) and DMAR (Intel
 * VT-d, 8). Pure functions of the tables' bytes. Firmware is trusted, but lengths are checked before anything
 * is followed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/boot.h"

#define IOMMU_UNITS   8u
#define IOMMU_IOAPICS 8u
#define IOMMU_DEVICES 0x10000u /* IDs of a segment: bus, device, function in 8, 5, 3 bits */

enum iommu_vendor { IOMMU_NONE, IOMMU_AMD, IOMMU_INTEL };

struct iommu_tables {
    enum iommu_vendor vendor;
    unsigned units;
    uint64_t registers[IOMMU_UNITS]; /* physical addresses */
    struct {
        uint64_t name; /* AMD: its own device ID; Intel: where its registers are */
        uint8_t type;  /* of the block that lists it */
    } unit[IOMMU_UNITS];
    uint8_t covered[IOMMU_DEVICES / 8]; /* bit an ID: a unit covers it */
    uint16_t last_device;               /* highest of them */
    unsigned ioapics;
    struct {
        uint8_t ioapic; /* its ID in the MADT */
        uint16_t device;
    } ioapic[IOMMU_IOAPICS];
    unsigned unities;
    struct boot_unity unity[BOOT_UNITIES];
    bool truncated; /* there is more of something than fits, or another segment */
};

/* Adds the contents of a table. `bytes`: of the whole table, header included. */
void iommu_tables_ivrs(struct iommu_tables *tables, const uint8_t *table, size_t bytes);
void iommu_tables_dmar(struct iommu_tables *tables, const uint8_t *table, size_t bytes);
