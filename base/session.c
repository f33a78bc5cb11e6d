/* SPDX-License-Identifier: ISC */
/*
 * Sessions from the client's and from the server's side: the parent protocol as functions.
 */
#include "base/include/session.h"

#include "base/include/component.h"

enum error portal_call(selector portal, const struct message *message, unsigned *count)
{
    unsigned words = 0;
    if (message->bad)
        return ERROR_BAD_ARGUMENT;
    if (ipc_call(portal, message->at, &words) != STATUS_OK || words == 0)
        return ERROR_FAULT;
    if (count)
        *count = words;
    uint64_t error = utcb()[0];
    return error < ERRORS ? (enum error)error : ERROR_FAULT;
}

/* Up to six words through a portal; at least `least` must come back when all is well. */
static enum error words_call(selector portal, const uint64_t words[6], unsigned least)
{
    unsigned count = 0;
    struct message message = message_at(utcb(), UTCB_WORDS);
    message_put_words(&message, words, 6);
    enum error error = portal_call(portal, &message, &count);
    return error == ERROR_OK && count < least ? ERROR_FAULT : error;
}

enum error core_call(uint64_t operation, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e)
{
    return words_call(core_portal(), (uint64_t[]){operation, a, b, c, d, e}, 1);
}

enum error core_call_whole(uint64_t operation, uint64_t a)
{
    enum error error;
    do
        error = core_call(operation, a, 0, 0, 0, 0);
    while (error == ERROR_MORE);
    return error;
}

enum error core_attach(const struct core_attachment *attachment)
{
    const uint64_t *words = attachment->words;
    bool begun = false;
    enum error error;
    do {
        struct message message = message_at(utcb(), UTCB_WORDS);
        message_put(&message, attachment->attach);
        message_put_words(&message, words, sizeof(attachment->words) / sizeof(*words));
        error = portal_call(core_portal(), &message, NULL);
        begun |= error == ERROR_MORE;
    } while (error == ERROR_MORE);
    if (error && begun) {
        enum error detached = core_call_whole(attachment->detach, words[3]);
        (void)detached; /* the rest goes with the session */
    }
    return error;
}

static enum error parent_call(uint64_t operation, uint64_t a, uint64_t b, uint64_t c, unsigned least)
{
    return words_call(CAP_PARENT, (uint64_t[]){operation, a, b, c, 0, 0}, least);
}

enum error session_open(const struct session_request *request, struct session *session)
{
    unsigned count = 0;
    struct message message = message_at(utcb(), UTCB_WORDS);
    message_put_all(&message, PARENT_OPEN, request->base, request->donation, request->bits, request->client);
    message_put_string(&message, request->service);
    message_put_string(&message, request->label ? request->label : "");
    message_put_string(&message, request->arguments ? request->arguments : "");
    enum error error = portal_call(CAP_PARENT, &message, &count);
    if (error != ERROR_OK && error != ERROR_PENDING)
        return error;
    if (count < (error ? 2u : 4u))
        return ERROR_FAULT;
    const uint64_t *words = utcb();
    *session = (struct session){words[1], error ? 0 : words[2], error ? 0 : words[3], request->client};
    return error;
}

enum error session_poll(struct session *session)
{
    enum error error = parent_call(PARENT_POLL, session->id, session->client, 0, 4);
    if (error == ERROR_OK || error == ERROR_CLOSED) {
        session->dataspace = utcb()[2];
        session->bytes = utcb()[3];
    } else if (error == ERROR_NO_RAM) {
        session->bytes = utcb()[1];
    }
    return error;
}

enum error session_close_of(uint64_t client, uint64_t id)
{
    enum error error;
    do
        error = parent_call(PARENT_CLOSE, id, client, 0, 1);
    while (error == ERROR_MORE);
    return error;
}

enum error session_close(uint64_t id)
{
    return session_close_of(0, id);
}

enum error server_next(struct server_request *request)
{
    unsigned count = 0;
    struct message message = message_at(utcb(), UTCB_WORDS);
    message_put(&message, PARENT_NEXT_REQUEST);
    enum error error = portal_call(CAP_PARENT, &message, &count);
    if (error)
        return error;
    message = message_at(utcb(), count);
    message_get(&message);
    request->kind = (enum parent_request)message_get(&message);
    request->id = message_get(&message);
    request->donation = message_get(&message);
    message_get_string(&message, request->service, sizeof(request->service));
    message_get_string(&message, request->label, sizeof(request->label));
    message_get_string(&message, request->arguments, sizeof(request->arguments));
    return message.bad ? ERROR_FAULT : ERROR_OK;
}

enum error server_ready(uint64_t id, selector base, uint64_t bits, struct session *session)
{
    enum error error = parent_call(PARENT_READY, id, base, bits, 3);
    if (error == ERROR_OK)
        *session = (struct session){id, utcb()[1], utcb()[2], 0};
    return error;
}

enum error server_refuse(uint64_t id, enum error reason)
{
    return parent_call(PARENT_REFUSE, id, (uint64_t)reason, 0, 1);
}

enum error server_want(uint64_t id, uint64_t donation)
{
    return parent_call(PARENT_REFUSE, id, ERROR_NO_RAM, donation, 1);
}
