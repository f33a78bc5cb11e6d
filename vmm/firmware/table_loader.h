/* SPDX-License-Identifier: ISC */
/*
 * ACPI tables for firmware that puts them into memory itself. The tables are built as for address 0, and a script
 * says which words of them are addresses and which bytes are checksums (QEMU, hw/acpi/bios-linker-loader.c; SeaBIOS,
 * src/fw/romfile_loader.c).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/include/check.h"
#include "vmm/firmware/acpi.h"

#define TABLE_LOADER_RSDP   "etc/acpi/rsdp"
#define TABLE_LOADER_TABLES "etc/acpi/tables"
#define TABLE_LOADER_SCRIPT "etc/table-loader"

#define TABLE_LOADER_ENTRY    128u
#define TABLE_LOADER_ENTRIES  24u
#define TABLE_LOADER_BYTES    8192u /* of tables */
#define TABLE_LOADER_RSDP_AT  TABLE_LOADER_BYTES
#define TABLE_LOADER_RSDP_LEN 36u

/* The three files. Zero from the start. */
struct table_loader {
    uint8_t memory[TABLE_LOADER_BYTES + 64]; /* the tables, and behind them the RSDP */
    uint8_t script[TABLE_LOADER_ENTRIES * TABLE_LOADER_ENTRY];
    uint32_t script_size;
};

/* `config`: rsdp, tables and length are not used. False: the tables do not fit, or a number is out of range. */
MUST_CHECK bool table_loader_build(struct table_loader *loader, const struct acpi_config *config);
