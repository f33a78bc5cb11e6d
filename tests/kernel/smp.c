/* SPDX-License-Identifier: ISC */
/*
 * Two CPUs at once: signals and deadlines across, and the death of everything while it runs on the other CPU.
 * On a machine with one CPU there is nothing to test here.
 */
#include "tests/kernel/smp.h"

volatile uint64_t shared[8];
uint64_t lives;
volatile uint64_t beat;
volatile enum status result;

bool wait_until(volatile const uint64_t *word, uint64_t value)
{
    uint64_t end = now() + PATIENCE;

    while (*word != value && now() < end)
        __builtin_ia32_pause();
    return expect("the other CPU's word", *word, value);
}

void beats(void)
{
    uint64_t before = beat, end = now() + PATIENCE;

    while (beat == before && now() < end)
        __builtin_ia32_pause();
    expect("it runs", beat != before, true);
}

void stands(void)
{
    uint64_t before = beat;

    pass(milliseconds(5));
    expect("it runs no more", beat == before, true);
}

void spins(uint64_t argument)
{
    (void)argument;
    for (;;)
        beat++;
}

/* ---- Notifications. */

selector ping, pong;

static void answers(uint64_t rounds)
{
    uint64_t bits;

    for (uint64_t i = 0; i < rounds; i++) {
        if (nt_wait(ping, DEADLINE_NEVER, &bits) != STATUS_OK || nt_signal(pong) != STATUS_OK)
            break;
        shared[0]++;
    }
    thread_end();
}

static void ping_pong(void)
{
    uint64_t bits;

    ping = notification();
    pong = notification();
    shared[0] = 0;
    (void)thread_start(&own, 1, answers, ROUNDS, PRIORITY, OTHER);
    for (unsigned i = 0; i < ROUNDS; i++) {
        OK(nt_signal(ping));
        if (!OK(nt_wait(pong, now() + PATIENCE, &bits)))
            return;
    }
    (void)wait_until(&shared[0], ROUNDS);
}

static void sends(uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        while (shared[1]) /* the bit before has been seen */
            __builtin_ia32_pause();
        shared[1] = 1;
        (void)!nt_signal(ping);
    }
    thread_end();
}

/* A signal that comes just when the other CPU is about to wait. */
static void no_signal_lost(void)
{
    uint64_t bits;

    ping = notification();
    shared[1] = 0;
    (void)thread_start(&own, 1, sends, ROUNDS, PRIORITY, OTHER);
    for (unsigned i = 0; i < ROUNDS; i++) {
        if (!OK(nt_wait(ping, now() + PATIENCE, &bits)))
            return;
        shared[1] = 0;
    }
}

static void floods(uint64_t argument)
{
    (void)argument;
    while (!shared[3]) {
        (void)!nt_signal(pong);
        shared[4]++;
    }
    thread_end();
}

static uint64_t turns(void)
{
    uint64_t count = 0;

    for (uint64_t end = now() + milliseconds(50); now() < end;)
        count++;
    return count;
}

/* Signals that nobody on this CPU waits for do not take its time, however many there are. */
static void flood(void)
{
    uint64_t alone, beside;

    pong = notification();
    shared[3] = shared[4] = 0;
    alone = turns();
    (void)thread_start(&own, 1, floods, 0, PRIORITY, OTHER);
    while (shared[4] < 10)
        __builtin_ia32_pause();
    beside = turns();
    shared[3] = 1;
    say("two CPUs: %u turns alone, %u beside %u signals", alone, beside, shared[4]);
    expect("it has some of its time", beside > alone / 8, true);
}

static void leaves_all_but_the_top(uint64_t deadline)
{
    uint64_t bits = 0;

    result = nt_wait_for(ping, 1ull << 63, deadline, &bits);
    shared[2] = bits;
    thread_end();
}

/* One waits here and leaves the bits that come from there: it is not woken, and others have their time. */
static void flood_of_left_bits(void)
{
    selector top = fresh();
    uint64_t alone, beside;

    ping = notification();
    pong = fresh();
    OK(nt_narrow(ping, pong, 0x5));
    OK(nt_narrow(ping, top, 1ull << 63));
    shared[2] = shared[3] = shared[4] = 0;
    result = STATUSES;
    alone = turns();
    (void)thread_start(&own, 2, leaves_all_but_the_top, DEADLINE_NEVER, PRIORITY, 0);
    pass(milliseconds(1));
    (void)thread_start(&own, 1, floods, 0, PRIORITY, OTHER);
    while (shared[4] < 10)
        __builtin_ia32_pause();
    beside = turns();
    say("two CPUs: %u turns alone, %u beside %u signals that are left", alone, beside, shared[4]);
    expect("it has some of its time", beside > alone / 8, true);
    EXPECT_STATUS(result, STATUSES);
    OK(nt_signal(top));
    for (unsigned i = 0; i < 10000 && !shared[2]; i++)
        pass(milliseconds(1));
    EXPECT_STATUS(result, STATUS_OK);
    EXPECT(shared[2], 1ull << 63);
    shared[3] = 1;
}

