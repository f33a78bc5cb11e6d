/* SPDX-License-Identifier: ISC */
/* Execution contexts and portals: their life. See ec.h. */
#include "kernel/ec.h"

#include "kernel/account.h"
#include "kernel/cpu.h"
#include "kernel/fpu.h"
#include "kernel/lock.h"
#include "kernel/nt.h"
#include "kernel/pagetable.h"
#include "kernel/sched.h"
#include "kernel/space.h"
#include "kernel/vcpu.h"
#include <string.h>

enum status shared_map(struct space *hst, uint64_t address, const void *page)
{
    struct removal removal = {0};

    if (hst->object.dead)
        return STATUS_DEAD;
    if (pagetable_leaf(hst->memory.root, address / PAGE_SIZE) & PTE_PRESENT)
        return STATUS_EXISTS;
    return pagetable_enter(hst->memory.root, hst->object.account, address / PAGE_SIZE, physical_address(page),
                           1, PTE_PRESENT | PTE_USER | PTE_WRITE | PTE_NX,
                           &removal); /* nothing stands there */
}

void shared_unmap(struct space *hst, uint64_t address, const void *page)
{
    uint64_t number = address / PAGE_SIZE, leaf;
    struct removal removal = {0};

    /* Also from a space that is being destroyed: until that is done, its PD may still run. */
    if (!hst->memory.root)
        return;
    leaf = pagetable_leaf(hst->memory.root, number);
    if ((leaf & PTE_LARGE) || (leaf & PTE_ADDRESS) != physical_address(page))
        return; /* the PD's manager has put something else there */
    (void)pagetable_remove(hst->memory.root, number, number + 1, &removal);
    space_settle(hst, &removal);
}

static void ec_link(struct pd *pd, struct ec *ec)
{
    ec->next = pd->ecs;
    if (pd->ecs)
        pd->ecs->previous = ec;
    pd->ecs = ec;
}

static void ec_unlink(struct pd *pd, struct ec *ec)
{
    if (ec->previous)
        ec->previous->next = ec->next;
    else
        pd->ecs = ec->next;
    if (ec->next)
        ec->next->previous = ec->previous;
}

enum status ec_create(struct account *account, struct pd *pd, uint64_t flags, uint64_t utcb, uint64_t stack,
                      uint64_t entry, struct ec **result, enum payer *payer)
{
    bool global = flags & EC_GLOBAL, fpu = flags & EC_FPU;
    struct ec *ec = object_create(account, OBJECT_EC, sizeof(*ec));
    enum status status = STATUS_NO_MEMORY;

    *payer = PAYER_NAMED;
    if (!ec)
        return STATUS_NO_MEMORY;
    ec->utcb = account_page(account);
    if (ec->utcb && fpu)
        ec->fpu = fpu_create(account);
    if (ec->utcb && (!fpu || ec->fpu)) {
        *payer = PAYER_SPACE;
        status = shared_map(pd->hst, utcb, ec->utcb);
    }
    if (status != STATUS_OK) {
        if (ec->utcb)
            page_free(ec->utcb);
        if (ec->fpu)
            fpu_free(ec->fpu);
        ec->utcb = NULL;
        ec->fpu = NULL;
        object_discard(&ec->object);
        return status;
    }
    ec->pd = pd;
    object_reference(&pd->object);
    ec_link(pd, ec);
    ec->utcb_user = utcb;
    ec->global = global;
    ec->cpu = (uint8_t)(flags >> EC_CPU_SHIFT);
    pd->hst->memory.cpus |= 1ul << ec->cpu;
    if (pd->pio)
        pd->pio->pio.cpus |= 1ul << ec->cpu;
    ec->state = global ? EC_RUNNABLE : EC_IDLE;
    ec->stack = stack;
    ec->extras = fpu;
    ec->frame = (struct frame){.vector = VECTOR_SYSCALL,
                               .rip = entry,
                               .rsp = stack,
                               .rflags = RFLAGS_FIXED | RFLAGS_IF,
                               .cs = SEL_USER_CODE,
                               .ss = SEL_USER_DATA};
    *result = ec;
    return STATUS_OK;
}

