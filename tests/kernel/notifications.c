/* SPDX-License-Identifier: ISC */
/* Notifications, deadlines, and who runs when. */
#include "tests/kernel/tests.h"

#define SPINNERS 3u

static volatile uint64_t got[8], when[8];
static volatile enum status how[8];
static volatile uint64_t count[8];

struct wait {
    selector nt;
    uint64_t deadline, leaves;
    unsigned index;
};
static struct wait waits[8];

static void waiter(uint64_t index)
{
    uint64_t bits = 0;

    how[index] = nt_wait_for(waits[index].nt, ~waits[index].leaves, waits[index].deadline, &bits);
    got[index] = bits;
    when[index] = now();
    thread_end();
}

static selector start_leaver(unsigned index, selector nt, uint64_t leaves, uint64_t deadline)
{
    waits[index] = (struct wait){.nt = nt, .deadline = deadline, .leaves = leaves, .index = index};
    how[index] = STATUSES;
    got[index] = 0;
    return thread_start(&own, index + 1, waiter, index, 20, 0);
}

static selector start_waiter(unsigned index, selector nt, uint64_t deadline)
{
    return start_leaver(index, nt, 0, deadline);
}

static void bits(void)
{
    selector nt = notification(), low = fresh(), none = fresh();
    uint64_t taken;

    EXPECT_STATUS(nt_wait(nt, 0, &taken), STATUS_TIMEOUT);
    OK(nt_narrow(nt, low, 0x5));
    OK(nt_narrow(low, none, 0xa));
    OK(nt_signal(none)); /* sets nothing */
    EXPECT_STATUS(nt_wait(nt, 0, &taken), STATUS_TIMEOUT);
    OK(nt_signal(low));
    OK(nt_signal(low));
    OK(nt_wait(nt, 0, &taken));
    EXPECT(taken, 0x5);
    EXPECT_STATUS(nt_wait(low, 0, &taken), STATUS_TIMEOUT);
    OK(nt_signal(low));
    OK(nt_signal(nt));
    OK(nt_wait(low, DEADLINE_NEVER, &taken));
    EXPECT(taken, UINT64_MAX);
}

/* Bits that a wait leaves stay set and wake nobody, the others do as ever. */
static void bits_left(void)
{
    selector nt = notification(), low = fresh(), high = fresh();
    uint64_t taken;

    OK(nt_narrow(nt, low, 0x5));
    OK(nt_narrow(nt, high, 1ull << 63));
    OK(nt_signal(low));
    OK(nt_signal(high));
    EXPECT_STATUS(nt_wait_for(nt, 0x2, now() + milliseconds(1), &taken), STATUS_TIMEOUT);
    EXPECT_STATUS(nt_wait_for(nt, 0, 0, &taken), STATUS_TIMEOUT);
    OK(nt_wait_for(nt, 0x4, 0, &taken));
    EXPECT(taken, 0x4);
    OK(nt_wait_for(nt, ~0x1ull, DEADLINE_NEVER, &taken));
    EXPECT(taken, 1ull << 63);
    OK(nt_wait(nt, 0, &taken));
    EXPECT(taken, 0x1);

    /* One that waits already. */
    (void)start_leaver(0, nt, 0x5, now() + milliseconds(20));
    pass(milliseconds(1));
    OK(nt_signal(low));
    pass(milliseconds(1));
    EXPECT_STATUS(how[0], STATUSES);
    OK(nt_signal(high));
    pass(milliseconds(1));
    EXPECT_STATUS(how[0], STATUS_OK);
    EXPECT(got[0], 1ull << 63);
    /* What was left ends the next wait at once. */
    (void)start_leaver(1, nt, 0, DEADLINE_NEVER);
    pass(milliseconds(1));
    EXPECT_STATUS(how[1], STATUS_OK);
    EXPECT(got[1], 0x5);
    (void)start_leaver(2, nt, 0x5, now() + milliseconds(3));
    pass(milliseconds(1));
    OK(nt_signal(low));
    pass(milliseconds(5));
    EXPECT_STATUS(how[2], STATUS_TIMEOUT);
    (void)start_leaver(3, nt, UINT64_MAX, DEADLINE_NEVER);
    pass(milliseconds(1));
    OK(destroy(nt));
    pass(milliseconds(1));
    EXPECT_STATUS(how[3], STATUS_DEAD);
}

