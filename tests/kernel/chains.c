/* SPDX-License-Identifier: ISC */
/*
 * Chains of callers and helpers: up to their bound and beyond it, in circles, and with links that die. A link
 * is a server that calls the server of the link before it, and a thread that calls this server; all but the
 * first server find theirs busy and help it.
 */
#include "tests/kernel/tests.h"

#define BOUND  64u /* hops that a new helper follows; EC_DEPTH_MAX of the kernel */
#define LONG   (BOUND + 6u)
#define NOBODY 0u

static struct {
    volatile selector portal, next, server, thread, time;
    volatile enum status inner, outer;
} links[LONG + 1];
static volatile uint64_t hold, entered;

static _Noreturn void server(uint64_t id, uint64_t words)
{
    unsigned back;

    (void)words;
    entered++;
    if (links[id].next != NOBODY)
        links[id].inner = ipc_call(links[id].next, 0, &back);
    while (id == 0 && hold)
        __asm__ volatile("pause");
    reply(0);
}

static void caller(uint64_t id)
{
    unsigned back;

    links[id].outer = ipc_call(links[id].portal, 0, &back);
    thread_end();
}

static unsigned server_slot(unsigned id)
{
    return 2 * id + 1;
}

static void link_create(unsigned id, unsigned next)
{
    links[id].inner = links[id].outer = STATUSES;
    links[id].server = thread_local_ec(&own, server_slot(id), 0);
    links[id].portal = portal(links[id].server, server, id);
    links[id].next = next == id ? NOBODY : links[next].portal;
}

/* Start the link's thread and let it come to rest. */
static void link_start(unsigned id, unsigned priority)
{
    links[id].thread = thread_start(&own, server_slot(id) + 1, caller, id, priority, 0);
    links[id].time = links[id].thread + 1;
    pass(milliseconds(1) / 10);
}

/* Its time is taken from it, so that all is left to the next. */
static void link_stop(unsigned id)
{
    OK(destroy(links[id].time));
}

static void link_go_on(unsigned id)
{
    links[id].time = fresh();
    OK(create_sc(links[id].time, ROOT_ACCOUNT, links[id].thread, 10, SC_BUDGET_MIN));
}

static void chain_start(unsigned count)
{
    hold = 1;
    entered = 0;
    for (unsigned id = 0; id < count; id++) {
        link_create(id, id ? id - 1 : 0);
        link_start(id, 10);
        link_stop(id);
    }
}

static void chain_go_on(unsigned count)
{
    for (unsigned id = 0; id < count; id++) {
        if (links[id].outer == STATUSES)
            link_go_on(id);
    }
}

static void chain_end(unsigned count, enum status last)
{
    chain_go_on(count);
    hold = 0;
    pass(milliseconds(20));
    for (unsigned id = 0; id < count; id++) {
        expect_status("the caller of a link", links[id].outer, id < count - 1 ? STATUS_OK : last);
        if (id)
            expect_status("a link's own call", links[id].inner, STATUS_OK);
    }
}

static void to_the_bound(void)
{
    chain_start(BOUND / 2);
    EXPECT(entered, BOUND / 2);
    for (unsigned id = 0; id < BOUND / 2; id++)
        EXPECT_STATUS(links[id].outer, STATUSES);
    chain_end(BOUND / 2, STATUS_OK);
}

/* Whoever would make it longer is refused, and all the others come through. */
static void beyond_the_bound(void)
{
    unsigned first = LONG, id;

    chain_start(LONG);
    for (id = LONG; id-- > 0;) {
        if (links[id].inner == STATUS_CHAIN)
            first = id;
    }
    expect_range("the first that is refused", first, BOUND - 1, LONG - 1);
    chain_go_on(LONG);
    hold = 0;
    pass(milliseconds(20));
    for (id = 0; id < LONG; id++) {
        expect_status("the caller of a link", links[id].outer, STATUS_OK);
        if (id)
            expect_range("a link's own call", links[id].inner == STATUS_OK || links[id].inner == STATUS_CHAIN,
                         1, 1);
    }
}

