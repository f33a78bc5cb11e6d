/* SPDX-License-Identifier: ISC */
/* The IOAPICs' redirection tables (82093AA). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Add the IOAPIC at a physical address, whose pins begin at `gsi`; all pins are masked. */
void ioapic_add(uint64_t physical, uint32_t gsi);
uint32_t ioapic_gsis(void); /* one more than the highest pin */

/* Route a pin to the CPU whose local APIC has the ID, masked. `gsi` < ioapic_gsis(); a number that no pin has
 * is ignored. */
void ioapic_route(uint32_t gsi, uint8_t vector, bool level, bool low, uint32_t apic_id);
void ioapic_mask(uint32_t gsi, bool masked);
