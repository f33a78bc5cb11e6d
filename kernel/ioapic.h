/* SPDX-License-Identifier: ISC */
/* The IOAPICs' redirection tables (82093AA). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Add the IOAPIC of this ID at a physical address, whose pins begin at `gsi`; all pins are masked. */
void ioapic_add(uint8_t id, uint64_t physical, uint32_t gsi);
uint32_t ioapic_gsis(void); /* one more than the highest pin */
uint8_t ioapic_id(uint32_t gsi);

/* Have a pin send the vector by a message to this address (MSI form), masked. `gsi` < ioapic_gsis(); a number
 * that no pin has is ignored. */
void ioapic_route(uint32_t gsi, uint8_t vector, bool level, bool low, uint64_t address);
void ioapic_mask(uint32_t gsi, bool masked);
