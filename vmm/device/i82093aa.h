/* SPDX-License-Identifier: ISC */
/*
 * Intel 82093AA I/O APIC with 24 pins, as version 0x20 (with the EOI register of later chip sets).
 *
 * Intel 82093AA datasheet (May 1996), ICH9 datasheet 13.5 for the EOI register. Lines are logical levels:
 * true is asserted whatever the polarity bit says. Not modelled: polarity, delivery status (always idle),
 * remote arbitration.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vmm/bus/device.h"
#include "vmm/device/lapic.h"

#define I82093AA_MMIO_BASE   0xfec00000u
#define I82093AA_MMIO_LENGTH 0x1000u
#define I82093AA_PINS        24

struct i82093aa_wiring {
    /* Put a message on the APIC bus (lapic_route). False: nobody accepted it; a level interrupt then stays
     * pending until its entry is written or its line is asserted again. */
    bool (*send)(void *context, const struct lapic_message *message);
    void *context;
};

struct i82093aa_registers {
    uint64_t entry[I82093AA_PINS];
    uint32_t level; /* lines, a bit a pin */
    uint8_t id;
    uint8_t select;
};

struct i82093aa {
    struct i82093aa_registers reg;
    struct i82093aa_wiring wiring;
};

extern const struct device_class i82093aa_class;

/* All lines low, all entries masked. The wiring stays on reset, as do the lines. */
void i82093aa_init(struct i82093aa *ioapic, const struct i82093aa_wiring *wiring);
void i82093aa_reset(struct i82093aa *ioapic);

/* Register the page at I82093AA_MMIO_BASE. Errors: those of bus_attach. */
MUST_CHECK enum bus_status i82093aa_attach(struct i82093aa *ioapic, struct bus *bus);

/* bus_handler of that region. */
void i82093aa_access(void *ioapic, struct bus_access *access);

/* Level of an input; fits irq_line.set. Pins from 24 on are ignored. */
void i82093aa_set_irq(void *ioapic, unsigned pin, bool level);

/* A LAPIC acknowledged this level-triggered vector: entries with it may ask again. */
void i82093aa_eoi(struct i82093aa *ioapic, uint8_t vector);
