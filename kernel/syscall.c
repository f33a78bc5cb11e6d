/* SPDX-License-Identifier: ISC */
/* System calls on existing objects; creation stands in create.c, IPC in ipc.c, running a vCPU in vcpu_run.c.
 */
#include "kernel/syscall.h"

#include "abi/boot.h"
#include "kernel/account.h"
#include "kernel/interrupt.h"
#include "kernel/iommu.h"
#include "kernel/lock.h"
#include "kernel/nt.h"
#include "kernel/platform.h"
#include "kernel/reclaim.h"
#include "kernel/sched.h"
#include "kernel/smp.h"
#include "kernel/space.h"
#include "kernel/switch.h"
#include <string.h>

LOCKED(pd_watch)
LOCKED(pd_fault)
LOCKED(destroy)
LOCKED(space_copy)
LOCKED(space_remove)
LOCKED(cap_info)
LOCKED(nt_narrow)
LOCKED(interrupt_bind)
LOCKED(account_info)
LOCKED(platform_control)
LOCKED(account_move)
LOCKED(ec_control)
LOCKED(device_assign)

syscall_function *const syscall_table[CALLS] = {
    [CALL_IPC_CALL] = syscall_ipc_call,
    [CALL_IPC_REPLY] = syscall_ipc_reply,
    [CALL_CREATE_ACCOUNT] = syscall_create_account,
    [CALL_CREATE_PD] = syscall_create_pd,
    [CALL_PD_WATCH] = locked_pd_watch,
    [CALL_PD_FAULT] = locked_pd_fault,
    [CALL_CREATE_SPACE] = syscall_create_space,
    [CALL_CREATE_EC] = syscall_create_ec,
    [CALL_CREATE_SC] = syscall_create_sc,
    [CALL_CREATE_PT] = syscall_create_pt,
    [CALL_CREATE_NT] = syscall_create_nt,
    [CALL_CREATE_INTERRUPT] = syscall_create_interrupt,
    [CALL_CREATE_VCPU] = syscall_create_vcpu,
    [CALL_DESTROY] = locked_destroy,
    [CALL_SPACE_COPY] = locked_space_copy,
    [CALL_SPACE_REMOVE] = locked_space_remove,
    [CALL_CAP_INFO] = locked_cap_info,
    [CALL_NT_NARROW] = locked_nt_narrow,
    [CALL_NT_SIGNAL] = syscall_nt_signal,
    [CALL_NT_WAIT] = syscall_nt_wait,
    [CALL_INTERRUPT_BIND] = locked_interrupt_bind,
    [CALL_INTERRUPT_ACK] = syscall_interrupt_ack,
    [CALL_VCPU_RUN] = syscall_vcpu_run,
    [CALL_ACCOUNT_INFO] = locked_account_info,
    [CALL_PLATFORM_CONTROL] = locked_platform_control,
    [CALL_ACCOUNT_MOVE] = locked_account_move,
    [CALL_EC_CONTROL] = locked_ec_control,
    [CALL_CREATE_DEVICE] = syscall_create_device,
    [CALL_DEVICE_ASSIGN] = locked_device_assign,
};

_Static_assert(CALLS == CALLS_COUNT, "entry.S knows the number of calls");

void syscall_unknown(void);

void syscall_unknown(void)
{
    finish(STATUS_BAD_CALL);
}

void syscall_pd_watch(uint64_t selector, uint64_t nt_selector, UNUSED2)
{
    struct nt *nt;
    struct pd *pd;
    uint64_t bits;
    enum status status = look_up(selector, OBJECT_PD, PERM_PD_BIND, &pd);

    status = status ? status : look_up_nt(nt_selector, PERM_NT_SIGNAL, &nt, &bits);
    if (status == STATUS_OK && pd->watch)
        status = STATUS_EXISTS;
    if (status == STATUS_OK) {
        pd->watch = nt;
        pd->watch_bits = bits;
        object_reference(&nt->object);
    }
    finish(status);
}

