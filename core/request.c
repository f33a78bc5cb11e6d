/* SPDX-License-Identifier: ISC */
/*
 * A component's requests: the operations on its own protection domain, and which part of core serves the
 * others. Every argument is a word that the caller chose; each is checked by whoever uses it.
 */
#include "core/core.h"

#include "base/include/session/device.h"
#include "base/include/session/log.h"
#include "base/include/session/parent.h"
#include "base/include/session/pd.h"
#include "base/include/session/platform.h"
#include "base/include/session/vm.h"

enum error quota_info(const struct pd *pd, uint64_t *word)
{
    word[0] = (pd->ram_limit - pd->ram_used) * PAGE;
    word[1] = pd->ram_used * PAGE;
    return kernel_error(account_info(pd_selector(pd, SEL_ACCOUNT), &word[2], &word[3]));
}

static enum error info(const struct pd *pd, struct reply *reply)
{
    const struct boot_info *boot = BOOT_INFO;
    *reply = (struct reply){.word = {boot->tsc_hz, boot->wall_seconds, boot->wall_tsc, boot->features,
                                     pd->cpus, 0, 0, 0, 0, pd->priority},
                            .words = 10};
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
    if (!handle_get(pd, handle, HANDLE_RAM) && !handle_get(pd, handle, HANDLE_SHARE))
        return ERROR_NOT_FOUND;
    handle_close(pd, (unsigned)handle);
    return ERROR_OK;
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

/* A notification or a portal of the component's own. */
static enum error object_create(struct pd *pd, enum handle_kind kind, selector at, uint64_t id,
                                struct reply *reply)
{
    unsigned index;
    selector account = pd_selector(pd, SEL_ACCOUNT);
    if (!selector_usable(at) && !(kind == HANDLE_PORTAL && at == CAP_SELF))
        return ERROR_BAD_ARGUMENT;
    if (kind == HANDLE_PORTAL && !pd->portal_entry)
        return ERROR_NOT_FOUND;
    enum error error = handle_new(pd, kind, &index);
    if (error)
        return error;
    selector own = handle_selector(pd, index);
    if (kind == HANDLE_NT)
        error = kernel_error(create_nt(own, account));
    else
        error = kernel_error(create_pt(own, account, pd_selector(pd, SEL_ENTRY), pd->portal_entry, id));
    if (!error)
        error = pd_install(pd, own, at, kind == HANDLE_NT ? PERM_NT_WAIT | PERM_NT_SIGNAL : PERM_PT_CALL);
    if (error) {
        handle_close(pd, index);
        return error;
    }
    pd->handle[index].object.client = at;
    *reply = (struct reply){.word = {index}, .words = 1};
    return ERROR_OK;
}

static enum error object_close(struct pd *pd, uint64_t handle)
{
    if (!handle_get(pd, handle, HANDLE_NT) && !handle_get(pd, handle, HANDLE_PORTAL) &&
        !handle_get(pd, handle, HANDLE_VCPU))
        return ERROR_NOT_FOUND;
    handle_close(pd, (unsigned)handle);
    return ERROR_OK;
}

static enum error pd_operation(struct pd *pd, uint64_t operation, const uint64_t *words, struct reply *reply)
{
    struct handle *handle;
    switch (operation) {
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
        return object_close(pd, words[0]);
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
    uint64_t words[6];
    struct message rest = *message;
    uint64_t operation = message_get(&rest);
    struct message arguments = rest;
    for (unsigned i = 0; i < 6; i++)
        words[i] = message_get(&arguments); /* 0 where the message is shorter */

    if (operation < CHILD_CREATE)
        return pd_operation(pd, operation, words, reply);
    if (operation >= VM_VCPU && operation <= VM_DETACH)
        return vm_request(pd, operation, words, reply);
    if (operation >= DEVICE_INFO && operation <= DEVICE_UNMAP)
        return device_request(pd, operation, words, reply);
    if (operation >= PARENT_OPEN || operation < LOG_WRITE)
        return pd->parent ? ERROR_DENIED : child_request(pd, operation, &rest, words, reply);
    uint64_t handle = message_get(&rest);
    return service_request(pd, operation, handle, &rest, reply);
}