/* The one that called or helps `ec` goes on without it. */
static void ec_abort_caller(struct ec *ec)
{
    struct ec *caller = ec->caller;

    ec->caller = NULL;
    if (!caller || caller == EC_ABANDONED)
        return;
    caller->partner = NULL;
    caller->state = EC_RUNNABLE;
    caller->frame.rax = STATUS_ABORTED;
    caller->frame.rsi = 0;
}

static void ec_destroy(struct ec *ec)
{
    struct cpu *cpu = this_cpu();

    ec_abort_caller(ec);
    if (ec->state == EC_CALLING && ec->partner)
        ec->partner->caller = EC_ABANDONED;
    if (ec->state == EC_HELPING)
        object_release(&ec->partner->object);
    if (ec->waits)
        nt_leave(ec->waits);
    if (ec->runs)
        ec->runs->runner = NULL;
    ec->runs = NULL;
    ec->waits = NULL;
    ec->partner = NULL;
    ec->state = EC_IDLE;
    if (ec->timer.queued)
        timer_remove(&cpu->timers, &ec->timer);
    cpu->hazard |= HAZARD_SCHEDULE; /* whoever runs may run on the dead EC's time, or be it */
    if (!ec->utcb)
        return;
    shared_unmap(ec->pd->hst, ec->utcb_user, ec->utcb);
    page_free(ec->utcb);
    ec->utcb = NULL;
    if (ec->fpu)
        fpu_free(ec->fpu);
    ec->fpu = NULL;
    ec_unlink(ec->pd, ec);
}

static unsigned ec_home(const struct object *object)
{
    return ((const struct ec *)object)->cpu;
}

static void ec_end(struct object *object)
{
    ec_destroy((struct ec *)object);
}

static bool ec_ended(const struct object *object)
{
    return !((const struct ec *)object)->utcb;
}

static bool ec_free(struct object *object)
{
    struct ec *ec = (struct ec *)object;
    struct pd *pd = ec->pd;

    if (ec->utcb)
        ec_destroy(ec);
    if (this_cpu()->ec == ec)
        this_cpu()->ec = NULL; /* schedule() comes next */
    slab_free(ec);
    if (pd)
        object_release(&pd->object);
    return true;
}

const struct object_operations ec_operations = {
    .home = ec_home, .end = ec_end, .ended = ec_ended, .free = ec_free};

struct pt *pt_create(struct account *account, struct ec *ec, uint64_t entry, uint64_t id)
{
    struct pt *pt = object_create(account, OBJECT_PT, sizeof(*pt));

    if (!pt)
        return NULL;
    pt->ec = ec;
    object_reference(&ec->object);
    pt->entry = entry;
    pt->id = id;
    return pt;
}

static bool pt_free(struct object *object)
{
    struct ec *ec = ((struct pt *)object)->ec;

    slab_free(object);
    object_release(&ec->object);
    return true;
}

const struct object_operations pt_operations = {.free = pt_free};

void ec_restart(struct ec *ec, uint64_t call, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
                uint64_t a5)
{
    ec->frame.rip -= SYSCALL_LENGTH;
    ec->frame.rax = call;
    ec->frame.rdi = a0;
    ec->frame.rsi = a1;
    ec->frame.rdx = a2;
    ec->frame.r10 = a3;
    ec->frame.r8 = a4;
    ec->frame.r9 = a5;
}

void ec_fault(struct ec *ec, uint64_t vector, uint64_t error, uint64_t address)
{
    struct pd *pd = ec->pd;
    bool kept;

    kernel_lock();
    if (!(pd->fault & PD_FAULT_VALID)) {
        pd->fault = vector | PD_FAULT_VALID | error << 32;
        pd->fault_ip = ec->frame.rip;
        pd->fault_address = address;
    }
    ec->object.dead = true;
    kept = object_try_reference(&ec->object); /* the caller still looks at it */
    ec_destroy(ec);
    if (pd->watch)
        nt_signal(pd->watch, pd->watch_bits);
    if (kept)
        object_release(&ec->object);
    kernel_unlock();
}
