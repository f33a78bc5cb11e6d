/* SPDX-License-Identifier: ISC */
/*
 * The chip: a 16550A serial port, driven by interrupts with its FIFOs on. It knows no sessions: it moves
 * bytes between the chip and two rings, and is told by its caller when to look. Ports are reached through two
 * functions, so that a test can stand in for the chip.
 *
 * Source: National Semiconductor, PC16550D data sheet (June 1995), section 8.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/ring/ring.h"

#define UART_PORTS 8u /* I/O ports that the chip takes */
#define UART_FIFO  16u

/* How the chip is reached. Both functions get `context`. */
struct uart_ports {
    uint8_t (*in)(void *context, uint16_t port);
    void (*out)(void *context, uint16_t port, uint8_t value);
};

struct uart {
    const struct uart_ports *ports;
    void *context;
    uint16_t base;
    uint8_t enabled;       /* IER as last written */
    uint32_t overruns;     /* bytes lost between line and FIFO, by count of the events */
    struct ring *received; /* to the client, producer's side; NULL: no client, input is dropped */
    struct ring *transmit; /* from the client, consumer's side; NULL: no client */
    bool fresh;            /* there has been no client yet: input stays in the chip for the first one */
};

/*
 * Finds the chip at `base` and sets it to 115200 baud, 8N1, FIFOs on, DTR and RTS asserted. What is in FIFOs
 * that were on before stays there. False: there is no 16550 (the scratch register does not keep a value, or the FIFOs do not come
 * up).
 */
bool uart_init(struct uart *uart, const struct uart_ports *ports, void *context, uint16_t base)
    __attribute__((warn_unused_result));

/* A client comes (both rings) or goes (both NULL). */
void uart_set_client(struct uart *uart, struct ring *received, struct ring *transmit);

/*
 * Moves what can be moved: from the chip to `received` as far as there is room (else the bytes stay in the
 * chip and its receive interrupt is held off), from `transmit` to the chip. To be called after every
 * interrupt and whenever the client has signalled. True: the client is to be signalled.
 */
bool uart_service(struct uart *uart) __attribute__((warn_unused_result));