void syscall_pd_fault(uint64_t selector, UNUSED1)
{
    struct pd *pd;
    enum status status = look_up(selector, OBJECT_PD, PERM_PD_BIND, &pd);

    if (status != STATUS_OK) {
        finish(status);
        return;
    }
    this_cpu()->ec->utcb[0] = pd->fault_address;
    finish_values(STATUS_OK, pd->fault, pd->fault_ip);
}

void syscall_destroy(uint64_t selector, UNUSED1)
{
    struct ec *ec = this_cpu()->ec;
    uint64_t word = cap_lookup(ec->pd->obj->obj.table, selector);
    struct object *object;
    bool kept;

    if (!word) {
        finish(STATUS_BAD_CAP);
        return;
    }
    if (!(cap_permissions(word) & PERM_DESTROY) || cap_object(word)->type == OBJECT_PLATFORM) {
        finish(STATUS_BAD_PERM);
        return;
    }
    /* The object may be or hold what the caller lives on: keep both until the work is done. A dead object is
     * worked on again, since an earlier call may have been interrupted. */
    object = cap_object(word);
    object_reference(object);
    kept = object_try_reference(&ec->object);
    if (object_destroy(object))
        ec->frame.rax = STATUS_OK;
    else
        CONTINUE(ec, CALL_DESTROY, selector, 0, 0, 0, 0, 0);
    object_release(object);
    if (kept)
        object_release(&ec->object);
}

void syscall_space_copy(uint64_t source_selector, uint64_t from, uint64_t target_selector, uint64_t to,
                        uint64_t count, uint64_t rights)
{
    struct space *source, *target;
    uint64_t done = 0;
    enum status status = look_up(source_selector, OBJECT_SPACE, PERM_SPACE_TAKE, &source);

    status = status ? status : look_up(target_selector, OBJECT_SPACE, PERM_SPACE_GRANT, &target);
    if (status == STATUS_OK && rights > UINT32_MAX)
        status = STATUS_BAD_ARG;
    status = status ? status : space_copy(source, from, target, to, count, (unsigned)rights, &done);
    if (object_memory_may_come(status))
        status = STATUS_OK; /* and the rest is tried again */
    if (status != STATUS_OK || done == count)
        finish_values(status, PAYER_SPACE, 0);
    else
        CONTINUE(this_cpu()->ec, CALL_SPACE_COPY, source_selector, from + done, target_selector, to + done,
                 count - done, rights);
}

void syscall_space_remove(uint64_t selector, uint64_t base, uint64_t count, UNUSED3)
{
    struct ec *ec = this_cpu()->ec;
    struct space *space;
    uint64_t done = 0;
    bool kept;
    enum status status = look_up(selector, OBJECT_SPACE, PERM_SPACE_GRANT, &space);

    if (status != STATUS_OK) {
        finish(status);
        return;
    }
    object_reference(&space->object); /* it may hold its own last capability, and the caller's */
    kept = object_try_reference(&ec->object);
    status = space_remove(space, base, count, &done);
    if (status != STATUS_OK || done == count)
        ec->frame.rax = status;
    else
        CONTINUE(ec, CALL_SPACE_REMOVE, selector, base + done, count - done, 0, 0, 0);
    object_release(&space->object);
    if (kept)
        object_release(&ec->object);
}

void syscall_cap_info(uint64_t space_selector, uint64_t selector, UNUSED2)
{
    const struct cap *cap;
    struct space *space;
    uint64_t word;
    enum status status = look_up(space_selector, OBJECT_SPACE, PERM_SPACE_TAKE, &space);

    if (status == STATUS_OK && (space->kind != SPACE_OBJ || selector >= OBJ_SELECTORS))
        status = STATUS_BAD_ARG;
    if (status != STATUS_OK) {
        finish(status);
        return;
    }
    cap = cap_place(space->obj.table, selector);
    word = cap ? cap->word : 0;
    finish_values(STATUS_OK, word ? cap_object(word)->type | cap_permissions(word) << 8 : OBJECT_NONE,
                  word ? cap->bits : 0);
}

