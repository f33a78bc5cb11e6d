/* SPDX-License-Identifier: ISC */
/* Sets of ISA interrupts, a bit each. */
#pragma once

#include <stdint.h>

static inline unsigned irqs_count(uint32_t irqs)
{
    unsigned count = 0;

    for (; irqs; irqs &= irqs - 1)
        count++;
    return count;
}
