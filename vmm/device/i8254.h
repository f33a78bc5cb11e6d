/* SPDX-License-Identifier: ISC */
/*
 * 8254 interval timer with the port 0x61 latch of a PC.
 *
 * Counters at ports 0x40 to 0x43, clocked with 1193182 Hz derived from the time of the access. Nothing
 * happens between accesses: a counter is a closed function of its last state and the clocks since, so a VM
 * that was paused for a day costs no more than one that was not. Counter 0 drives an interrupt line; edges
 * that were due while nobody looked become one.
 *
 * Manual: Intel 82C54 data sheet (231244). Counts are loaded at the clock after they were written, as it
 * says.
 */
#pragma once

#include "vmm/bus/device.h"

#include <stdbool.h>
#include <stdint.h>

#define I8254_HZ 1193182u

struct i8254_counter {
    uint64_t tick;         /* clocks since the VM started, up to which the state holds */
    uint32_t count;        /* counting element; the full 65536 or 10000 only until it has counted once */
    uint32_t initial;      /* count that is running, 1 to 65536 (BCD: 1 to 10000) */
    uint32_t next;         /* count register: as last written */
    uint16_t latch;        /* count that a latch command holds */
    uint8_t control;       /* RW, M and BCD bits of the control word */
    uint8_t write_low;     /* first byte of a count written in two */
    uint8_t latched_bytes; /* bytes of the latch that are not read yet */
    uint8_t status;
    bool status_latched;
    bool write_high; /* the next byte written is the high one */
    bool read_high;
    bool gate;
    bool out;
    bool written;  /* a count was written since the control word */
    bool null;     /* NULL COUNT: the count register is not in the counting element yet */
    bool loading;  /* the next clock loads the counting element */
    bool counting; /* the counting element was loaded since the control word */
    bool armed;    /* modes 0, 1, 4, 5: the terminal count is still to come */
};

struct i8254_registers {
    struct i8254_counter counter[3];
    uint8_t port61; /* bits 3:0 as written */
};

struct i8254 {
    struct i8254_registers reg;
    struct irq_line irq; /* OUT of counter 0 */
};

extern const struct device_class i8254_class;

void i8254_init(struct i8254 *pit, const struct irq_line *irq);

/* All counters in mode 3 with the full count, as firmware would leave counter 0. */
void i8254_reset(struct i8254 *pit, uint64_t now);

/* Register ports 0x40 to 0x43, port 0x61 and the clock. Errors: those of bus_attach and bus_attach_clock. */
__attribute__((warn_unused_result)) enum bus_status i8254_attach(struct i8254 *pit, struct bus *bus);
