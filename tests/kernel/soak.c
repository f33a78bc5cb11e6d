/* SPDX-License-Identifier: ISC */
/*
 * All of it at random: workers in several PDs and on all CPUs make, use and destroy whatever they have, call
 * each other, run guests, wait and signal, and are killed while they do; two others pass a signal to and fro
 * that must never be lost. After each second all is taken down, and pages and objects have to be as at first.
 *
 * What a worker does follows from the seed, its number and the second alone; who meets whom depends on time,
 * which is the same in each run when time is counted in instructions.
 */
#include "tests/kernel/tests.h"

#include "abi/vcpu.h"

#include <string.h>

#define WORKERS     8u
#define SERVERS     3u
#define RANGE       64u /* selectors of a worker */
#define FIRST       1024u
#define PAGES       120u /* of a worker's account */
#define GUEST_RAM   96u  /* index of the page that all guests share */
#define GUEST_CODE  0x100u
#define GUEST_GS    0xffff900000000000u /* nothing of ours: an emulator that leaves it in a CPU is known by it */
#define SLOT_SERVER 20u
#define SLOT_PING   30u
#define LATE        1000u  /* milliseconds: QEMU lets its timers wait for CPUs that spin */
#define LOST        20000u /* after which a signal is lost */
#define KILLS       40u    /* in a second */
#define MAP_PLACES  64u

/* In the range: what each worker has from the start, then what it makes. */
enum { OWN_ACCOUNT, OWN_NT, OWN_GST, OWN_VCPU, OWN_HST, OWN_OBJ, OWN_PD, OWN_SPARE, OWN_MADE };

static struct {
    volatile uint64_t random, done, granted;
    volatile selector thread;
    struct pd_space home; /* where it lives */
} workers[WORKERS];
static volatile selector servers[SERVERS], portals[SERVERS];
static volatile uint64_t passes, late;
static uint64_t made, granted, kills;
static volatile selector ping_nt[2], ping_rest;
static uint64_t second_ticks, late_ticks, lost_ticks;

static uint64_t worker_random(unsigned w)
{
    uint64_t x = workers[w].random;

    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    workers[w].random = x;
    return x * 0x2545f4914f6cdd1dul;
}

static selector base(unsigned w)
{
    return FIRST + w * RANGE;
}

/* A selector of the worker, most often one of what it has made. */
static selector some(unsigned w)
{
    uint64_t r = worker_random(w);

    return base(w) + (r % 4 ? OWN_MADE + r / 4 % (RANGE - OWN_MADE) : r / 4 % OWN_MADE);
}

static enum status creates(unsigned w)
{
    selector target = base(w) + OWN_MADE + worker_random(w) % (RANGE - OWN_MADE);
    selector account = base(w) + OWN_ACCOUNT, pd = base(w) + OWN_PD;
    uint64_t r = worker_random(w), place = WINDOW + (r >> 8) % MAP_PLACES * PAGE;

    switch (r % 12) {
    case 0:
        return create_account(target, account, r >> 32 & 15);
    case 1:
        return create_pd(target, some(w));
    case 2:
        return create_space(target, account, SPACE_GST, 0);
    case 3:
        return create_space(target, account, (enum space_kind)(r >> 32 & 3), some(w));
    case 4:
        return create_ec(target, account, pd, place, r >> 32 & (EC_GLOBAL | EC_FPU), 0, 0x400000);
    case 5:
        return create_sc(target, account, some(w), (unsigned)(r >> 32) % 20, SC_BUDGET_MIN);
    case 6:
        return create_pt(target, account, some(w), 0x400000, r);
    case 7:
        return create_vcpu(target, account, pd, base(w) + OWN_GST, place);
    case 8:
        return create_interrupt(target, account, ROOT_PLATFORM, (r >> 32) % 16);
    case 9:
        return create_ec(target, account, some(w), place, EC_GLOBAL, 0, 0x400000);
    default:
        return create_nt(target, account);
    }
}

static enum status moves(unsigned w)
{
    uint64_t r = worker_random(w), place = WINDOW / PAGE + 512 + (r >> 8) % MAP_PLACES * 64;