static void sends_left(uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        while (shared[1])
            __builtin_ia32_pause();
        shared[1] = 1;
        (void)!nt_signal(pong);
    }
    thread_end();
}

/* A bit that one wait leaves and the next one wants comes while the EC goes from one to the other. */
static void no_left_bit_lost(void)
{
    uint64_t bits;

    ping = notification();
    pong = fresh();
    OK(nt_narrow(ping, pong, 1));
    shared[1] = 0;
    (void)thread_start(&own, 1, sends_left, ROUNDS, PRIORITY, OTHER);
    for (unsigned i = 0; i < ROUNDS; i++) {
        EXPECT_STATUS(nt_wait_for(ping, ~1ull, i % 2 ? now() + 2000 : 0, &bits), STATUS_TIMEOUT);
        if (!OK(nt_wait_for(ping, 1, now() + PATIENCE, &bits)))
            return;
        shared[1] = 0;
    }
}

static void waits_for_ping(uint64_t deadline)
{
    uint64_t bits;

    result = nt_wait(ping, deadline, &bits);
    shared[2] = 1;
    thread_end();
}

static void deadline_there(void)
{
    uint64_t begin = now();

    ping = notification();
    shared[2] = 0;
    (void)thread_start(&own, 1, waits_for_ping, now() + milliseconds(5), PRIORITY, OTHER);
    (void)wait_until(&shared[2], 1);
    EXPECT_STATUS(result, STATUS_TIMEOUT);
    expect_range("the deadline", now() - begin, milliseconds(5), milliseconds(500));
}

static void waits_alone(uint64_t deadline)
{
    uint64_t bits;

    (void)!nt_wait(pong, deadline, &bits);
    for (;;)
        beat++;
}

/* A CPU that idles, has just ended an EC, and whose next deadline wakes a thread that nobody gives time to:
 * those behind it come none the less. */
static void deadline_behind(void)
{
    uint64_t begin = now();
    selector timeless, victim;

    ping = notification();
    pong = notification();
    shared[2] = 0;
    timeless = thread_start(&own, 1, waits_alone, begin + milliseconds(40), PRIORITY, OTHER);
    (void)thread_start(&own, 2, waits_for_ping, begin + milliseconds(80), PRIORITY, OTHER);
    victim = thread_local_ec(&own, 3, OTHER);
    pass(milliseconds(10));
    OK(destroy(timeless + 1)); /* its SC */
    OK(destroy(victim));
    (void)wait_until(&shared[2], 1);
    EXPECT_STATUS(result, STATUS_TIMEOUT);
    expect_range("the deadline", now() - begin, milliseconds(80), milliseconds(1000));
}

static void waits_on_the_dead(void)
{
    for (uint64_t i = 0; i < lives; i++) {
        ping = notification();
        shared[2] = 0;
        result = STATUSES;
        (void)thread_start(&own, 1, waits_for_ping, now() + PATIENCE, PRIORITY, OTHER);
        for (unsigned spin = 0; spin < i * 50; spin++)
            __builtin_ia32_pause();
        if (i % 2)
            OK(destroy(ping));
        else
            OK(space_remove(ROOT_OBJ, ping, 1));
        if (!wait_until(&shared[2], 1))
            return;
        expect_range("what the waiter is told", result, STATUS_BAD_CAP, STATUS_DEAD);
        clean();
    }
}

/* ---- Belonging to a CPU. */

static _Noreturn void echo(uint64_t id, uint64_t words)
{
    (void)id;
    reply(words);
}

static void calls_across(uint64_t pt)
{
    unsigned words = 0;

    result = ipc_call(pt, 0, &words);
    shared[2] = 1;
    thread_end();
}

