/* SPDX-License-Identifier: ISC */
/* Scheduling. See sched.h. */
#include "kernel/sched.h"

#include "kernel/account.h"
#include "kernel/cpu.h"
#include "kernel/ec.h"
#include "kernel/lapic.h"
#include "kernel/lock.h"
#include "kernel/nt.h"
#include "kernel/reclaim.h"
#include "kernel/smp.h"
#include "kernel/switch.h"

/* Longest chain of calls and helpers that is followed; calls alone stay below EC_DEPTH_MAX. */
#define CHAIN_BOUND 256

static void enqueue(struct scheduler *s, struct sc *sc, bool front)
{
    struct sc **head = &s->head[sc->priority], **tail = &s->tail[sc->priority];

    sc->queued = true;
    sc->next = sc->previous = NULL;
    if (!*head) {
        *head = *tail = sc;
    } else if (front) {
        sc->next = *head;
        (*head)->previous = sc;
        *head = sc;
    } else {
        sc->previous = *tail;
        (*tail)->next = sc;
        *tail = sc;
    }
    s->ready |= 1ul << sc->priority;
}

static void dequeue(struct scheduler *s, struct sc *sc)
{
    if (sc->previous)
        sc->previous->next = sc->next;
    else
        s->head[sc->priority] = sc->next;
    if (sc->next)
        sc->next->previous = sc->previous;
    else
        s->tail[sc->priority] = sc->previous;
    if (!s->head[sc->priority])
        s->ready &= ~(1ul << sc->priority);
    sc->queued = false;
}

struct sc *sc_create(struct account *account, struct ec *ec, unsigned priority, uint64_t budget)
{
    struct sc *sc = object_create(account, OBJECT_SC, sizeof(*sc));

    if (!sc)
        return NULL;
    sc->ec = ec;
    object_reference(&ec->object);
    sc->priority = (uint8_t)priority;
    sc->budget = sc->left = budget;
    __atomic_store_n(&ec->sc, sc, __ATOMIC_RELEASE); /* its CPU looks there without the lock */
    if (ec->cpu == this_cpu()->number)
        sc_wake(sc);
    else
        smp_request(&sc->object, REQUEST_WAKE, ec->cpu);
    return sc;
}

static unsigned sc_home(const struct object *object)
{
    return ((const struct sc *)object)->ec->cpu;
}

static bool sc_ended(const struct object *object)
{
    const struct sc *sc = (const struct sc *)object;

    return sc->ec->sc != sc;
}

static void sc_end(struct object *object)
{
    struct sc *sc = (struct sc *)object;
    struct scheduler *s = &this_cpu()->scheduler;

    if (sc->queued)
        dequeue(s, sc);
    if (s->current == sc) {
        s->current = NULL;
        this_cpu()->hazard |= HAZARD_SCHEDULE;
    }
    if (sc->ec->sc == sc)
        sc->ec->sc = NULL;
}

static bool sc_free(struct object *object)
{
    struct ec *ec = ((struct sc *)object)->ec;

    sc_end(object);
    slab_free(object);
    object_release(&ec->object);
    return true;
}

static void sc_look(struct object *object)
{
    if (!object->dead)
        sc_wake((struct sc *)object);
}

const struct object_operations sc_operations = {
    .home = sc_home, .end = sc_end, .ended = sc_ended, .wake = sc_look, .free = sc_free};

void sc_wake(struct sc *sc)
{
    struct cpu *cpu = this_cpu();
    struct scheduler *s = &cpu->scheduler;

    if (sc->queued || sc == s->current)
        return;
    enqueue(s, sc, false);
    if (!s->current || sc->priority > s->current->priority)
        cpu->hazard |= HAZARD_SCHEDULE;
}

/* Give up helping: the call of `ec` begins anew, or ends with a status. */
static void help_end(struct ec *ec, enum status status)
{
    object_release(&ec->partner->object);
    ec->partner = NULL;
    ec->state = EC_RUNNABLE;
    if (status == STATUS_OK)
        return;
    ec->frame.rip += SYSCALL_LENGTH;
    ec->frame.rax = status;
}

