/* SPDX-License-Identifier: ISC */
/*
 * What core tells a component of itself, and the end of the machine.
 */
#include "base/include/session/platform.h"
#include "base/include/component.h"
#include "base/include/session.h"

enum error pd_info(struct pd_info *info)
{
    enum error error = core_call(PD_INFO, 0, 0, 0, 0, 0);
    if (error)
        return error;
    const uint64_t *words = utcb();
    *info = (struct pd_info){words[1], words[2], words[3], words[4],  words[5], words[6],
                             words[7], words[8], words[9], words[10], words[11]};
    return ERROR_OK;
}

enum error platform_off(void)
{
    struct session session;
    enum error error = session_open(&(struct session_request){.service = PLATFORM_SERVICE}, &session);
    if (error)
        return error;
    error = core_call_whole(session_operation(session.id, PLATFORM_OFF), 0);
    enum error closed = session_close(session.id);
    return error ? error : closed;
}
