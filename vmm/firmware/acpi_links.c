/* SPDX-License-Identifier: ISC */
/*
 * The AML of PCI interrupts: which link device each pin of each slot leads to, and the four link devices LNKA to
 * LNKD, by which a guest reads and sets the routing registers of the PIIX3 (ACPI 6.3, 6.2.13 and 6.2.16).
 */
#include "vmm/firmware/acpi_aml.h"

#include <string.h>

#include "vmm/firmware/acpi.h"
#include "vmm/firmware/irqs.h"

#define OP_STORE       0x70
#define OP_AND         0x7b
#define OP_OR          0x7d
#define OP_DWORD_FIELD 0x8a
#define OP_METHOD      0x14
#define OP_IF          0xa0
#define OP_RETURN      0xa4
#define OP_LESS        0x95
#define OP_ARG0        0x68
#define OP_REGION      0x80 /* after OP_EXT, as OP_FIELD */
#define OP_FIELD       0x81
#define TWO_NAMES      0x2e
#define PCI_CONFIG     2
#define BYTE_ACCESS    1
#define SERIALIZED     8

#define SLOTS        32u
#define PINS         4u
#define LINKS        4u
#define ROUTES       0x60 /* the PIIX3's four routing registers */
#define ROUTE_OFF    0x80
#define PRESENT      0x0b
#define DISABLED     0x09
#define LEVEL_SHARED 0x09 /* consumer, level, active high, shared */
#define IRQ_AT       5    /* of a descriptor's first interrupt */

/* Names that end with the link's letter or number. */
static void put_name(struct aml *aml, const char name[4], unsigned link, char first)
{
    aml_bytes(aml, name, 3);
    aml_byte(aml, (uint8_t)(first + (char)link));
}

static void put_route(struct aml *aml, unsigned link)
{
    put_name(aml, "PRQ0", link, '0');
}

/* The slots are wired in turns, as boards with this chip set are. Slot 0 is the host bridge and has no pin. */
void acpi_prt(struct aml *aml)
{
    size_t package, entry;

    aml_name(aml, "_PRT");
    aml_byte(aml, AML_PACKAGE);
    package = aml_open(aml);
    aml_byte(aml, (SLOTS - 1) * PINS);
    for (uint32_t slot = 1; slot < SLOTS; slot++)
        for (uint32_t pin = 0; pin < PINS; pin++) {
            aml_byte(aml, AML_PACKAGE);
            entry = aml_open(aml);
            aml_byte(aml, 4);
            aml_integer(aml, slot << 16 | 0xffff);
            aml_integer(aml, pin);
            aml_byte(aml, TWO_NAMES);
            aml_bytes(aml, "ISA_", 4);
            put_name(aml, "LNKA", (slot + pin + 3) % LINKS, 'A');
            aml_integer(aml, 0);
            aml_close(aml, entry);
        }
    aml_close(aml, package);
}

/* Extended interrupt descriptor (6.4.3.6) of the inputs in a mask, or of input 0. */
static void put_interrupts(struct aml *aml, const char name[4], uint16_t irqs)
{
    unsigned count = irqs ? irqs_count(irqs) : 1;
    size_t buffer;

    aml_name(aml, name);
    aml_byte(aml, AML_BUFFER);
    buffer = aml_open(aml);
    aml_integer(aml, 5 + 4 * count + 2);
    aml_byte(aml, 0x89);
    aml_word(aml, (uint16_t)(2 + 4 * count));
    aml_byte(aml, LEVEL_SHARED);
    aml_byte(aml, (uint8_t)count);
    for (unsigned irq = 0; irq < 16; irq++)
        if (irqs >> irq & 1)
            aml_dword(aml, irq);
    if (!irqs)
        aml_dword(aml, 0);
    aml_word(aml, 0x79); /* the end, without checksum */
    aml_close(aml, buffer);
}

static size_t open_method(struct aml *aml, const char name[4], uint8_t flags)
{
    size_t method;

    aml_byte(aml, OP_METHOD);
    method = aml_open(aml);
    aml_bytes(aml, name, 4);
    aml_byte(aml, flags);
    return method;
}