    switch (r % 6) {
    case 0:
        return space_copy(ROOT_MEM, ram_page(0), base(w) + OWN_HST, place, 1 + (r >> 32) % 3, MEM_READ);
    case 1:
        return space_copy(ROOT_MEM, ram_page(0), base(w) + OWN_GST, place, 512, MEM_READ | MEM_WRITE);
    case 2:
        return space_remove(base(w) + OWN_HST, place, 1 + (r >> 32) % 600);
    case 3:
        return space_remove(base(w) + OWN_GST, place, 1 + (r >> 32) % 600);
    case 4:
        return space_copy(ROOT_OBJ, some(w), base(w) + OWN_OBJ, (r >> 32) % 2000, 1 + (r >> 48) % 8,
                          PERM_ALL);
    default:
        return space_remove(base(w) + OWN_OBJ, (r >> 32) % 2000, 1 + (r >> 48) % 300);
    }
}

static enum status acts(unsigned w)
{
    uint64_t r = worker_random(w), soon = now() + r % (second_ticks / 20000), first, second;
    unsigned back;

    switch (r >> 32 & 15) {
    case 0:
    case 1:
    case 2:
        return creates(w);
    case 3:
    case 4:
        return destroy(base(w) + OWN_MADE + r % (RANGE - OWN_MADE));
    case 5:
    case 6:
        return space_remove(ROOT_OBJ, base(w) + OWN_MADE + r % (RANGE - OWN_MADE), 1);
    case 7:
    case 8:
        return moves(w);
    case 9:
        return nt_narrow(some(w), base(w) + OWN_MADE + r % (RANGE - OWN_MADE), r >> 8);
    case 10:
        return nt_signal(base((unsigned)(r % WORKERS)) + OWN_NT);
    case 11:
        return nt_wait(base(w) + OWN_NT, soon, &first);
    case 12:
    case 13:
        return ipc_call(portals[r % SERVERS], (unsigned)(r >> 40) % 16, &back);
    case 14:
        return vcpu_run(r & 1 ? some(w) : base(w) + OWN_VCPU, base(w) + OWN_NT, soon, &first);
    default:
        return r & 1 ? pd_fault(some(w), &first, &second) : pd_watch(some(w), some(w));
    }
}

static void worker(uint64_t w)
{
    uint64_t bits;

    for (;;) {
        enum status status = acts((unsigned)w);

        if (w == 0) /* it comes before the others, and rests */
            (void)!nt_wait(base(0) + OWN_NT, now() + second_ticks / 5000, &bits);

        workers[w].done++;
        workers[w].granted += status == STATUS_OK;
    }
}

/* A server calls the one after it now and then; the last one is asked only. */
static _Noreturn void server(uint64_t id, uint64_t words)
{
    unsigned back;

    if (id + 1 < SERVERS && words % 4 == 3)
        (void)!ipc_call(portals[id + 1], (unsigned)words, &back);
    reply(words);
}

/* To and fro: one that is lost ends it. */
static void ping(uint64_t side)
{
    uint64_t bits;

    for (;;) {
        uint64_t begin;

        if (!side) /* leave time for the rest */
            (void)!nt_wait(ping_rest, now() + late_ticks / 5000, &bits);
        begin = now();
        if (nt_signal(ping_nt[side ^ 1]) != STATUS_OK ||
            nt_wait(ping_nt[side], DEADLINE_NEVER, &bits) != STATUS_OK)
            thread_end();
        passes++;
        late += now() - begin > late_ticks;
    }
}

static bool goes_on(void)
{
    uint64_t before = passes, end = now() + lost_ticks;

    while (passes < before + 2 && now() < end)
        pass(second_ticks / 1000);
    return EXPECT(passes >= before + 2, true);
}

static void worker_start(unsigned w)
{
    workers[w].thread =
        thread_start(&workers[w].home, w + 1, worker, w, w ? 5 : 6, (w % 2 ? THREAD_FPU : 0) | THREAD_CPU(w));
}

static void worker_create(unsigned w, uint64_t seed)
{
    selector first = base(w);

    workers[w].random = seed * 1000003 + w * 7919 + 1;
    workers[w].home = own;
    OK(create_account(first + OWN_ACCOUNT, ROOT_ACCOUNT, PAGES));
    OK(create_nt(first + OWN_NT, first + OWN_ACCOUNT));
    OK(create_space(first + OWN_GST, first + OWN_ACCOUNT, SPACE_GST, 0));
    OK(space_copy(ROOT_MEM, ram_page(GUEST_RAM), first + OWN_GST, 0, 1, MEM_READ | MEM_WRITE | MEM_EXECUTE));
    OK(create_pd(first + OWN_PD, first + OWN_ACCOUNT));
    OK(create_space(first + OWN_OBJ, first + OWN_ACCOUNT, SPACE_OBJ, first + OWN_PD));
    OK(create_space(first + OWN_HST, first + OWN_ACCOUNT, SPACE_HST, first + OWN_PD));
    if (kit_has(OBJECT_VCPU)) {
        volatile struct vcpu_state *s = (volatile struct vcpu_state *)(STATE_PAGE + w * PAGE);

        OK(create_vcpu(first + OWN_VCPU, first + OWN_ACCOUNT, ROOT_PD, first + OWN_GST,
                       (uint64_t)s | w % BOOT->cpus));
        s->cs.base = 0;
        s->cs.selector = 0;
        s->rip = GUEST_CODE;
        s->gs.base = GUEST_GS;
        s->dirty = VCPU_CS_SS | VCPU_FS_GS | VCPU_RIP;
    }
    worker_start(w);
}

