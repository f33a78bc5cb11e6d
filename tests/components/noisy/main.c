/* SPDX-License-Identifier: ISC */
/*
 * A component that uses its rights at their limits, one after the other, and looks what it costs others: it
 * signals its terminal's server in a loop, from this CPU and from another one; it attaches and detaches
 * memory without end; it says on the log what it may. (Beside it init starts a component again and again that
 * ends at once.) A thread of low priority does this, while the main thread has core answer a small request
 * every 10 ms and measures from the moment at which it wanted to ask to the answer.
 *
 * The bound is 20 ms for all of it. The build machine may take the emulator's time at any moment, the more so
 * the more of it the emulator needs: so requests beyond the bound are counted, first while the threads of low
 * priority only spin, and in each other phase there may be twice as many and five.
 * "noisy: done" is said only within that.
 */
#include "base/include/component.h"
#include "base/include/dataspace.h"
#include "base/include/event.h"
#include "base/include/log.h"
#include "lib/terminal/terminal.h"

#include <string.h>

#define PERIODS      100u /* of a phase */
#define PERIOD_MS    10u
#define BOUND_MS     20u
#define ALLOWED      5u
#define NOISE        10u /* priority */
#define STACK        0x4000u
#define MEMORY       0x8000000u /* bytes that are attached: 128 MiB */
#define CAP_TERMINAL CAP_FREE
#define CAP_REST(i)  (CAP_FREE + 1 + (i)) /* of the thread that makes noise on CPU i */
#define BIT_TERMINAL 1ull
#define AT           (ATTACH_BASE + 0x8000001000u) /* against large pages */

enum phase { RESTING, SPINNING, SIGNALS, SIGNALS_BEYOND, ATTACHMENTS, LOG, PHASES };

static const char *const names[PHASES] = {"resting",     "spinning", "signals", "signals from another CPU",
                                          "attachments", "log"};
static volatile enum phase phase;
static volatile uint64_t counts[PHASES];
static volatile bool failed;
static uint64_t tick; /* TSC ticks of a millisecond */
static struct terminal terminal;
static struct dataspace memory;

static void noise_signals(enum phase of)
{
    enum status status = nt_signal(terminal.link.request.base);
    failed = failed || status != STATUS_OK;
    counts[of]++;
}

static void noise_attachments(void)
{
    void *address;
    enum error error = dataspace_attach(memory.handle, AT, MEM_READ | MEM_WRITE, &address);
    if (error == ERROR_OK)
        error = dataspace_detach(address);
    failed = failed || error != ERROR_OK;
    counts[ATTACHMENTS]++;
}

static void noise_log(void)
{
    char line[240];
    memset(line, '.', sizeof line);
    log_put(line, sizeof line);
    counts[LOG]++;
}

/* Until there may be something to do. */
static void rest(unsigned cpu)
{
    uint64_t bits;
    enum status status = nt_wait(CAP_REST(cpu), tsc_read() + tick, &bits);
    failed = failed || status != STATUS_TIMEOUT;
}

static void here(void *argument)
{
    (void)argument;
    for (;;) {
        if (phase == SPINNING)
            counts[SPINNING]++;
        else if (phase == SIGNALS)
            noise_signals(SIGNALS);
        else if (phase == ATTACHMENTS)
            noise_attachments();
        else if (phase == LOG)
            noise_log();
        else
            rest(0);
    }
}

static void beyond(void *argument)
{
    (void)argument;
    for (;;) {
        if (phase == SPINNING)
            __asm__ volatile("pause");
        else if (phase == SIGNALS_BEYOND)
            noise_signals(SIGNALS_BEYOND);
        else
            rest(1);
    }
}

/* How many requests of a phase were answered too late; *worst in microseconds. */
static unsigned measure(uint64_t tsc_hz, uint64_t *worst)
{
    uint64_t period = tsc_hz / 1000 * PERIOD_MS, next = tsc_read() + period;
    unsigned late = 0;
    *worst = 0;
    for (unsigned i = 0; i < PERIODS; i++) {
        struct pd_info info;
        enum error error;

        while (tsc_read() < next)
            event_turn(next);
        error = pd_info(&info);
        uint64_t now = tsc_read(), took = (now - next) / (tsc_hz / 1000000);
        failed = failed || error != ERROR_OK;
        *worst = took > *worst ? took : *worst;
        late += took > BOUND_MS * 1000;
        next = now > next + period ? now + period : next + period;
    }
    return late;
}

static enum error prepare(struct pd_info *info)
{
    enum error error = pd_info(info);
    tick = info->tsc_hz / 1000;
    for (unsigned i = 0; i < 2 && error == ERROR_OK; i++)
        error = notification_create(CAP_REST(i), NULL);
    terminal_init(&terminal, "noisy", CAP_TERMINAL, BIT_TERMINAL);
    if (error == ERROR_OK)
        error = link_wait(&terminal.link);
    if (error == ERROR_OK)
        error = terminal_poll(&terminal);
    if (error == ERROR_OK)
        error = dataspace_alloc(MEMORY, &memory);
    if (error == ERROR_OK)
        error = thread_create(here, NULL, NOISE, STACK, 0);
    if (error == ERROR_OK && info->cpus > 1)
        error = thread_create(beyond, NULL, NOISE, STACK, 1);
    return error;
}

int component_main(void)
{
    struct pd_info info;
    unsigned usual = 0, over = 0;
    enum error error = prepare(&info);
    if (error != ERROR_OK) {
        log_line("noisy: failed: cannot begin: %s", error_text(error));
        return 1;
    }
    for (enum phase i = SPINNING; i < PHASES; i++) {
        uint64_t worst, again;
        unsigned late;
        if (i == SIGNALS_BEYOND && info.cpus == 1)
            continue;
        phase = i;
        late = measure(info.tsc_hz, &worst);
        phase = RESTING;
        if (i == SPINNING)
            usual = late;
        over += late > 2 * usual + ALLOWED;
        if (i == LOG) /* until it may say something again */
            (void)measure(info.tsc_hz, &again), (void)measure(info.tsc_hz, &again);
        log_line("noisy: %s: %lu times; %u of %u requests took more than %u ms, the worst %lu us", names[i],
                 counts[i], late, PERIODS, BOUND_MS, worst);
    }
    if (failed || over != 0)
        log_line("noisy: failed: %s", failed ? "a call was refused" : "others were kept waiting");
    else
        log_line("noisy: done");
    return failed || over != 0;
}
