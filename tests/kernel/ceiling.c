/* SPDX-License-Identifier: ISC */
/*
 * The ceiling of a local EC: which threads wait for its reply and which do not, when the others come to run, and
 * that it goes on when its caller is gone. The server works for a caller of priority LOW.
 */
#include "tests/kernel/tests.h"

#define LOW     5u
#define CEILING 10u
#define BELOW   8u
#define ABOVE   12u

enum { SERVER_SLOT = 1, CALLER_SLOT, WOKEN_SLOT, INNER_SLOT };

/* What happened, in order: who has run. */
enum event { NOTHING, SERVER, SERVER_AGAIN, WOKEN, CALLER, INNER, INNER_AGAIN };
static volatile enum event order[8];
static volatile unsigned events;
static volatile uint64_t turns;
static volatile selector woken, caller, inner, server;
static volatile enum status result;

static void happens(enum event event)
{
    if (events < COUNT(order))
        order[events] = event;
    events++;
}

static void expect_order(const char *what, const enum event *expected, unsigned count)
{
    expect(what, events, count);
    for (unsigned i = 0; i < count && i < COUNT(order); i++)
        expect(what, order[i], expected[i]);
}
#define EXPECT_ORDER(what, ...)                                                                              \
    expect_order(what, (const enum event[]){__VA_ARGS__}, COUNT(((const enum event[]){__VA_ARGS__})))

static enum status ceiling_set(selector ec, uint64_t priority)
{
    return system_call_status(CALL_EC_CONTROL, ec, EC_CEILING, priority, 0, 0, 0);
}

static void wakes(uint64_t argument)
{
    uint64_t bits;

    (void)argument;
    (void)!nt_wait(woken, DEADLINE_NEVER, &bits);
    happens(WOKEN);
    thread_end();
}

static void calls(uint64_t argument)
{
    unsigned back;

    (void)argument;
    result = ipc_call(server, 0, &back);
    happens(CALLER);
    thread_end();
}

static void spins(uint64_t argument)
{
    (void)argument;
    for (;;)
        turns++;
}

/* The thread that wakes up, if it has a priority, and the one that calls. */
static void run(selector ec, portal_function *function, unsigned priority)
{
    events = 0;
    result = STATUSES;
    woken = notification();
    if (priority)
        (void)thread_start(&own, WOKEN_SLOT, wakes, 0, priority, 0);
    pass(milliseconds(1));
    server = portal(ec, function, 0);
    caller = thread_start(&own, CALLER_SLOT, calls, 0, LOW, 0);
    pass(milliseconds(20));
}

static _Noreturn void signals(uint64_t id, uint64_t words)
{
    (void)id, (void)words;
    happens(SERVER);
    (void)!nt_signal(woken);
    happens(SERVER_AGAIN);
    reply(0);
}

static void preempted(void)
{
    static const struct {
        const char *what;
        unsigned ceiling, priority;
        bool waits;
    } cases[] = {{"without a ceiling", 0, BELOW, false},
                 {"below it", CEILING, BELOW, true},
                 {"at it", CEILING, CEILING, true},
                 {"above it", CEILING, ABOVE, false}};

    for (unsigned i = 0; i < COUNT(cases); i++) {
        selector ec = thread_local_ec(&own, SERVER_SLOT, 0);

        EXPECT_CALL(CALL_EC_CONTROL, ceiling_set(ec, cases[i].ceiling), STATUS_OK);
        run(ec, signals, cases[i].priority);
        if (cases[i].waits)
            EXPECT_ORDER(cases[i].what, SERVER, SERVER_AGAIN, WOKEN, CALLER);
        else
            EXPECT_ORDER(cases[i].what, SERVER, WOKEN, SERVER_AGAIN, CALLER);
        clean();
    }
}

static void refused(void)
{
    selector ec = thread_local_ec(&own, SERVER_SLOT, 0);

    OK(ceiling_set(ec, SC_PRIORITIES - 1));
    EXPECT_CALL(CALL_EC_CONTROL, ceiling_set(ec, SC_PRIORITIES), STATUS_BAD_ARG);
    EXPECT_CALL(CALL_EC_CONTROL, ceiling_set(ec, UINT64_MAX), STATUS_BAD_ARG);
    EXPECT_CALL(CALL_EC_CONTROL, ceiling_set(ROOT_EC, CEILING), STATUS_BAD_ARG);
}

static volatile uint64_t before_reply, before_work;

