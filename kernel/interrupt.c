/* SPDX-License-Identifier: ISC */
/* Interrupt objects. See interrupt.h. */
#include "kernel/interrupt.h"

#include "kernel/account.h"
#include "kernel/ioapic.h"
#include "kernel/lapic.h"
#include "kernel/layout.h"
#include "kernel/nt.h"
#include "kernel/sched.h"

#define GSI_MASK 0xffffu

static struct interrupt *by_vector[VECTOR_GSI_LAST + 1]; /* not referenced: death clears */

enum status interrupt_create(struct account *account, uint32_t gsi_flags, struct interrupt **result)
{
    uint32_t gsi = gsi_flags & GSI_MASK;
    struct interrupt *interrupt;
    unsigned vector = 0;

    if (gsi >= ioapic_gsis() || (gsi_flags & ~(GSI_MASK | INTERRUPT_LEVEL | INTERRUPT_LOW)))
        return STATUS_BAD_ARG;
    for (unsigned v = VECTOR_GSI_LAST; v >= VECTOR_GSI_FIRST; v--) {
        if (!by_vector[v])
            vector = v;
        else if (by_vector[v]->gsi == gsi)
            return STATUS_BUSY;
    }
    if (!vector)
        return STATUS_BUSY;
    interrupt = object_create(account, OBJECT_INTERRUPT, sizeof(*interrupt));
    if (!interrupt)
        return STATUS_NO_MEMORY;
    interrupt->gsi = (uint16_t)gsi;
    interrupt->vector = (uint8_t)vector;
    interrupt->level = gsi_flags & INTERRUPT_LEVEL;
    by_vector[vector] = interrupt;
    ioapic_route(gsi, interrupt->vector, interrupt->level, gsi_flags & INTERRUPT_LOW);
    *result = interrupt;
    return STATUS_OK;
}

void interrupt_destroy(struct interrupt *interrupt)
{
    if (!interrupt->vector)
        return;
    ioapic_mask(interrupt->gsi, true);
    by_vector[interrupt->vector] = NULL;
    interrupt->vector = 0;
}

void interrupt_free(struct interrupt *interrupt)
{
    struct nt *nt = interrupt->nt;

    interrupt_destroy(interrupt);
    slab_free(interrupt);
    if (nt)
        object_release(&nt->object);
}

void interrupt_bind(struct interrupt *interrupt, struct nt *nt, uint64_t bits)
{
    struct nt *old = interrupt->nt;

    object_reference(&nt->object);
    interrupt->nt = nt;
    interrupt->bits = bits;
    ioapic_mask(interrupt->gsi, false);
    if (old)
        object_release(&old->object);
}

void interrupt_acknowledge(struct interrupt *interrupt)
{
    if (interrupt->level)
        ioapic_mask(interrupt->gsi, false);
}

void interrupt_deliver(unsigned vector)
{
    struct interrupt *interrupt;

    if (vector == VECTOR_SPURIOUS)
        return;
    if (vector == VECTOR_TIMER) {
        lapic_end_of_interrupt();
        lapic_timer_fired();
        sched_timer_interrupt();
        return;
    }
    interrupt = vector <= VECTOR_GSI_LAST ? by_vector[vector] : NULL;
    if (interrupt && interrupt->level)
        ioapic_mask(interrupt->gsi, true);
    lapic_end_of_interrupt();
    if (interrupt && interrupt->nt && !interrupt->nt->object.dead)
        nt_signal(interrupt->nt, interrupt->bits);
}
