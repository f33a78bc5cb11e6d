/* SPDX-License-Identifier: ISC */
/*
 * Stands between a hostile guest and one with a heartbeat: it is the terminal of both. It tells the first
 * which attack to make, and asks the second after each how long its heart has stood still.
 *
 *   <config>
 *     <run milliseconds="60"/>                 of an attack that names none
 *     <attack name="cpuid" milliseconds="100"/>
 *     <attack name="triple-fault" ends="reset" times="100"/>
 *   </config>
 *
 * ends: how the hostile guest must come out of it: "through" (it says so), "reset" (it starts again), or
 * "either". Who is who is known by what they say (tests/guest/hostile/main.c, tests/guest-linux/heartbeat.c).
 * The last line is "hostile: done" or "hostile: failed".
 */
#include "base/include/config.h"
#include "base/include/log.h"
#include "base/include/server.h"
#include "base/include/session/terminal.h"
#include "lib/ring/ring.h"
#include "tests/components/referee/referee.h"

#include <string.h>

#define GUESTS     2u
#define LINE_BYTES 128u
#define CHUNK      1024u
/* ms beyond an attack's time until its guest must have answered: init waits up to two seconds before it
 * starts a monitor again that ends all the time. */
#define PATIENCE 4000u

struct guest {
    struct ring received, transmit;
    char line[LINE_BYTES];
    size_t length;
};

static struct guest guests[GUESTS];
static struct referee_config config;
static struct guest *hostile, *heart;
static enum { STATE_STARTS, STATE_ATTACK, STATE_ASKED, STATE_OVER } state;
static unsigned attack, repeated, resets, failures;
static bool failed; /* the present attack */
static uint64_t tsc_hz, started, worst;

static void guest_read(void *context, unsigned number);
static enum error guest_open(void *context, unsigned number);
static void guest_close(void *context, unsigned number);
static void answer_missing(void *context, uint64_t bits);

static struct server_place places[GUESTS];
static struct server server = {
    .service = TERMINAL_SERVICE,
    .place = places,
    .places = GUESTS,
    .signal = CAP_FREE,
    .open = guest_open,
    .close = guest_close,
    .serve = guest_read,
};
static struct event answer = {.deadline = DEADLINE_NEVER, .handle = answer_missing};

static void guest_signal(const struct guest *guest)
{
    server_signal(&server, (unsigned)(guest - guests));
}

static void guest_send(struct guest *guest, const char *text)
{
    bool signal = false;
    ring_write(&guest->transmit, text, strlen(text), &signal);
    if (signal) {
        guest_signal(guest);
    }
}

static void fail(const char *what)
{
    log_line("hostile: failed: %s: %s", config.attack[attack].name, what);
    state = STATE_OVER;
    answer.deadline = DEADLINE_NEVER;
}

static void wait_for(unsigned milliseconds)
{
    started = tsc_read();
    answer.deadline = started + tsc_hz / 1000 * milliseconds;
}

static void attack_start(void)
{
    char line[LINE_BYTES];
    const struct referee_attack *next = &config.attack[attack];
    state = STATE_ATTACK;
    wait_for(next->milliseconds + PATIENCE);
    format_text(line, sizeof line, "%s %lu\n", next->name, tsc_hz / 1000 * next->milliseconds);
    guest_send(hostile, line);
}

static void attack_ended(bool reset)
{
    const struct referee_attack *current = &config.attack[attack];
    if (state != STATE_ATTACK) {
        return;
    }
    if (current->ends != ENDS_EITHER && reset != (current->ends == ENDS_RESET)) {
        log_line("hostile: %s failed: the guest %s", current->name, reset ? "was reset" : "lives on");
        failures++;
        failed = true;
        repeated = current->times; /* the others may be made all the same */
    }
    resets += reset;
    if (++repeated < current->times) {
        attack_start();
        return;
    }
    state = STATE_ASKED;
    wait_for(PATIENCE);
    guest_send(heart, "\n");
}

