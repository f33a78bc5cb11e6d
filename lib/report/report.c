/* SPDX-License-Identifier: ISC */
/* Both sides of report_rom's clients: see report.h. */
#include "lib/report/report.h"

#include "base/include/component.h"
#include "base/include/log.h"
#include "base/include/rom.h"
#include "base/include/session/pd.h"
#include "base/include/session/report.h"

#define AGAIN_TICKS (1u << 28) /* TSC, some 100 ms: a server that refuses is asked again */

/* Follows the session's news. True: it is open, and was not before. */
static bool news(struct link *link, struct event *event, bool *told)
{
    bool open = link->memory;
    enum error error = link_poll(link);

    if (error == ERROR_CLOSED) { /* its server has died, or will not be started */
        link_close(link);
        error = link_poll(link);
    }
    if (error == ERROR_OK)
        return !open;
    if (error == ERROR_PENDING)
        return false;
    if (!*told)
        log_line("%s '%s': %s", link->request.service, link->request.label, error_text(error));
    *told = true;
    link_close(link);
    if (error != ERROR_DENIED)
        event->deadline = tsc_read() + AGAIN_TICKS;
    return false;
}

static void report_write(struct report *report)
{
    enum status status;

    if (!report->link.memory || !report->text)
        return;
    rom_put(report->link.memory, report->link.session.bytes, report->text, report->bytes);
    status = nt_signal(report->link.request.base);
    (void)status; /* a server that has gone is told by the parent */
}

static void report_news(void *context, uint64_t bits)
{
    struct report *report = context;

    (void)bits;
    if (news(&report->link, &report->event, &report->told))
        report_write(report);
}

void report_start(struct report *report, const char *label, size_t most, selector base, uint64_t bit)
{
    *report = (struct report){.link = {.request = {.service = REPORT_SERVICE,
                                                   .label = label,
                                                   .donation = most + sizeof(struct rom_header),
                                                   .base = base,
                                                   .bits = bit},
                                       .rights = MEM_READ | MEM_WRITE},
                              .event = {.bits = NT_PARENT_NEWS, .handle = report_news, .context = report}};
    event_add(&report->event);
}

void report_put(struct report *report, const char *text, size_t bytes)
{
    report->text = text;
    report->bytes = bytes;
    report_write(report);
}

static void follower_news(void *context, uint64_t bits)
{
    struct follower *follower = context;
    size_t bytes;

    if (bits != follower->link.request.bits && news(&follower->link, &follower->event, &follower->told))
        follower->version = 0;
    if (!follower->link.memory ||
        !rom_take(follower->link.memory, follower->size, &follower->version, follower->text, &bytes))
        return;
    follower->changed(follower->context, follower->text, bytes);
}

void follower_start(struct follower *follower, const char *label, selector base, uint64_t bit)
{
    follower->link = (struct link){.request = {.service = ROM_SERVICE,
                                               .label = label,
                                               .donation = follower->size,
                                               .base = base,
                                               .bits = bit},
                                   .rights = MEM_READ};
    follower->event =
        (struct event){.bits = NT_PARENT_NEWS | bit, .handle = follower_news, .context = follower};
    event_add(&follower->event);
}
