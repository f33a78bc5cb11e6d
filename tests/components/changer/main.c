/* SPDX-License-Identifier: ISC */
/*
 * Serves the configuration of an init below init and changes it ten times, one of them into a wrong one. What is
 * the same in two that follow each other is not to notice.
 */
#include "base/include/log.h"
#include "base/include/rom.h"
#include "base/include/server.h"

#include <string.h>

#define MILLISECONDS      150u /* between two changes */
#define LAST_MILLISECONDS 1000u
#define ROM_MAX           4096u

#define LOG        "<service name='LOG'><parent/></service>"
#define HELLO(...) "<start binary='hello' " __VA_ARGS__ "<route>" LOG "</route>"
#define COUNTER(name, more, route)                                                                           \
    "<start name='" name "' binary='counter' ram='1M' priority='30'" more "><route>" LOG route               \
    "</route><config><count messages='400'/></config></start>\n"

#define BEAT                                                                                                 \
    "<start name='beat' binary='beat' ram='1M' priority='40'><provides service='Beat'/><route>" LOG          \
    "</route></start>\n"
#define HERE  "<service name='Beat'><child name='beat'/></service>"
#define NEAR  COUNTER("near", "", HERE)
#define FAR   COUNTER("far", "", "<service name='Beat'><parent/></service>")
#define MOVED COUNTER("moved", "", HERE)
/* It comes and goes, each time with a session of the outer beat's, which has four places. */
#define GONE COUNTER("gone", "", "<service name='Beat'><parent/></service>")
#define BASE BEAT NEAR FAR
/* Another route is no reason to start it again. (One to the parent less would be.) */
#define MORE(more) COUNTER("near", more, HERE "<service name='None'><parent/></service>")
#define LATER      BEAT MORE("") FAR

static const char *const texts[] = {
    "<config>" GONE BASE MOVED "<report milliseconds='100'/></config>",
    "<config>" BASE MOVED HELLO("name='a' ram='1M'>") "</start></config>",
    "<config>" GONE BASE MOVED HELLO("name='a' ram='2M'>") "</start></config>",
    "<config>" BASE MOVED HELLO("name='a' ram='2M'>") "<config/></start></config>",
    "<config>" BASE MOVED HELLO("name='a' ram='2X'>") "</start></config>",
    /* A route that has gone ends the session. */
    "<config>" GONE LATER COUNTER("moved", "", "") HELLO("name='a' ram='2M'>") "<config/></start></config>",
    "<config>" HELLO("name='a' ram='2M' priority='5'>") "<config/></start>" FAR MORE("") BEAT "</config>",
    "<config>" GONE HELLO("name='b' ram='1M'>") "</start>" LATER "</config>",
    "<config>" HELLO("name='b' ram='1M'>") "</start>" LATER HELLO("name='c' ram='1M'>") "</start></config>",
    "<config>" GONE HELLO("name='b' ram='1M'>") "</start>" BEAT MORE(" restart='yes'") FAR "</config>",
    "<config>" LATER "<report milliseconds='100'/></config>",
};
#define TEXTS (sizeof(texts) / sizeof(*texts))

static struct server_place place;
static struct server server;
static struct event turn;
static uint64_t millisecond;
static unsigned number; /* of the text that is served */

static void serve_text(void)
{
    static char text[ROM_MAX];
    size_t length = strlen(texts[number]);

    for (size_t i = 0; i < length; i++) /* they are easier to read above */
        text[i] = texts[number][i] == '\'' ? '"' : texts[number][i];
    rom_put(place.memory, place.session.bytes, text, length);
    server_signal(&server, 0);
}

static enum error opened(void *context, unsigned index)
{
    (void)context, (void)index;
    place.served = true;
    serve_text();
    turn.deadline = tsc_read() + millisecond * LAST_MILLISECONDS / 2;
    return ERROR_OK;
}

static void turned(void *context, uint64_t bits)
{
    (void)context, (void)bits;
    if (!place.served)
        return;
    if (number == TEXTS - 1) {
        log_line("nested: done");
        return;
    }
    number++;
    serve_text();
    turn.deadline = tsc_read() + millisecond * (number == TEXTS - 1 ? LAST_MILLISECONDS : MILLISECONDS);
}

int component_main(void)
{
    struct pd_info info;

    if (pd_info(&info) != ERROR_OK)
        return 1;
    millisecond = info.tsc_hz / 1000;
    server = (struct server){
        .service = ROM_SERVICE, .place = &place, .places = 1, .signal = CAP_FREE, .bit = 1, .open = opened};
    turn = (struct event){.deadline = DEADLINE_NEVER, .handle = turned};
    event_add(&turn);
    server_start(&server);
    event_loop();
}
