/* SPDX-License-Identifier: ISC */
/*
 * 8042 keyboard controller, with the system control port A (0x92) of a PS/2.
 *
 * Data at port 0x60, command and status at 0x64. Two sockets take a keyboard and a mouse; a socket may stay
 * empty, and then everything is answered at once: a byte sent to nobody comes back as 0xfe with the time-out
 * bit, and the auxiliary interface fails its tests, so that a driver's probe ends without waiting for
 * anything.
 *
 * Manuals: IBM PS/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary Device Controller". A20
 * is remembered and has no effect. Scan code translation (command byte bit 6) is the keyboard's affair.
 */
#pragma once

#include "vmm/bus/device.h"

#include <stdbool.h>
#include <stdint.h>

enum i8042_port { I8042_KEYBOARD, I8042_AUX, I8042_PORTS };

/* A PS/2 device. Both functions are called from within register accesses and i8042_notify. */
struct i8042_device {
    void (*write)(void *device, uint8_t byte, uint64_t now); /* a byte from the host */
    bool (*read)(void *device, uint8_t *byte);               /* its next byte for the host, if it has one */
    void *device;
};

struct i8042_registers {
    uint8_t command;  /* command byte */
    uint8_t ram[32];  /* the controller's memory; [0] is not used, that is the command byte */
    uint8_t expected; /* command that waits for a data byte, or 0 */
    uint8_t output;   /* output port */
    uint8_t data;     /* output buffer */
    uint8_t status;   /* OBF, SYS, A2, AUX, TO as in the status register */
    uint8_t response; /* one answer that waits for the output buffer, and its status bits */
    uint8_t response_status;
    bool responding;
};

struct i8042_wiring {
    void (*reset)(void *context); /* CPU reset asked for by pulse, output port or port 0x92 */
    void *context;
    struct irq_line irq[I8042_PORTS]; /* ISA IRQ 1 and 12 */
};

struct i8042 {
    struct i8042_registers reg;
    struct i8042_wiring wiring;
    struct i8042_device device[I8042_PORTS]; /* write == NULL: nothing plugged */
};

extern const struct device_class i8042_class;

void i8042_init(struct i8042 *kbc, const struct i8042_wiring *wiring);
void i8042_reset(struct i8042 *kbc);

/* Register ports 0x60, 0x64 and 0x92. Errors: those of bus_attach. */
__attribute__((warn_unused_result)) enum bus_status i8042_attach(struct i8042 *kbc, struct bus *bus);

/* Plug a device in; NULL unplugs. */
void i8042_plug(struct i8042 *kbc, enum i8042_port port, const struct i8042_device *device);

/* A plugged device has bytes for the host: they are fetched as the output buffer gets free. */
void i8042_notify(struct i8042 *kbc);

/* The A20 gate as firmware or guest left it. */
bool i8042_a20(const struct i8042 *kbc);
