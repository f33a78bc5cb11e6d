/* SPDX-License-Identifier: ISC */
/* A server of Report for one client: what it is told it says on the log, a line each, whenever it has changed. */
#include "base/include/log.h"
#include "base/include/rom.h"
#include "base/include/server.h"
#include "base/include/session/report.h"

#include <string.h>

#define REPORT_MAX 0x10000u

static void told(void *context, unsigned index);

static struct server_place place;
static struct server server = {
    .service = REPORT_SERVICE, .place = &place, .places = 1, .signal = CAP_FREE, .bit = 1, .serve = told};

static void told(void *context, unsigned index)
{
    static char text[REPORT_MAX], last[REPORT_MAX];
    static uint64_t version;
    size_t bytes;

    (void)context, (void)index;
    if (place.session.bytes > sizeof(text) ||
        !rom_take(place.memory, place.session.bytes, &version, text, &bytes) ||
        memcmp(text, last, bytes) == 0)
        return;
    memcpy(last, text, sizeof(last));
    for (const char *line = text, *end = text + bytes; line < end;) {
        const char *next = memchr(line, '\n', (size_t)(end - line));

        next = next ? next : end;
        log_put(line, (size_t)(next - line));
        line = next + 1;
    }
}

int component_main(void)
{
    server_start(&server);
    event_loop();
}
