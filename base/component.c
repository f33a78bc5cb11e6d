/* SPDX-License-Identifier: ISC */
/*
 * The frame of a component: entry, portals, threads and the other objects that core makes for it. The only state is the
 * handler of requests; it belongs to the runtime because the kernel enters a portal with nothing but its id.
 */
#include "base/include/component.h"

#include "base/include/session.h"
#include "base/include/session/pd.h"
#include "base/runtime.h"

#define ENTRY_STACK 0x10000u

static request_handler handle_request;

void component_begin(void)
{
    component_exit(component_main());
}

void component_exit(int code)
{
    struct message message = message_at(utcb(), UTCB_WORDS);
    message_put_all(&message, PARENT_EXIT, (uint64_t)code);
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

    if (id == PORTAL_ID_SELF)
        event_handle(message[0]);
    else
        reply = handle_request(id, message, count);
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
    error = core_call(PD_PORTAL, CAP_SELF, PORTAL_ID_SELF, 0, 0, 0);
    if (!error)
        event_use_entry();
    return error;
}

enum error thread_create(void (*function)(void *), void *argument, unsigned priority, size_t stack,
                         unsigned cpu)
{
    struct message message = message_at(utcb(), UTCB_WORDS);
    message_put_all(&message, PD_THREAD, (uintptr_t)thread_begin, (uintptr_t)argument, (uintptr_t)function,
                    priority, stack, cpu);
    return portal_call(core_portal(), &message, NULL);
}

enum error notification_create(selector free, uint64_t *handle)
{
    enum error error = core_call(PD_NOTIFICATION, free, 0, 0, 0, 0);
    if (!error && handle)
        *handle = utcb()[1];
    return error;
}
