/* SPDX-License-Identifier: ISC */
/*
 * The pair of 8259A interrupt controllers of a PC, as the PIIX3 has them.
 *
 * Master at ports 0x20 and 0x21, slave at 0xa0 and 0xa1 on the master's input 2, edge/level control registers
 * at 0x4d0 and 0x4d1. Inputs and the output are levels: a chip samples what is on its pins and derives its
 * edges itself, so that a save and restore, or a line that is set twice, makes no interrupt.
 *
 * Manuals: Intel 8259A data sheet (231468), 82371SB (PIIX3) data sheet 2.5.4 for what differs: LTIM is
 * ignored in favour of the ELCR. An edge once seen stays requested until it is acknowledged, also if the
 * input falls before that; the chip would deliver a spurious interrupt then, which no driver can want.
 */
#pragma once

#include "vmm/bus/device.h"

#include <stdbool.h>
#include <stdint.h>

struct i8259_chip {
    uint8_t lines;  /* levels on the inputs */
    uint8_t edges;  /* edge-triggered requests that are not acknowledged yet */
    uint8_t elcr;   /* 1: level-triggered */
    uint8_t isr;    /* in service */
    uint8_t imr;    /* mask */
    uint8_t vector; /* ICW2, bits 7:3 */
    uint8_t icw1, icw3, icw4;
    uint8_t step;   /* the ICW that port 1 expects: 2, 3 or 4; 0 ready; 1 never initialised */
    uint8_t lowest; /* input with the lowest priority */
    bool read_isr;  /* OCW3: register that port 0 shows */
    bool poll;      /* OCW3: the next read is an acknowledge cycle */
    bool special_mask;
    bool rotate_aeoi;
};

struct i8259_registers {
    struct i8259_chip chip[2]; /* master, slave */
    bool intr;                 /* level of the output */
};

struct i8259 {
    struct i8259_registers reg;
    struct irq_line intr; /* INTR of the CPU, or LINT0 and I/O APIC pin 0 behind a fan-out */
};

extern const struct device_class i8259_class;

/* `intr`: where the output goes; called only when the level changes, and once at reset. */
void i8259_init(struct i8259 *pic, const struct irq_line *intr);

/* Power-on state: nothing is delivered until software has written ICW1 to ICW4. Levels on the inputs stay. */
void i8259_reset(struct i8259 *pic);

/* Register ports 0x20, 0xa0 and 0x4d0. Errors: those of bus_attach. */
__attribute__((warn_unused_result)) enum bus_status i8259_attach(struct i8259 *pic, struct bus *bus);

/* Set input `pin` (0 to 15; 2 is the cascade and ignored, as is anything above). Usable as irq_line.set. */
void i8259_set_irq(void *pic, unsigned pin, bool level);

/* The interrupt acknowledge cycle: the vector to deliver, 0 to 255. With no request left (it was masked or a
 * level fell since INTR rose), the spurious vector of input 7 or 15 (data sheet, "Interrupt sequence"). */
int i8259_acknowledge(struct i8259 *pic);