/* Whether the link is off; an error of the guest's own cannot be told by it. */
static void put_sta(struct aml *aml, unsigned link)
{
    size_t method = open_method(aml, "_STA", 0), condition;

    aml_byte(aml, OP_IF);
    condition = aml_open(aml);
    aml_byte(aml, OP_AND);
    put_route(aml, link);
    aml_integer(aml, ROUTE_OFF);
    aml_byte(aml, 0);
    aml_byte(aml, OP_RETURN);
    aml_integer(aml, DISABLED);
    aml_close(aml, condition);
    aml_byte(aml, OP_RETURN);
    aml_integer(aml, PRESENT);
    aml_close(aml, method);
}

static void put_dis(struct aml *aml, unsigned link)
{
    size_t method = open_method(aml, "_DIS", 0);

    aml_byte(aml, OP_OR);
    put_route(aml, link);
    aml_integer(aml, ROUTE_OFF);
    put_route(aml, link);
    aml_close(aml, method);
}

static void put_field(struct aml *aml, const char *buffer, uint8_t argument)
{
    aml_byte(aml, OP_DWORD_FIELD);
    if (buffer)
        aml_bytes(aml, buffer, 4);
    else
        aml_byte(aml, argument);
    aml_integer(aml, IRQ_AT);
    aml_bytes(aml, "IRQ_", 4);
}

/* The input, 0 if the link is off. */
static void put_crs(struct aml *aml, unsigned link)
{
    size_t method = open_method(aml, "_CRS", SERIALIZED), condition;

    put_field(aml, "RES_", 0);
    aml_byte(aml, OP_STORE);
    aml_integer(aml, 0);
    aml_bytes(aml, "IRQ_", 4);
    aml_byte(aml, OP_IF);
    condition = aml_open(aml);
    aml_byte(aml, OP_LESS);
    put_route(aml, link);
    aml_integer(aml, ROUTE_OFF);
    aml_byte(aml, OP_STORE);
    put_route(aml, link);
    aml_bytes(aml, "IRQ_", 4);
    aml_close(aml, condition);
    aml_byte(aml, OP_RETURN);
    aml_bytes(aml, "RES_", 4);
    aml_close(aml, method);
}

static void put_srs(struct aml *aml, unsigned link)
{
    size_t method = open_method(aml, "_SRS", SERIALIZED | 1);

    put_field(aml, NULL, OP_ARG0);
    aml_byte(aml, OP_STORE);
    aml_bytes(aml, "IRQ_", 4);
    put_route(aml, link);
    aml_close(aml, method);
}

static void put_link(struct aml *aml, unsigned link, uint16_t irqs)
{
    const char name[5] = {'L', 'N', 'K', (char)('A' + (char)link), '\0'};
    size_t device = aml_open_device(aml, name);

    aml_name(aml, "_HID");
    aml_eisa_id(aml, "PNP0C0F");
    aml_name(aml, "_UID");
    aml_integer(aml, link);
    put_interrupts(aml, "_PRS", irqs);
    put_interrupts(aml, "RES_", 0);
    put_sta(aml, link);
    put_dis(aml, link);
    put_crs(aml, link);
    put_srs(aml, link);
    aml_close(aml, device);
}

void acpi_isa_bridge(struct aml *aml, uint8_t slot, uint16_t irqs)
{
    size_t bridge = aml_open_device(aml, "ISA_"), field;

    aml_name(aml, "_ADR");
    aml_integer(aml, (uint32_t)slot << 16);
    aml_byte(aml, AML_EXT);
    aml_byte(aml, OP_REGION);
    aml_bytes(aml, "PIRQ", 4);
    aml_byte(aml, PCI_CONFIG);
    aml_integer(aml, ROUTES);
    aml_integer(aml, LINKS);
    aml_byte(aml, AML_EXT);
    aml_byte(aml, OP_FIELD);
    field = aml_open(aml);
    aml_bytes(aml, "PIRQ", 4);
    aml_byte(aml, BYTE_ACCESS);
    for (unsigned link = 0; link < LINKS; link++) {
        put_route(aml, link);
        aml_byte(aml, 8); /* bits */
    }
    aml_close(aml, field);
    for (unsigned link = 0; link < LINKS; link++)
        put_link(aml, link, irqs);
    aml_close(aml, bridge);
}
