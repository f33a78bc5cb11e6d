/* SPDX-License-Identifier: ISC */
/*
 * The AML of the DSDT: \_S5 and the devices that no bus enumerates. It is written by hand and not compiled,
 * as it depends on the configuration and is short.
 */
#include "vmm/firmware/acpi_aml.h"

#include <string.h>

#include "vmm/firmware/acpi.h"

#define OP_NAME   0x08
#define OP_BYTE   0x0a
#define OP_WORD   0x0b
#define OP_DWORD  0x0c
#define OP_SCOPE  0x10
#define OP_DEVICE 0x82
#define OP_ROOT   0x5c

void aml_byte(struct aml *aml, uint8_t byte)
{
    aml_bytes(aml, &byte, 1);
}

void aml_word(struct aml *aml, uint16_t value)
{
    aml_byte(aml, (uint8_t)value);
    aml_byte(aml, (uint8_t)(value >> 8));
}

void aml_dword(struct aml *aml, uint32_t value)
{
    aml_word(aml, (uint16_t)value);
    aml_word(aml, (uint16_t)(value >> 16));
}

void aml_bytes(struct aml *aml, const void *bytes, size_t length)
{
    if (aml->overflow || length > aml->capacity - aml->length) {
        aml->overflow = true;
        return;
    }
    memcpy(aml->bytes + aml->length, bytes, length);
    aml->length += length;
}

void aml_integer(struct aml *aml, uint32_t value)
{
    if (value <= 1) {
        aml_byte(aml, (uint8_t)value);
    } else if (value <= 0xff) {
        aml_byte(aml, OP_BYTE);
        aml_byte(aml, (uint8_t)value);
    } else if (value <= 0xffff) {
        aml_byte(aml, OP_WORD);
        aml_word(aml, (uint16_t)value);
    } else {
        aml_byte(aml, OP_DWORD);
        aml_dword(aml, value);
    }
}

void aml_name(struct aml *aml, const char segment[4])
{
    aml_byte(aml, OP_NAME);
    aml_bytes(aml, segment, 4);
}

static unsigned hex_digit(char digit)
{
    return (unsigned)(digit <= '9' ? digit - '0' : digit - 'A' + 10);
}

static unsigned letter(char capital)
{
    return (unsigned)(capital - 'A' + 1);
}

/* Three letters of five bits and four hexadecimal digits, big-endian (6.1.5). */
void aml_eisa_id(struct aml *aml, const char id[7])
{
    unsigned letters = letter(id[0]) << 10 | letter(id[1]) << 5 | letter(id[2]);

    aml_byte(aml, OP_DWORD);
    aml_byte(aml, (uint8_t)(letters >> 8));
    aml_byte(aml, (uint8_t)letters);
    aml_byte(aml, (uint8_t)(hex_digit(id[3]) << 4 | hex_digit(id[4])));
    aml_byte(aml, (uint8_t)(hex_digit(id[5]) << 4 | hex_digit(id[6])));
}

size_t aml_open(const struct aml *aml)
{
    return aml->length;
}

/* The length counts its own bytes: one up to 63, two up to 4095, three up to 1 MiB (20.2.4). */
void aml_close(struct aml *aml, size_t start)
{
    size_t contents = aml->length - start;
    size_t width = contents + 1 <= 0x3f ? 1 : contents + 2 <= 0xfff ? 2 : 3;
    size_t total = contents + width;
    static const uint8_t room[3];

    aml_bytes(aml, room, width);
    if (aml->overflow)
        return;
    memmove(aml->bytes + start + width, aml->bytes + start, contents);
    if (width == 1) {
        aml->bytes[start] = (uint8_t)total;
        return;
    }
    aml->bytes[start] = (uint8_t)((width - 1) << 6 | (total & 0xf));
    for (size_t i = 1; i < width; i++)
        aml->bytes[start + i] = (uint8_t)(total >> (8 * i - 4));
}

static void put_s5(struct aml *aml)
{
    size_t package;

    aml_name(aml, "_S5_");
    aml_byte(aml, AML_PACKAGE);
    package = aml_open(aml);
    aml_byte(aml, 4);
    aml_integer(aml, ACPI_S5_TYPE);
    aml_integer(aml, ACPI_S5_TYPE);
    aml_integer(aml, 0);
    aml_integer(aml, 0);
    aml_close(aml, package);
}

/* Resource descriptors (6.4): fixed ports, an interrupt, address spaces of words and double words. */
static void put_io(struct aml *aml, uint16_t base, uint8_t length)
{
    aml_byte(aml, 0x47);
    aml_byte(aml, 1); /* decodes 16 bits */
    aml_word(aml, base);
    aml_word(aml, base);
    aml_byte(aml, 1);
    aml_byte(aml, length);
}

static void put_irq(struct aml *aml, unsigned irq)
{
    aml_byte(aml, 0x22);
    aml_word(aml, (uint16_t)(1u << irq));
}

enum space { SPACE_MEMORY = 0, SPACE_IO = 1, SPACE_BUS = 2 };

#define SPACE_FIXED 0x0c /* both ends fixed, positive decode, producer */

