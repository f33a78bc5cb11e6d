/* SPDX-License-Identifier: ISC */
/*
 * ticks: the example of a client (doc/client.md). It prints the time that a Clock gives it, so often as its
 * configuration says: <config ticks="10"/>. When the server has gone, it opens its session again.
 */
#include "base/include/config.h"
#include "base/include/dataspace.h"
#include "base/include/event.h"
#include "base/include/log.h"
#include "base/include/session.h"
#include "examples/clock.h"

#define CAP_CLOCK CAP_FREE
#define BIT_CLOCK 1ull

static const char *const config_attributes[] = {"ticks!", NULL};
static const struct xml_schema config_schema = {.name = "config", .attributes = config_attributes};

static uint64_t ticks, last;
static struct session session; /* id 0: none */
static void *page;             /* NULL: the server has not answered yet */

static bool read_ticks(void *config, char *text, size_t bytes, struct xml_error *error)
{
    static const struct xml_range range = {.min = 1, .max = 1000000};
    const struct xml_node *root = config_parse(text, bytes, &config_schema, error);

    return root && xml_get_unsigned(root, "ticks", &range, config, error);
}

static void ticked(void *context, uint64_t bits)
{
    uint64_t now = page ? clock_read(page) : last;
    unsigned second = (unsigned)now % 86400;

    (void)context;
    (void)bits;
    if (now == last)
        return;
    last = now;
    log_line("ticks: %02u:%02u:%02u", second / 3600, second / 60 % 60, second % 60);
    if (--ticks)
        return;
    log_line("ticks: done");
    component_exit(0);
}

static enum error clock_open(void)
{
    return session_open(
        &(struct session_request){
            .service = CLOCK_SERVICE, .donation = CLOCK_DONATION, .base = CAP_CLOCK, .bits = BIT_CLOCK},
        &session);
}

/* Both are over, whatever the one or the other says. */
static void clock_close(void)
{
    enum error error = ERROR_OK;

    if (page)
        error = dataspace_free(&(struct dataspace){.handle = session.dataspace});
    page = NULL;
    if (!error)
        error = session_close(session.id);
    (void)error;
}

/* The parent has news of the session; the first time there is none. */
static void news(void *context, uint64_t bits)
{
    enum error error = session.id ? session_poll(&session) : clock_open();

    (void)context;
    (void)bits;
    if (error == ERROR_CLOSED) {
        clock_close();
        error = clock_open();
    }
    if (error == ERROR_OK && !page) {
        error = dataspace_attach(session.dataspace, 0, MEM_READ, &page);
        log_line("ticks: the clock is there");
    }
    if (error == ERROR_OK || error == ERROR_PENDING)
        return;
    log_line("ticks: Clock: %s", error_text(error));
    component_exit(1);
}

int component_main(void)
{
    static struct event tick = {.bits = BIT_CLOCK, .deadline = DEADLINE_NEVER, .handle = ticked};
    static struct event end = {.bits = NT_PARENT_NEWS, .handle = news};

    if (!config_load(read_ticks, &ticks))
        return 1;
    event_add(&tick);
    event_add(&end);
    event_loop();
}
