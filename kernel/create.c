/* SPDX-License-Identifier: ISC */
/*
 * System calls that create objects. The new capability goes to a free selector of the caller's own OBJ space
 * with all permissions; the account that the call names pays.
 */
#include "abi/boot.h"
#include "kernel/account.h"
#include "kernel/interrupt.h"
#include "kernel/nt.h"
#include "kernel/platform.h"
#include "kernel/sched.h"
#include "kernel/space.h"
#include "kernel/syscall.h"
#include "kernel/vcpu.h"

#define EC_FLAGS (EC_GLOBAL | EC_FPU | 0x3fu << EC_CPU_SHIFT)

/* The first checks of every creation: the selector is free and the account can be charged. */
static bool create_begin(uint64_t selector, uint64_t account_selector, struct account **account)
{
    enum status status = look_up_object(account_selector, OBJECT_ACCOUNT, PERM_ACCOUNT_USE, account);

    if (status == STATUS_OK)
        status = cap_prepare(this_cpu()->ec->pd->obj, selector);
    if (status == STATUS_OK)
        return true;
    finish_values(status, PAYER_OBJECTS, 0);
    return false;
}

/* Hand the object over to the capability. */
static void create_end(uint64_t selector, void *object, enum status status, enum payer payer)
{
    if (status == STATUS_OK && !object)
        status = STATUS_NO_MEMORY;
    finish_values(status, payer, 0);
    if (status != STATUS_OK)
        return;
    cap_insert(this_cpu()->ec->pd->obj, selector, object, PERM_ALL, UINT64_MAX);
    object_release(object);
}

void syscall_create_account(uint64_t selector, uint64_t account_selector, uint64_t pages, uint64_t a3,
                            uint64_t a4, uint64_t a5)
{
    struct account *account;

    UNUSED3;
    if (create_begin(selector, account_selector, &account))
        create_end(selector, account_create(account, pages), STATUS_OK, PAYER_NAMED);
}

