/* SPDX-License-Identifier: ISC */
/*
 * ticks: the example of a client (doc/client.md). It prints the time that a Clock gives it, so often as its
 * configuration says: <config ticks="10"/>. When the server has gone, it opens its session again.
 */
#include "base/include/config.h"
#include "base/include/event.h"
#include "base/include/link.h"
#include "base/include/log.h"
#include "examples/clock.h"

#define CAP_CLOCK CAP_FREE
#define BIT_CLOCK 1ull

static const char *const config_attributes[] = {"ticks!", NULL};
static const struct xml_schema config_schema = {.name = "config", .attributes = config_attributes};

static uint64_t ticks, last;
static struct link clock = {
    .request = {.service = CLOCK_SERVICE, .donation = CLOCK_DONATION, .base = CAP_CLOCK, .bits = BIT_CLOCK},
    .rights = MEM_READ,
};

static bool read_ticks(void *config, char *text, size_t bytes, struct xml_error *error)
{
    static const struct xml_range range = {.min = 1, .max = 1000000};
    const struct xml_node *root = config_parse(text, bytes, &config_schema, error);

    return root && xml_get_unsigned(root, "ticks", &range, config, error);
}

static void ticked(void *context, uint64_t bits)
{
    uint64_t now = clock.memory ? clock_read(clock.memory) : last;
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

/* The parent has news of the session; the first time there is none. */
static void news(void *context, uint64_t bits)
{
    bool open = clock.memory;
    enum error error = link_poll(&clock);

    (void)context;
    (void)bits;
    if (error == ERROR_CLOSED) {
        link_close(&clock);
        error = link_poll(&clock);
    }
    if (error == ERROR_OK && !open)
        log_line("ticks: the clock is there");
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
