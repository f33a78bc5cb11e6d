/* SPDX-License-Identifier: ISC */
/* The kernel's lock, requests to other CPUs, shootdowns and grace periods. See smp.h, lock.h and
 * generation.h. */
#include "kernel/smp.h"

#include "kernel/cpu.h"
#include "kernel/ec.h"
#include "kernel/generation.h"
#include "kernel/lapic.h"
#include "kernel/lock.h"
#include "kernel/object.h"
#include "kernel/space.h"

struct cpu *cpus[CPUS];
unsigned cpu_count = 1;

struct ticket_lock kernel_lock_word;

static uint64_t grace_wanted;

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
    for (; mask; mask &= mask - 1) {
        while (!generation_reached(&cpus[__builtin_ctzl(mask)]->shootdown_seen, wanted))
            spin(&looks);
    }
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

void smp_handle_requests(struct cpu *cpu)
{
    struct object *object;

    cpu->hazard = (cpu->hazard & ~HAZARD_REQUEST) | HAZARD_GRACE;
    cpu->grace_begun = generation_begin(&grace_wanted);
    object = __atomic_exchange_n(&cpu->requests, NULL, __ATOMIC_SEQ_CST);
    while (object) {
        struct object *next = object->next;
        unsigned what = __atomic_exchange_n(&object->requests, 0, __ATOMIC_SEQ_CST);

        if (what & REQUEST_WAKE)
            object_wake(object);
        if (what & REQUEST_DESTROY) {
            kernel_lock();
            object_end(object);
            kernel_unlock();
        }
        if (what == REQUEST_FREE)
            object_free_here(object);
        else
            object_release(object);
        object = next;
    }
}

/* Whether all others have answered what `cpu` waits for. */
static bool grace_over(const struct cpu *cpu)
{
    for (unsigned i = 0; i < cpu_count; i++) {
        if (cpus[i] != cpu && !generation_reached(&cpus[i]->grace_seen, cpu->grace))
            return false;
    }
    return true;
}

void smp_answer_grace(struct cpu *cpu)
{
    cpu->hazard &= ~HAZARD_GRACE;
    generation_answer(&cpu->grace_seen, cpu->grace_begun);
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* answered before looking: of two, one has to see both answers */
    for (unsigned i = 0; i < cpu_count; i++) { /* the last one to answer says so */
        if (cpus[i] != cpu && __atomic_load_n(&cpus[i]->grace_waits, __ATOMIC_SEQ_CST) && grace_over(cpus[i]))
            lapic_interrupt(cpus[i]->apic_id);
    }
}

void smp_begin_grace(struct cpu *cpu)
{
    if (cpu_count == 1)
        return;
    cpu->grace = generation_raise(&grace_wanted);
    for (unsigned i = 0; i < cpu_count; i++) {
        if (cpus[i] != cpu)
            lapic_interrupt(cpus[i]->apic_id);
    }
}

bool smp_grace_over(struct cpu *cpu)
{
    if (cpu_count == 1)
        return true;
    __atomic_store_n(&cpu->grace_waits, true,
                     __ATOMIC_SEQ_CST); /* before looking: else the last answer might be missed */
    if (!grace_over(cpu))
        return false;
    cpu->grace_waits = false;
    return true;
}

void smp_interrupt(void)
{
    struct cpu *cpu = this_cpu();

    lapic_end_of_interrupt();
    answer_shootdown(cpu);
    cpu->hazard |= HAZARD_REQUEST;
}