void syscall_create_pd(uint64_t selector, uint64_t account_selector, uint64_t a2, uint64_t a3, uint64_t a4,
                       uint64_t a5)
{
    struct account *account;

    UNUSED2;
    if (create_begin(selector, account_selector, &account))
        create_end(selector, pd_create(account), STATUS_OK, PAYER_NAMED);
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

void syscall_create_space(uint64_t selector, uint64_t account_selector, uint64_t kind, uint64_t pd_selector,
                          uint64_t a4, uint64_t a5)
{
    enum status status = STATUS_OK;
    struct space **place = NULL, *space = NULL;
    struct account *account;
    struct pd *pd;

    UNUSED4;
    if (!create_begin(selector, account_selector, &account))
        return;
    if (kind > SPACE_PIO) {
        status = STATUS_BAD_ARG;
    } else if (kind != SPACE_GST) {
        status = look_up_object(pd_selector, OBJECT_PD, PERM_PD_BIND, &pd);
        if (status == STATUS_OK)
            place = pd_space(pd, kind);
        if (status == STATUS_OK && *place)
            status = STATUS_EXISTS;
    }
    if (status == STATUS_OK)
        space = space_create(account, (enum space_kind)kind);
    if (space && place) {
        object_reference(&space->object);
        *place = space;
    }
    create_end(selector, space, status, PAYER_NAMED);
}

/* An address that the user's half has, `bytes` long and aligned to `align`. */
static bool user_range(uint64_t address, uint64_t bytes, uint64_t align)
{
    return address < USER_ADDRESS_LIMIT && bytes <= USER_ADDRESS_LIMIT - address && !(address % align);
}

void syscall_create_ec(uint64_t selector, uint64_t account_selector, uint64_t pd_selector,
                       uint64_t utcb_flags, uint64_t stack, uint64_t entry)
{
    uint64_t utcb = utcb_flags & ~(PAGE_SIZE - 1ul), flags = utcb_flags % PAGE_SIZE;
    enum payer payer = PAYER_NAMED;
    struct account *account;
    struct ec *ec = NULL;
    enum status status;
    struct pd *pd;

    if (!create_begin(selector, account_selector, &account))
        return;
    status = look_up_object(pd_selector, OBJECT_PD, PERM_PD_BIND, &pd);
    if (status == STATUS_OK &&
        (!pd->obj || !pd->hst || (flags & ~(uint64_t)EC_FLAGS) || flags >> EC_CPU_SHIFT ||
         !user_range(utcb, PAGE_SIZE, PAGE_SIZE) || !user_range(entry, 1, 1) || stack > USER_ADDRESS_LIMIT))
        status = STATUS_BAD_ARG;
    if (status == STATUS_OK && (pd->obj->object.dead || pd->hst->object.dead))
        status = STATUS_DEAD;
    if (status == STATUS_OK)
        status = ec_create(account, pd, flags & EC_GLOBAL, flags & EC_FPU, utcb, stack, entry, &ec, &payer);
    create_end(selector, ec, status, payer);
}

void syscall_create_sc(uint64_t selector, uint64_t account_selector, uint64_t ec_selector, uint64_t priority,
                       uint64_t budget, uint64_t a5)
{
    struct account *account;
    enum status status;
    struct ec *ec;

    UNUSED5;
    if (!create_begin(selector, account_selector, &account))
        return;
    status = look_up_object(ec_selector, OBJECT_EC, PERM_EC_BIND_SC, &ec);
    if (status == STATUS_OK &&
        (!ec->global || priority >= SC_PRIORITIES || budget < SC_BUDGET_MIN || budget > SC_BUDGET_MAX))
        status = STATUS_BAD_ARG;
    if (status == STATUS_OK && ec->sc)
        status = STATUS_EXISTS;
    create_end(selector, status == STATUS_OK ? sc_create(account, ec, (unsigned)priority, budget) : NULL,
               status, PAYER_NAMED);
}

void syscall_create_pt(uint64_t selector, uint64_t account_selector, uint64_t ec_selector, uint64_t entry,
                       uint64_t id, uint64_t a5)
{
    struct account *account;
    enum status status;
    struct ec *ec;

    UNUSED5;
    if (!create_begin(selector, account_selector, &account))
        return;
    status = look_up_object(ec_selector, OBJECT_EC, PERM_EC_BIND_PT, &ec);
    if (status == STATUS_OK && (ec->global || !user_range(entry, 1, 1)))
        status = STATUS_BAD_ARG;
    create_end(selector, status == STATUS_OK ? pt_create(account, ec, entry, id) : NULL, status, PAYER_NAMED);
}

void syscall_create_nt(uint64_t selector, uint64_t account_selector, uint64_t a2, uint64_t a3, uint64_t a4,
                       uint64_t a5)
{
    struct account *account;

    UNUSED2;
    if (create_begin(selector, account_selector, &account))
        create_end(selector, nt_create(account), STATUS_OK, PAYER_NAMED);
}

void syscall_create_interrupt(uint64_t selector, uint64_t account_selector, uint64_t platform_selector,
                              uint64_t gsi_flags, uint64_t a4, uint64_t a5)
{
    struct interrupt *interrupt = NULL;
    struct account *account;
    struct object *object;
    enum status status;

    UNUSED4;
    if (!create_begin(selector, account_selector, &account))
        return;
    status = look_up_object(platform_selector, OBJECT_PLATFORM, PERM_PLATFORM_IRQ, &object);
    if (status == STATUS_OK && gsi_flags > UINT32_MAX)
        status = STATUS_BAD_ARG;
    if (status == STATUS_OK)
        status = interrupt_create(account, (uint32_t)gsi_flags, &interrupt);
    create_end(selector, interrupt, status, PAYER_NAMED);
}

void syscall_create_vcpu(uint64_t selector, uint64_t account_selector, uint64_t pd_selector,
                         uint64_t gst_selector, uint64_t state, uint64_t a5)
{
    enum payer payer = PAYER_NAMED;
    struct vcpu *vcpu = NULL;
    struct account *account;
    struct space *gst;
    enum status status;
    struct pd *pd;

    UNUSED5;
    if (!create_begin(selector, account_selector, &account))
        return;
    status = look_up_object(pd_selector, OBJECT_PD, PERM_PD_BIND, &pd);
    if (status == STATUS_OK)
        status = look_up_object(gst_selector, OBJECT_SPACE, PERM_SPACE_ASSIGN, &gst);
    if (status == STATUS_OK &&
        (!pd->hst || gst->kind != SPACE_GST || !user_range(state, PAGE_SIZE, PAGE_SIZE)))
        status = STATUS_BAD_ARG;
    if (status == STATUS_OK)
        status = vcpu_create(account, pd, gst, state, &vcpu, &payer);
    create_end(selector, vcpu, status, payer);
}
