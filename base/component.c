/* SPDX-License-Identifier: ISC */
/*
 * The frame of a component: entry, the loop of a server, threads and what else core makes for it. The only
 * state is the two handlers; it belongs to the runtime because the kernel enters a portal with nothing but
 * its id.
 */
#include "base/include/component.h"

#include "base/include/session.h"
#include "base/include/session/pd.h"
#include "base/runtime.h"

#define ENTRY_STACK 0x10000u

static request_handler handle_request;
static notification_handler handle_notification;
static uint64_t deferred, deferred_until; /* bits that the loop leaves alone; TSC value */

void component_begin(void)
{
    component_exit(component_main());
}

void component_exit(int code)
{
    struct message message = message_at(utcb(), UTCB_WORDS);
    message_put(&message, PARENT_EXIT);
    message_put(&message, (uint64_t)code);
    enum error error = portal_call(CAP_PARENT, &message, NULL);
    (void)error;
    for (;;) {
        uint64_t bits;
        if (nt_wait(CAP_NT, DEADLINE_NEVER, &bits) != STATUS_OK)
            __builtin_trap();
    }
}

void component_request(uint64_t id, uint64_t words)
{
    uint64_t *message = utcb();
    uint64_t reply = 1;
    unsigned count = words < UTCB_WORDS ? (unsigned)words : UTCB_WORDS;

    if (id == PORTAL_ID_SELF) {
        uint64_t deadline = handle_notification(count > 0 ? message[0] : 0);
        message[0] = deadline;
    } else if (handle_request)
        reply = handle_request(id, message, count);
    else
        message[0] = ERROR_BAD_OPERATION;
    enum status status = system_call_status(CALL_IPC_REPLY, reply, 0, 0, 0, 0, 0);
    (void)status;
    __builtin_trap();
}

enum error component_serve(request_handler request)
{
    handle_request = request;
    enum error error = core_call(PD_ENTRY, (uintptr_t)portal_begin, ENTRY_STACK, 0, 0, 0);
    if (error)
        return error;
    return core_call(PD_PORTAL, CAP_SELF, PORTAL_ID_SELF, 0, 0, 0);
}

void component_defer(uint64_t bits, uint64_t until)
{
    deferred = bits;
    deferred_until = until;
}

static enum status loop_wait(uint64_t deadline, uint64_t *bits)
{
    enum status status = STATUS_TIMEOUT;
    if (deferred)
        status = nt_wait_for(CAP_NT, ~deferred, deadline < deferred_until ? deadline : deferred_until, bits);
    if (status == STATUS_TIMEOUT && tsc_read() >= deferred_until) {
        deferred = 0;
        status = nt_wait(CAP_NT, deadline, bits);
    }
    return status;
}

void component_loop(notification_handler notified)
{
    uint64_t bits = 0;
    handle_notification = notified;
    for (;;) {
        unsigned words;
        utcb()[0] = bits;
        if (ipc_call(CAP_SELF, 1, &words) != STATUS_OK || words != 1)
            __builtin_trap();
        uint64_t deadline = utcb()[0];
        enum status status = loop_wait(deadline, &bits);
        if (status != STATUS_OK && status != STATUS_TIMEOUT)
            __builtin_trap();
    }
}

enum error pd_info(struct pd_info *info)
{
    enum error error = core_call(PD_INFO, 0, 0, 0, 0, 0);
    if (error)
        return error;
    const uint64_t *words = utcb();
    *info = (struct pd_info){words[1], words[2], words[3], words[4], words[5],
                             words[6], words[7], words[8], words[9], words[10]};
    return ERROR_OK;
}

enum error thread_create(void (*function)(void *), void *argument, unsigned priority, size_t stack,
                         unsigned cpu)
{
    struct message message = message_at(utcb(), UTCB_WORDS);
    message_put(&message, PD_THREAD);
    message_put(&message, (uintptr_t)thread_begin);
    message_put(&message, (uintptr_t)argument);
    message_put(&message, (uintptr_t)function);
    message_put(&message, priority);
    message_put(&message, stack);
    message_put(&message, cpu);
    return portal_call(CAP_CORE, &message, NULL);
}

/* For operations that answer with a handle. */
static enum error handle_call(uint64_t operation, uint64_t a, uint64_t b, uint64_t *handle)
{
    enum error error = core_call(operation, a, b, 0, 0, 0);
    if (!error && handle)
        *handle = utcb()[1];
    return error;
}

enum error notification_create(selector free, uint64_t *handle)
{
    return handle_call(PD_NOTIFICATION, free, 0, handle);
}

enum error portal_create(selector free, uint64_t id, uint64_t *handle)
{
    return handle_call(PD_PORTAL, free, id, handle);
}

enum error capability_drop(selector used)
{
    return core_call(PD_DROP, used, 0, 0, 0, 0);
}
