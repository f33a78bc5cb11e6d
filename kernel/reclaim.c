/* SPDX-License-Identifier: ISC */
/* Ends, grace periods and deferred freeing. See reclaim.h. */
#include "kernel/reclaim.h"

#include "kernel/account.h"
#include "kernel/cpu.h"
#include "kernel/generation.h"
#include "kernel/lapic.h"
#include "kernel/lock.h"
#include "kernel/smp.h"

static uint64_t grace_wanted;

/* The CPU that an object belongs to; this one if it has none. */
static unsigned home(const struct object *object)
{
    const struct object_operations *operations = object_operations(object);

    return operations->home ? operations->home(object) : this_cpu()->number;
}

static bool ended(const struct object *object)
{
    const struct object_operations *operations = object_operations(object);

    return !operations->ended || operations->ended(object);
}

void object_end(struct object *object)
{
    const struct object_operations *operations = object_operations(object);

    object->dead = true;
    if (home(object) != this_cpu()->number)
        smp_request(object, REQUEST_DESTROY, home(object));
    else if (operations->end)
        operations->end(object);
}

bool object_destroy(struct object *object)
{
    const struct object_operations *operations = object_operations(object);

    object->dead = true; /* which is all of a portal's end */
    if (operations->destroy)
        return operations->destroy(object);
    if (!ended(object))
        object_end(object);
    return ended(object);
}

void grace_begin_answer(struct cpu *cpu)
{
    cpu->hazard |= HAZARD_GRACE;
    cpu->grace_begun = generation_begin(&grace_wanted);
}

/* Whether all others have answered what `cpu` waits for. */
static bool others_have_answered(const struct cpu *cpu)
{
    for (unsigned i = 0; i < cpu_count; i++)
        if (cpus[i] != cpu && !generation_reached(&cpus[i]->grace_seen, cpu->grace))
            return false;
    return true;
}

void grace_answer(struct cpu *cpu)
{
    cpu->hazard &= ~HAZARD_GRACE;
    generation_answer(&cpu->grace_seen, cpu->grace_begun);
    __atomic_thread_fence(
        __ATOMIC_SEQ_CST); /* answered before looking: of two, one has to see both answers */
    for (unsigned i = 0; i < cpu_count; i++) /* the last one to answer says so */
        if (cpus[i] != cpu && __atomic_load_n(&cpus[i]->grace_waits, __ATOMIC_SEQ_CST) &&
            others_have_answered(cpus[i]))
            lapic_interrupt(cpus[i]->apic_id);
}

static void grace_begin(struct cpu *cpu)
{
    if (cpu_count == 1)
        return;
    cpu->grace = generation_raise(&grace_wanted);
    for (unsigned i = 0; i < cpu_count; i++)
        if (cpus[i] != cpu)
            lapic_interrupt(cpus[i]->apic_id);
}

static bool grace_is_over(struct cpu *cpu)
{
    if (cpu_count == 1)
        return true;
    __atomic_store_n(&cpu->grace_waits, true,
                     __ATOMIC_SEQ_CST); /* before looking: else the last answer might be missed */
    if (!others_have_answered(cpu))
        return false;
    cpu->grace_waits = false;
    return true;
}

/* Free one of what has waited for the grace period. */
static void free_one(struct cpu *cpu)
{
    struct object *object = cpu->freeing;
    void *page = page_unchain(&cpu->pages_freeing);

    if (page) {
        page_free(page);
    } else {
        cpu->freeing = object->next;
        if (home(object) != cpu->number) {
            smp_request(object, REQUEST_FREE, home(object));
            return;
        }
        if (!ended(object)) { /* another CPU may have come upon it just now: one more grace period */
            object_end(object);
            object_free_here(object);
            return;
        }
        if (!object_free(object)) {
            object->next = cpu->freeing;
            cpu->freeing = object;
            return;
        }
    }
    object_freed();
}

void reclaim_some(void)
{
    struct cpu *cpu = this_cpu();

    if (!cpu->freeing && !cpu->pages_freeing) {
        cpu->freeing = cpu->to_free;
        cpu->pages_freeing = cpu->pages_to_free;
        cpu->to_free = NULL;
        cpu->pages_to_free = NULL;
        grace_begin(cpu);
    }
    if (!grace_is_over(cpu)) {
        cpu->hazard &= ~HAZARD_FREE; /* nobody waits for that here: the last CPU to answer interrupts */
        return;
    }
    kernel_lock();
    free_one(cpu);
    kernel_unlock();
    if (reclaim_waits(cpu))
        cpu->hazard |= HAZARD_FREE;
    else
        cpu->hazard &= ~HAZARD_FREE;
}

bool reclaim_waits(const struct cpu *cpu)
{
    return cpu->freeing || cpu->pages_freeing || cpu->to_free || cpu->pages_to_free;
}
