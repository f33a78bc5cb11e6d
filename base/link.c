/* SPDX-License-Identifier: ISC */
/* A session that is opened again. */
#include "base/include/link.h"

#include "base/include/component.h"
#include "base/include/dataspace.h"

#define UPGRADES 4u /* of a donation in one wait: a server cannot make it more bit by bit */

enum error link_poll(struct link *link)
{
    enum error error =
        link->session.id != 0 ? session_poll(&link->session) : session_open(&link->request, &link->session);
    if (error == ERROR_OK && link->memory == NULL)
        error = dataspace_attach(link->session.dataspace, 0, link->rights, &link->memory);
    if (error == ERROR_NO_RAM && link->session.id != 0 && link->session.bytes <= link->request.most)
        link->request.donation = link->session.bytes;
    return error;
}

enum error link_wait(struct link *link)
{
    for (unsigned upgrades = 0; upgrades <= UPGRADES; upgrades++) {
        uint64_t donation = link->request.donation, news;
        enum error error = link_poll(link);
        while (error == ERROR_PENDING) {
            if (nt_wait_for(CAP_NT, NT_PARENT_NEWS, DEADLINE_NEVER, &news) != STATUS_OK)
                return ERROR_FAULT;
            error = link_poll(link);
        }
        if (link->request.donation == donation)
            return error;
        link_close(link);
    }
    return ERROR_NO_RAM;
}

/* A session that ended before it was seen open may have a dataspace all the same. */
void link_close(struct link *link)
{
    enum error error = ERROR_OK;
    if (link->session.dataspace != 0)
        error = dataspace_free(&(struct dataspace){.handle = link->session.dataspace});
    if (error == ERROR_OK && link->session.id != 0)
        error = session_close(link->session.id);
    (void)error; /* it goes with the component then */
    link->session = (struct session){0};
    link->memory = NULL;
}
