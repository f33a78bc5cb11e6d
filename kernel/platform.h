/* SPDX-License-Identifier: ISC */
/* Power, reset, and the machine's clocks as they are read once at boot. */
#pragma once

#include <stdint.h>

#include "kernel/acpi.h"
#include "kernel/object.h"

extern struct acpi_platform platform;
extern const struct object_operations platform_operations;
extern struct object platform_object; /* the object of capabilities to the platform */

/* TSC ticks in a second, measured against the PM timer, or the 8254 if there is none. */
uint64_t platform_measure_tsc(void);

/* Seconds since 1970-01-01 UTC as the CMOS clock has it; it is taken to run in UTC. */
uint64_t platform_wall_seconds(void);

/* S5, with the values that the firmware's \_S5 object names. Returns only if it did not work. */
void platform_power_off(uint8_t type_a, uint8_t type_b);
_Noreturn void platform_reset(void);
