/* SPDX-License-Identifier: ISC */
/*
 * Marshalling of the creator's operations, one function an operation. It makes no decisions.
 */
#include "init/creator.h"

#include "base/include/component.h"
#include "base/include/message.h"
#include "base/include/session.h"
#include "base/include/session/pd.h"

#include <string.h>

enum error creator_create(const struct creator_request *request, uint64_t *child, uint64_t *needed,
                          uint64_t *there, char *reason, size_t size)
{
    struct message message = message_at(utcb(), UTCB_WORDS);
    message_put_all(&message, CHILD_CREATE, request->rom, request->ram, request->kernel, request->priority,
                    request->fault_bits, request->news, request->cpus, request->children);
    message_put_string(&message, request->label);
    unsigned count = 0;
    enum error error = portal_call(core_portal(), &message, &count);
    struct message reply = message_at(utcb() + 1, count > 1 ? count - 1 : 0);
    *needed = *there = 0;
    reason[0] = '\0';
    if (error == ERROR_OK) {
        *child = message_get(&reply);
    } else if (error == ERROR_BAD_ELF) {
        message_get_string(&reply, reason, size);
    } else if (error == ERROR_NO_RAM || error == ERROR_NO_KMEM) {
        *needed = message_get(&reply);
        *there = message_get(&reply);
    }
    return error;
}

enum error creator_start(uint64_t child, uint64_t portal_id)
{
    enum error error;
    do
        error = core_call(CHILD_START, child, portal_id, 0, 0, 0);
    while (error == ERROR_MORE);
    return error;
}

enum error creator_destroy(uint64_t child)
{
    return core_call_whole(CHILD_DESTROY, child);
}

enum error creator_fault(uint64_t child, uint64_t *fault, uint64_t *instruction, uint64_t *address)
{
    enum error error = core_call(CHILD_FAULT, child, 0, 0, 0, 0);
    if (error == ERROR_OK) {
        *fault = utcb()[1];
        *instruction = utcb()[2];
        *address = utcb()[3];
    }
    return error;
}

enum error creator_quota(uint64_t child, int64_t bytes)
{
    return core_call(CHILD_QUOTA, child, (uint64_t)bytes, 0, 0, 0);
}

/* What comes back with one word. */
static enum error ask(uint64_t operation, uint64_t a, uint64_t b, uint64_t c, uint64_t *word)
{
    enum error error = core_call(operation, a, b, c, 0, 0);
    if (error == ERROR_OK || error == ERROR_MORE)
        *word = utcb()[1];
    return error;
}

enum error creator_alloc(uint64_t bytes, uint64_t *handle)
{
    return ask(PD_DATASPACE_ALLOC, bytes, 0, 0, handle);
}

enum error creator_clear(uint64_t handle)
{
    return core_call(PD_DATASPACE_CLEAR, handle, 0, 0, 0, 0);
}

enum error creator_share(uint64_t child, uint64_t dataspace, uint64_t rights, uint64_t *handle)
{
    return ask(CHILD_SHARE, child, dataspace, rights, handle);
}

enum error creator_shares(uint64_t dataspace, uint64_t *count)
{
    return ask(CHILD_SHARES, dataspace, 0, 0, count);
}

enum error creator_connect(uint64_t child, selector free, uint64_t other, uint64_t bits)
{
    return core_call(CHILD_CONNECT, child, free, other, bits, 0);
}

void creator_disconnect(uint64_t child, selector used)
{
    enum error error = core_call(CHILD_DISCONNECT, child, used, 0, 0, 0);
    (void)error;
}

void creator_signal(selector nt)
{
    enum status status = nt_signal(nt);
    (void)status;
}

void creator_gone(uint64_t child)
{
    struct message message = message_at(utcb(), UTCB_WORDS);
    message_put(&message, PARENT_GONE);
    message_put(&message, child);
    enum error error = portal_call(CAP_PARENT, &message, NULL);
    (void)error; /* core, as the parent, keeps nothing that would be to end */
}
