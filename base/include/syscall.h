/* SPDX-License-Identifier: ISC */
/*
 * The kernel's calls as functions: one inline stub a call, named after it. abi/calls.md describes each
 * call and status. Selectors are indices into the caller's own OBJ space.
 */
#pragma once

#include "base/include/trap.h"

typedef uint64_t selector;

/* The same for calls that return no values. */
MUST_CHECK static inline enum status system_call_status(enum call call, uint64_t a, uint64_t b, uint64_t c,
                                                        uint64_t d, uint64_t e, uint64_t f)
{
    uint64_t first, second;
    return system_call(call, a, b, c, d, e, f, &first, &second);
}

/* `words` of the caller's UTCB go to the portal's EC; *reply is how many came back. */
MUST_CHECK static inline enum status ipc_call(selector portal, unsigned words, unsigned *reply)
{
    uint64_t first, second;
    enum status status = system_call(CALL_IPC_CALL, portal, words, 0, 0, 0, 0, &first, &second);
    *reply = status == STATUS_OK && second <= UTCB_WORDS ? (unsigned)second : 0;
    return status;
}

MUST_CHECK static inline enum status create_account(selector free, selector account, uint64_t pages)
{
    return system_call_status(CALL_CREATE_ACCOUNT, free, account, pages, 0, 0, 0);
}

MUST_CHECK static inline enum status create_pd(selector free, selector account)
{
    return system_call_status(CALL_CREATE_PD, free, account, 0, 0, 0, 0);
}

MUST_CHECK static inline enum status pd_watch(selector pd, selector nt)
{
    return system_call_status(CALL_PD_WATCH, pd, nt, 0, 0, 0, 0);
}

/* The faulting address is in word 0 of the caller's UTCB. */
MUST_CHECK static inline enum status pd_fault(selector pd, uint64_t *fault, uint64_t *instruction)
{
    return system_call(CALL_PD_FAULT, pd, 0, 0, 0, 0, 0, fault, instruction);
}

MUST_CHECK static inline enum status create_space(selector free, selector account, enum space_kind kind,
                                                  selector pd)
{
    return system_call_status(CALL_CREATE_SPACE, free, account, (uint64_t)kind, pd, 0, 0);
}

/* utcb: page-aligned address; flags: EC_*. */
MUST_CHECK static inline enum status create_ec(selector free, selector account, selector pd, uint64_t utcb,
                                               uint64_t flags, uint64_t stack, uint64_t entry)
{
    return system_call_status(CALL_CREATE_EC, free, account, pd, utcb | flags, stack, entry);
}

MUST_CHECK static inline enum status create_sc(selector free, selector account, selector ec,
                                               unsigned priority, uint64_t budget)
{
    return system_call_status(CALL_CREATE_SC, free, account, ec, priority, budget, 0);
}

MUST_CHECK static inline enum status create_pt(selector free, selector account, selector ec, uint64_t entry,
                                               uint64_t id)
{
    return system_call_status(CALL_CREATE_PT, free, account, ec, entry, id, 0);
}

MUST_CHECK static inline enum status create_nt(selector free, selector account)
{
    return system_call_status(CALL_CREATE_NT, free, account, 0, 0, 0, 0);
}

MUST_CHECK static inline enum status create_interrupt(selector free, selector account, selector platform,
                                                      uint64_t gsi_flags)
{
    return system_call_status(CALL_CREATE_INTERRUPT, free, account, platform, gsi_flags, 0, 0);
}

/* *address, *data: what the device has to write. device 0: where there is no IOMMU. */
MUST_CHECK static inline enum status create_message(selector free, selector account, selector platform,
                                                    uint64_t flags, selector device, uint64_t *address,
                                                    uint64_t *data)
{
    return system_call(CALL_CREATE_INTERRUPT, free, account, platform, INTERRUPT_MSI | flags, device, 0,
                       address, data);
}

/* id: bus, device, function in 8, 5, 3 bits. */
MUST_CHECK static inline enum status create_device(selector free, selector account, selector platform,
                                                   uint64_t id)
{
    return system_call_status(CALL_CREATE_DEVICE, free, account, platform, id, 0, 0);
}

/* space 0: none. */
MUST_CHECK static inline enum status device_assign(selector device, selector space)
{
    return system_call_status(CALL_DEVICE_ASSIGN, device, space, 0, 0, 0, 0);
}

