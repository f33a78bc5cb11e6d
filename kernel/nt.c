/* SPDX-License-Identifier: ISC */
/* Notifications. See nt.h. */
#include "kernel/nt.h"

#include "kernel/account.h"
#include "kernel/cpu.h"
#include "kernel/ec.h"
#include "kernel/sched.h"
#include "kernel/smp.h"

struct nt *nt_create(struct account *account)
{
    return object_create(account, OBJECT_NT, sizeof(struct nt));
}

/* Another CPU has signalled, and took this one for the home. */
static void nt_pass_on(struct object *object)
{
    struct nt *nt = (struct nt *)object;
    uint32_t home = __atomic_load_n(&nt->home, __ATOMIC_RELAXED) & ~NT_TOLD;

    if (__atomic_load_n(&nt->waiter, __ATOMIC_ACQUIRE))
        nt_wake(nt);
    else if (home != this_cpu()->number) /* it has moved since the request was made */
        smp_request(object, REQUEST_WAKE, home);
}

/* There is nothing for this EC, which waits, to see. */
static bool nt_is_left(const struct nt *nt, const struct ec *waiter)
{
    return !(__atomic_load_n(&nt->word, __ATOMIC_ACQUIRE) &
             ~__atomic_load_n(&waiter->leaves, __ATOMIC_RELAXED)) &&
           !nt->object.dead;
}

void nt_wake(struct nt *nt)
{
    struct ec *waiter = __atomic_load_n(&nt->waiter, __ATOMIC_ACQUIRE);

    if (!waiter || nt_is_left(nt, waiter))
        return;
    if (waiter->cpu == this_cpu()->number)
        ec_wake(waiter); /* clears nt->waiter */
    else
        smp_request(&nt->object, REQUEST_WAKE, waiter->cpu);
}

/* The home is another CPU, or this one and has been told. */
static __attribute__((noinline)) void nt_look_elsewhere(struct nt *nt, uint32_t home)
{
    const struct ec *waiter = __atomic_load_n(&nt->waiter, __ATOMIC_ACQUIRE);

    if ((home & ~NT_TOLD) == this_cpu()->number) {
        nt_wake(nt);
    } else if (waiter ? !nt_is_left(nt, waiter) : !(home & NT_TOLD)) {
        home = __atomic_fetch_or(&nt->home, NT_TOLD, __ATOMIC_SEQ_CST);
        smp_request(&nt->object, REQUEST_WAKE, home & ~NT_TOLD);
    }
}

/* Somebody may be at the word: on this CPU who waits, on another also who runs a guest. */
static void nt_look(struct nt *nt)
{
    uint32_t home = __atomic_load_n(&nt->home, __ATOMIC_RELAXED);

    if (home == this_cpu()->number)
        nt_wake(nt);
    else
        nt_look_elsewhere(nt, home);
}

void nt_signal(struct nt *nt, uint64_t bits)
{
    if (!bits)
        return;
    __atomic_fetch_or(&nt->word, bits, __ATOMIC_SEQ_CST);
    nt_look(nt);
}

static unsigned nt_home(const struct object *object)
{
    const struct ec *waiter = __atomic_load_n(&((const struct nt *)object)->waiter, __ATOMIC_ACQUIRE);

    return waiter ? waiter->cpu : this_cpu()->number;
}

static bool nt_destroy(struct object *object)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* it is dead: who claims it after this sees that */
    nt_look((struct nt *)object); /* the waiter's call begins anew and finds the notification dead */
    return true;
}

static bool nt_free(struct object *object)
{
    nt_wake((struct nt *)object);
    slab_free(object);
    return true;
}

const struct object_operations nt_operations = {
    .home = nt_home, .destroy = nt_destroy, .wake = nt_pass_on, .free = nt_free};
