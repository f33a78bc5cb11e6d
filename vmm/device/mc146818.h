/* SPDX-License-Identifier: ISC */
/*
 * MC146818A real-time clock with CMOS memory, as a PC has it.
 *
 * Index and data at ports 0x70 and 0x71 (128 bytes), the upper bank at 0x72 and 0x73 (128 more). The time
 * registers themselves are the clock: they are brought up to date from the time of an access, so what a guest
 * wrote is what it reads back, and a clock that nobody looks at costs nothing.
 *
 * Manual: Motorola MC146818A data sheet. Two choices: the update cycle is instantaneous and UIP is up for the
 * 244 microseconds before it, the least that a driver may count on; the century is kept in register 0x32 and
 * carried.
 */
#pragma once

#include "vmm/bus/device.h"

#include <stdbool.h>
#include <stdint.h>

#define MC146818_SIZE 256

enum mc146818_register {
    RTC_SECONDS = 0x00,
    RTC_SECONDS_ALARM = 0x01,
    RTC_MINUTES = 0x02,
    RTC_MINUTES_ALARM = 0x03,
    RTC_HOURS = 0x04,
    RTC_HOURS_ALARM = 0x05,
    RTC_DAY_OF_WEEK = 0x06,
    RTC_DATE = 0x07,
    RTC_MONTH = 0x08,
    RTC_YEAR = 0x09,
    RTC_A = 0x0a,
    RTC_B = 0x0b,
    RTC_C = 0x0c,
    RTC_D = 0x0d,
    RTC_CENTURY = 0x32
};

struct mc146818_registers {
    uint8_t index[2]; /* ports 0x70 and 0x72 as written */
    uint8_t cmos[MC146818_SIZE];
    uint64_t next_update; /* ns; the next second, while the divider runs */
    uint64_t ticks;       /* of 32768 Hz, up to which the periodic flag holds */
};

struct mc146818 {
    struct mc146818_registers reg;
    struct irq_line irq; /* ISA IRQ 8 */
};

extern const struct device_class mc146818_class;

/* `unix_seconds_at_zero`: wall time when the VM's time is zero, in the zone the guest expects its clock in;
 * years 0 to 9999, anything else is brought to the nearer end. 24-hour BCD mode, memory zero. */
void mc146818_init(struct mc146818 *rtc, const struct irq_line *irq, int64_t unix_seconds_at_zero);

/* The RESET pin: interrupts are disabled and withdrawn; time and memory stay. */
void mc146818_reset(struct mc146818 *rtc);

/* Register ports 0x70 to 0x73 and the clock. Errors: those of bus_attach and bus_attach_clock. */
__attribute__((warn_unused_result)) enum bus_status mc146818_attach(struct mc146818 *rtc, struct bus *bus);

/* CMOS memory for firmware settings (memory sizes, boot order). The indices are 0x0e to 0xff; 0x00 to
 * 0x0d and the century are the clock's registers: setting them does nothing, getting gives their bytes as
 * they were at the last access. */
void mc146818_cmos_set(struct mc146818 *rtc, uint8_t index, uint8_t value);
uint8_t mc146818_cmos_get(const struct mc146818 *rtc, uint8_t index);
