/* SPDX-License-Identifier: ISC */
/* Kernel objects: creation, references, and the list of those without one. See object.h. */
#include "kernel/object.h"

#include "kernel/account.h"
#include "kernel/cpu.h"
#include "kernel/ec.h"

const struct object_operations *const *object_types;

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

    while (count)
        if (__atomic_compare_exchange_n(&object->references, &count, count + 1, true, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED))
            return true;
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

bool object_free(struct object *object)
{
    enum object_type type = object->type;

    if (!object_types[type]->free(object))
        return false;
    counts[type]--;
    return true;
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

void object_freed(void)
{
    __atomic_fetch_sub(&pending, 1, __ATOMIC_RELAXED);
}
