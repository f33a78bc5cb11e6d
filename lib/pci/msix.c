/* SPDX-License-Identifier: ISC */
/* The capability of MSI-X; see msix.h. */
#include "lib/pci/msix.h"

#define CAPABILITIES   0x34u
#define CAPABILITY_MAX 48u /* in 192 bytes */
#define MSIX           0x11u
#define BARS           6u

bool msix_find(uint32_t (*read)(void *context, unsigned offset), void *context, struct msix_table *table)
{
    unsigned at = read(context, CAPABILITIES) & 0xfc;

    for (unsigned i = 0; i < CAPABILITY_MAX && at >= 0x40; i++) {
        uint32_t head = read(context, at), place;

        if ((head & 0xff) == MSIX && at + 8 <= 0x100) {
            place = read(context, at + 4);
            *table = (struct msix_table){place & 7, place & ~7u, (head >> 16 & 0x7ff) + 1};
            return table->bar < BARS;
        }
        at = head >> 8 & 0xfc;
    }
    return false;
}
