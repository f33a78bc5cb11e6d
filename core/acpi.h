/* SPDX-License-Identifier: ISC */
/*
 * Facts from ACPI's static tables: where some registers are, and the two sleep types of the \_S5 object, which
 * power the machine off (ACPI 6.5, 7.4.2 and 4.8.3.2). The object is found by a search for its name; there is
 * no AML interpreter. The tables are the firmware's and are not trusted.
 */
#pragma once

#include "base/include/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Gives `bytes` of physical memory, NULL where there is none. */
typedef const void *(*acpi_memory)(uint64_t physical, size_t bytes);

/* A whole table, its length in *bytes, at least 36; NULL: none. Checksums are not checked. */
const uint8_t *acpi_table(acpi_memory memory, uint64_t rsdp, const char *signature, size_t *bytes);
/* *types: SLP_TYPa | SLP_TYPb << 8. False: not found. */
MUST_CHECK bool acpi_sleep_types(acpi_memory memory, uint64_t rsdp, unsigned *types);

/* Registers that the tables name: configuration space in memory (PCI Firmware 3.2, 4.1.2) and the HPET. */
struct acpi_range {
    const char *what;
    uint64_t base, last;
};
/* How many there are; the first `limit` of them are given. */
unsigned acpi_ranges(acpi_memory memory, uint64_t rsdp, struct acpi_range *range, unsigned limit);