/* Each calls the next, the last the first: one of them closes the circle and is refused. */
static void circle(void)
{
    const unsigned count = 5;
    unsigned refused = 0;

    hold = 1;
    for (unsigned id = 0; id < count; id++)
        link_create(id, id ? id - 1 : 0);
    link_start(0, 5);
    links[0].next = NOBODY;
    for (unsigned id = 1; id < count; id++)
        link_start(id, 10 + id);
    /* The first is at work; a call of its to the last would wait for itself. */
    links[0].next = links[count - 1].portal;
    hold = 0;
    pass(milliseconds(5));
    for (unsigned id = 0; id < count; id++)
        EXPECT_STATUS(links[id].outer, STATUS_OK);
    /* And all of them once more, from the other side: now the first one calls. */
    for (unsigned id = 0; id < count; id++)
        links[id].inner = STATUSES;
    link_start(0, 10);
    pass(milliseconds(5));
    for (unsigned id = 0; id < count; id++)
        refused += links[id].inner == STATUS_CHAIN;
    EXPECT(refused, 1);
    EXPECT_STATUS(links[0].outer, STATUS_OK);
}

/* Links of the middle go: the thread that calls, the server, its portal. Who called the server is told, those
 * above go on with what they have. */
static void middle_goes(void)
{
    enum { THREAD, SERVER, PORTAL, PARTS };
    const unsigned count = 8, middle = 4;

    for (unsigned part = 0; part < PARTS; part++) {
        chain_start(count);
        OK(destroy(part == THREAD   ? links[middle].thread
                   : part == SERVER ? links[middle].server
                                    : links[middle].portal));
        for (unsigned id = 0; id < count; id++) {
            if (part != THREAD || id != middle)
                link_go_on(id);
        }
        pass(milliseconds(2));
        hold = 0;
        pass(milliseconds(5));
        for (unsigned id = 0; id < count; id++) {
            enum status outer = id != middle     ? STATUS_OK
                                : part == THREAD ? STATUSES
                                : part == SERVER ? STATUS_ABORTED
                                                 : STATUS_OK;

            expect_status("the caller of a link", links[id].outer, outer);
            if (id == middle + 1)
                expect_status("the call to the one that went", links[id].inner,
                              part == THREAD ? STATUS_OK : STATUS_DEAD);
        }
        clean();
    }
}

/* Many helpers of one server, and each dies, before it is their turn and at it. */
static void helpers_go(void)
{
    const unsigned count = 20;
    uint64_t done = 0;

    hold = 1;
    entered = 0;
    link_create(0, 0);
    link_start(0, 5);
    for (unsigned id = 1; id < count; id++) {
        links[id] = links[0];
        link_start(id, 10 + id % 3);
    }
    for (unsigned id = 1; id < count; id += 2)
        OK(destroy(links[id].thread));
    hold = 0;
    pass(milliseconds(5));
    for (unsigned id = 0; id < count; id++) {
        expect_status("a caller", links[id].outer, id % 2 ? STATUSES : STATUS_OK);
        done += links[id].outer == STATUS_OK;
    }
    EXPECT(entered, done);
    EXPECT(done, count / 2);
}

/* The time of a helper that dies in the middle of what its time is used for does not take the server along.
 */
static void helper_dies_at_work(void)
{
    unsigned back;

    chain_start(3);
    link_go_on(0);
    link_go_on(1);
    link_go_on(2);
    pass(milliseconds(1));
    OK(destroy(links[2].thread));
    OK(destroy(links[1].thread));
    pass(milliseconds(1));
    hold = 0;
    OK(ipc_call(links[0].portal, 0, &back)); /* our own time goes to who is first served */
    OK(ipc_call(links[1].portal, 0, &back));
    OK(ipc_call(links[2].portal, 0, &back));
    EXPECT_STATUS(links[0].outer, STATUSES); /* it was never chosen: we do not sleep */
    pass(milliseconds(2));
    EXPECT_STATUS(links[0].outer, STATUS_OK);
}

