/* SPDX-License-Identifier: ISC */
/*
 * A component's requests about its children, and the sessions that init opens with core, for itself or for any
 * component below it. Children are paid for by their creator. Only init, core's one child, can open sessions;
 * its configuration decides which component gets which.
 */
#include "core/core.h"

#include "base/include/session/parent.h"
#include "base/include/session/pd.h"

#include <string.h>

#define CAPABILITIES_SCANNED 256u /* selectors looked at in one request */

/* path 0: the caller itself. */
static struct pd *child_get(struct pd *pd, uint64_t path)
{
    for (; path && pd; path >>= CHILD_BITS) {
        struct handle *child = handle_get(pd, path & CHILD_MASK, HANDLE_CHILD);
        pd = child ? child->child : NULL;
    }
    return pd;
}

static enum error child_create(struct pd *pd, struct message *message, struct reply *reply)
{
    char name[LABEL_SIZE], label[LABEL_SIZE];
    unsigned index;
    uint64_t rom = message_get(message), ram = message_get(message), kernel = message_get(message);
    uint64_t priority = message_get(message), bits = message_get(message), news = message_get(message);
    uint64_t cpus = message_get(message), children = message_get(message);
    message_get_string(message, name, sizeof(name));
    if (message->bad || priority >= SC_PRIORITIES || children >= PDS)
        return ERROR_BAD_ARGUMENT;
    format_text(label, sizeof(label), "%s -> %s", pd->label, name);
    struct pd_request request = {.rom = handle_get(pd, rom, HANDLE_ROM),
                                 .ram = ram / PAGE,
                                 .kernel = kernel,
                                 .priority = (unsigned)priority,
                                 .cpus = cpus,
                                 .children = (unsigned)children,
                                 .watch_bits = bits,
                                 .news = news,
                                 .label = label};
    if (!request.rom)
        return ERROR_NOT_FOUND;
    struct pd *child;
    enum error error = handle_new(pd, HANDLE_CHILD, &index);
    if (error)
        return error;
    error = pd_create(pd, &request, &child, reply);
    pd->handle[index].kind = error ? HANDLE_NONE : HANDLE_CHILD;
    if (!error) {
        pd->handle[index].child = child;
        *reply = (struct reply){.word = {index}, .words = 1};
    }
    return error;
}

static enum error child_fault(const struct pd *child, struct reply *reply)
{
    reply->words = 3;
    enum status status = pd_fault(pd_selector(child, SEL_PD), &reply->word[0], &reply->word[1]);
    reply->word[2] = core_utcb[0];
    return kernel_error(status);
}

static enum error child_quota(struct pd *pd, struct pd *child, uint64_t bytes, struct reply *reply)
{
    int64_t change = (int64_t)bytes;
    struct pd *giver = change < 0 ? child : pd;
    uint64_t pages = (change < 0 ? 0 - bytes : bytes) / PAGE;
    if (bytes % PAGE || child == pd)
        return ERROR_BAD_ARGUMENT;
    *reply = (struct reply){.word = {pages * PAGE, (giver->ram_limit - giver->ram_used) * PAGE}, .words = 2};
    if (pages > giver->ram_limit - giver->ram_used)
        return ERROR_NO_RAM;
    for (; child != pd; child = child->parent) { /* what is negative wraps, and back */
        child->ram_limit += change < 0 ? 0 - pages : pages;
        child->parent->ram_used += change < 0 ? 0 - pages : pages;
    }
    return ERROR_OK;
}

static enum error child_share(struct pd *pd, struct pd *child, const uint64_t *words, struct reply *reply)
{
    unsigned index;
    if (child == pd || !(words[2] & MEM_READ))
        return ERROR_BAD_ARGUMENT;
    enum error error = dataspace_share(pd, words[1], child, (unsigned)words[2] & 7, &index);
    if (!error)
        *reply = (struct reply){.word = {index}, .words = 1};
    return error;
}

static enum error child_connect(struct pd *pd, struct pd *child, const uint64_t *words)
{
    struct pd *other = child_get(pd, words[2]);
    return other ? pd_connect(child, words[1], other, words[3]) : ERROR_NOT_FOUND;
}

