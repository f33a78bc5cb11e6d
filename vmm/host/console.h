/* SPDX-License-Identifier: ISC */
/*
 * The far end of a guest's serial port: a Terminal session, if there is one, and always the log.
 *
 * Output is gathered for up to a millisecond, so that not every byte costs a signal, and kept when the
 * terminal's ring is full. Beyond CONSOLE_BUFFER bytes it is dropped, since the guest must not wait for a
 * person. When the terminal's server has gone, what it has not taken goes to the next one, and what it has given
 * still reaches the guest. For the log the bytes become lines (lines.h). Input is taken from the ring only when the
 * guest's receiver has room, so only the ring fills up.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/include/caps.h"
#include "base/include/session/terminal.h"
#include "lib/terminal/terminal.h"
#include "vmm/cpu/clock.h"
#include "vmm/device/uart16550.h"
#include "vmm/host/lines.h"

#define CONSOLE_CAPS   CAP_FREE
#define CONSOLE_BIT    1ull /* of CAP_NT */
#define CONSOLE_BUFFER 65536u
#define CONSOLE_RING   (TERMINAL_DONATION / 2) /* more than a terminal's ring holds */

struct console {
    const char *name;
    const struct clock *clock;
    struct uart16550 *uart;
    struct terminal terminal;
    bool connected;
    bool missing;    /* it was said that there is none */
    bool never;      /* there is no route to one */
    uint64_t ask_at; /* for a session; virtual ns */

    uint8_t output[CONSOLE_BUFFER]; /* a ring */
    uint32_t head, count;
    uint64_t dropped;
    uint64_t flush_at; /* virtual ns */

    uint8_t
        input[CONSOLE_RING]; /* taken from the terminal, refused by the UART: from input_at to input_end */
    uint32_t input_at, input_end;

    struct lines log;
};

/* Opens the Terminal session of this label and waits for its server, on the main thread. While there is none, the
 * guest's output goes to the log only, which says so. Both strings stay the caller's; `name` is the VM's. */
void console_open(struct console *console, const char *name, const char *label);

/* The UART's wiring (transmit, room) and clock lead here. */
void console_wire(struct console *console, const struct clock *clock, struct uart16550 *uart);

/* As lines_await. */
void console_await(struct console *console, const char *text, void (*seen)(void *context), void *context);

/* uart16550_wiring callbacks. */
void console_transmit(void *console, uint8_t byte);
void console_room(void *console, uint64_t now);

/* bus_clock callbacks: flushes, and asks for a terminal again. */
uint64_t console_deadline(void *console);
void console_advance(void *console, uint64_t now);

/* Whether one of these signals of CAP_NT is for the console. */
static inline bool console_is_signal(uint64_t bits)
{
    return bits & (NT_PARENT_NEWS | CONSOLE_BIT);
}

/* Takes input, writes waiting output, and notices that the terminal has come or gone. */
void console_signal(struct console *console, uint64_t bits, uint64_t now);

/* Writes everything, the unfinished line too: the VM ends. */
void console_finish(struct console *console);