static void attack_survived(uint64_t gap)
{
    worst = gap > worst ? gap : worst;
    log_line("hostile: %s %s, %u resets; heartbeat gap %lu us, worst %lu us", config.attack[attack].name,
             failed ? "over" : "survived", resets, gap, worst);
    failed = false;
    repeated = 0;
    resets = 0;
    if (++attack < config.attacks) {
        attack_start();
        return;
    }
    log_line("hostile: %s, %u attacks, %u failed, worst heartbeat gap %lu.%lu ms",
             failures == 0 ? "done" : "failed", attack, failures, worst / 1000, worst / 100 % 10);
    state = STATE_OVER;
    answer.deadline = DEADLINE_NEVER;
}

static void heart_says(const char *text)
{
    static const char mark[] = ", asked ";
    if (state == STATE_STARTS && hostile != NULL) {
        attack_start();
    }
    for (const char *at = text; *at != '\0'; at++) {
        if (state == STATE_ASKED && strncmp(at, mark, sizeof mark - 1) == 0) {
            uint64_t gap = 0;
            for (at += sizeof mark - 1; *at >= '0' && *at <= '9'; at++) {
                gap = gap * 10 + (uint64_t)(*at - '0');
            }
            attack_survived(gap);
            return;
        }
    }
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static void guest_says(struct guest *guest, const char *text)
{
    static const char through[] = "hostile: through ";
    if (begins(text, "heartbeat: ")) {
        heart = guest;
        heart_says(text);
    } else if (begins(text, "hostile: ready")) {
        hostile = guest;
        if (state == STATE_STARTS && heart != NULL) {
            attack_start();
        } else {
            attack_ended(true);
        }
    } else if (guest == hostile && begins(text, through) &&
               strcmp(text + sizeof through - 1, config.attack[attack].name) == 0) {
        attack_ended(false);
    } else if (guest == hostile && begins(text, "hostile: unknown ")) {
        fail("the guest does not know it");
    }
}

/* What is no line of ours may be anything: a flood of one attack is bytes and nothing else here. */
static void guest_read(void *context, unsigned number)
{
    struct guest *guest = &guests[number];
    char chunk[CHUNK];
    bool signal = false;
    size_t count;

    (void)context;
    while ((count = ring_read(&guest->received, chunk, sizeof(chunk), &signal)) > 0)
        for (size_t i = 0; i < count && i < sizeof(chunk); i++) {
            if (chunk[i] == '\n') {
                guest->line[guest->length] = '\0';
                guest->length = 0;
                guest_says(guest, guest->line);
            } else if (guest->length < LINE_BYTES - 1 && chunk[i] != '\r') {
                guest->line[guest->length++] = chunk[i];
            }
        }
    if (signal)
        guest_signal(guest);
}

/* Its last words are read before. */
static void guest_close(void *context, unsigned number)
{
    struct guest *guest = &guests[number];

    guest_read(context, number);
    *guest = (struct guest){0};
    if (guest == hostile)
        hostile = NULL;
    if (guest == heart && state != STATE_OVER) {
        heart = NULL;
        fail("the heart has stopped");
    }
}

static enum error guest_open(void *context, unsigned number)
{
    struct guest *guest = &guests[number];
    char *memory = places[number].memory;
    size_t half = places[number].session.bytes / 2;

    (void)context;
    return ring_init(&guest->received, memory, half, false) &&
                   ring_init(&guest->transmit, memory + half, half, true)
               ? ERROR_OK
               : ERROR_BAD_ARGUMENT;
}

static void answer_missing(void *context, uint64_t bits)
{
    (void)context;
    (void)bits;
    fail(state == STATE_ATTACK ? "the guest does not answer" : "the heart does not answer");
}

int component_main(void)
{
    struct pd_info info;
    enum error error;

    if (!config_load(referee_config_read, &config))
        return 1;
    error = pd_info(&info);
    if (error) {
        log_line("cannot serve: %s", error_text(error));
        return 1;
    }
    tsc_hz = info.tsc_hz;
    event_add(&answer);
    server_start(&server);
    event_loop();
}