/* PARENT_OPEN: selector, donation, bits, client, strings. */
static enum error child_open(struct pd *pd, struct message *message, struct reply *reply)
{
    struct open_request request = {.at = message_get(message)};
    message_get(message);
    request.bits = message_get(message);
    struct pd *client = child_get(pd, message_get(message));
    message_get_string(message, request.service, sizeof(request.service));
    message_get_string(message, request.label, sizeof(request.label));
    message_get_string(message, request.arguments, sizeof(request.arguments));
    for (size_t i = strlen(request.label); i-- > 0;) /* the inits' names before it have done their work */
        if (strncmp(request.label + i, LABEL_SEPARATOR, strlen(LABEL_SEPARATOR)) == 0) {
            i += strlen(LABEL_SEPARATOR);
            memmove(request.label, request.label + i, sizeof(request.label) - i);
            break;
        }
    if (message->bad)
        return ERROR_BAD_ARGUMENT;
    return client ? service_open(client, &request, reply) : ERROR_NOT_FOUND;
}

static enum error child_capabilities(const struct pd *child, uint64_t first, struct reply *reply)
{
    if (first >= OBJ_SELECTORS)
        return ERROR_NOT_FOUND;
    uint64_t end =
        OBJ_SELECTORS - first > CAPABILITIES_SCANNED ? first + CAPABILITIES_SCANNED : OBJ_SELECTORS;
    for (uint64_t at = first; at < end; at++) {
        uint64_t info, bits;
        enum status status = cap_info(pd_selector(child, SEL_OBJ), at, &info, &bits);
        if (status != STATUS_OK)
            return kernel_error(status);
        if (info) {
            *reply = (struct reply){.word = {at, info & 0xff, info >> 8 & 0xff, bits}, .words = 4};
            return ERROR_OK;
        }
    }
    *reply = (struct reply){.word = {end}, .words = 1};
    return end < OBJ_SELECTORS ? ERROR_MORE : ERROR_NOT_FOUND;
}

/* Operations whose first word is a child; child == pd: the caller named itself. */
static enum error child_operation(struct pd *pd, struct pd *child, uint64_t operation, const uint64_t *words,
                                  struct reply *reply)
{
    bool self = child == pd;
    switch (operation) {
    case CHILD_START:
        return self ? ERROR_BAD_ARGUMENT : pd_start(child, words[1]);
    case CHILD_FAULT:
        return child_fault(child, reply);
    case CHILD_INFO:
        *reply = (struct reply){.word = {0, 0, 0, 0, pd_time(child)}, .words = 5};
        return quota_info(child, reply->word);
    case CHILD_QUOTA:
        return child_quota(pd, child, words[1], reply);
    case CHILD_SHARE:
        return child_share(pd, child, words, reply);
    case CHILD_CONNECT:
        return child_connect(pd, child, words);
    case CHILD_DISCONNECT:
        if (!selector_usable(words[1]))
            return ERROR_BAD_ARGUMENT;
        pd_disconnect(child, words[1]);
        return ERROR_OK;
    case CHILD_CAPABILITIES:
        return child_capabilities(child, words[1], reply);
    default:
        return ERROR_BAD_OPERATION;
    }
}

enum error child_close(struct pd *pd, unsigned handle)
{
    return pd_destroy(pd->handle[handle].child);
}

enum error child_request(struct pd *pd, const struct request *request, struct reply *reply)
{
    const uint64_t *words = request->word;
    struct message strings = request->message;
    struct pd *child;
    if (!pd->children || (pd->parent && request->operation >= PARENT_OPEN))
        return ERROR_DENIED;
    switch (request->operation) {
    case CHILD_CREATE:
        return child_create(pd, &strings, reply);
    case CHILD_DESTROY:
        return handle_kind(pd, words[0]) == HANDLE_CHILD ? handle_close(pd, (unsigned)words[0])
                                                         : ERROR_NOT_FOUND;
    case CHILD_SHARES:
        if (!handle_get(pd, words[0], HANDLE_RAM))
            return ERROR_NOT_FOUND;
        *reply = (struct reply){.word = {dataspace_shares(pd, (unsigned)words[0])}, .words = 1};
        return ERROR_OK;
    case PARENT_OPEN:
        return child_open(pd, &strings, reply);
    case PARENT_CLOSE:
        child = child_get(pd, words[1]);
        return child ? service_close(child, words[0]) : ERROR_NOT_FOUND;
    case PARENT_EXIT:
        log_core("init has ended: code %lu", words[0]);
        return ERROR_OK;
    default:
        break;
    }
    child = child_get(pd, words[0]);
    return child ? child_operation(pd, child, request->operation, words, reply) : ERROR_NOT_FOUND;
}
