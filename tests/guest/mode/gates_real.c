/* SPDX-License-Identifier: ISC */
/* Real mode's gates: the interrupt vector table at address 0. */
#include "tests/guest/guest.h"

static gate_t *gate_at(unsigned vector)
{
    gate_t *at;

    /* C does not like to point to 0. */
    __asm__("" : "=r"(at) : "0"(vector * sizeof(gate_t)));
    return at;
}

void gate_set(unsigned vector, word_t handler, unsigned dpl)
{
    (void)dpl;
    *gate_at(vector) = handler & 0xffff;
}

void gates_load(void)
{
}

/* There are no pages; nobody calls these. */
void window_set(unsigned page, pte_t entry)
{
    (void)page;
    (void)entry;
}
