/* SPDX-License-Identifier: ISC */
/* The kernel's lock, requests to other CPUs and shootdowns. See smp.h, lock.h and generation.h. */
#include "kernel/smp.h"

#include "kernel/cpu.h"
#include "kernel/generation.h"
#include "kernel/lapic.h"
#include "kernel/lock.h"
#include "kernel/object.h"
#include "kernel/space.h"
#include "kernel/switch.h"

struct cpu *cpus[CPUS];
unsigned cpu_count = 1;

struct ticket_lock kernel_lock_word;

/* The shootdown that is under way; the kernel's lock is held, so there is one. */
static struct {
    uint64_t wanted;
    uint64_t mask;
    const struct space *space;
    uint64_t physical;
} shootdown;

/* Have this CPU not use what was taken away. */
static void shoot(struct cpu *cpu)
{
    const struct space *space = shootdown.space;

    if (space->kind == SPACE_HST && cpu->cr3 == shootdown.physical) {
        cpu->cr3 = space->memory.physical;
        write_cr3(cpu->cr3);
    }
    if (space->kind == SPACE_PIO)
        ec_ports_changed(cpu, space);
    /* GST: the interrupt has ended the stay in the guest, and the generation is looked at before the next. */
}

static void answer_shootdown(struct cpu *cpu)
{
    uint64_t begun = generation_begin(&shootdown.wanted);

    if (generation_reached(&cpu->shootdown_seen, begun) ||
        !(__atomic_load_n(&shootdown.mask, __ATOMIC_ACQUIRE) & 1ul << cpu->number))
        return;
    shoot(cpu);
    generation_answer(&cpu->shootdown_seen, begun);
}

void smp_shootdown(const struct space *space, uint64_t physical, uint64_t mask)
{
    struct cpu *self = this_cpu();
    unsigned looks = 0;
    uint64_t wanted;

    shootdown.space = space;
    shootdown.physical = physical;
    shoot(self);
    mask &= ~(1ul << self->number) & (~0ul >> (CPUS - cpu_count));
    if (!mask)
        return;
    __atomic_store_n(&shootdown.mask, mask, __ATOMIC_RELEASE); /* behind what it is about */
    wanted = generation_raise(&shootdown.wanted);
    for (uint64_t rest = mask; rest; rest &= rest - 1)
        lapic_interrupt(cpus[__builtin_ctzl(rest)]->apic_id);
    for (; mask; mask &= mask - 1)
        while (!generation_reached(&cpus[__builtin_ctzl(mask)]->shootdown_seen, wanted))
            spin(&looks);
}

void kernel_lock_wait(uint32_t ticket)
{
    unsigned looks = 0;

    while (__atomic_load_n(&kernel_lock_word.owner, __ATOMIC_ACQUIRE) != ticket) {
        answer_shootdown(this_cpu());
        spin(&looks);
    }
}

void smp_request(struct object *object, unsigned what, unsigned number)
{
    struct cpu *cpu = cpus[number];

    if (what != REQUEST_FREE && !object_try_reference(object))
        return; /* its end is under way, and wakes whom it has to */
    /* It is in a list already: whoever takes it from there takes this request, too. */
    if (__atomic_fetch_or(&object->requests, (uint8_t)what, __ATOMIC_SEQ_CST)) {
        object_release(object);
        return;
    }
    object->next = __atomic_load_n(&cpu->requests, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&cpu->requests, &object->next, object, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_RELAXED))
        ;
    if (cpu != this_cpu())
        lapic_interrupt(cpu->apic_id);
    else
        cpu->hazard |= HAZARD_REQUEST;
}

void smp_interrupt(void)
{
    struct cpu *cpu = this_cpu();

    lapic_end_of_interrupt();
    answer_shootdown(cpu);
    cpu->hazard |= HAZARD_REQUEST;
}