static void put_word_space(struct aml *aml, enum space space, uint8_t flags, uint16_t first, uint16_t last)
{
    aml_byte(aml, 0x88);
    aml_word(aml, 13);
    aml_byte(aml, (uint8_t)space);
    aml_byte(aml, SPACE_FIXED);
    aml_byte(aml, flags);
    aml_word(aml, 0);
    aml_word(aml, first);
    aml_word(aml, last);
    aml_word(aml, 0);
    aml_word(aml, (uint16_t)(last - first + 1));
}

static void put_memory_space(struct aml *aml, uint32_t first, uint32_t last)
{
    aml_byte(aml, 0x87);
    aml_word(aml, 23);
    aml_byte(aml, SPACE_MEMORY);
    aml_byte(aml, SPACE_FIXED);
    aml_byte(aml, 1); /* read and write, not cacheable */
    aml_dword(aml, 0);
    aml_dword(aml, first);
    aml_dword(aml, last);
    aml_dword(aml, 0);
    aml_dword(aml, last - first + 1);
}

/* _CRS is a buffer of descriptors with an end tag; a buffer has its size written before its bytes. */
static void put_crs(struct aml *aml, const struct aml *resources)
{
    size_t buffer;

    aml_name(aml, "_CRS");
    aml_byte(aml, AML_BUFFER);
    buffer = aml_open(aml);
    aml_integer(aml, (uint32_t)resources->length + 2);
    aml_bytes(aml, resources->bytes, resources->length);
    aml_byte(aml, 0x79);
    aml_byte(aml, 0); /* no checksum */
    aml_close(aml, buffer);
    if (resources->overflow)
        aml->overflow = true;
}

size_t aml_open_device(struct aml *aml, const char segment[4])
{
    size_t device;

    aml_byte(aml, AML_EXT);
    aml_byte(aml, OP_DEVICE);
    device = aml_open(aml);
    aml_bytes(aml, segment, 4);
    return device;
}

static size_t open_device(struct aml *aml, const char segment[4], const char id[7])
{
    size_t device = aml_open_device(aml, segment);

    aml_name(aml, "_HID");
    aml_eisa_id(aml, id);
    return device;
}

struct legacy {
    const char *segment;
    const char *id;
    uint16_t port[2];
    uint8_t length;
    uint8_t irq; /* 0: none */
};

static void put_legacy(struct aml *aml, const struct legacy *legacy)
{
    uint8_t bytes[32];
    struct aml resources = {bytes, 0, sizeof bytes, false};
    size_t device = open_device(aml, legacy->segment, legacy->id);

    for (unsigned i = 0; i < 2; i++)
        if (legacy->port[i])
            put_io(&resources, legacy->port[i], legacy->length);
    if (legacy->irq)
        put_irq(&resources, legacy->irq);
    if (legacy->irq == 4) {
        aml_name(aml, "_UID");
        aml_integer(aml, 1);
    }
    put_crs(aml, &resources);
    aml_close(aml, device);
}

static void put_pci_crs(struct aml *aml, const struct acpi_config *config)
{
    uint8_t bytes[160];
    struct aml resources = {bytes, 0, sizeof bytes, false};

    put_word_space(&resources, SPACE_BUS, 0, 0, 0xff);
    put_io(&resources, 0xcf8, 8);
    put_word_space(&resources, SPACE_IO, 3, 0, 0xcf7);
    put_word_space(&resources, SPACE_IO, 3, 0xd00, 0xffff);
    if (config->vga)
        put_memory_space(&resources, RAM_VGA, RAM_ROM - 1);
    if (config->pci_last)
        put_memory_space(&resources, config->pci_base, config->pci_last);
    put_crs(aml, &resources);
}

void acpi_dsdt(struct aml *aml, const struct acpi_config *config)
{
    static const struct legacy com1 = {"COM1", "PNP0501", {0x3f8, 0}, 8, 4};
    static const struct legacy keyboard = {"KBD_", "PNP0303", {0x60, 0x64}, 1, 1};
    static const struct legacy mouse = {"MOU_", "PNP0F13", {0, 0}, 0, 12};
    static const struct legacy rtc = {"RTC_", "PNP0B00", {0x70, 0}, 2, 8};
    size_t scope, pci;

    put_s5(aml);
    aml_byte(aml, OP_SCOPE);
    scope = aml_open(aml);
    aml_byte(aml, OP_ROOT);
    aml_bytes(aml, "_SB_", 4);
    pci = open_device(aml, "PCI0", "PNP0A03");
    aml_name(aml, "_UID");
    aml_integer(aml, 0);
    put_pci_crs(aml, config);
    if (config->pirq_irqs) {
        acpi_prt(aml);
        acpi_isa_bridge(aml, config->isa_slot, config->pirq_irqs);
    }
    put_legacy(aml, &rtc);
    if (config->com1)
        put_legacy(aml, &com1);
    if (config->i8042) {
        put_legacy(aml, &keyboard);
        put_legacy(aml, &mouse);
    }
    aml_close(aml, pci);
    aml_close(aml, scope);
}
