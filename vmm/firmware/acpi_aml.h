/* SPDX-License-Identifier: ISC */
/*
 * Writing AML (ACPI 6.3 ch. 20) byte by byte into a buffer. Whatever does not fit sets `overflow` and is
 * dropped, so a sequence of calls needs one check at its end.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct acpi_config;

#define AML_EXT     0x5b /* the first byte of two-byte opcodes */
#define AML_BUFFER  0x11
#define AML_PACKAGE 0x12

struct aml {
    uint8_t *bytes;
    size_t length;
    size_t capacity;
    bool overflow;
};

void aml_byte(struct aml *aml, uint8_t byte);
void aml_word(struct aml *aml, uint16_t value);
void aml_dword(struct aml *aml, uint32_t value);
void aml_bytes(struct aml *aml, const void *bytes, size_t length);

/* Integer constant in its shortest encoding. */
void aml_integer(struct aml *aml, uint32_t value);

/* Name operator with a four-letter segment; its object is to follow. */
void aml_name(struct aml *aml, const char segment[4]);

/* Compressed EISA ID such as "PNP0A03". */
void aml_eisa_id(struct aml *aml, const char id[7]);

/* An object that has a package length: open after its opcode, close when its contents are written. */
size_t aml_open(const struct aml *aml);
void aml_close(struct aml *aml, size_t start);

/* A device with a four-letter name, to be closed. */
size_t aml_open_device(struct aml *aml, const char segment[4]);

/* PCI interrupts (acpi_links.c): _PRT of the host bridge, and the PIIX3 at a slot with its link devices, which
 * may be set to the ISA inputs of a mask. */
void acpi_prt(struct aml *aml);
void acpi_isa_bridge(struct aml *aml, uint8_t slot, uint16_t irqs);

/* The definition block of the DSDT (without its table header). */
void acpi_dsdt(struct aml *aml, const struct acpi_config *config);