MUST_CHECK static inline enum status create_vcpu(selector free, selector account, selector pd, selector gst,
                                                 uint64_t state_page)
{
    return system_call_status(CALL_CREATE_VCPU, free, account, pd, gst, state_page, 0);
}

MUST_CHECK static inline enum status destroy(selector object)
{
    return system_call_status(CALL_DESTROY, object, 0, 0, 0, 0, 0);
}

MUST_CHECK static inline enum status space_copy(selector source, uint64_t source_base, selector target,
                                                uint64_t target_base, uint64_t count, uint64_t rights)
{
    return system_call_status(CALL_SPACE_COPY, source, source_base, target, target_base, count, rights);
}

MUST_CHECK static inline enum status space_remove(selector space, uint64_t base, uint64_t count)
{
    return system_call_status(CALL_SPACE_REMOVE, space, base, count, 0, 0, 0);
}

/* *info: enum object_type | permissions << 8. */
MUST_CHECK static inline enum status cap_info(selector obj, uint64_t index, uint64_t *info, uint64_t *bits)
{
    return system_call(CALL_CAP_INFO, obj, index, 0, 0, 0, 0, info, bits);
}

MUST_CHECK static inline enum status nt_narrow(selector nt, selector free, uint64_t bits)
{
    return system_call_status(CALL_NT_NARROW, nt, free, bits, 0, 0, 0);
}

MUST_CHECK static inline enum status nt_signal(selector nt)
{
    return system_call_status(CALL_NT_SIGNAL, nt, 0, 0, 0, 0, 0);
}

/* For the bits of `mask`; the others stay. deadline: absolute TSC value or DEADLINE_NEVER; *bits is 0 unless
 * STATUS_OK. */
MUST_CHECK static inline enum status nt_wait_for(selector nt, uint64_t mask, uint64_t deadline,
                                                 uint64_t *bits)
{
    uint64_t first, second;
    enum status status = system_call(CALL_NT_WAIT, nt, deadline, ~mask, 0, 0, 0, &first, &second);
    *bits = status == STATUS_OK ? first : 0;
    return status;
}

/* For all bits. */
MUST_CHECK static inline enum status nt_wait(selector nt, uint64_t deadline, uint64_t *bits)
{
    return nt_wait_for(nt, UINT64_MAX, deadline, bits);
}

MUST_CHECK static inline enum status interrupt_bind(selector interrupt, selector nt)
{
    return system_call_status(CALL_INTERRUPT_BIND, interrupt, nt, 0, 0, 0, 0);
}

MUST_CHECK static inline enum status interrupt_ack(selector interrupt)
{
    return system_call_status(CALL_INTERRUPT_ACK, interrupt, 0, 0, 0, 0, 0);
}

/* *bits: those of the notification, 0 unless STATUS_SIGNAL. */
MUST_CHECK static inline enum status vcpu_run(selector vcpu, selector nt, uint64_t deadline, uint64_t *bits)
{
    uint64_t first, second;
    enum status status = system_call(CALL_VCPU_RUN, vcpu, nt, deadline, 0, 0, 0, &first, &second);
    *bits = status == STATUS_SIGNAL ? first : 0;
    return status;
}

MUST_CHECK static inline enum status ec_ceiling(selector ec, uint64_t priority)
{
    return system_call_status(CALL_EC_CONTROL, ec, EC_CEILING, priority, 0, 0, 0);
}

/* *ticks: TSC ticks that it has run, without a turn that is not over. */
MUST_CHECK static inline enum status ec_time(selector ec, uint64_t *ticks)
{
    uint64_t second;
    return system_call(CALL_EC_CONTROL, ec, EC_TIME, 0, 0, 0, 0, ticks, &second);
}

MUST_CHECK static inline enum status account_info(selector account, uint64_t *free_pages,
                                                  uint64_t *used_pages)
{
    return system_call(CALL_ACCOUNT_INFO, account, 0, 0, 0, 0, 0, free_pages, used_pages);
}

MUST_CHECK static inline enum status platform_control(selector platform, enum platform_operation operation,
                                                      uint64_t argument, uint64_t *first, uint64_t *second)
{
    return system_call(CALL_PLATFORM_CONTROL, platform, (uint64_t)operation, argument, 0, 0, 0, first,
                       second);
}
