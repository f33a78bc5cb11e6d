/* SPDX-License-Identifier: ISC */
/* Life and death of kernel objects: the one place that knows each type's end. See object.h. */
#include "kernel/object.h"

#include "kernel/account.h"
#include "kernel/cpu.h"
#include "kernel/ec.h"
#include "kernel/interrupt.h"
#include "kernel/iommu.h"
#include "kernel/lock.h"
#include "kernel/nt.h"
#include "kernel/sched.h"
#include "kernel/smp.h"
#include "kernel/space.h"
#include "kernel/vcpu.h"

static uint64_t counts[OBJECT_TYPES];
static uint64_t pending; /* objects and pages in lists to be freed; atomic */

#define PATIENCE_HZ 1000 /* a millisecond */

void *object_create(struct account *account, enum object_type type, unsigned size)
{
    struct object *object = account_allocate(account, size);

    if (!object)
        return NULL;
    object->type = (uint8_t)type;
    object->references = 1;
    object->account = account;
    counts[type]++;
    return object;
}

uint64_t object_count(enum object_type type)
{
    return counts[type];
}

/* The CPU that an object belongs to; this one if it has none. */
static unsigned home(const struct object *object)
{
    const struct ec *waiter;

    switch (object->type) {
    case OBJECT_EC:
        return ((const struct ec *)object)->cpu;
    case OBJECT_SC:
        return ((const struct sc *)object)->ec->cpu;
    case OBJECT_VCPU:
        return ((const struct vcpu *)object)->cpu;
    case OBJECT_NT:
        waiter = __atomic_load_n(&((const struct nt *)object)->waiter, __ATOMIC_ACQUIRE);
        return waiter ? waiter->cpu : this_cpu()->number;
    default:
        return this_cpu()->number;
    }
}

/* False: part of the work is done. */
static bool object_free(struct object *object)
{
    if (object->type == OBJECT_SPACE && !space_destroy((struct space *)object))
        return false;
    counts[object->type]--;
    switch (object->type) {
    case OBJECT_ACCOUNT:
        account_free((struct account *)object);
        break;
    case OBJECT_PD:
        pd_free((struct pd *)object);
        break;
    case OBJECT_SPACE:
        space_free((struct space *)object);
        break;
    case OBJECT_EC:
        ec_free((struct ec *)object);
        break;
    case OBJECT_SC:
        sc_free((struct sc *)object);
        break;
    case OBJECT_PT:
        pt_free((struct pt *)object);
        break;
    case OBJECT_NT:
        nt_free((struct nt *)object);
        break;
    case OBJECT_INTERRUPT:
        interrupt_free((struct interrupt *)object);
        break;
    case OBJECT_VCPU:
        vcpu_free((struct vcpu *)object);
        break;
    case OBJECT_DEVICE:
        device_free((struct device *)object);
        break;
    default: /* the platform is static and never without a reference */
        break;
    }
    return true;
}

void object_free_here(struct object *object)
{
    struct cpu *cpu = this_cpu();

    object->next = cpu->to_free;
    cpu->to_free = object;
    cpu->hazard |= HAZARD_FREE;
}

bool object_try_reference(struct object *object)
{
    uint32_t count = __atomic_load_n(&object->references, __ATOMIC_RELAXED);

    while (count) {
        if (__atomic_compare_exchange_n(&object->references, &count, count + 1, true, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED))
            return true;
    }
    return false;
}

void object_release(struct object *object)
{
    if (__atomic_sub_fetch(&object->references, 1, __ATOMIC_ACQ_REL))
        return;
    object->dead = true;
    __atomic_fetch_add(&pending, 1, __ATOMIC_RELAXED);
    object_free_here(object);
}

void object_discard(struct object *object)
{
    object->dead = true;
    (void)!object_free(object); /* it has nothing that would take more than one step */
}

void object_free_page(void *page)
{
    struct cpu *cpu = this_cpu();

    page_chain(page, &cpu->pages_to_free);
    __atomic_fetch_add(&pending, 1, __ATOMIC_RELAXED);
    cpu->hazard |= HAZARD_FREE;
}

bool object_memory_may_come(enum status status)
{
    struct ec *ec = this_cpu()->ec;
    uint64_t now;

    if (status != STATUS_NO_MEMORY || !__atomic_load_n(&pending, __ATOMIC_RELAXED)) {
        ec->patience = 0;
        return false;
    }
    now = rdtsc();
    if (!ec->patience)
        ec->patience = now + cpu_features.tsc_hz / PATIENCE_HZ;
    if (now < ec->patience)
        return true;
    ec->patience = 0;
    return false;
}

/* What others may come upon without a capability: true, they do not any more. */
static bool ended(const struct object *object)
{
    switch (object->type) {
    case OBJECT_EC:
        return !((const struct ec *)object)->utcb;
    case OBJECT_SC:
        return ((const struct sc *)object)->ec->sc != (const struct sc *)object;
    case OBJECT_VCPU:
        return !((const struct vcpu *)object)->state;
    case OBJECT_INTERRUPT:
        return !((const struct interrupt *)object)->vector;
    default:
        return true;
    }
}

void object_end(struct object *object)
{
    object->dead = true;
    if (home(object) != this_cpu()->number)
        smp_request(object, REQUEST_DESTROY, home(object));
    else if (object->type == OBJECT_EC)
        ec_destroy((struct ec *)object);
    else if (object->type == OBJECT_SC)
        sc_destroy((struct sc *)object);
    else if (object->type == OBJECT_VCPU)
        vcpu_destroy((struct vcpu *)object);
    else if (object->type == OBJECT_INTERRUPT)
        interrupt_destroy((struct interrupt *)object);
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
    __atomic_fetch_sub(&pending, 1, __ATOMIC_RELAXED);
}

void object_free_some(void)
{
    struct cpu *cpu = this_cpu();

    if (!cpu->freeing && !cpu->pages_freeing) {
        cpu->freeing = cpu->to_free;
        cpu->pages_freeing = cpu->pages_to_free;
        cpu->to_free = NULL;
        cpu->pages_to_free = NULL;
        smp_begin_grace(cpu);
    }
    if (!smp_grace_over(cpu)) {
        cpu->hazard &= ~HAZARD_FREE; /* nobody waits for that here: the last CPU to answer interrupts */
        return;
    }
    kernel_lock();
    free_one(cpu);
    kernel_unlock();
    if (object_frees_wait(cpu))
        cpu->hazard |= HAZARD_FREE;
    else
        cpu->hazard &= ~HAZARD_FREE;
}

bool object_frees_wait(const struct cpu *cpu)
{
    return cpu->freeing || cpu->pages_freeing || cpu->to_free || cpu->pages_to_free;
}

void object_wake(struct object *object)
{
    if (object->type == OBJECT_NT)
        nt_pass_on((struct nt *)object);
    if (object->type == OBJECT_SC && !object->dead)
        sc_wake((struct sc *)object);
    if (object->type == OBJECT_VCPU)
        vcpu_wake((struct vcpu *)object);
}

bool object_destroy(struct object *object)
{
    object->dead = true;
    switch (object->type) {
    case OBJECT_ACCOUNT:
        account_destroy((struct account *)object);
        return true;
    case OBJECT_PD:
        return pd_destroy((struct pd *)object);
    case OBJECT_SPACE:
        return space_destroy((struct space *)object);
    case OBJECT_NT:
        nt_destroy((struct nt *)object);
        return true;
    case OBJECT_DEVICE:
        device_destroy((struct device *)object);
        return true;
    default: /* a portal's death is its mark */
        if (!ended(object))
            object_end(object);
        return ended(object);
    }
}