static void call_across(void)
{
    selector pt = portal(thread_local_ec(&own, 2, 0), echo, 0);
    unsigned words = 0;

    OK(ipc_call(pt, 0, &words));
    shared[2] = 0;
    (void)thread_start(&own, 1, calls_across, pt, PRIORITY, OTHER);
    (void)wait_until(&shared[2], 1);
    EXPECT_STATUS(result, STATUS_BAD_CPU);
    pt = portal(thread_local_ec(&own, 3, OTHER), echo, 0);
    EXPECT_CALL(CALL_IPC_CALL, ipc_call(pt, 0, &words), STATUS_BAD_CPU);
    shared[2] = 0;
    (void)thread_start(&own, 4, calls_across, pt, PRIORITY, OTHER);
    (void)wait_until(&shared[2], 1);
    EXPECT_STATUS(result, STATUS_OK);
}

/* ---- Death at work. */

static void thread_dies(void)
{
    for (uint64_t i = 0; i < lives; i++) {
        selector ec = thread_start(&own, 1, spins, 0, PRIORITY, OTHER);

        if (i % 16 == 0)
            beats();
        OK(destroy(i % 3 == 1 ? ec + 1 : ec));
        if (i % 16 == 0)
            stands();
        clean();
    }
}

static void domain_dies(void)
{
    for (uint64_t i = 0; i < lives; i++) {
        struct pd_space child = child_create(ROOT_ACCOUNT);

        (void)thread_start(&child, 1, spins, 0, PRIORITY, OTHER);
        (void)thread_start(&child, 2, spins, 0, PRIORITY, OTHER | THREAD_FPU);
        (void)thread_start(&child, 3, spins, 0, PRIORITY, 0);
        OK(destroy(i % 3 == 0 ? child.pd : i % 3 == 1 ? child.hst : child.obj));
        clean();
    }
}

static volatile uint64_t calling;

static void calls_on(uint64_t pt)
{
    unsigned words;

    for (;;) {
        result = ipc_call(pt, 0, &words);
        calling++;
    }
}

/* Portals, their ECs and the capabilities to them go while the other CPU calls. */
static void callee_dies(void)
{
    static const enum status fine[] = {STATUS_OK, STATUS_BAD_CAP, STATUS_DEAD, STATUS_ABORTED};

    for (uint64_t i = 0; i < lives; i++) {
        selector ec = thread_local_ec(&own, 2, OTHER), pt = portal(ec, echo, 0);
        bool good = false;

        calling = 0;
        (void)thread_start(&own, 1, calls_on, pt, PRIORITY, OTHER);
        while (calling < i % 50)
            __builtin_ia32_pause();
        switch (i % 3) {
        case 0:
            OK(destroy(ec));
            break;
        case 1:
            OK(destroy(pt));
            break;
        default:
            OK(space_remove(ROOT_OBJ, pt, 1));
            OK(space_remove(ROOT_OBJ, ec, 1));
            break;
        }
        for (unsigned k = 0; k < COUNT(fine); k++)
            good |= result == fine[k];
        expect("a status that may come", good, true);
        clean();
    }
}

/* ---- The last capability goes while the object is in use. */

static void signals_on(uint64_t nt)
{
    for (;;) {
        (void)!nt_signal((selector)nt);
        beat++;
    }
}

/* Who signals may have found the notification just before its last capability went. */
static void signalled_to_the_end(void)
{
    selector nt = fresh();

    (void)thread_start(&own, 1, signals_on, nt, PRIORITY, OTHER);
    beats();
    for (unsigned i = 0; i < ROUNDS; i++) {
        OK(create_nt(nt, ROOT_ACCOUNT));
        for (unsigned spin = 0; spin < i % 64; spin++)
            __builtin_ia32_pause();
        if (!OK(space_remove(ROOT_OBJ, nt, 1)))
            return;
    }
}

static _Noreturn void calls_away(uint64_t id, uint64_t words)
{
    (void)id;
    (void)words;
    for (;;) {
        (void)!space_remove(ROOT_OBJ, SELECTOR_END - 1, 1);
        beat++;
    }
}

/* A local EC that nobody has a capability to any more still runs, and makes calls, until its CPU ends it. */
static void callee_forgotten(void)
{
    for (uint64_t i = 0; i < lives; i++) {
        selector ec = thread_local_ec(&own, 2, OTHER), pt = portal(ec, calls_away, 0);

        shared[2] = 0;
        (void)thread_start(&own, 1, calls_across, pt, PRIORITY, OTHER);
        beats();
        OK(space_remove(ROOT_OBJ, ec, 2));
        if (!wait_until(&shared[2], 1))
            return;
        EXPECT_STATUS(result, STATUS_ABORTED);
        clean();
    }
}

/* A domain ends just when its EC is on the way to be freed. */
static void domain_of_the_forgotten(void)
{
    for (uint64_t i = 0; i < lives; i++) {
        struct pd_space child = child_create(ROOT_ACCOUNT);
        selector ec = thread_local_ec(&child, 2, OTHER);

        OK(space_remove(ROOT_OBJ, ec, 1));
        for (unsigned spin = 0; spin < i % 64; spin++)
            __builtin_ia32_pause();
        OK(destroy(child.pd));
        clean();
    }
}

