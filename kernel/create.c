/* SPDX-License-Identifier: ISC */
/*
 * System calls that create objects. The new capability goes to a free selector of the caller's own OBJ space
 * with all permissions; the account that the call names pays. What is common stands in create(); the rest of
 * each call is a function that checks its own arguments and makes the object.
 */
#include "abi/boot.h"
#include "kernel/account.h"
#include "kernel/interrupt.h"
#include "kernel/iommu.h"
#include "kernel/lock.h"
#include "kernel/nt.h"
#include "kernel/platform.h"
#include "kernel/sched.h"
#include "kernel/smp.h"
#include "kernel/space.h"
#include "kernel/syscall.h"
#include "kernel/vcpu.h"

#define EC_FLAGS (EC_GLOBAL | EC_FPU | (CPUS - 1) << EC_CPU_SHIFT)

/* A call's arguments behind selector and account; what comes of it. */
struct creation {
    uint64_t arguments[4];
    struct account *account;
    void *object;       /* with one reference; NULL and STATUS_OK: the account is empty */
    uint64_t values[2]; /* that the call gives back; STATUS_NO_MEMORY: the payer */
};

typedef enum status create_function(struct creation *c);

static void create(enum call call, create_function *function, const uint64_t *a)
{
    struct creation c = {.arguments = {a[2], a[3], a[4], a[5]}};
    struct space *obj = this_cpu()->ec->pd->obj;
    enum status status;

    kernel_lock();
    status = look_up(a[1], OBJECT_ACCOUNT, PERM_ACCOUNT_USE, &c.account);
    status = status ? status : cap_prepare(obj, a[0]);
    if (status == STATUS_NO_MEMORY)
        c.values[0] = PAYER_OBJECTS;
    status = status ? status : function(&c);
    if (status == STATUS_OK && !c.object)
        status = STATUS_NO_MEMORY;
    if (object_memory_may_come(status))
        CONTINUE(this_cpu()->ec, call, a[0], a[1], a[2], a[3], a[4], a[5]);
    else
        finish_values(status, c.values[0], c.values[1]);
    if (status == STATUS_OK) {
        cap_insert(obj, a[0], c.object, PERM_ALL, UINT64_MAX);
        object_release(c.object);
    }
    kernel_unlock();
}

/* The head of the function behind a call. */
#define CREATION(name, call)                                                                                 \
    static create_function name;                                                                             \
    void syscall_##name(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)        \
    {                                                                                                        \
        const uint64_t arguments[] = {a0, a1, a2, a3, a4, a5};                                               \
        create(call, name, arguments);                                                                       \
    }                                                                                                        \
    static enum status name(struct creation *c)

CREATION(create_account, CALL_CREATE_ACCOUNT)
{
    uint64_t pages = c->arguments[0];

    c->object = account_create(c->account, pages);
    return STATUS_OK;
}

CREATION(create_pd, CALL_CREATE_PD)
{
    c->object = pd_create(c->account);
    return STATUS_OK;
}

/* Where a PD keeps its space of a kind; NULL for kinds that stand alone. */
static struct space **pd_space(struct pd *pd, uint64_t kind)
{
    switch (kind) {
    case SPACE_OBJ:
        return &pd->obj;
    case SPACE_HST:
        return &pd->hst;
    case SPACE_PIO:
        return &pd->pio;
    default:
        return NULL;
    }
}

CREATION(create_space, CALL_CREATE_SPACE)
{
    uint64_t kind = c->arguments[0], pd_selector = c->arguments[1];
    struct space **place = NULL, *space;
    enum status status = STATUS_OK;
    struct pd *pd;

    if (kind > SPACE_MSR)
        return STATUS_BAD_ARG;
    if (kind <= SPACE_PIO) {
        status = look_up(pd_selector, OBJECT_PD, PERM_PD_BIND, &pd);
        if (status != STATUS_OK)
            return status;
        place = pd_space(pd, kind);
        if (*place)
            return STATUS_EXISTS;
    }
    c->object = space = space_create(c->account, (enum space_kind)kind);
    if (space && place) {
        object_reference(&space->object);
        if (kind == SPACE_PIO && pd->hst)
            space->pio.cpus = pd->hst->memory.cpus;
        __atomic_store_n(place, space, __ATOMIC_RELEASE); /* the PD's ECs look there without a lock */
    }
    return STATUS_OK;
}

/* An address that the user's half has, `bytes` long and aligned to `align`. */
static bool user_range(uint64_t address, uint64_t bytes, uint64_t align)
{
    return address < USER_ADDRESS_LIMIT && bytes <= USER_ADDRESS_LIMIT - address && !(address % align);
}

