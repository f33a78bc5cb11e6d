/* SPDX-License-Identifier: ISC */
/* I/O ports: a UART that is always ready and throws away what it gets, and configuration space. */
#pragma once

#include <stdint.h>

void port_out8(uint16_t port, uint8_t value);
uint8_t port_in8(uint16_t port);
void port_out32(uint16_t port, uint32_t value);
uint32_t port_in32(uint16_t port);
