/* SPDX-License-Identifier: ISC */
/* The service INFO, opened for one question: who asks seldom need not keep it. */
#include "servers/info/free.h"

#include "base/include/component.h"
#include "base/include/session.h"
#include "base/include/session/platform.h"

enum error free_info(struct free_info *info)
{
    struct session session;
    enum error error = session_open(&(struct session_request){.service = INFO_SERVICE}, &session);

    if (error)
        return error;
    error = core_call(session_operation(session.id, INFO_READ), 0, 0, 0, 0, 0);
    const uint64_t *words = utcb();
    if (!error)
        *info = (struct free_info){words[1], words[2], words[3], words[4], words[5], words[6]};
    enum error closed = session_close(session.id);
    return error ? error : closed;
}
