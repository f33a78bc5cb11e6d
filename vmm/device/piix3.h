/* SPDX-License-Identifier: ISC */
/*
 * 82371SB (PIIX3) PCI-to-ISA bridge, function 0: PIRQ routing and the reset control register.
 *
 * The bridge is where the level-triggered, shared interrupts of PCI meet the ISA inputs: PIRQA to PIRQD are
 * routed by registers, and everything that lands on the same input is ORed. The legacy chips it contains
 * stand in files of their own; the edge/level register is with the i8259.
 *
 * Manual: Intel 82371FB/82371SB data sheet (290550), 2.2.
 */
#pragma once

#include "vmm/bus/device.h"
#include "vmm/device/i440fx.h"

#include <stdbool.h>
#include <stdint.h>

/* Inputs of piix3_set_irq. */
enum piix3_pin { PIIX3_PIRQA, PIIX3_PIRQB, PIIX3_PIRQC, PIIX3_PIRQD, PIIX3_SCI, PIIX3_PINS };

#define PIIX3_PIRQRC  0x60 /* four routing registers: bit 7 off, bits 3:0 ISA input */
#define PIIX3_SCI_IRQ 9    /* the power management block is wired to this input, level-triggered and shared */

struct piix3_registers {
    uint8_t space[PCI_SPACE_SIZE];
    uint8_t reset_control; /* port 0xcf9 */
    uint32_t slots[4];     /* of PIRQA to PIRQD: a bit for each slot that holds it up */
    bool pin[PIIX3_PINS];
    uint16_t driven; /* ISA inputs that this bridge holds up */
};

struct piix3_wiring {
    void (*reset)(void *context, bool hard); /* port 0xcf9: the whole machine if hard, the CPU if not */
    void *context;
    struct irq_line isa; /* the pin is given by the routing: 0 to 15; that of the line is not used */
};

struct piix3 {
    struct piix3_registers reg;
    struct piix3_wiring wiring;
};

extern const struct device_class piix3_class;

void piix3_init(struct piix3 *bridge, const struct piix3_wiring *wiring);
void piix3_reset(struct piix3 *bridge);

/* Register with the host bridge: a PCI function (its slot is 1 on every PC with this chip set) and port
 * 0xcf9. Errors: those of pci_bus_attach. */
__attribute__((warn_unused_result)) enum bus_status piix3_attach(struct piix3 *bridge, struct i440fx *host,
                                                                 unsigned slot);

/* Set an input, enum piix3_pin; others are ignored. Usable as irq_line.set. */
void piix3_set_irq(void *bridge, unsigned pin, bool level);

/* An interrupt pin of a PCI function: 4 * slot + 0 to 3 for INTA to INTD; others are ignored. The functions of
 * one slot that share a pin must be ORed before. Usable as irq_line.set. */
void piix3_set_intx(void *bridge, unsigned pin, bool level);

/* The PIRQ that INTA to INTD (0 to 3) of a slot is wired to, as firmware for this chip set expects it. */
static inline unsigned piix3_pirq(unsigned slot, unsigned intx)
{
    return (slot + intx + 3) & 3;
}
