/* SPDX-License-Identifier: ISC */
/* Where a PCI function has its table of MSI-X (PCI Local Bus 3.0, 6.8.2): in a BAR, by a capability. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define MSIX_ENTRY 16u /* bytes: address, its upper half, data, mask */

struct msix_table {
    unsigned bar;
    uint32_t offset; /* in the BAR, a multiple of 8 */
    unsigned entries;
};

/* `read` gives four bytes of configuration space at a multiple of four. False: it has no MSI-X. */
bool msix_find(uint32_t (*read)(void *context, unsigned offset), void *context, struct msix_table *table);
