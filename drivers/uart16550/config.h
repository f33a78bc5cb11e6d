/* SPDX-License-Identifier: ISC */
/*
 * The driver's configuration: which serial ports there are.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/xml/xml.h"

#define UART_CONFIGS    4u
#define UART_LABEL_SIZE 32u
#define UART_PERIOD     1000u /* microseconds */

struct uart_config {
    char label[UART_LABEL_SIZE]; /* of the session */
    uint16_t base;               /* first of its eight I/O ports */
    unsigned irq;                /* number of its ISA interrupt */
};

struct uart_configs {
    unsigned period; /* microseconds: clients' signals are served at most once in that time */
    unsigned count;
    struct uart_config port[UART_CONFIGS];
};

/* A config_reader (base/include/config.h); config: a struct uart_configs. */
XML_CHECKED bool uart_config_read(void *config, char *text, size_t bytes, struct xml_error *error);

bool uart_label_equal(const struct uart_config *config, const char *label);
