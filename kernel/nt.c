/* SPDX-License-Identifier: ISC */
/* Notifications. See nt.h. */
#include "kernel/nt.h"

#include "kernel/account.h"
#include "kernel/ec.h"

struct nt *nt_create(struct account *account)
{
    return object_create(account, OBJECT_NT, sizeof(struct nt));
}

static void nt_wake(struct nt *nt)
{
    struct ec *waiter = nt->waiter;

    if (waiter)
        ec_wake(waiter); /* clears nt->waiter */
}

void nt_signal(struct nt *nt, uint64_t bits)
{
    nt->word |= bits;
    if (nt->word)
        nt_wake(nt);
}

void nt_destroy(struct nt *nt)
{
    nt_wake(nt); /* its call begins anew and finds the notification dead */
}

void nt_free(struct nt *nt)
{
    nt_wake(nt);
    slab_free(nt);
}
