/* SPDX-License-Identifier: ISC */
/*
 * ticker: the example of a server (doc/server.md). It gives the time of one Clock, a driver's, to several
 * clients of its own. Clients' requests are served at most a hundred times a second.
 */
#include "base/include/link.h"
#include "base/include/log.h"
#include "base/include/server.h"
#include "examples/clock.h"

#define CLIENTS 4u
#define TURNS   100u /* a second */

/* Selectors, and bits of CAP_NT. The clients' come behind the driver's. */
#define CAP_DRIVER CAP_FREE
#define BIT_DRIVER 1ull

static struct server_place places[CLIENTS];
static struct link driver = {
    .request = {.service = CLOCK_SERVICE, .donation = CLOCK_DONATION, .base = CAP_DRIVER, .bits = BIT_DRIVER},
    .rights = MEM_READ,
};

static enum error opened(void *context, unsigned place)
{
    (void)context;
    clock_write(places[place].memory, clock_read(driver.memory));
    return ERROR_OK;
}

static struct server server = {
    .service = CLOCK_SERVICE,
    .place = places,
    .places = CLIENTS,
    .signal = CAP_DRIVER + 1,
    .bit = 1,
    .open = opened,
};

static void ticked(void *context, uint64_t bits)
{
    (void)context;
    (void)bits;
    for (unsigned i = 0; i < CLIENTS; i++)
        if (places[i].served) {
            clock_write(places[i].memory, clock_read(driver.memory));
            server_signal(&server, i);
        }
}

/* Without its driver the server ends and is started again; its clients wait for it. */
static void news(void *context, uint64_t bits)
{
    (void)context;
    (void)bits;
    if (link_poll(&driver) == ERROR_CLOSED) {
        log_line("ticker: the driver has gone");
        component_exit(1);
    }
}

int component_main(void)
{
    static struct event tick = {.bits = BIT_DRIVER, .handle = ticked};
    static struct event end = {.bits = NT_PARENT_NEWS, .handle = news};
    struct pd_info info;
    enum error error = link_wait(&driver);

    if (!error)
        error = pd_info(&info);
    if (error) {
        log_line("ticker: Clock: %s", error_text(error));
        return 1;
    }
    server.period = info.tsc_hz / TURNS;
    event_add(&tick);
    event_add(&end);
    server_start(&server);
    event_loop();
}