static void signal_and_wait(void)
{
    selector nt = notification(), bit = fresh(), third;
    uint64_t taken;

    OK(nt_narrow(nt, bit, 0x10));
    (void)start_waiter(0, nt, DEADLINE_NEVER);
    pass(milliseconds(1));
    EXPECT_STATUS(how[0], STATUSES);
    /* One at a time. */
    (void)start_waiter(1, nt, DEADLINE_NEVER);
    pass(milliseconds(1));
    EXPECT_STATUS(how[1], STATUS_BUSY);
    EXPECT_STATUS(nt_wait(nt, 0, &taken), STATUS_BUSY);
    OK(nt_signal(bit));
    pass(milliseconds(1));
    EXPECT_STATUS(how[0], STATUS_OK);
    EXPECT(got[0], 0x10);
    /* Dead: who waits is told. */
    (void)start_waiter(2, nt, DEADLINE_NEVER);
    pass(milliseconds(1));
    OK(destroy(nt));
    pass(milliseconds(1));
    EXPECT_STATUS(how[2], STATUS_DEAD);
    EXPECT_STATUS(nt_signal(bit), STATUS_DEAD);
    /* The waiter dies: the place is free. */
    nt = notification();
    third = start_waiter(3, nt, DEADLINE_NEVER);
    pass(milliseconds(1));
    OK(destroy(third));
    EXPECT_STATUS(nt_wait(nt, 0, &taken), STATUS_TIMEOUT);
}

static void deadlines(void)
{
    static const unsigned parts[] = {1, 10, 100, 1000,
                                     10000}; /* of a tenth of a millisecond each, over 100 */
    selector nt = notification();
    uint64_t taken, ms = milliseconds(1), best = UINT64_MAX;

    for (unsigned i = 0; i < COUNT(parts); i++) {
        uint64_t deadline = now() + ms * parts[i] / 1000, late;

        EXPECT_STATUS(nt_wait(nt, deadline, &taken), STATUS_TIMEOUT);
        late = now() - deadline;
        expect_range("late (never early)", late, 0, 100 * ms);
        best = late < best ? late : best;
    }
    expect_range("late at best", best, 0, ms);
    /* Many, in any order: each is woken, in the order of the deadlines. */
    for (unsigned i = 0; i < 7; i++)
        (void)start_waiter(i, notification(), now() + ms * (5 + i * 3 % 7));
    pass(40 * ms);
    for (unsigned i = 0; i < 7; i++) {
        EXPECT_STATUS(how[i], STATUS_TIMEOUT);
        expect_range("not early", when[i], waits[i].deadline, UINT64_MAX);
    }
    /* One that is signalled before, and one far away. */
    (void)start_waiter(0, nt, now() + (1ull << 62));
    pass(ms);
    OK(nt_signal(nt));
    pass(ms);
    EXPECT_STATUS(how[0], STATUS_OK);
}

static void spin(uint64_t index)
{
    for (;;)
        count[index]++;
}

static void turns(void)
{
    uint64_t least = UINT64_MAX, most = 0;

    for (unsigned i = 0; i < SPINNERS; i++) {
        count[i] = 0;
        (void)thread_start(&own, i + 1, spin, i, 5, 0);
    }
    pass(milliseconds(90));
    for (unsigned i = 0; i < SPINNERS; i++) {
        least = count[i] < least ? count[i] : least;
        most = count[i] > most ? count[i] : most;
    }
    expect_range("the least share", least, most / 2, most);
}

static void priorities(void)
{
    /* A higher one runs alone; lower ones get what it leaves. */
    count[0] = count[1] = 0;
    (void)thread_start(&own, 1, spin, 0, 10, 0);
    (void)thread_start(&own, 2, spin, 1, 9, 0);
    pass(milliseconds(20));
    expect_range("the higher one", count[0], 1, UINT64_MAX);
    EXPECT(count[1], 0);
}

static volatile uint64_t worst, rounds;

/* Every millisecond, above a spinner: how late it runs. */
static void periodic(uint64_t nt)
{
    uint64_t bits, deadline = now();

    for (unsigned i = 0; i < 20; i++) {
        deadline += milliseconds(1);
        (void)!nt_wait(nt, deadline, &bits);
        if (now() - deadline < worst) /* the best, since the host may take its time from us */
            worst = now() - deadline;
        rounds++;
    }
    thread_end();
}

static void preemption(void)
{
    worst = UINT64_MAX;
    rounds = count[0] = 0;
    (void)thread_start(&own, 1, spin, 0, 5, 0);
    (void)thread_start(&own, 2, periodic, notification(), 30, 0);
    pass(milliseconds(60));
    EXPECT(rounds, 20);
    expect_range("lateness above a spinner", worst, 0, milliseconds(1));
    expect_range("the spinner", count[0], 1, UINT64_MAX);
}

