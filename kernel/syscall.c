/* SPDX-License-Identifier: ISC */
/* System calls on existing objects; creation stands in create.c, IPC in ipc.c, running a vCPU in vcpu_run.c.
 */
#include "kernel/syscall.h"

#include "kernel/account.h"
#include "kernel/interrupt.h"
#include "kernel/nt.h"
#include "kernel/platform.h"
#include "kernel/sched.h"
#include "kernel/space.h"

syscall_function *const syscall_table[CALLS] = {
    [CALL_IPC_CALL] = syscall_ipc_call,
    [CALL_IPC_REPLY] = syscall_ipc_reply,
    [CALL_CREATE_ACCOUNT] = syscall_create_account,
    [CALL_CREATE_PD] = syscall_create_pd,
    [CALL_PD_WATCH] = syscall_pd_watch,
    [CALL_PD_FAULT] = syscall_pd_fault,
    [CALL_CREATE_SPACE] = syscall_create_space,
    [CALL_CREATE_EC] = syscall_create_ec,
    [CALL_CREATE_SC] = syscall_create_sc,
    [CALL_CREATE_PT] = syscall_create_pt,
    [CALL_CREATE_NT] = syscall_create_nt,
    [CALL_CREATE_INTERRUPT] = syscall_create_interrupt,
    [CALL_CREATE_VCPU] = syscall_create_vcpu,
    [CALL_DESTROY] = syscall_destroy,
    [CALL_SPACE_COPY] = syscall_space_copy,
    [CALL_SPACE_REMOVE] = syscall_space_remove,
    [CALL_CAP_INFO] = syscall_cap_info,
    [CALL_NT_NARROW] = syscall_nt_narrow,
    [CALL_NT_SIGNAL] = syscall_nt_signal,
    [CALL_NT_WAIT] = syscall_nt_wait,
    [CALL_INTERRUPT_BIND] = syscall_interrupt_bind,
    [CALL_INTERRUPT_ACK] = syscall_interrupt_ack,
    [CALL_VCPU_RUN] = syscall_vcpu_run,
    [CALL_ACCOUNT_INFO] = syscall_account_info,
    [CALL_PLATFORM_CONTROL] = syscall_platform_control,
};

_Static_assert(CALLS == CALLS_COUNT, "entry.S knows the number of calls");

void syscall_unknown(void);

void syscall_unknown(void)
{
    finish(STATUS_BAD_CALL);
}

void syscall_pd_watch(uint64_t selector, uint64_t nt_selector, uint64_t a2, uint64_t a3, uint64_t a4,
                      uint64_t a5)
{
    const struct cap *nt_cap;
    struct pd *pd;
    enum status status = look_up_object(selector, OBJECT_PD, PERM_PD_BIND, &pd);

    UNUSED2;
    if (status == STATUS_OK)
        status = look_up(nt_selector, OBJECT_NT, PERM_NT_SIGNAL, &nt_cap);
    if (status == STATUS_OK && pd->watch)
        status = STATUS_EXISTS;
    if (status == STATUS_OK) {
        pd->watch = (struct nt *)cap_object(nt_cap);
        pd->watch_bits = nt_cap->bits;
        object_reference(&pd->watch->object);
    }
    finish(status);
}

void syscall_pd_fault(uint64_t selector, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
    struct pd *pd;
    enum status status = look_up_object(selector, OBJECT_PD, PERM_PD_BIND, &pd);

    UNUSED1;
    if (status != STATUS_OK) {
        finish(status);
        return;
    }
    this_cpu()->ec->utcb[0] = pd->fault_address;
    finish_values(STATUS_OK, pd->fault, pd->fault_ip);
}