static selector lock_server;

static _Noreturn void works_until_told(uint64_t id, uint64_t words)
{
    (void)id, (void)words;
    while (!shared[3])
        beat++;
    shared[2] = 1;
    reply(0);
}

static void counts(uint64_t argument)
{
    (void)argument;
    for (;;)
        shared[4]++;
}

/* A callee with a ceiling goes on when its caller dies by another CPU's hand, and no thread there comes between. */
static void callee_under_a_ceiling(void)
{
    for (unsigned part = 0; part < 2; part++) {
        uint64_t seen;
        selector ec = thread_local_ec(&own, 2, OTHER), thread;

        shared[2] = shared[3] = shared[4] = 0;
        OK(system_call_status(CALL_EC_CONTROL, ec, EC_CEILING, PRIORITY + 1, 0, 0, 0));
        lock_server = portal(ec, works_until_told, 0);
        thread = thread_start(&own, 1, calls_across, lock_server, PRIORITY, OTHER);
        beats();
        (void)thread_start(&own, 3, counts, 0, PRIORITY + 1, OTHER);
        OK(destroy(thread + part)); /* its EC, its SC */
        beats();
        seen = shared[4];
        pass(milliseconds(5));
        beats();
        EXPECT(shared[4] - seen, 0);
        shared[3] = 1;
        (void)wait_until(&shared[2], 1);
        for (uint64_t end = now() + PATIENCE; shared[4] == seen && now() < end;)
            __builtin_ia32_pause();
        expect("the other thread has its turn", shared[4] > seen, true);
        clean();
    }
}

static selector rubbish;

static _Noreturn void leaves_rubbish(void)
{
    (void)!create_nt(rubbish, ROOT_ACCOUNT);
    (void)!space_remove(ROOT_OBJ, rubbish, 1);
    shared[2] = 1;
    for (;;)
        beat++;
}

/* What another CPU has still to free, and will not for long, keeps nobody from being told that there is no
 * memory. */
static void memory_is_short(void)
{
    selector account = fresh(), ec = fresh(), sc = fresh(), other = fresh();
    uint64_t *stack = (uint64_t *)ram_map(GUEST_RAM + 4), begin;

    rubbish = fresh();
    shared[2] = 0;
    OK(create_account(account, ROOT_ACCOUNT, 0));
    OK(create_ec(ec, ROOT_ACCOUNT, ROOT_PD, UTCB_BASE + PAGE, EC_GLOBAL | 1 << EC_CPU_SHIFT,
                 (uint64_t)&stack[511], (uint64_t)leaves_rubbish));
    OK(create_sc(sc, ROOT_ACCOUNT, ec, PRIORITY, BOOT->tsc_hz * 3));
    (void)wait_until(&shared[2], 1);
    begin = now();
    EXPECT_STATUS(create_nt(other, account), STATUS_NO_MEMORY);
    expect_range("the time it took", now() - begin, 0, milliseconds(100));
}

static const struct test tests[] = {
    {"two CPUs: ping-pong of signals", ping_pong},
    {"two CPUs: no signal is lost", no_signal_lost},
    {"two CPUs: signals that nobody waits for", flood},
    {"two CPUs: signals that the wait leaves", flood_of_left_bits},
    {"two CPUs: no bit that was left is lost", no_left_bit_lost},
    {"two CPUs: a deadline", deadline_there},
    {"two CPUs: a deadline behind one of nobody's", deadline_behind},
    {"two CPUs: a notification dies under its waiter", waits_on_the_dead},
    {"two CPUs: calls stay on theirs", call_across},
    {"two CPUs: threads die", thread_dies},
    {"two CPUs: domains die", domain_dies},
    {"two CPUs: callees die", callee_dies},
    {"two CPUs: a callee under a ceiling goes on alone", callee_under_a_ceiling},
    {"two CPUs: who has no memory is told so", memory_is_short},
    {"two CPUs: a notification is signalled to its end", signalled_to_the_end},
    {"two CPUs: a forgotten callee makes calls", callee_forgotten},
    {"two CPUs: a domain ends with a forgotten EC", domain_of_the_forgotten},
};

void test_smp(void)
{
    lives = parameter("lives", LIVES);
    if (BOOT->cpus == 1)
        return;
    run_tests(tests, COUNT(tests));
    smp_memory();
    smp_guest();
}
