/* SPDX-License-Identifier: ISC */
/* Life and death of kernel objects: the one place that knows each type's end. See object.h. */
#include "kernel/object.h"

#include "kernel/account.h"
#include "kernel/cpu.h"
#include "kernel/ec.h"
#include "kernel/interrupt.h"
#include "kernel/nt.h"
#include "kernel/sched.h"
#include "kernel/space.h"
#include "kernel/vcpu.h"

static uint64_t counts[OBJECT_TYPES];

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

/* Objects without references, still to be freed. */
static struct object *to_free;

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
    default: /* the platform is static and never without a reference */
        break;
    }
    return true;
}

void object_release(struct object *object)
{
    if (--object->references)
        return;
    object->dead = true;
    object->next = to_free;
    to_free = object;
    this_cpu()->hazard |= HAZARD_FREE;
}

void object_free_some(void)
{
    struct object *object = to_free;

    if (object) {
        to_free = object->next;
        if (!object_free(object)) {
            object->next = to_free;
            to_free = object;
        }
    }
    if (!to_free)
        this_cpu()->hazard &= ~HAZARD_FREE;
}

bool object_destroy(struct object *object)
{
    bool done = true;

    object->dead = true;
    switch (object->type) {
    case OBJECT_ACCOUNT:
        account_destroy((struct account *)object);
        break;
    case OBJECT_PD:
        done = pd_destroy((struct pd *)object);
        break;
    case OBJECT_SPACE:
        done = space_destroy((struct space *)object);
        break;
    case OBJECT_EC:
        ec_destroy((struct ec *)object);
        break;
    case OBJECT_SC:
        sc_destroy((struct sc *)object);
        break;
    case OBJECT_NT:
        nt_destroy((struct nt *)object);
        break;
    case OBJECT_INTERRUPT:
        interrupt_destroy((struct interrupt *)object);
        break;
    case OBJECT_VCPU:
        vcpu_destroy((struct vcpu *)object);
        break;
    default: /* a portal's death is its mark */
        break;
    }
    return done;
}