void syscall_destroy(uint64_t selector, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
    struct ec *ec = this_cpu()->ec;
    const struct cap *cap = cap_lookup(ec->pd->obj->obj.table, selector);
    struct object *object;

    UNUSED1;
    if (!cap) {
        finish(STATUS_BAD_CAP);
        return;
    }
    if (!(cap_permissions(cap) & PERM_DESTROY) || cap_object(cap)->type == OBJECT_PLATFORM) {
        finish(STATUS_BAD_PERM);
        return;
    }
    /* The object may be or hold what the caller lives on: keep both until the work is done. A dead object is
     * worked on again, since an earlier call may have been interrupted. */
    object = cap_object(cap);
    object_reference(object);
    object_reference(&ec->object);
    if (object_destroy(object)) {
        ec->frame.rax = STATUS_OK;
    } else {
        ec_restart(ec, CALL_DESTROY, selector, 0, 0, 0, 0, 0);
        interrupt_window();
    }
    object_release(object);
    object_release(&ec->object);
}

/* If these are the caller's own ports, the TSS is to hold what it has now. */
static void ports_changed(const struct space *space)
{
    struct ec *ec = this_cpu()->ec;

    if (space == ec->pd->pio)
        ec_switch(ec);
}

void syscall_space_copy(uint64_t source_selector, uint64_t from, uint64_t target_selector, uint64_t to,
                        uint64_t count, uint64_t rights)
{
    struct space *source, *target;
    uint64_t done = 0;
    enum status status = look_up_object(source_selector, OBJECT_SPACE, PERM_SPACE_TAKE, &source);

    if (status == STATUS_OK)
        status = look_up_object(target_selector, OBJECT_SPACE, PERM_SPACE_GRANT, &target);
    if (status == STATUS_OK && rights > UINT32_MAX)
        status = STATUS_BAD_ARG;
    if (status == STATUS_OK)
        status = space_copy(source, from, target, to, count, (unsigned)rights, &done);
    if (status == STATUS_OK)
        ports_changed(target);
    if (status != STATUS_OK || done == count) {
        finish_values(status, PAYER_SPACE, 0);
        return;
    }
    ec_restart(this_cpu()->ec, CALL_SPACE_COPY, source_selector, from + done, target_selector, to + done,
               count - done, rights);
    interrupt_window();
}

void syscall_space_remove(uint64_t selector, uint64_t base, uint64_t count, uint64_t a3, uint64_t a4,
                          uint64_t a5)
{
    struct ec *ec = this_cpu()->ec;
    struct space *space;
    uint64_t done = 0;
    enum status status = look_up_object(selector, OBJECT_SPACE, PERM_SPACE_GRANT, &space);

    UNUSED3;
    if (status != STATUS_OK) {
        finish(status);
        return;
    }
    object_reference(&space->object); /* it may hold its own last capability, and the caller's */
    object_reference(&ec->object);
    status = space_remove(space, base, count, &done);
    ports_changed(space);
    if (status != STATUS_OK || done == count) {
        ec->frame.rax = status;
    } else {
        ec_restart(ec, CALL_SPACE_REMOVE, selector, base + done, count - done, 0, 0, 0);
        interrupt_window();
    }
    object_release(&space->object);
    object_release(&ec->object);
}

void syscall_cap_info(uint64_t space_selector, uint64_t selector, uint64_t a2, uint64_t a3, uint64_t a4,
                      uint64_t a5)
{
    const struct cap *cap;
    struct space *space;
    enum status status = look_up_object(space_selector, OBJECT_SPACE, PERM_SPACE_TAKE, &space);

    UNUSED2;
    if (status == STATUS_OK && (space->kind != SPACE_OBJ || selector >= OBJ_SELECTORS))
        status = STATUS_BAD_ARG;
    if (status != STATUS_OK) {
        finish(status);
        return;
    }
    cap = cap_lookup(space->obj.table, selector);
    finish_values(STATUS_OK, cap ? cap_object(cap)->type | cap_permissions(cap) << 8 : OBJECT_NONE,
                  cap ? cap->bits : 0);
}

void syscall_nt_narrow(uint64_t selector, uint64_t target, uint64_t bits, uint64_t a3, uint64_t a4,
                       uint64_t a5)
{
    struct space *space = this_cpu()->ec->pd->obj;
    const struct cap *cap;
    enum status status = look_up(selector, OBJECT_NT, PERM_NT_WAIT, &cap);

    UNUSED3;
    if (status == STATUS_OK)
        status = cap_prepare(space, target);
    if (status == STATUS_OK)
        cap_insert(space, target, cap_object(cap), cap_permissions(cap), cap->bits & bits);
    finish_values(status, PAYER_OBJECTS, 0);
}

