/* SPDX-License-Identifier: ISC */
/* The CPU's own local APIC: its timer, end of interrupt. APM vol. 2, ch. 16. */
#pragma once

#include <stdint.h>

struct cpu;

/* Map and enable it; `tsc_hz` is known: the timer's rate is measured against the TSC. */
void lapic_init(void);
uint32_t lapic_id(void);
void lapic_end_of_interrupt(void);

/* VECTOR_TIMER has arrived: the timer is not set any more. */
void lapic_timer_fired(void);

/* Have VECTOR_TIMER arrive at the TSC value `when`, or a little later; DEADLINE_NEVER: not at all. A time
 * that is farther than the counter reaches fires early. */
void lapic_set_timer(uint64_t when);