CREATION(create_ec, CALL_CREATE_EC)
{
    uint64_t pd_selector = c->arguments[0], utcb = c->arguments[1] & ~(PAGE_SIZE - 1ul);
    uint64_t flags = c->arguments[1] % PAGE_SIZE, stack = c->arguments[2], entry = c->arguments[3];
    enum payer payer = PAYER_NAMED;
    struct ec *ec = NULL;
    struct pd *pd;
    enum status status = look_up(pd_selector, OBJECT_PD, PERM_PD_BIND, &pd);

    if (status != STATUS_OK)
        return status;
    if (!pd->obj || !pd->hst || (flags & ~(uint64_t)EC_FLAGS) || !user_range(utcb, PAGE_SIZE, PAGE_SIZE) ||
        !user_range(entry, 1, 1) || stack > USER_ADDRESS_LIMIT)
        return STATUS_BAD_ARG;
    if (flags >> EC_CPU_SHIFT >= cpu_count)
        return STATUS_BAD_CPU;
    if (pd->obj->object.dead || pd->hst->object.dead)
        return STATUS_DEAD;
    status = ec_create(c->account, pd, flags, utcb, stack, entry, &ec, &payer);
    c->object = ec;
    c->values[0] = payer;
    return status;
}

CREATION(create_sc, CALL_CREATE_SC)
{
    uint64_t ec_selector = c->arguments[0], priority = c->arguments[1], budget = c->arguments[2];
    struct ec *ec;
    enum status status = look_up(ec_selector, OBJECT_EC, PERM_EC_BIND_SC, &ec);

    if (status != STATUS_OK)
        return status;
    if (!ec->global || priority >= SC_PRIORITIES || budget < SC_BUDGET_MIN || budget > SC_BUDGET_MAX)
        return STATUS_BAD_ARG;
    if (ec->sc)
        return STATUS_EXISTS;
    c->object = sc_create(c->account, ec, (unsigned)priority, budget);
    return STATUS_OK;
}

CREATION(create_pt, CALL_CREATE_PT)
{
    uint64_t ec_selector = c->arguments[0], entry = c->arguments[1], id = c->arguments[2];
    struct ec *ec;
    enum status status = look_up(ec_selector, OBJECT_EC, PERM_EC_BIND_PT, &ec);

    if (status != STATUS_OK)
        return status;
    if (ec->global || !user_range(entry, 1, 1))
        return STATUS_BAD_ARG;
    c->object = pt_create(c->account, ec, entry, id);
    return STATUS_OK;
}

CREATION(create_nt, CALL_CREATE_NT)
{
    c->object = nt_create(c->account);
    return STATUS_OK;
}

CREATION(create_interrupt, CALL_CREATE_INTERRUPT)
{
    uint64_t platform_selector = c->arguments[0], flags = c->arguments[1];
    struct interrupt *interrupt = NULL;
    struct device *device = NULL;
    struct object *authority;
    enum status status = look_up(platform_selector, OBJECT_PLATFORM, PERM_PLATFORM_IRQ, &authority);

    if (status == STATUS_OK && c->arguments[2])
        status = look_up(c->arguments[2], OBJECT_DEVICE, PERM_DEVICE_INTERRUPT, &device);
    if (status != STATUS_OK)
        return status;
    if (flags > UINT32_MAX)
        return STATUS_BAD_ARG;
    status = interrupt_create(c->account, (uint32_t)flags, device, &interrupt);
    if (status == STATUS_OK)
        interrupt_message(interrupt, &c->values[0], &c->values[1]);
    c->object = interrupt;
    return status;
}

CREATION(create_device, CALL_CREATE_DEVICE)
{
    uint64_t platform_selector = c->arguments[0], id = c->arguments[1];
    struct device *device = NULL;
    struct object *authority;
    enum status status = look_up(platform_selector, OBJECT_PLATFORM, PERM_PLATFORM_DEVICE, &authority);

    status = status ? status : device_create(c->account, id, &device);
    c->object = device;
    return status;
}

CREATION(create_vcpu, CALL_CREATE_VCPU)
{
    uint64_t pd_selector = c->arguments[0], gst_selector = c->arguments[1], msr_selector = c->arguments[3];
    uint64_t state = c->arguments[2] & ~(PAGE_SIZE - 1ul), cpu = c->arguments[2] % PAGE_SIZE;
    enum payer payer = PAYER_NAMED;
    struct space *gst, *msr = NULL;
    struct vcpu *vcpu = NULL;
    struct pd *pd;
    enum status status = look_up(pd_selector, OBJECT_PD, PERM_PD_BIND, &pd);

    status = status ? status : look_up(gst_selector, OBJECT_SPACE, PERM_SPACE_ASSIGN, &gst);
    if (status == STATUS_OK && msr_selector)
        status = look_up(msr_selector, OBJECT_SPACE, PERM_SPACE_ASSIGN, &msr);
    if (status != STATUS_OK)
        return status;
    if (!pd->hst || gst->kind != SPACE_GST || (msr && msr->kind != SPACE_MSR) ||
        !user_range(state, PAGE_SIZE, PAGE_SIZE))
        return STATUS_BAD_ARG;
    if (cpu >= cpu_count)
        return STATUS_BAD_CPU;
    status = vcpu_create(c->account, pd, gst, msr, state, (unsigned)cpu, &vcpu, &payer);
    c->object = vcpu;
    c->values[0] = payer;
    return status;
}
