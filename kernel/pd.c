/* SPDX-License-Identifier: ISC */
/* Protection domains: three spaces, and the ECs that live in them. See ec.h. */
#include "kernel/account.h"
#include "kernel/ec.h"
#include "kernel/reclaim.h"
#include "kernel/space.h"

struct pd *pd_create(struct account *account)
{
    return object_create(account, OBJECT_PD, sizeof(struct pd));
}

static bool pd_destroy(struct object *object)
{
    struct pd *pd = (struct pd *)object;
    struct space *const spaces[] = {pd->pio, pd->hst, pd->obj};

    if (pd->ecs) {
        struct object *ec = &pd->ecs->object;

        if (object_try_reference(ec)) { /* else it is on its way to be freed, which ends it, too */
            object_end(ec);
            object_release(ec);
        }
        return false;
    }
    for (unsigned i = 0; i < sizeof(spaces) / sizeof(*spaces); i++)
        if (spaces[i] && !object_destroy(&spaces[i]->object))
            return false;
    return true;
}

static bool pd_free(struct object *object)
{
    struct pd *pd = (struct pd *)object;
    struct object *const parts[] = {(struct object *)pd->pio, (struct object *)pd->hst,
                                    (struct object *)pd->obj, (struct object *)pd->watch};

    slab_free(pd);
    for (unsigned i = 0; i < sizeof(parts) / sizeof(*parts); i++)
        if (parts[i])
            object_release(parts[i]);
    return true;
}

const struct object_operations pd_operations = {.destroy = pd_destroy, .free = pd_free};
