/* SPDX-License-Identifier: ISC */
/*
 * PC16550D serial port.
 *
 * Bytes that a guest transmits go to the owner at once, whatever the baud rate: the transmitter is always
 * empty, and a guest never waits for a line that does not exist. Bytes for the guest wait with the owner
 * until there is room: uart16550_receive takes what fits, and the room callback tells when to come again.
 * Only the receive time-out is a matter of time; it follows the programmed character time.
 *
 * Manual: National Semiconductor PC16550D data sheet, section 8. On a PC the interrupt line is gated by OUT2.
 */
#pragma once

#include "vmm/bus/device.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UART16550_FIFO 16

/* Modem status register: what the line's other end shows (bits 7:4). */
enum uart16550_modem { UART_MSR_CTS = 0x10, UART_MSR_DSR = 0x20, UART_MSR_RI = 0x40, UART_MSR_DCD = 0x80 };

struct uart16550_registers {
    uint8_t rx[UART16550_FIFO];
    uint8_t rx_error[UART16550_FIFO]; /* LSR bits of each byte */
    uint8_t rx_first, rx_count;
    uint8_t ier, fcr, lcr, mcr, lsr; /* lsr: sticky error bits only; the rest is derived */
    uint8_t scratch;
    uint8_t modem; /* levels from outside, bits 7:4 */
    uint8_t msr;   /* levels as the guest sees them, and deltas */
    uint16_t divisor;
    bool thre_pending; /* the transmitter became empty and nobody took notice */
    bool timeout;      /* characters below the trigger level have waited for four character times */
    bool starved;      /* receive had to refuse bytes */
    uint64_t rx_time;  /* ns of the last change of the receive FIFO */
};

struct uart16550_wiring {
    void (*transmit)(void *context, uint8_t byte); /* must not call back into the UART */
    void (*room)(void *context, uint64_t now);     /* may call uart16550_receive; may be NULL */
    void *context;
    struct irq_line irq;
};

struct uart16550_config {
    uint16_t base; /* first of eight ports */
};

struct uart16550 {
    struct uart16550_registers reg;
    struct uart16550_config config;
    struct uart16550_wiring wiring;
};

extern const struct device_class uart16550_class;

/* CTS, DSR and DCD are up: something is connected. */
void uart16550_init(struct uart16550 *uart, uint16_t base, const struct uart16550_wiring *wiring);

/* The MR pin (table 8.1.1). The divisor, the scratch register and the outer modem lines stay. */
void uart16550_reset(struct uart16550 *uart);

/* Register eight ports at the base and the clock. Errors: those of bus_attach and bus_attach_clock. */
__attribute__((warn_unused_result)) enum bus_status uart16550_attach(struct uart16550 *uart, struct bus *bus);

/* How many bytes the receiver has room for: none in loop-back mode, one without FIFO. */
size_t uart16550_room(const struct uart16550 *uart);

/* Bytes that arrive from the line. Returns how many fit, from the first; when it is less than `count`, room
 * is called once the guest has emptied the receiver. `data` is not kept. */
__attribute__((warn_unused_result)) size_t uart16550_receive(struct uart16550 *uart, const uint8_t *data,
                                                             size_t count, uint64_t now);

/* A break condition arrives: a zero byte marked BI. False if it does not fit. */
__attribute__((warn_unused_result)) bool uart16550_receive_break(struct uart16550 *uart, uint64_t now);

/* Set the incoming modem lines: any of enum uart16550_modem. */
void uart16550_set_modem(struct uart16550 *uart, uint8_t lines);