void syscall_nt_narrow(uint64_t selector, uint64_t target, uint64_t bits, UNUSED3)
{
    struct space *space = this_cpu()->ec->pd->obj;
    uint64_t has;
    struct nt *nt;
    enum status status = look_up_nt(selector, PERM_NT_WAIT, &nt, &has);

    status = status ? status : cap_prepare(space, target);
    if (status == STATUS_OK)
        cap_insert(space, target, &nt->object, cap_permissions(cap_lookup(space->obj.table, selector)),
                   has & bits);
    if (object_memory_may_come(status))
        CONTINUE(this_cpu()->ec, CALL_NT_NARROW, selector, target, bits, 0, 0, 0);
    else
        finish_values(status, PAYER_OBJECTS, 0);
}

void syscall_nt_signal(uint64_t selector, UNUSED1)
{
    struct nt *nt;
    uint64_t bits;
    enum status status = look_up_nt(selector, PERM_NT_SIGNAL, &nt, &bits);

    finish(status);
    if (status == STATUS_OK)
        nt_signal(nt, bits);
}

void syscall_nt_wait(uint64_t selector, uint64_t deadline, uint64_t leaves, UNUSED3)
{
    struct cpu *cpu = this_cpu();
    struct ec *ec = cpu->ec;
    uint64_t bits;
    struct nt *nt;
    enum status status = look_up_wait(ec, selector, &nt);

    if (status != STATUS_OK) {
        finish(status);
        return;
    }
    nt_claim(nt, cpu->number);
    __atomic_store_n(&ec->leaves, leaves, __ATOMIC_RELAXED);
    bits = nt_take(nt, leaves);
    if (bits) {
        finish_values(STATUS_OK, bits, 0);
    } else if (rdtsc() >= deadline) {
        finish_values(STATUS_TIMEOUT, 0, 0);
    } else if (!nt_enter(nt, ec)) {
        finish(STATUS_BUSY);
    } else {
        ec_restart(ec, CALL_NT_WAIT, selector, deadline, leaves, 0, 0, 0);
        if (nt_is_quiet(nt, leaves))
            ec_wait(ec, nt, deadline);
    }
}

void syscall_interrupt_bind(uint64_t selector, uint64_t nt_selector, UNUSED2)
{
    struct interrupt *interrupt;
    struct nt *nt;
    uint64_t bits;
    enum status status = look_up(selector, OBJECT_INTERRUPT, PERM_INTERRUPT_BIND, &interrupt);

    status = status ? status : look_up_nt(nt_selector, PERM_NT_SIGNAL, &nt, &bits);
    if (status == STATUS_OK)
        interrupt_bind(interrupt, nt, bits);
    finish(status);
}

void syscall_interrupt_ack(uint64_t selector, UNUSED1)
{
    struct interrupt *interrupt;
    enum status status = look_up(selector, OBJECT_INTERRUPT, PERM_INTERRUPT_ACK, &interrupt);

    if (status == STATUS_OK)
        interrupt_acknowledge(interrupt);
    finish(status);
}

void syscall_account_info(uint64_t selector, UNUSED1)
{
    struct account *account;
    enum status status = look_up(selector, OBJECT_ACCOUNT, PERM_ACCOUNT_INFO, &account);

    if (status == STATUS_OK)
        finish_values(STATUS_OK, account->quota, account->used);
    else
        finish(status);
}

void syscall_account_move(uint64_t from_selector, uint64_t to_selector, uint64_t pages, UNUSED3)
{
    struct account *from, *to;
    enum status status = look_up(from_selector, OBJECT_ACCOUNT, PERM_ACCOUNT_TAKE, &from);

    status = status ? status : look_up(to_selector, OBJECT_ACCOUNT, PERM_ACCOUNT_USE, &to);
    if (status == STATUS_OK && !account_move(from, to, pages))
        status = STATUS_NO_MEMORY;
    if (object_memory_may_come(status))
        CONTINUE(this_cpu()->ec, CALL_ACCOUNT_MOVE, from_selector, to_selector, pages, 0, 0, 0);
    else
        finish_values(status, PAYER_NAMED, 0);
}

