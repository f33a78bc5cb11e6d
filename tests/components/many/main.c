/* SPDX-License-Identifier: ISC */
/*
 * Many sessions at a time, a large one, and one for which the server wants more memory than was offered. All of the
 * quota is back when they are closed.
 */
#include "base/include/component.h"
#include "base/include/dataspace.h"
#include "base/include/link.h"
#include "base/include/log.h"
#include "tests/components/many/take.h"

#define SESSIONS 200u
#define LARGE    (64ull << 20)
#define BIT      1ull

static struct {
    struct session session;
    uint64_t *word;
} client[SESSIONS];

static enum error begin(unsigned i, uint64_t donation)
{
    const struct session_request request = {.service = TAKE_SERVICE,
                                            .label = TAKE_LABEL,
                                            .donation = donation,
                                            .base = CAP_FREE + i,
                                            .bits = BIT};
    return session_open(&request, &client[i].session);
}

/* Until all of them are there, with their memory, and have been told a number. */
static enum error told(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        enum error error;
        void *memory;

        while ((error = session_poll(&client[i].session)) == ERROR_PENDING) {
            uint64_t bits;
            if (nt_wait_for(CAP_NT, NT_PARENT_NEWS, DEADLINE_NEVER, &bits) != STATUS_OK)
                return ERROR_FAULT;
        }
        if (!error)
            error = dataspace_attach(client[i].session.dataspace, 0, MEM_READ | MEM_WRITE, &memory);
        if (error)
            return error;
        client[i].word = memory;
        client[i].word[0] = 1000 + i;
        client[i].word[client[i].session.bytes / 8 - 1] = 1;
        if (nt_signal(CAP_FREE + i) != STATUS_OK)
            return ERROR_FAULT;
    }
    return ERROR_OK;
}

static enum error answered(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        while (__atomic_load_n(&client[i].word[1], __ATOMIC_RELAXED) != 1001 + i) {
            uint64_t bits;
            if (nt_wait_for(CAP_NT, BIT, DEADLINE_NEVER, &bits) != STATUS_OK)
                return ERROR_FAULT;
        }
    return ERROR_OK;
}

static enum error ended(unsigned count)
{
    enum error error = ERROR_OK;

    for (unsigned i = 0; i < count && !error; i++) {
        error = dataspace_free(&(struct dataspace){.handle = client[i].session.dataspace});
        if (!error)
            error = session_close(client[i].session.id);
    }
    return error;
}

static enum error sessions(unsigned count, uint64_t donation)
{
    enum error error = ERROR_PENDING;
    unsigned i = 0;

    for (; i < count && error == ERROR_PENDING; i++)
        error = begin(i, donation);
    if (error == ERROR_PENDING)
        error = told(count);
    if (!error)
        error = answered(count);
    log_line("many: %u sessions of %lu KiB: %s", i, client[0].session.bytes / 1024, error_text(error));
    return error ? error : ended(count);
}

static enum error wanted(void)
{
    struct link link = {.request = {.service = TAKE_SERVICE,
                                    .label = TAKE_LABEL,
                                    .donation = 1,
                                    .base = CAP_FREE,
                                    .bits = BIT},
                        .rights = MEM_READ};
    enum error error = link_wait(&link);

    if (error != ERROR_NO_RAM || link.session.bytes != TAKE_DONATION)
        return error ? error : ERROR_FAULT; /* it does not go beyond what the client has allowed */
    link_close(&link);
    link.request.most = TAKE_DONATION;
    error = link_wait(&link);
    log_line("many: 1 byte offered, %lu given: %s", link.session.bytes, error_text(error));
    link_close(&link);
    return error;
}

int component_main(void)
{
    struct pd_info before, after;

    if (pd_info(&before) != ERROR_OK || wanted() != ERROR_OK ||
        sessions(SESSIONS, TAKE_DONATION) != ERROR_OK || sessions(1, LARGE) != ERROR_OK)
        return 1;
    for (unsigned i = 0; i < 1000; i++) { /* the server lets go after us */
        uint64_t bits;
        enum status status = nt_wait(CAP_NT, tsc_read() + before.tsc_hz / 1000, &bits);

        (void)status; /* the time has passed */
        if (pd_info(&after) != ERROR_OK)
            return 1;
        if (after.ram_free == before.ram_free)
            break;
    }
    log_line("many: done: %lu of %lu bytes are back", after.ram_free, before.ram_free);
    return 0;
}
