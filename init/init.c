/* SPDX-License-Identifier: ISC */
/*
 * init: starts the components that the scenario names and routes their sessions by its whitelist. Its only
 * own service is each component's configuration. A configuration is validated as a whole first; a wrong one
 * starts nothing and changes nothing.
 */
#include "init/init.h"

#include "base/include/event.h"
#include "base/include/link.h"
#include "base/include/log.h"
#include "base/include/rom.h"
#include "base/include/session.h"
#include "init/route.h"

#include <string.h>

#define ROM_BYTES 0x10000u /* of a configuration that changes, with its header */
#define ROM_LOOKS 100u     /* a second, at most: its server cannot have more of init's time */

/* The kernel enters a handler with an id only, so the state is here. */
static struct init state;
static struct config_scratch scratch;

/* What goes back to a child: words, then for PARENT_NEXT_REQUEST the strings of a session. */
struct reply {
    enum error error;
    uint64_t word[3];
    unsigned words;
    const struct session_entry *session;
    bool closed;
};

static void reply_words(struct reply *reply, uint64_t first, uint64_t second, uint64_t third)
{
    reply->word[0] = first;
    reply->word[1] = second;
    reply->word[2] = third;
    reply->words = 3;
}

/* A line about a request that was not granted, if it is news. */
static void request_not_granted(unsigned client, const struct session_entry *wanted, enum error error)
{
    const char *name = state.config->start[client].name;
    enum denial denial =
        denial_told(&state.child[client].denials, wanted->service, wanted->label, wanted->arguments, error);
    if (denial == DENIAL_OLD)
        return;
    if (denial == DENIAL_LAST) {
        log_line("%s: more requests are refused without a line", name);
    } else if (error == ERROR_DENIED) {
        log_line("%s: no route for service %s label '%s'%s%s", name, wanted->service, wanted->label,
                 wanted->arguments[0] != '\0' ? " arguments " : "", wanted->arguments);
    } else {
        log_line("%s: %s '%s': %s", name, wanted->service, wanted->label, error_text(error));
    }
}

/* To the parent, by the name that it knows the client by. Core's answer is the client's at once. */
static void request_pass_on(unsigned client, const struct session_entry *wanted, struct reply *reply)
{
    char label[CONFIG_NAME_SIZE + LABEL_SIZE + sizeof(LABEL_SEPARATOR)];
    struct session session;
    if (format_text(label, sizeof label, "%s" LABEL_SEPARATOR "%s", state.config->start[client].name,
                    wanted->label) >= LABEL_SIZE) {
        reply->error = ERROR_BAD_ARGUMENT;
        return;
    }
    reply->error = session_open(&(struct session_request){.service = wanted->service,
                                                          .label = label,
                                                          .arguments = wanted->arguments,
                                                          .donation = wanted->donation,
                                                          .base = wanted->client_base,
                                                          .bits = wanted->client_bits,
                                                          .client = wanted->who},
                                &session);
    if (reply->error == ERROR_OK || reply->error == ERROR_PENDING)
        reply_words(reply, session.id < PARENT_ID_FIRST ? session.id : session.id + INIT_PASSED_ON,
                    session.dataspace, session.bytes);
    else if (reply->error == ERROR_NO_RAM || reply->error == ERROR_NO_KMEM)
        reply_words(reply, utcb()[1], utcb()[2], 0);
}

static void request_open(unsigned client, struct message *message, struct reply *reply)
{
    struct session_entry wanted = {0};
    wanted.client_base = message_get(message);
    wanted.donation = message_get(message);
    wanted.client_bits = message_get(message) & ~NT_PARENT_NEWS;
    wanted.who = child_path(&state, client, message_get(message));
    message_get_string(message, wanted.service, sizeof wanted.service);
    message_get_string(message, wanted.label, sizeof wanted.label);
    message_get_string(message, wanted.arguments, sizeof wanted.arguments);
    if (message->bad || wanted.who == 0) {
        reply->error = ERROR_BAD_ARGUMENT;
        return;
    }
    const struct config_route *rule;
    uint64_t id = 0, handle = 0, bytes = 0;
    switch (route_find(state.config, client, wanted.service, wanted.label, wanted.arguments, &rule)) {
    case ROUTE_PARENT:
        request_pass_on(client, &wanted, reply);
        break;
    case ROUTE_CHILD:
        format_text(wanted.served, sizeof wanted.served, "%s", route_label(rule, wanted.label));
        reply->error = session_request(&state, client, rule->child_index, &wanted, &id);
        if (reply->error == ERROR_NO_RAM)
            reply_words(reply, utcb()[1], utcb()[2], 0);
        else
            reply_words(reply, id, 0, 0);
        break;
    case ROUTE_CONFIG:
        reply->error = child_config(&state, client, &handle, &bytes);
        reply_words(reply, INIT_CONFIG_SESSION, handle, bytes);
        break;
    default:
        reply->error = ERROR_DENIED;
        break;
    }
    if (reply->error != ERROR_OK && reply->error != ERROR_PENDING)
        request_not_granted(client, &wanted, reply->error);
}