/* ---- Deadlines of many at once. */

#define SLEEPERS 60u

static struct {
    volatile uint64_t deadline, woken, order;
    volatile selector nt;
} sleepers[SLEEPERS];
static volatile uint64_t turn;

static void sleeper(uint64_t id)
{
    uint64_t bits;

    (void)!nt_wait(sleepers[id].nt, sleepers[id].deadline, &bits);
    sleepers[id].woken = now();
    sleepers[id].order = ++turn;
    thread_end();
}

/* All wake, none early, in the order of their deadlines; half of the rest is signalled or dies before. */
static void many_deadlines(void)
{
    uint64_t start = now() + milliseconds(5);

    turn = 0;
    for (unsigned i = 0; i < SLEEPERS; i++) {
        selector ec;

        sleepers[i].nt = notification();
        sleepers[i].deadline = start + milliseconds(1) * (i * 37 % SLEEPERS) / 4;
        sleepers[i].woken = 0;
        ec = thread_start(&own, i + 1, sleeper, i, 20, 0);
        if (i % 5 == 4) {
            pass(milliseconds(1) / 50);
            OK(destroy(i % 2 ? ec : ec + 1)); /* the thread or its time */
        }
    }
    pass(milliseconds(40));
    for (unsigned i = 0; i < SLEEPERS; i++) {
        if (i % 5 == 4) {
            EXPECT(sleepers[i].woken, 0);
            continue;
        }
        expect_range("woken", sleepers[i].woken, sleepers[i].deadline,
                     sleepers[i].deadline + milliseconds(1) / 4);
        for (unsigned j = 0; j < i; j++) {
            if (j % 5 != 4)
                EXPECT(sleepers[i].order < sleepers[j].order, sleepers[i].deadline < sleepers[j].deadline);
        }
    }
}

/* Threads that die while they wait for a deadline, and others that come to lie where they were. */
static void deadlines_of_the_dead(void)
{
    for (unsigned round = 0; round < 30; round++) {
        selector ec = 0;

        sleepers[0].nt = notification();
        sleepers[0].deadline = now() + milliseconds(1) * (1 + round % 3);
        ec = thread_start(&own, 1, sleeper, 0, 20, 0);
        pass(milliseconds(1) / 20);
        OK(destroy(ec));
        OK(space_remove(ROOT_OBJ, ec, 2));
    }
    many_deadlines();
}

/* One that dies while it waits does not take those along that wait longer, when something else lies there. */
static void deadlines_behind_the_dead(void)
{
    selector ec = 0;

    for (unsigned i = 0; i < 2; i++) {
        sleepers[i].nt = notification();
        sleepers[i].deadline = now() + milliseconds(i ? 10 : 20);
        sleepers[i].woken = 0;
        ec = thread_start(&own, i + 1, sleeper, i, 20, 0);
        pass(milliseconds(1) / 20);
    }
    OK(destroy(ec));
    OK(space_remove(ROOT_OBJ, ec, 2));
    for (unsigned i = 0; i < 30; i++)
        (void)thread_local_ec(&own, i + 3, 0);
    pass(milliseconds(40));
    expect_range("woken", sleepers[0].woken, sleepers[0].deadline, sleepers[0].deadline + milliseconds(10));
    EXPECT(sleepers[1].woken, 0);
}

void test_chains(void)
{
    static const struct test tests[] = {
        {"chains: helpers up to the bound", to_the_bound},
        {"chains: helpers beyond the bound", beyond_the_bound},
        {"chains: a circle of helpers", circle},
        {"chains: the middle goes", middle_goes},
        {"chains: helpers go", helpers_go},
        {"chains: helpers die at work", helper_dies_at_work},
        {"deadlines: many at once", many_deadlines},
        {"deadlines: of the dead", deadlines_of_the_dead},
        {"deadlines: behind the dead", deadlines_behind_the_dead},
    };

    run_tests(tests, COUNT(tests));
}
