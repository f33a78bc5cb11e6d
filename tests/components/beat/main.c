/* SPDX-License-Identifier: ISC */
/* The server of Beat: beat.h. */
#include "base/include/log.h"
#include "base/include/server.h"
#include "tests/components/beat/beat.h"

#define CLIENTS 4u

static struct server_place places[CLIENTS];
static struct server server = {
    .service = BEAT_SERVICE, .place = places, .places = CLIENTS, .signal = CAP_FREE, .bit = 1};
static struct event tick;
static uint64_t period, next;

static void ticked(void *context, uint64_t bits)
{
    (void)context, (void)bits;
    for (; next <= tsc_read(); next += period)
        for (unsigned i = 0; i < CLIENTS; i++)
            if (places[i].served) {
                __atomic_fetch_add((uint64_t *)places[i].memory, 1, __ATOMIC_RELAXED);
                server_signal(&server, i);
            }
    tick.deadline = next;
}

int component_main(void)
{
    struct pd_info info;

    if (pd_info(&info) != ERROR_OK)
        return 1;
    log_line("beat: begins");
    period = info.tsc_hz / 1000 * BEAT_MILLISECONDS;
    next = tsc_read() + period;
    tick = (struct event){.deadline = next, .handle = ticked};
    event_add(&tick);
    server_start(&server);
    event_loop();
}