/* The parent's sessions are asked for there. */
static bool is_parents(uint64_t *id)
{
    if (*id >= INIT_PASSED_ON)
        *id -= INIT_PASSED_ON;
    else if (*id >= PARENT_ID_FIRST)
        return false;
    return true;
}

static void request_close(uint64_t who, uint64_t id, struct reply *reply)
{
    if (id == INIT_CONFIG_SESSION)
        reply->error = ERROR_OK; /* the handle is kept and given again */
    else if (is_parents(&id))
        reply->error = session_close_of(who, id);
    else
        reply->error = session_client_closes(&state, who, id);
}

static void request_poll(uint64_t who, uint64_t id, struct reply *reply)
{
    struct session session = {.id = id, .client = who};
    if (is_parents(&session.id))
        reply->error = session_poll(&session);
    else
        reply->error = session_state_of(&state, who, id, &session.dataspace, &session.bytes);
    if (reply->error == ERROR_NO_RAM)
        reply_words(reply, session.bytes, 0, 0);
    else
        reply_words(reply, id, session.dataspace, session.bytes);
}

static void request_answer(unsigned client, struct message *message, struct reply *reply)
{
    uint64_t operation = message_get(message), id = 0, handle = 0, bytes = 0;
    if (operation == PARENT_OPEN) {
        request_open(client, message, reply);
        return;
    }
    uint64_t first = operation == PARENT_NEXT_REQUEST ? 0 : message_get(message);
    uint64_t second = 0, third = 0, who = child_path(&state, client, 0);
    if (operation == PARENT_READY || operation == PARENT_REFUSE)
        second = message_get(message);
    if (operation == PARENT_READY || operation == PARENT_REFUSE)
        third = message_get(message);
    if (operation == PARENT_POLL || operation == PARENT_CLOSE)
        who = child_path(&state, client, message_get(message));
    if (message->bad || who == 0) {
        reply->error = ERROR_BAD_ARGUMENT; /* 0 would be init itself */
        return;
    }
    switch (operation) {
    case PARENT_POLL:
        request_poll(who, first, reply);
        break;
    case PARENT_CLOSE:
        request_close(who, first, reply);
        break;
    case PARENT_GONE:
        who = child_path(&state, client, first);
        reply->error = first != 0 && who != 0 ? ERROR_OK : ERROR_BAD_ARGUMENT;
        if (reply->error != ERROR_OK)
            break;
        creator_gone(who);
        sessions_client_gone(&state, who);
        break;
    case PARENT_NEXT_REQUEST:
        reply->session = session_next(&state, client, &id, &reply->closed);
        reply->error = reply->session != NULL ? ERROR_OK : ERROR_NOT_FOUND;
        if (reply->session != NULL)
            reply_words(reply, reply->closed ? REQUEST_CLOSE : REQUEST_OPEN, id, reply->session->donation);
        break;
    case PARENT_READY:
        reply->error =
            session_server_ready(&state, client, first, second, third & ~NT_PARENT_NEWS, &handle, &bytes);
        reply_words(reply, handle, bytes, 0);
        break;
    case PARENT_REFUSE:
        reply->error = session_server_refuses(&state, client, first,
                                              second < ERRORS ? (enum error)second : ERROR_FAULT, third);
        break;
    case PARENT_EXIT:
        child_exits(&state, client, first);
        reply->error = ERROR_OK;
        break;
    default:
        reply->error = ERROR_BAD_OPERATION;
        break;
    }
}

/* The request is copied to this stack before anybody is called, for every call writes over the UTCB. */
static unsigned init_request(uint64_t id, uint64_t *words, unsigned count)
{
    uint64_t copy[(SERVICE_SIZE + LABEL_SIZE + ARGS_SIZE) / 8 + 16];
    unsigned room = sizeof copy / sizeof copy[0], client;
    count = count < room ? count : room;
    memcpy(copy, words, count * sizeof copy[0]);

    struct message request = message_at(copy, count);
    struct reply reply = {.error = ERROR_DENIED};
    if (child_by_portal(&state, id, &client))
        request_answer(client, &request, &reply);
    struct message answer = message_at(words, UTCB_WORDS);
    message_put(&answer, reply.error);
    message_put_words(&answer, reply.word, reply.words);
    if (reply.session != NULL) {
        message_put_string(&answer, reply.closed ? "" : reply.session->service);
        message_put_string(&answer, reply.closed ? "" : reply.session->served);
        message_put_string(&answer, reply.closed ? "" : reply.session->arguments);
    }
    return answer.at;
}

/*
 * The configuration's ROM, and two copies of what it held: one is in use; the other is parsed in a third place,
 * which changes it, into the configuration that is not in use.
 */