void syscall_nt_signal(uint64_t selector, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
    const struct cap *cap;
    enum status status = look_up(selector, OBJECT_NT, PERM_NT_SIGNAL, &cap);

    UNUSED1;
    finish(status);
    if (status == STATUS_OK)
        nt_signal((struct nt *)cap_object(cap), cap->bits);
}

void syscall_nt_wait(uint64_t selector, uint64_t deadline, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
    struct ec *ec = this_cpu()->ec;
    struct nt *nt;
    enum status status = look_up_wait(ec, selector, &nt);

    UNUSED2;
    if (status != STATUS_OK) {
        finish(status);
        return;
    }
    if (nt->word) {
        finish_values(STATUS_OK, nt->word, 0);
        nt->word = 0;
    } else if (rdtsc() >= deadline) {
        finish_values(STATUS_TIMEOUT, 0, 0);
    } else {
        ec_restart(ec, CALL_NT_WAIT, selector, deadline, 0, 0, 0, 0);
        ec_wait(ec, nt, deadline);
    }
}

void syscall_interrupt_bind(uint64_t selector, uint64_t nt_selector, uint64_t a2, uint64_t a3, uint64_t a4,
                            uint64_t a5)
{
    struct interrupt *interrupt;
    const struct cap *nt_cap;
    enum status status = look_up_object(selector, OBJECT_INTERRUPT, PERM_INTERRUPT_BIND, &interrupt);

    UNUSED2;
    if (status == STATUS_OK)
        status = look_up(nt_selector, OBJECT_NT, PERM_NT_SIGNAL, &nt_cap);
    if (status == STATUS_OK)
        interrupt_bind(interrupt, (struct nt *)cap_object(nt_cap), nt_cap->bits);
    finish(status);
}

void syscall_interrupt_ack(uint64_t selector, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
    struct interrupt *interrupt;
    enum status status = look_up_object(selector, OBJECT_INTERRUPT, PERM_INTERRUPT_ACK, &interrupt);

    UNUSED1;
    if (status == STATUS_OK)
        interrupt_acknowledge(interrupt);
    finish(status);
}

void syscall_account_info(uint64_t selector, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
    struct account *account;
    enum status status = look_up_object(selector, OBJECT_ACCOUNT, PERM_ACCOUNT_INFO, &account);

    UNUSED1;
    if (status == STATUS_OK)
        finish_values(STATUS_OK, account->quota, account->used);
    else
        finish(status);
}

static unsigned platform_permission(uint64_t operation)
{
    return operation == PLATFORM_POWER_OFF || operation == PLATFORM_RESET ? PERM_PLATFORM_POWER
                                                                          : PERM_PLATFORM_INFO;
}

void syscall_platform_control(uint64_t selector, uint64_t operation, uint64_t argument, uint64_t a3,
                              uint64_t a4, uint64_t a5)
{
    struct cpu *cpu = this_cpu();
    struct object *object;
    enum status status = look_up_object(selector, OBJECT_PLATFORM, platform_permission(operation), &object);

    UNUSED3;
    if (status != STATUS_OK) {
        finish(status);
        return;
    }
    switch (operation) {
    case PLATFORM_POWER_OFF:
        platform_power_off(argument & 0xff, argument >> 8 & 0xff);
        finish(STATUS_UNSUPPORTED); /* still here */
        break;
    case PLATFORM_RESET:
        platform_reset();
    case PLATFORM_FREE_PAGES:
        finish_values(STATUS_OK, pool_free_pages(), pool_pages());
        break;
    case PLATFORM_IDLE_TIME:
        if (argument == cpu->number)
            finish_values(STATUS_OK, cpu->idle_ticks, rdtsc());
        else
            finish(STATUS_BAD_ARG);
        break;
    case PLATFORM_OBJECTS:
        if (argument && argument < OBJECT_TYPES)
            finish_values(STATUS_OK, object_count((enum object_type)argument), 0);
        else
            finish(STATUS_BAD_ARG);
        break;
    default:
        finish(STATUS_BAD_ARG);
    }
}
