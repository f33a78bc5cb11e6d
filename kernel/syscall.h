/* SPDX-License-Identifier: ISC */
/*
 * What the files of system calls share. A call is four steps: its arguments, look up and check, act, finish
 * with a status. The act cannot fail; where it takes long, it does a part and takes the call back, so that it
 * begins anew with what is left.
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
    syscall_platform_control;

/* Arguments from the n-th on that a call does not have. */
#define UNUSED5 (void)a5
#define UNUSED4 (void)a4, UNUSED5
#define UNUSED3 (void)a3, UNUSED4
#define UNUSED2 (void)a2, UNUSED3
#define UNUSED1 (void)a1, UNUSED2

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

/* The capability at a selector of the caller, if it is of the type, has the permissions and its object lives.
 */
static inline enum status look_up(uint64_t selector, enum object_type type, unsigned permissions,
                                  const struct cap **result)
{
    const struct cap *cap = cap_lookup(this_cpu()->ec->pd->obj->obj.table, selector);

    if (!cap || cap_object(cap)->type != type)
        return STATUS_BAD_CAP;
    if ((cap_permissions(cap) & permissions) != permissions)
        return STATUS_BAD_PERM;
    if (cap_object(cap)->dead)
        return STATUS_DEAD;
    *result = cap;
    return STATUS_OK;
}

/* The same, giving the object. */
static inline enum status look_up_object(uint64_t selector, enum object_type type, unsigned permissions,
                                         void *result)
{
    const struct cap *cap;
    enum status status = look_up(selector, type, permissions, &cap);

    if (status == STATUS_OK)
        *(struct object **)result = cap_object(cap);
    return status;
}

/* For calls that wait: a notification that may be waited for, by a global EC, with nobody else waiting. */
static inline enum status look_up_wait(const struct ec *ec, uint64_t selector, struct nt **nt)
{
    enum status status = look_up_object(selector, OBJECT_NT, PERM_NT_WAIT, nt);

    if (status == STATUS_OK && !ec->global)
        return STATUS_BAD_ARG;
    if (status == STATUS_OK && (*nt)->waiter)
        return STATUS_BUSY;
    return status;
}