static struct {
    struct link link;
    bool changes;     /* it is a component's */
    uint64_t version; /* that was taken */
    char *text[3];
} rom = {.link = {.request = {.service = ROM_SERVICE,
                              .label = "config",
                              .donation = ROM_BYTES,
                              .base = INIT_CAP_ROM,
                              .bits = INIT_ROM_CHANGED},
                  .rights = MEM_READ}};
static struct init_config config[2];

static unsigned unused(void)
{
    return state.config == &config[0];
}

/* False: what is wrong was said, and the configuration in use stays. */
static bool config_take(size_t bytes)
{
    const struct config_more *more = state.extension != NULL ? &state.extension->config : NULL;
    unsigned next = unused();
    struct xml_error wrong;
    memcpy(rom.text[2], rom.text[next], bytes);
    if (!init_config_read(rom.text[2], bytes, &scratch, more, state.config, &config[next], &wrong)) {
        log_line("config:%u: %s", wrong.line, wrong.reason);
        return false;
    }
    init_change(&state, &config[next], rom.text[next]);
    return true;
}

static void rom_changed(void *context, uint64_t bits)
{
    size_t bytes;
    (void)context, (void)bits;
    if (rom.link.memory != NULL &&
        rom_take(rom.link.memory, rom.link.session.bytes, &rom.version, rom.text[unused()], &bytes) &&
        !config_take(bytes))
        log_line("config: the one before stays");
}

/* The session is there, or has gone and is opened again: its server may have been started anew. */
static void rom_follow(void)
{
    const void *before = rom.link.memory;
    enum error error = link_poll(&rom.link);
    if (error != ERROR_OK && error != ERROR_PENDING) {
        link_close(&rom.link);
        error = link_poll(&rom.link);
        if (error != ERROR_PENDING)
            log_line("config: %s", error_text(error));
    } else if (error == ERROR_OK && before == NULL) {
        rom.version = 0;
        rom_changed(NULL, 0);
    }
}

/* The first configuration. False: there is none, or what is wrong was said; one that changes may come later. */
static bool rom_start(void)
{
    struct dataspace copies;
    void *text = NULL;
    enum error error = link_poll(&rom.link);
    rom.changes = error == ERROR_PENDING;
    error = rom.changes ? link_wait(&rom.link) : error;
    size_t bytes = error == ERROR_OK ? rom.link.session.bytes : 0;
    if (bytes != 0)
        error = memory_alloc(3 * bytes, &copies, &text);
    if (error != ERROR_OK || bytes == 0) {
        log_line("config: %s", error != ERROR_OK ? error_text(error) : "empty");
        return false;
    }
    for (unsigned i = 0; i < 3; i++)
        rom.text[i] = (char *)text + i * bytes;
    if (rom.changes)
        return true;
    memcpy(rom.text[0], rom.link.memory, bytes);
    return config_take(bytes);
}

static void init_notified(void *context, uint64_t bits)
{
    struct event *event = context;
    uint64_t deadline = children_work(&state, bits);

    if ((bits & NT_PARENT_NEWS) != 0 && rom.changes)
        rom_follow();
    deadline = init_earlier(deadline, report_work(&state));
    event->deadline = init_earlier(deadline, sessions_reap(&state));
}

/* Modules that the scenario names and the boot loader did not bring: one line each, and the rest goes on. */
static void check_modules(void)
{
    for (unsigned i = 0; i < state.config->modules; i++) {
        struct session session;
        enum error error = session_open(
            &(struct session_request){.service = ROM_SERVICE, .label = state.config->module[i]}, &session);
        error = error ? error : session_close(session.id);
        if (error != ERROR_OK) {
            log_line("config:%u: module '%s': %s", state.config->module_line[i], state.config->module[i],
                     error == ERROR_NOT_FOUND ? "not among the boot modules" : error_text(error));
        }
    }
}

int init_run(const struct init_extension *extension)
{
    static struct event event = {.bits = ~INIT_ROM_CHANGED, .handle = init_notified, .context = &event};
    static struct event changed = {.bits = INIT_ROM_CHANGED, .handle = rom_changed};
    static const struct init_config empty;
    struct pd_info info;
    if (pd_info(&info) != ERROR_OK)
        return 1;
    state.extension = extension;
    state.config = &empty;
    state.tsc_hz = info.tsc_hz;
    state.cpus = info.cpus;
    changed.period = info.tsc_hz / ROM_LOOKS;
    enum error error = component_serve(init_request);
    enum status status = nt_narrow(CAP_NT, INIT_CAP_WORK, INIT_WORK);
    if (error != ERROR_OK || status != STATUS_OK) {
        log_line("cannot serve: %s", error_text(error != ERROR_OK ? error : ERROR_FAULT));
        return 1;
    }
    if (!rom_start())
        return 1;
    check_modules();
    if (extension != NULL)
        extension->begin(&state);
    event_add(&event);
    event_add(&changed);
    event_loop();
}
