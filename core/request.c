/* SPDX-License-Identifier: ISC */
/*
 * A component's requests: the operations on its own protection domain, and the handlers of all others. The
 * caller chose every argument; the function that uses an argument checks it.
 */
#include "core/core.h"

#include "base/include/session/pd.h"

uint64_t *core_utcb;

static enum error info(const struct pd *pd, struct reply *reply)
{
    const struct boot_info *boot = BOOT_INFO;
    *reply = (struct reply){.word = {boot->tsc_hz, boot->wall_seconds, boot->wall_tsc, boot->features,
                                     pd->cpus, 0, 0, 0, 0, pd->priority, pd_time(pd)},
                            .words = 11};
    return quota_info(pd, reply->word + 5);
}

static enum error dataspace_alloc(struct pd *pd, uint64_t bytes, struct reply *reply)
{
    unsigned handle;
    enum error error = dataspace_create(pd, bytes, &handle, reply);
    if (error == ERROR_OK || error == ERROR_MORE)
        *reply = (struct reply){.word = {handle}, .words = 1};
    return error;
}

static enum error dataspace_free(struct pd *pd, uint64_t handle)
{
    enum handle_kind kind = handle_kind(pd, handle);
    return kind == HANDLE_RAM || kind == HANDLE_SHARE ? handle_close(pd, (unsigned)handle) : ERROR_NOT_FOUND;
}

static enum error dataspace_info(struct pd *pd, uint64_t handle, struct reply *reply)
{
    unsigned rights;
    const struct handle *memory = handle_memory(pd, handle, &rights);
    if (!memory)
        return ERROR_NOT_FOUND;
    *reply = (struct reply){.word = {memory->memory.bytes, rights}, .words = 2};
    return ERROR_OK;
}

static enum error attach(struct pd *pd, const uint64_t *words, struct reply *reply)
{
    uint64_t page = 0;
    if ((words[1] | words[3]) % PAGE || words[2] > UINT64_MAX - PAGE)
        return ERROR_BAD_ARGUMENT;
    enum error error = attachment_create(pd,
                                         &(struct attach_request){.handle = words[0],
                                                                  .offset = words[1] / PAGE,
                                                                  .pages = (words[2] + PAGE - 1) / PAGE,
                                                                  .page = words[3] / PAGE,
                                                                  .rights = words[4]},
                                         &page);
    *reply = (struct reply){.word = {page * PAGE}, .words = 1};
    return error;
}

static enum error thread(struct pd *pd, const uint64_t *words, struct reply *reply)
{
    unsigned number = 2; /* the main thread and the entry EC have the first two */
    while (number < THREADS && pd->stack[number].count)
        number++;
    if (number == THREADS)
        return ERROR_LIMIT;
    if (words[3] >= SC_PRIORITIES || words[4] > THREAD_STACK_MAX)
        return ERROR_BAD_ARGUMENT;
    const struct thread_request request = {.number = number,
                                           .time = true,
                                           .entry = words[0],
                                           .words = {words[1], words[2]},
                                           .priority = (unsigned)words[3],
                                           .cpu = words[5],
                                           .stack = (words[4] + PAGE - 1) / PAGE};
    enum error error = pd_thread(pd, &request, reply);
    if (!error)
        *reply = (struct reply){.word = {number}, .words = 1};
    return error;
}

static enum error entry(struct pd *pd, const uint64_t *words, struct reply *reply)
{
    const struct thread_request request = {
        .number = 1, .entry = words[0], .stack = (words[1] + PAGE - 1) / PAGE};
    if (pd->portal_entry)
        return ERROR_EXISTS;
    if (!words[0] || words[1] > THREAD_STACK_MAX)
        return ERROR_BAD_ARGUMENT;
    enum error error = pd_thread(pd, &request, reply);
    if (!error)
        pd->portal_entry = words[0];
    return error;
}

static enum error object_end(struct pd *pd, uint64_t handle)
{
    enum handle_kind kind = handle_kind(pd, handle);
    return kind == HANDLE_NT || kind == HANDLE_PORTAL || kind == HANDLE_VCPU
               ? handle_close(pd, (unsigned)handle)
               : ERROR_NOT_FOUND;
}

static enum error pd_operation(struct pd *pd, const struct request *request, struct reply *reply)
{
    const uint64_t *words = request->word;
    struct handle *handle;
    switch (request->operation) {
    case PD_INFO:
        return info(pd, reply);
    case PD_DATASPACE_ALLOC:
        return dataspace_alloc(pd, words[0], reply);
    case PD_DATASPACE_CLEAR:
        handle = handle_get(pd, words[0], HANDLE_RAM);
        return handle ? dataspace_clear(handle) : ERROR_NOT_FOUND;
    case PD_DATASPACE_FREE:
        return dataspace_free(pd, words[0]);
    case PD_DATASPACE_INFO:
        return dataspace_info(pd, words[0], reply);
    case PD_ATTACH:
        return attach(pd, words, reply);
    case PD_DETACH:
        return words[0] % PAGE ? ERROR_BAD_ARGUMENT : attachment_remove(pd, 0, words[0] / PAGE);
    case PD_THREAD:
        return thread(pd, words, reply);
    case PD_ENTRY:
        return entry(pd, words, reply);
    case PD_PORTAL:
        return object_create(pd, HANDLE_PORTAL, words[0], words[1], reply);
    case PD_NOTIFICATION:
        return object_create(pd, HANDLE_NT, words[0], 0, reply);
    case PD_CLOSE:
        return object_end(pd, words[0]);
    case PD_DROP:
        if (!selector_usable(words[0]))
            return ERROR_BAD_ARGUMENT;
        pd_disconnect(pd, words[0]);
        return ERROR_OK;
    default:
        return ERROR_BAD_OPERATION;
    }
}

enum error request_serve(struct pd *pd, struct message *message, struct reply *reply)
{
    uint64_t word = message_get(message), handle = word >> OPERATION_BITS;
    struct request request = {.operation = word & ((1u << OPERATION_BITS) - 1), .message = *message};
    struct message words = *message;
    for (unsigned i = 0; i < sizeof(request.word) / sizeof(*request.word); i++)
        request.word[i] = message_get(&words);

    if (pd->dying)
        return ERROR_DENIED;
    if (!handle)
        return request.operation < CHILD_CREATE ? pd_operation(pd, &request, reply)
                                                : child_request(pd, &request, reply);
    enum handle_kind kind = handle_kind(pd, handle);
    if (!services[kind].request || pd->handle[handle].closing)
        return ERROR_NOT_FOUND;
    return services[kind].request(pd, (unsigned)handle, &request, reply);
}
