/* SPDX-License-Identifier: ISC */
/* The CPU's own local APIC: its timer, end of interrupt. APM vol. 2, ch. 16. */
#pragma once

#include <stdint.h>

struct cpu;

/* Enable this CPU's. The first CPU maps it and, since `tsc_hz` is known, measures the timer's rate against
 * the TSC. */
void lapic_init(void);
uint32_t lapic_id(void);

/* Send to another CPU: VECTOR_IPI, or what starts it at a page below 1 MiB. */
void lapic_interrupt(uint32_t apic_id);
void lapic_start_processor(uint32_t apic_id, uint32_t page);
void lapic_stop_processor(uint32_t apic_id);

void lapic_end_of_interrupt(void);

/* VECTOR_TIMER has arrived: the timer is not set any more. */
void lapic_timer_fired(void);

/* Have VECTOR_TIMER arrive at the TSC value `when`, or a little later; DEADLINE_NEVER: not at all. A time
 * that is farther than the counter reaches fires early. */
void lapic_set_timer(uint64_t when);
