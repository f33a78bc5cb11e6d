/* SPDX-License-Identifier: ISC */
/* The static ACPI tables that the kernel needs: MADT, FADT, IVRS and DMAR. No AML is read here. ACPI 6.4,
 * ch. 5.2. */
#pragma once

#include <stdint.h>

#include "kernel/iommu_tables.h"
#include "kernel/smp.h"

struct boot_info;

struct acpi_platform {
    uint16_t pm1a_control, pm1b_control; /* ports; 0: none */
    uint16_t pm_timer;                   /* port of the 3.579545 MHz timer; 0: none */
    uint8_t reset_space, reset_value;    /* reset_space as in the tables; ACPI_NO_RESET: none */
    uint64_t reset_address;
    uint32_t apic_ids[CPUS]; /* of the processors that can be used */
    unsigned processors;
    struct iommu_tables iommu;
};

#define ACPI_SPACE_IO 1
#define ACPI_NO_RESET 0xff

/* Read the firmware's tables of IOMMUs; memory that devices use all the time goes into info->unity. Before
 * memory_init, which leaves that memory alone. */
void acpi_unities(struct boot_info *info, struct iommu_tables *iommu);

/* Find the tables (info->acpi_rsdp, or the BIOS area if that is 0), note IOAPICs and ISA interrupts, fill in
 * info->gsis, isa_gsi and acpi_rsdp. Physical memory below 4 GiB is mapped one to one. */
void acpi_init(struct boot_info *info, struct acpi_platform *platform);
