/* SPDX-License-Identifier: ISC */
/*
 * IRQ: one interrupt. Label: its number, decimal; 0 to 15 are the ISA interrupts, 16 and up IOAPIC pins
 * (level, low). PARENT_OPEN puts the interrupt's capability (acknowledge) at the selector given, bound to the
 * signal bits given of the client's CAP_NT. The interrupt is unmasked by the first interrupt_ack(). No
 * operations.
 */
#pragma once

#define IRQ_SERVICE "IRQ"