/* Whom the SC's time goes to: the end of the chain from its own EC. */
static struct ec *chain_end(struct sc *sc)
{
    struct ec *ec = sc->ec, *helper = NULL;

    for (unsigned hops = 0; hops < CHAIN_BOUND; hops++) {
        if (ec->state == EC_CALLING) {
            ec = ec->partner;
        } else if (ec->state == EC_HELPING) {
            helper = ec;
            if (ec->partner->object.dead || !ec->partner->caller) {
                help_end(ec, STATUS_OK);
                return ec;
            }
            ec = ec->partner;
        } else {
            return ec;
        }
    }
    help_end(helper, STATUS_CHAIN); /* calls alone are no longer than EC_DEPTH_MAX: there is a helper */
    return helper;
}

/* The current SC has run until now. It goes back to the queue unless its EC waits or is dead. */
static void charge(struct scheduler *s, uint64_t now)
{
    struct sc *sc = s->current;
    uint64_t left = s->slice_end - now;
    bool front = true;

    if (!sc)
        return;
    sc->ec->used += sc->left - left;
    if (left - 1 >= sc->budget) { /* 0, or below it */
        left = sc->budget;
        front = false;
    }
    sc->left = left;
    if (!sc->ec->object.dead && sc->ec->state != EC_WAITING)
        enqueue(s, sc, front);
}