/* Registers of an EC that does not run now; also of one that has died. */
static enum status ec_state(struct ec *self, const struct ec *ec)
{
    if (__atomic_load_n(&cpus[ec->cpu]->ec, __ATOMIC_ACQUIRE) == ec)
        return STATUS_BUSY;
    memcpy(self->utcb, &ec->frame, sizeof(ec->frame));
    /* It may have come to run meanwhile; if it has also gone, it was there between. */
    return __atomic_load_n(&cpus[ec->cpu]->ec, __ATOMIC_ACQUIRE) == ec ? STATUS_BUSY : STATUS_OK;
}

void syscall_ec_control(uint64_t selector, uint64_t operation, uint64_t argument, UNUSED3)
{
    struct ec *ec, *self = this_cpu()->ec;
    enum status status = look_up(selector, OBJECT_EC, PERM_EC_CONTROL, &ec);
    bool there = status == STATUS_OK || status == STATUS_DEAD;

    if (operation == EC_TIME && there) {
        finish_values(STATUS_OK, __atomic_load_n(&ec->used, __ATOMIC_RELAXED), 0);
        return;
    }
    if (operation == EC_STATE && there)
        status = ec_state(self, ec);
    else if (status == STATUS_OK && operation == EC_FS_BASE && argument < USER_ADDRESS_LIMIT)
        ec_set_fs_base(ec, argument);
    else if (status == STATUS_OK && operation == EC_CEILING && argument < SC_PRIORITIES && !ec->global)
        ec->ceiling = (uint8_t)argument;
    else
        status = status ? status : STATUS_BAD_ARG;
    finish(status);
}

void syscall_device_assign(uint64_t selector, uint64_t space_selector, UNUSED2)
{
    struct space *space = NULL;
    struct device *device;
    enum status status = look_up(selector, OBJECT_DEVICE, PERM_DEVICE_ASSIGN, &device);

    if (status == STATUS_OK && space_selector)
        status = look_up(space_selector, OBJECT_SPACE, PERM_SPACE_ASSIGN, &space);
    if (status == STATUS_OK && space && space->kind != SPACE_DMA)
        status = STATUS_BAD_ARG;
    status = status ? status : device_assign(device, space);
    finish(status);
}

static void dma_fault(void)
{
    struct iommu_fault fault = {0};
    bool lost = false, valid = iommu_fault_take(&fault, &lost);

    finish_values(STATUS_OK, fault.device | (valid ? DMA_FAULT_VALID : 0) | (lost ? DMA_FAULT_LOST : 0),
                  fault.address);
}

static unsigned platform_permission(uint64_t operation)
{
    if (operation == PLATFORM_DMA_FAULT)
        return PERM_PLATFORM_DEVICE;
    return operation == PLATFORM_POWER_OFF || operation == PLATFORM_RESET ? PERM_PLATFORM_POWER
                                                                          : PERM_PLATFORM_INFO;
}

void syscall_platform_control(uint64_t selector, uint64_t operation, uint64_t argument, UNUSED3)
{
    struct object *object;
    enum status status = look_up(selector, OBJECT_PLATFORM, platform_permission(operation), &object);

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
        if (argument < cpu_count)
            finish_values(STATUS_OK, cpu_idle_ticks(cpus[argument]), rdtsc());
        else
            finish(STATUS_BAD_ARG);
        break;
    case PLATFORM_OBJECTS:
        if (argument && argument < OBJECT_TYPES)
            finish_values(STATUS_OK, object_count((enum object_type)argument), 0);
        else
            finish(STATUS_BAD_ARG);
        break;
    case PLATFORM_DMA_FAULT:
        dma_fault();
        break;
    default:
        finish(STATUS_BAD_ARG);
    }
}