/* One is killed, and another takes its place; what it has made stays. Now and then a server is the one. */
static void kill_one(unsigned round)
{
    unsigned w = (unsigned)(random() % WORKERS);

    kills++;
    if (round % 8 == 7) {
        unsigned i = (unsigned)(random() % SERVERS);

        OK(destroy(servers[i]));
        OK(space_remove(ROOT_OBJ, servers[i], 2));
        servers[i] = thread_local_ec(&own, SLOT_SERVER + i, THREAD_CPU(i));
        portals[i] = portal(servers[i], server, i);
        return;
    }
    OK(destroy(workers[w].thread));
    OK(space_remove(ROOT_OBJ, workers[w].thread, 2));
    worker_start(w);
}

static bool one_second(uint64_t seed)
{
    uint64_t before = passes, all = 0, good = 0;
    bool none_lost;
    uint8_t *code = (uint8_t *)ram_map(GUEST_RAM) + GUEST_CODE;

    memcpy(code, "\x40\xeb\xfd", 3); /* 1: inc %ax; jmp 1b */
    for (unsigned i = 0; i < SERVERS; i++) {
        servers[i] = thread_local_ec(&own, SLOT_SERVER + i, (i % 2 ? THREAD_FPU : 0) | THREAD_CPU(i));
        portals[i] = portal(servers[i], server, i);
    }
    ping_nt[0] = notification();
    ping_nt[1] = notification();
    ping_rest = notification();
    for (unsigned side = 0; side < 2; side++)
        (void)thread_start(&own, SLOT_PING + side, ping, side, 30, THREAD_CPU(side));
    for (unsigned w = 0; w < WORKERS; w++) {
        workers[w].done = workers[w].granted = 0;
        worker_create(w, seed);
    }
    for (unsigned i = 0; i < KILLS; i++) {
        /* They play for a moment, then rest for another, so that the others have time. */
        pass(second_ticks / KILLS);
        kill_one(i);
    }
    for (unsigned w = 0; w < WORKERS; w++) {
        all += workers[w].done;
        good += workers[w].granted;
        expect_range("calls of a worker", workers[w].done, 20, UINT64_MAX);
    }
    made += all;
    granted += good;
    none_lost = goes_on(); /* from here on: what they signal is taken away */
    expect_range("signals to and fro", passes - before, 10, UINT64_MAX);
    expect_range("calls that were granted", good, 100, all);
    return none_lost;
}

static void soak(void)
{
    uint64_t seconds = parameter("soak", 0), seed = parameter("seed", 1);
    struct numbers first, numbers;

    second_ticks = milliseconds(1000);
    late_ticks = milliseconds(LATE);
    lost_ticks = milliseconds(LOST);
    passes = late = made = granted = kills = 0;
    for (uint64_t second = 0; second <= seconds; second++) {
        bool same = one_second(seed + second);

        clean();
        if (second) {
            numbers_settle(&first, &numbers);
            same &= numbers_expect(&first, &numbers);
        } else {
            numbers_take(&first);
        }
        if (!EXPECT(same, true))
            break;
        if (second % 10 == 0)
            say("ktest: soak: %u s, %u calls, %u granted, %u signals, %u of them late, %u killed", second,
                made, granted, passes, late, kills);
    }
}

/* It makes the tables of our own that stay. */
static void first_second(void)
{
    second_ticks = milliseconds(1000);
    late_ticks = milliseconds(LATE);
    lost_ticks = milliseconds(LOST);
    (void)one_second(parameter("seed", 1));
}

void test_soak(void)
{
    static const struct test tests[] = {{"soak: a first second", first_second}, {"soak", soak}};

    if (parameter("soak", 0))
        run_tests(tests, COUNT(tests));
}