/* Work off what other CPUs have asked for. */
static void handle_requests(struct cpu *cpu)
{
    struct object *object;

    cpu->hazard &= ~HAZARD_REQUEST;
    grace_begin_answer(cpu);
    object = __atomic_exchange_n(&cpu->requests, NULL, __ATOMIC_SEQ_CST);
    while (object) {
        struct object *next = object->next;
        unsigned what = __atomic_exchange_n(&object->requests, 0, __ATOMIC_SEQ_CST);

        if (what & REQUEST_WAKE)
            object_operations(object)->wake(object);
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

/* What has to be done before leaving the kernel, and the current EC is none of it. */
#define HAZARD_LEAVING (HAZARD_REQUEST | HAZARD_GRACE | HAZARD_FREE)

static void hazard_work(struct cpu *cpu)
{
    cpu->hazard &= ~HAZARD_WINDOW;
    if (cpu->hazard & HAZARD_REQUEST)
        handle_requests(cpu);
    if (cpu->hazard & HAZARD_GRACE)
        grace_answer(cpu);
    if (reclaim_waits(cpu))
        reclaim_some(); /* may end the current EC */
    if (!(cpu->hazard & HAZARD_SCHEDULE))
        interrupt_window();
}

static void idle(struct cpu *cpu)
{
    cpu->idle_since = rdtsc();
    cpu->ec = NULL;
    cpu->scheduler.current = NULL;
    sched_set_timer(cpu);
    while (!cpu->scheduler.ready) {
        /* The end of an EC asks for it. Nobody is there to be scheduled, and who then sets the timer (see
         * sched_timer_interrupt)? */
        cpu->hazard &= ~HAZARD_SCHEDULE;
        if (cpu->hazard & HAZARD_LEAVING)
            hazard_work(cpu);
        else
            __asm__ volatile("sti; hlt; cli" : : : "memory");
    }
    cpu->idle_ticks += rdtsc() - cpu->idle_since;
    cpu->idle_since = 0;
}

void schedule(void)
{
    struct cpu *cpu = this_cpu();
    struct scheduler *s = &cpu->scheduler;

    charge(s, rdtsc());
    for (;;) {
        struct sc *sc;

        if (!s->ready)
            idle(cpu);
        sc = s->head[63 - __builtin_clzl(s->ready)];
        dequeue(s, sc);
        if (sc->ec->object.dead || sc->ec->state == EC_WAITING)
            continue;
        cpu->hazard &= ~HAZARD_SCHEDULE;
        s->current = sc;
        s->turn++;
        s->slice_end = rdtsc() + sc->left;
        sched_set_timer(cpu);
        ec_switch(sc->ec->state == EC_RUNNABLE ? sc->ec : chain_end(sc));
        return;
    }
}

/*
 * Whether the turn is to go on, since the current EC serves under a ceiling, or one does that waits for its reply.
 * Then the first of these ends the turn when it replies. Until then it may be nobody's: a holder of other CPUs' lock
 * has to come to its end even when its caller dies.
 */
static __attribute__((noinline)) bool ceiling_holds(struct cpu *cpu)
{
    struct scheduler *s = &cpu->scheduler;
    unsigned best = s->ready ? 63 - (unsigned)__builtin_clzl(s->ready) : 0;
    struct ec *first = NULL;

    if (cpu->ec->object.dead)
        return false;
    for (struct ec *ec = cpu->ec; ec && ec != EC_ABANDONED; ec = ec->caller)
        first = ec->ceiling && ec->ceiling >= best ? ec : first;
    if (!first)
        return false;
    first->donor = 0;
    if (s->current) /* what it has run is still the difference of the two */
        s->current->left += DEADLINE_NEVER - s->slice_end;
    s->slice_end = DEADLINE_NEVER;
    cpu->hazard &= ~HAZARD_SCHEDULE;
    sched_set_timer(cpu);
    return true;
}

void hazard_handle(void)
{
    struct cpu *cpu = this_cpu();

    if (cpu->hazard & HAZARD_REQUEST)
        handle_requests(cpu); /* may end the current EC */
    if ((cpu->hazard & HAZARD_SCHEDULE) && !(cpu->ec && !cpu->ec->global && ceiling_holds(cpu)))
        schedule();
    else
        hazard_work(cpu);
}

void sched_set_timer(struct cpu *cpu)
{
    const struct timer *first = timer_first(&cpu->timers);
    uint64_t when = cpu->scheduler.current ? cpu->scheduler.slice_end : DEADLINE_NEVER;

    if (first && first->deadline < when)
        when = first->deadline;
    lapic_set_timer(when);
}

void ec_change_deadline(struct ec *ec, uint64_t deadline)
{
    struct timer_queue *timers = &this_cpu()->timers;

    if (ec->timer.queued)
        timer_remove(timers, &ec->timer);
    ec->timer.deadline = deadline;
    if (deadline == DEADLINE_NEVER)
        return;
    timer_insert(timers, &ec->timer);
    if (timer_first(timers) == &ec->timer)
        sched_set_timer(this_cpu());
}

void ec_wait(struct ec *ec, struct nt *nt, uint64_t deadline)
{
    ec->state = EC_WAITING;
    ec->waits = nt;
    ec_set_deadline(ec, deadline);
    schedule();
}

void ec_wake(struct ec *ec)
{
    nt_leave(ec->waits);
    ec->waits = NULL;
    ec->state = EC_RUNNABLE;
    if (ec->sc)
        sc_wake(ec->sc);
}

/* Timers looked at in one interrupt; more wait for the next, which comes at once. */
#define TIMER_BATCH 64

void sched_timer_interrupt(void)
{
    struct cpu *cpu = this_cpu();
    uint64_t now = rdtsc();

    for (unsigned i = 0; i < TIMER_BATCH; i++) {
        struct timer *timer = timer_first(&cpu->timers);
        struct ec *ec;

        if (!timer || timer->deadline > now)
            break;
        timer_remove(&cpu->timers, timer);
        ec = (struct ec *)((char *)timer - offsetof(struct ec, timer));
        if (ec->state == EC_WAITING)
            ec_wake(ec);
    }
    if (cpu->scheduler.current && now >= cpu->scheduler.slice_end)
        cpu->hazard |= HAZARD_SCHEDULE;
    if (reclaim_waits(cpu))
        cpu->hazard |= HAZARD_FREE;
    /* If somebody else is to run, schedule() sets the timer. Set to a time that has passed, it would fire
     * again at once in the window it came in, and the kernel would never get out of that. */
    if (!(cpu->hazard & HAZARD_SCHEDULE))
        sched_set_timer(cpu);
}
