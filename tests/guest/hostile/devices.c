/* SPDX-License-Identifier: ISC */
/* The chips: commands, indices and data at random, floods of output, and all ports there are. */
#include "tests/guest/hostile/hostile.h"

#define PM_CONTROL 0x604u
#define SLP_EN     0x2000u
#define S5_TYPE    5u /* the type that switches the machine off; the others must do nothing */

/* As much output as the serial line takes and more: lines of every length, escape sequences, no line ends. */
static void uart_flood(void)
{
    static const char *const texts[] = {"x",       "flood\n", "\n",       "\r",       "\x1b[",
                                        "\x1b]0;", "\x1b",    "\b\b\b\b", "\xff\xfe", "\t"};

    while (!attack_over()) {
        const char *text = texts[attack_random() % 10];

        for (unsigned i = 0; text[i]; i++)
            out8(COM1, (uint8_t)text[i]);
    }
}

static void uart_lines(void)
{
    while (!attack_over()) {
        out8(COM1, 'y');
        out8(COM1, '\n');
    }
}

static void uart_registers(void)
{
    while (!attack_over()) {
        uint16_t port = COM1 + (uint16_t)(attack_random() & 7);

        out8(port, (uint8_t)attack_random());
        in8(COM1 + (uint16_t)(attack_random() & 7));
        out8(COM1 + 3, 0x83);
        out8(COM1, 0); /* divisor 0 */
        out8(COM1 + 1, 0);
        out8(COM1 + 3, 3);
        out8(COM1 + 4, 0x1f); /* loop: what is sent comes back */
        out8(COM1, (uint8_t)attack_random());
        out8(COM1 + 2, (uint8_t)attack_random());
    }
}

/* Every function and register of the PCI configuration, by each width and alignment, and what is written read
 * back. */
static void pci(void)
{
    while (!attack_over()) {
        uint32_t address = 0x80000000u | ((uint32_t)attack_random() & 0xfffffc);
        uint16_t port = 0xcfc + (uint16_t)(attack_random() & 3);

        if (attack_random() & 1)
            address &= 0x80001ffcu; /* where something is */
        out32(0xcf8, address);
        in32(port);
        in16(port);
        in8(port);
        if ((address & 0xff00) !=
            0x0b00) { /* the power management's base is kept: its ports end the attack */
            out32(port, (uint32_t)attack_random());
            out16(port, (uint16_t)attack_random());
            out8(port, 0xff);
        }
        out8(0xcf8, 0x80);
        out16(0xcfa, 0x8000);
        in8(0xcfb);
    }
    for (uint32_t slot = 0; slot < 2; slot++) {
        out32(0xcf8, 0x80000004u | slot << 11);
        out32(0xcfc, 7);
    }
}

/* Power off, but for the one type that does it. */
static void acpi(void)
{
    while (!attack_over()) {
        for (unsigned type = 0; type < 8; type++)
            if (type != S5_TYPE)
                out16(PM_CONTROL, (uint16_t)(SLP_EN | type << 10 | (attack_random() & 7)));
        out8(PM_CONTROL + 1, (uint8_t)(SLP_EN >> 8));
        out16(0x602, (uint16_t)attack_random());
        out16(0x600, (uint16_t)attack_random());
        out32(0x608, (uint32_t)attack_random());
        in32(0x608);
        in8(0x609);
        out8(0xb2, (uint8_t)attack_random());
        out8(0xb3, (uint8_t)attack_random());
        out16(0x60c, (uint16_t)attack_random());
        in32(0x60e);
    }
    out16(0x602, 0);
    out16(PM_CONTROL, 1);
}

/* The keyboard controller: each command but those that reset, data for none, the A20 gate to and fro. */
static void i8042(void)
{
    while (!attack_over()) {
        uint8_t command = (uint8_t)attack_random();

        if (command < 0xf0 && command != 0xd1)
            out8(0x64, command);
        out8(0x60, (uint8_t)attack_random());
        in8(0x60);
        in8(0x64);
        out8(0x64, 0xd1);
        out8(0x60, attack_random() & 1 ? 0xdf : 0xdd);
        out8(0x92, (uint8_t)(attack_random() & 2));
        out8(0x64, 0xd4);
        out8(0x60, (uint8_t)attack_random());
        out8(0x60, 0xff);
    }
    out8(0x92, 2);
    out8(0x64, 0xad);
    while (in8(0x64) & 1)
        in8(0x60);
}

/* The clock's registers, its RAM and times that are none. */
static void cmos(void)
{
    while (!attack_over()) {
        out8(0x70, (uint8_t)attack_random());
        out8(0x71, (uint8_t)attack_random());
        in8(0x71);
        out8(0x70, 0x0b);
        out8(0x71, (uint8_t)(attack_random() & 0xf7));
        out8(0x72, (uint8_t)attack_random());
        out8(0x73, (uint8_t)attack_random());
        in16(0x70);
        out32(0x70, (uint32_t)attack_random());
    }
    out8(0x70, 0x0b);
    out8(0x71, 2);
}

/* Diskettes, disks, DMA, game port, printers: nothing of it is there. The FIFO of a famous bug among them. */
static void absent(void)
{
    static const uint16_t ports[] = {0x3f5, 0x3f2, 0x1f0, 0x1f7, 0x170, 0x00,   0x0c,  0xc0,  0x80,
                                     0x201, 0x278, 0x378, 0x2f8, 0x220, 0x388,  0x3c0, 0x3c4, 0x3ce,
                                     0x3d4, 0x1ce, 0x510, 0x511, 0x514, 0x5658, 0xe9,  0x402};

    while (!attack_over()) {
        uint16_t port = ports[attack_random() % (sizeof ports / sizeof ports[0])];

        for (unsigned i = 0; i < 64; i++) {
            out8(port, 0x42);
            out32(port, (uint32_t)attack_random());
            in16(port);
        }
    }
}

/* Ports that end the guest: reset and power, and PCI's, by which the power management could be moved. */
static bool is_fatal(uint16_t port)
{
    return (port >= 0x61 && port <= 0x64) || port == 0x92 || (port >= 0x8f && port <= 0x92) ||
           (port >= 0xcf5 && port <= 0xcff) || (port >= 0x601 && port <= 0x605) || port == 0x60;
}

static void all_ports(void)
{
    uint16_t port = (uint16_t)attack_random();

    while (!attack_over()) {
        port += 1;
        in8(port);
        in16(port);
        in32(port);
        if (!is_fatal(port)) {
            out8(port, (uint8_t)attack_random());
            out16(port, (uint16_t)attack_random());
            out32(port, (uint32_t)attack_random());
        }
    }
}

static void dma_ports(void)
{
    while (!attack_over())
        for (uint16_t port = 0; port < 0x20; port++) {
            out8(port, (uint8_t)attack_random());
            out8(0xc0 + port, (uint8_t)attack_random());
            out8(0x81 + (port & 7), (uint8_t)attack_random());
        }
}

const struct attack attacks_devices[] = {
    {"uart-flood", uart_flood},
    {"uart-lines", uart_lines},
    {"uart-registers", uart_registers},
    {"pci", pci},
    {"acpi", acpi},
    {"i8042", i8042},
    {"cmos", cmos},
    {"absent", absent},
    {"all-ports", all_ports},
    {"dma-ports", dma_ports},
    {0},
};
