/* SPDX-License-Identifier: ISC */
/* Interrupt objects. See interrupt.h. */
#include "kernel/interrupt.h"

#include "kernel/account.h"
#include "kernel/cpu.h"
#include "kernel/ioapic.h"
#include "kernel/iommu.h"
#include "kernel/lapic.h"
#include "kernel/layout.h"
#include "kernel/nt.h"
#include "kernel/sched.h"
#include "kernel/smp.h"

#define GSI_MASK    0xffffu
#define NO_PIN      UINT16_MAX
#define FLAGS       (GSI_MASK | INTERRUPT_LEVEL | INTERRUPT_LOW | INTERRUPT_MSI | (CPUS - 1) << INTERRUPT_CPU_SHIFT)
#define MSI_ADDRESS 0xfee00000u
#define MSI_CPU     12 /* shift of the APIC's ID */

static struct interrupt *by_vector[VECTOR_GSI_LAST + 1]; /* not referenced: death clears */

static bool arguments_valid(uint32_t flags)
{
    if (flags & ~FLAGS)
        return false;
    if (flags & INTERRUPT_MSI)
        return !(flags & (GSI_MASK | INTERRUPT_LEVEL | INTERRUPT_LOW));
    return (flags & GSI_MASK) < ioapic_gsis();
}

/* A free vector; 0: there is none, or the pin has an object. */
static unsigned find_vector(uint16_t gsi)
{
    unsigned vector = 0;

    for (unsigned v = VECTOR_GSI_LAST; v >= VECTOR_GSI_FIRST; v--)
        if (!by_vector[v])
            vector = v;
        else if (gsi != NO_PIN && by_vector[v]->gsi == gsi)
            return 0;
    return vector;
}

/* What is written where; the pins of IOAPICs do it, too. */
static void message(const struct interrupt *interrupt, uint64_t *address, uint64_t *data)
{
    *address = MSI_ADDRESS | cpus[interrupt->cpu]->apic_id << MSI_CPU;
    *data = interrupt->vector;
    if (iommu && iommu->message)
        iommu->message(interrupt->vector, address, data);
}

static void route(const struct interrupt *interrupt, const uint32_t *apic_id)
{
    if (interrupt->device)
        iommu->route(interrupt->device, interrupt->vector, apic_id, interrupt->level);
}

enum status interrupt_create(struct account *account, uint32_t flags, struct device *device,
                             struct interrupt **result)
{
    uint64_t address, data;
    uint16_t gsi = flags & INTERRUPT_MSI ? NO_PIN : (uint16_t)(flags & GSI_MASK);
    unsigned cpu = flags >> INTERRUPT_CPU_SHIFT, vector;
    struct interrupt *interrupt;

    if (!arguments_valid(flags) || (gsi != NO_PIN ? device != NULL : iommu && !device))
        return STATUS_BAD_ARG;
    if (cpu >= cpu_count)
        return STATUS_BAD_CPU;
    vector = find_vector(gsi);
    if (!vector)
        return STATUS_BUSY;
    interrupt = object_create(account, OBJECT_INTERRUPT, sizeof(*interrupt));
    if (!interrupt)
        return STATUS_NO_MEMORY;
    interrupt->gsi = gsi;
    interrupt->vector = (uint8_t)vector;
    interrupt->cpu = (uint8_t)cpu;
    interrupt->level = flags & INTERRUPT_LEVEL;
    interrupt->device = gsi == NO_PIN ? device : iommu_ioapic(ioapic_id(gsi));
    if (interrupt->device)
        object_reference(&interrupt->device->object);
    route(interrupt, &cpus[cpu]->apic_id);
    message(interrupt, &address, &data);
    __atomic_store_n(&by_vector[vector], interrupt, __ATOMIC_RELEASE);
    if (gsi != NO_PIN)
        ioapic_route(gsi, interrupt->vector, interrupt->level, flags & INTERRUPT_LOW, address);
    *result = interrupt;
    return STATUS_OK;
}

void interrupt_message(const struct interrupt *interrupt, uint64_t *address, uint64_t *data)
{
    *address = *data = 0;
    if (interrupt->gsi == NO_PIN)
        message(interrupt, address, data);
}

static void mask(const struct interrupt *interrupt, bool masked)
{
    if (interrupt->gsi != NO_PIN)
        ioapic_mask(interrupt->gsi, masked);
}

static bool interrupt_ended(const struct object *object)
{
    return !((const struct interrupt *)object)->vector;
}

static void interrupt_end(struct object *object)
{
    struct interrupt *interrupt = (struct interrupt *)object;

    if (!interrupt->vector)
        return;
    lock_take(&interrupt->lock);
    mask(interrupt, true);
    route(interrupt, NULL);
    __atomic_store_n(&by_vector[interrupt->vector], NULL, __ATOMIC_RELEASE);
    interrupt->vector = 0;
    lock_release(&interrupt->lock);
}

static bool interrupt_free(struct object *object)
{
    struct interrupt *interrupt = (struct interrupt *)object;
    struct nt *nt = interrupt->nt;

    interrupt_end(object);
    if (interrupt->device)
        object_release(&interrupt->device->object);
    slab_free(interrupt);
    if (nt)
        object_release(&nt->object);
    return true;
}

const struct object_operations interrupt_operations = {
    .end = interrupt_end, .ended = interrupt_ended, .free = interrupt_free};

void interrupt_bind(struct interrupt *interrupt, struct nt *nt, uint64_t bits)
{
    struct nt *old = interrupt->nt;

    object_reference(&nt->object);
    lock_take(&interrupt->lock);
    interrupt->nt = nt;
    interrupt->bits = bits;
    if (interrupt->vector)
        mask(interrupt, false);
    lock_release(&interrupt->lock);
    if (old)
        object_release(&old->object);
}

void interrupt_acknowledge(struct interrupt *interrupt)
{
    lock_take(&interrupt->lock);
    if (interrupt->level && interrupt->vector) /* a pin that is nobody's would interrupt without end */
        mask(interrupt, false);
    lock_release(&interrupt->lock);
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
    if (vector == VECTOR_IPI) {
        smp_interrupt();
        return;
    }
    interrupt = vector <= VECTOR_GSI_LAST ? __atomic_load_n(&by_vector[vector], __ATOMIC_ACQUIRE) : NULL;
    if (interrupt && interrupt->level)
        mask(interrupt, true);
    lapic_end_of_interrupt();
    if (!interrupt)
        return;
    lock_take(&interrupt->lock);
    if (interrupt->nt && !interrupt->nt->object.dead)
        nt_signal(interrupt->nt, interrupt->bits);
    lock_release(&interrupt->lock);
}
