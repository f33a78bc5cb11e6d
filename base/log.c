/* SPDX-License-Identifier: ISC */
/*
 * The component's lines on the log. The session is the runtime's own: every part of a component can log,
 * without being handed a session.
 */
#include "base/include/log.h"

#include "base/include/component.h"
#include "base/include/session.h"
#include "base/include/session/log.h"

static enum { LOG_UNOPENED, LOG_OPEN, LOG_SILENT } state;
static uint64_t session_handle;

void log_put(const char *line, size_t length)
{
    if (state == LOG_UNOPENED && core_portal() == CAP_CORE) {
        struct session session;
        bool open = session_open(&(struct session_request){.service = LOG_SERVICE}, &session) == ERROR_OK;
        session_handle = open ? session.id : 0;
        state = open ? LOG_OPEN : LOG_SILENT;
    }
    if (state == LOG_SILENT)
        return;
    struct message message = message_at(utcb(), UTCB_WORDS);
    message_put(&message, session_operation(session_handle, LOG_WRITE));
    message_put_bytes(&message, line, length);
    enum error error = portal_call(core_portal(), &message, NULL);
    (void)error;
}

void log_line(const char *format, ...)
{
    char line[LOG_LINE + 1];
    va_list arguments;
    va_start(arguments, format);
    size_t length = format_list(line, sizeof(line), format, arguments);
    va_end(arguments);
    log_put(line, length);
}