/* Time that is taken away and given anew. */
static void time_of_an_ec(void)
{
    selector ec, sc = fresh();
    uint64_t before;

    count[0] = 0;
    ec = thread_start(&own, 1, spin, 0, 5, 0);
    pass(milliseconds(2));
    expect_range("spins", count[0], 1, UINT64_MAX);
    OK(destroy(ec + 1));
    before = count[0];
    pass(milliseconds(2));
    EXPECT(count[0], before);
    OK(create_sc(sc, ROOT_ACCOUNT, ec, 5, SC_BUDGET_MIN));
    pass(milliseconds(2));
    expect_range("spins", count[0], before + 1, UINT64_MAX);
    EXPECT_STATUS(create_sc(fresh(), ROOT_ACCOUNT, ec, 5, SC_BUDGET_MIN), STATUS_EXISTS);
}

static uint64_t time_used(selector ec)
{
    uint64_t ticks = 0, second;

    EXPECT_CALL(CALL_EC_CONTROL, system_call(CALL_EC_CONTROL, ec, EC_TIME, 0, 0, 0, 0, &ticks, &second),
                STATUS_OK);
    return ticks;
}

static _Noreturn void serves(uint64_t index, uint64_t words)
{
    (void)words;
    for (;;)
        count[index]++;
}

static volatile selector server;

static void calls(uint64_t argument)
{
    unsigned back;

    (void)argument;
    (void)!ipc_call(server, 0, &back);
}

/* What ECs have run: one that spins, one that another does it for, one that waits, one that has died. */
static void time_is_counted(void)
{
    selector spins = thread_start(&own, 1, spin, 0, 5, 0), local = thread_local_ec(&own, 2, 0), caller,
             sleeps, dead;
    uint64_t begin = now(), used[2], passed;

    server = portal(local, serves, 1);
    caller = thread_start(&own, 3, calls, 0, 5, 0);
    sleeps = start_waiter(5, notification(), DEADLINE_NEVER);
    pass(milliseconds(40));
    passed = now() - begin;
    used[0] = time_used(spins);
    used[1] = time_used(caller);
    expect_range("both together", used[0] + used[1], passed / 2, passed);
    expect_range("the one that spins", used[0], passed / 8, passed);
    expect_range("the one that has called", used[1], passed / 8, passed);
    EXPECT(time_used(local), 0);
    expect_range("the one that waits", time_used(sleeps), 1, milliseconds(2));
    OK(destroy(spins + 1));
    used[0] = time_used(spins);
    pass(milliseconds(4));
    EXPECT(time_used(spins), used[0]);
    dead = thread_start(&own, 4, calls, 0, 6, 0); /* its callee is busy, and it goes on */
    OK(destroy(local));
    pass(milliseconds(2));
    OK(destroy(dead));
    EXPECT_CALL(CALL_EC_CONTROL, system_call_status(CALL_EC_CONTROL, dead, EC_TIME, 0, 0, 0, 0), STATUS_OK);
}

static void idle_time(void)
{
    uint64_t idle[2], tsc[2];

    OK(platform_control(ROOT_PLATFORM, PLATFORM_IDLE_TIME, 0, &idle[0], &tsc[0]));
    pass(milliseconds(20));
    OK(platform_control(ROOT_PLATFORM, PLATFORM_IDLE_TIME, 0, &idle[1], &tsc[1]));
    expect_range("halted", idle[1] - idle[0], milliseconds(15), tsc[1] - tsc[0]);
    (void)thread_start(&own, 1, spin, 0, 5, 0);
    OK(platform_control(ROOT_PLATFORM, PLATFORM_IDLE_TIME, 0, &idle[0], &tsc[0]));
    pass(milliseconds(5));
    OK(platform_control(ROOT_PLATFORM, PLATFORM_IDLE_TIME, 0, &idle[1], &tsc[1]));
    EXPECT(idle[1], idle[0]);
}

void test_notifications(void)
{
    static const struct test tests[] = {
        {"notifications: bits", bits},
        {"notifications: bits that a wait leaves", bits_left},
        {"notifications: signal, wait, death", signal_and_wait},
        {"notifications: deadlines", deadlines},
        {"scheduling: equal turns", turns},
        {"scheduling: priorities", priorities},
        {"scheduling: a deadline above a spinner", preemption},
        {"scheduling: an EC's time goes and comes", time_of_an_ec},
        {"scheduling: the time that ECs have run", time_is_counted},
        {"scheduling: idle time", idle_time},
    };

    run_tests(tests, COUNT(tests));
}
