/* SPDX-License-Identifier: ISC */
/*
 * The debug console of emulators: bytes written to port 0x402 (SeaBIOS) or 0xe9 (Bochs) go to the monitor's log. A read
 * gives 0xe9, by which software knows that there is one. It has no state, and no reset.
 */
#pragma once

#include "vmm/bus/bus.h"

#include <stdint.h>

struct debug_port {
    void (*transmit)(void *context, uint8_t byte); /* NULL: it decodes nothing */
    void *context;
};

/* Registers both ports, if it is wanted. Errors: those of bus_attach. */
MUST_CHECK enum bus_status debug_port_attach(struct debug_port *port, struct bus *bus);