static _Noreturn void works_long(uint64_t id, uint64_t words)
{
    uint64_t begin = now();

    (void)id, (void)words;
    before_work = turns;
    while (now() - begin < milliseconds(5)) /* turns are of one */
        __asm__ volatile("pause");
    before_reply = turns;
    reply(0);
}

static volatile uint64_t after_reply;

static void calls_and_looks(uint64_t argument)
{
    unsigned back;

    (void)argument;
    result = ipc_call(server, 0, &back);
    after_reply = turns;
    thread_end();
}

/* Its end does not come while the EC works, and comes at once with the reply: the others have their turns. */
static void end_of_turn(void)
{
    selector ec = thread_local_ec(&own, SERVER_SLOT, 0);

    OK(ceiling_set(ec, CEILING));
    result = STATUSES;
    turns = after_reply = 0;
    server = portal(ec, works_long, 0);
    (void)thread_start(&own, WOKEN_SLOT, spins, 0, LOW, 0);
    (void)thread_start(&own, CALLER_SLOT, calls_and_looks, 0, LOW, 0);
    pass(milliseconds(30));
    EXPECT_STATUS(result, STATUS_OK);
    EXPECT(before_reply - before_work, 0);
    expect_range("turns of the other before the caller goes on", after_reply - before_reply, 1, UINT64_MAX);
}

static _Noreturn void calls_inner(uint64_t id, uint64_t words)
{
    unsigned back;

    (void)id, (void)words;
    happens(SERVER);
    (void)!ipc_call(inner, 0, &back);
    happens(SERVER_AGAIN);
    reply(0);
}

static _Noreturn void signals_inside(uint64_t id, uint64_t words)
{
    (void)id, (void)words;
    happens(INNER);
    (void)!nt_signal(woken);
    happens(INNER_AGAIN);
    reply(0);
}

/* The ceiling also holds for what the EC calls; it ends with the reply of the EC that has it. */
static void nested(void)
{
    for (unsigned outer = 0; outer < 2; outer++) {
        selector ec = thread_local_ec(&own, SERVER_SLOT, 0), other = thread_local_ec(&own, INNER_SLOT, 0);

        inner = portal(other, signals_inside, 0);
        OK(ceiling_set(outer ? ec : other, CEILING));
        run(ec, calls_inner, BELOW);
        if (outer)
            EXPECT_ORDER("outside", SERVER, INNER, INNER_AGAIN, SERVER_AGAIN, WOKEN, CALLER);
        else
            EXPECT_ORDER("inside", SERVER, INNER, INNER_AGAIN, WOKEN, SERVER_AGAIN, CALLER);
        clean();
    }
}

static volatile selector victim;

static _Noreturn void destroys_caller(uint64_t id, uint64_t words)
{
    (void)id, (void)words;
    happens(SERVER);
    (void)!destroy(victim);
    (void)!nt_signal(woken);
    happens(SERVER_AGAIN);
    reply(0);
}

/* It goes on to its reply without time of its own, whoever is ready; then it serves again. */
static void caller_dies(void)
{
    for (unsigned part = 0; part < 2; part++) {
        selector ec = thread_local_ec(&own, SERVER_SLOT, 0);
        unsigned back;

        OK(ceiling_set(ec, CEILING));
        events = 0;
        woken = notification();
        (void)thread_start(&own, WOKEN_SLOT, wakes, 0, BELOW, 0);
        pass(milliseconds(1));
        server = portal(ec, destroys_caller, 0);
        caller = thread_start(&own, CALLER_SLOT, calls, 0, LOW, 0);
        victim = caller + part; /* its EC, its SC */
        pass(milliseconds(20));
        EXPECT_ORDER(part ? "its SC" : "its EC", SERVER, SERVER_AGAIN, WOKEN);
        victim = portal(ec, signals, 0);
        OK(ipc_call(victim, 0, &back));
        clean();
    }
}

/* The EC itself ends as any other. */
static void callee_dies(void)
{
    selector ec = thread_local_ec(&own, SERVER_SLOT, 0);

    OK(ceiling_set(ec, CEILING));
    victim = ec;
    run(ec, destroys_caller, 0);
    EXPECT_ORDER("itself", SERVER, CALLER);
    EXPECT_STATUS(result, STATUS_ABORTED);
}

void test_ceiling(void)
{
    static const struct test tests[] = {
        {"ceiling: what preempts and what waits", preempted},
        {"ceiling: refused", refused},
        {"ceiling: the end of a turn", end_of_turn},
        {"ceiling: calls of the EC's own", nested},
        {"ceiling: the caller dies", caller_dies},
        {"ceiling: the callee dies", callee_dies},
    };

    run_tests(tests, COUNT(tests));
}
