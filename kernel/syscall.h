/* SPDX-License-Identifier: ISC */
/*
 * Shared by the files of system calls. A call is four steps: its arguments, look up and check, act, finish
 * with a status. The act cannot fail. An act that takes long does a part and takes the call back, which then
 * begins anew with the rest.
 */
#pragma once

#include "abi/syscall.h"
#include "kernel/cap.h"
#include "kernel/cpu.h"
#include "kernel/ec.h"
#include "kernel/nt.h"
#include "kernel/space.h"

typedef void syscall_function(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5);

syscall_function syscall_ipc_call, syscall_ipc_reply;
syscall_function syscall_create_account, syscall_create_pd, syscall_create_space, syscall_create_ec,
    syscall_create_sc, syscall_create_pt, syscall_create_nt, syscall_create_interrupt, syscall_create_vcpu;
syscall_function syscall_pd_watch, syscall_pd_fault, syscall_destroy, syscall_space_copy,
    syscall_space_remove, syscall_cap_info, syscall_nt_narrow, syscall_nt_signal, syscall_nt_wait,
    syscall_interrupt_bind, syscall_interrupt_ack, syscall_vcpu_run, syscall_account_info,
    syscall_platform_control, syscall_account_move, syscall_ec_control, syscall_create_device,
    syscall_device_assign;

/* A call under the kernel's lock: syscall_table has it by its name with "locked_". */
#define LOCKED(name)                                                                                         \
    static void locked_##name(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)  \
    {                                                                                                        \
        kernel_lock();                                                                                       \
        syscall_##name(a0, a1, a2, a3, a4, a5);                                                              \
        kernel_unlock();                                                                                     \
    }

/* A part of the call is done; it begins anew with other arguments, when interrupts have been let in. */
#define CONTINUE(ec, call, ...)                                                                              \
    do {                                                                                                     \
        ec_restart(ec, call, __VA_ARGS__);                                                                   \
        this_cpu()->hazard |= HAZARD_WINDOW;                                                                 \
    } while (0)

/* Parameters from the n-th on, for a call that does not have them. */
#define UNUSED(n) uint64_t a##n __attribute__((unused))
#define UNUSED5   UNUSED(5)
#define UNUSED4   UNUSED(4), UNUSED5
#define UNUSED3   UNUSED(3), UNUSED4
#define UNUSED2   UNUSED(2), UNUSED3
#define UNUSED1   UNUSED(1), UNUSED2

static inline void finish(enum status status)
{
    this_cpu()->ec->frame.rax = status;
}

static inline void finish_values(enum status status, uint64_t first, uint64_t second)
{
    struct frame *frame = &this_cpu()->ec->frame;

    frame->rax = status;
    frame->rdi = first;
    frame->rsi = second;
}

/* The object that a capability's word names, if it is of the type, the capability has the permissions and the
 * object lives. `result` is the address of a pointer, which is set also with STATUS_DEAD. */
static inline enum status check_word(uint64_t word, enum object_type type, unsigned permissions, void *result)
{
    if (!word || cap_object(word)->type != type)
        return STATUS_BAD_CAP;
    if ((cap_permissions(word) & permissions) != permissions)
        return STATUS_BAD_PERM;
    *(struct object **)result = cap_object(word);
    return cap_object(word)->dead ? STATUS_DEAD : STATUS_OK;
}

/* The object at a selector of the caller, under these conditions. Without the kernel's lock it stays what it
 * is until the call ends: see smp.h. */
static inline enum status look_up(uint64_t selector, enum object_type type, unsigned permissions,
                                  void *result)
{
    return check_word(cap_lookup(this_cpu()->ec->pd->obj->obj.table, selector), type, permissions, result);
}

/* The same for a notification, with the capability's bits. */
static inline enum status look_up_nt(uint64_t selector, unsigned permissions, struct nt **nt, uint64_t *bits)
{
    const struct cap *cap = cap_place(this_cpu()->ec->pd->obj->obj.table, selector);
    enum status status;
    uint64_t word;

    if (!cap)
        return STATUS_BAD_CAP;
    word = __atomic_load_n(&cap->word, __ATOMIC_ACQUIRE);
    status = check_word(word, OBJECT_NT, permissions, nt);
    *bits = __atomic_load_n(&cap->bits, __ATOMIC_ACQUIRE);
    /* If another capability has taken the selector, the bits may be that one's. */
    return __atomic_load_n(&cap->word, __ATOMIC_RELAXED) == word ? status : STATUS_BAD_CAP;
}

/* For calls that wait: a notification that may be waited for, by a global EC, with no other EC waiting. */
static inline enum status look_up_wait(const struct ec *ec, uint64_t selector, struct nt **nt)
{
    enum status status = look_up(selector, OBJECT_NT, PERM_NT_WAIT, nt);

    if (status == STATUS_OK && !ec->global)
        return STATUS_BAD_ARG;
    if (status == STATUS_OK && __atomic_load_n(&(*nt)->waiter, __ATOMIC_RELAXED))
        return STATUS_BUSY;
    return status;
}
