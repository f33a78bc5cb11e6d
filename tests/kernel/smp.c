/* SPDX-License-Identifier: ISC */
/*
 * Two CPUs at once: signals and deadlines across, translations taken away from who uses them, and the death
 * of everything while it runs on the other CPU. On a machine with one CPU there is nothing to test here.
 */
#include "tests/kernel/tests.h"

#include "abi/vcpu.h"

#define OTHER      THREAD_CPU(1)
#define PRIORITY   20u
#define ROUNDS     5000u
#define LIVES      300u
#define GUEST_RAM  400u /* index of ram_map: pages of the guest, and those that come and go */
#define PATIENCE   milliseconds(10000)
#define GUEST_CODE 0x1000u
#define TEST_PORT  0x80u

static volatile uint64_t shared[8];
static volatile uint64_t beat; /* grows as long as the thread runs */
static volatile enum status result;

static bool wait_until(volatile const uint64_t *word, uint64_t value)
{
    uint64_t end = now() + PATIENCE;

    while (*word != value && now() < end)
        __builtin_ia32_pause();
    return expect("the other CPU's word", *word, value);
}

/* The thread on the other CPU runs. */
static void beats(void)
{
    uint64_t before = beat, end = now() + PATIENCE;

    while (beat == before && now() < end)
        __builtin_ia32_pause();
    expect("it runs", beat != before, true);
}

/* It does not. */
static void stands(void)
{
    uint64_t before = beat;

    pass(milliseconds(5));
    expect("it runs no more", beat == before, true);
}

static void spins(uint64_t argument)
{
    (void)argument;
    for (;;)
        beat++;
}

/* ---- Notifications. */

static selector ping, pong;

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

static void waits_on_the_dead(void)
{
    for (unsigned i = 0; i < LIVES; i++) {
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
    for (unsigned i = 0; i < LIVES; i++) {
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
    for (unsigned i = 0; i < LIVES; i++) {
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

    for (unsigned i = 0; i < LIVES; i++) {
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

/* ---- Memory. */

static volatile uint64_t *const window = (volatile uint64_t *)WINDOW;

static void reads(uint64_t argument)
{
    (void)argument;
    for (;;) {
        uint64_t at_least = shared[3], value = *window;

        if (value < at_least)
            shared[4] = value + 1;
        beat++;
    }
}

/* A page is replaced under a reader: what it reads is never older than what was there when the call had
 * returned. */
static void replaced_under_use(void)
{
    volatile uint64_t *page[2] = {ram_map(GUEST_RAM), ram_map(GUEST_RAM + 1)};

    shared[3] = shared[4] = 0;
    *page[0] = 0;
    OK(space_copy(ROOT_MEM, ram_page(GUEST_RAM), ROOT_HST, WINDOW / PAGE, 1, MEM_READ));
    (void)thread_start(&own, 1, reads, 0, PRIORITY, OTHER);
    for (uint64_t i = 1; i <= ROUNDS; i++) {
        *page[i % 2] = i;
        OK(space_copy(ROOT_MEM, ram_page(GUEST_RAM + i % 2), ROOT_HST, WINDOW / PAGE, 1, MEM_READ));
        shared[3] = i;
    }
    beats();
    expect("an old page read", shared[4], 0);
}

static void touches(uint64_t argument)
{
    (void)argument;
    for (;;) {
        (void)*window;
        beat++;
    }
}

static void removed_under_use(void)
{
    struct pd_space child = child_create(ROOT_ACCOUNT);
    selector nt = notification();
    uint64_t bits;

    (void)ram_map(GUEST_RAM);
    OK(pd_watch(child.pd, nt));
    for (unsigned i = 0; i < LIVES; i++) {
        selector ec;

        OK(space_copy(ROOT_MEM, ram_page(GUEST_RAM), child.hst, WINDOW / PAGE, 1, MEM_READ));
        ec = thread_start(&child, 1, touches, 0, PRIORITY, OTHER);
        for (unsigned spin = 0; spin < i * 20; spin++)
            __builtin_ia32_pause();
        OK(space_remove(child.hst, WINDOW / PAGE, 1));
        if (!OK(nt_wait(nt, now() + PATIENCE, &bits)))
            return;
        OK(destroy(ec));
        OK(space_remove(ROOT_OBJ, ec, 2));
    }
}

static void writes_port(uint64_t argument)
{
    (void)argument;
    for (;;) {
        out8(TEST_PORT, 0);
        beat++;
    }
}

static void ports_under_use(void)
{
    for (unsigned i = 0; i < LIVES; i++) {
        struct pd_space child = child_create(ROOT_ACCOUNT);
        selector pio = fresh(), nt = notification();
        uint64_t bits;

        OK(pd_watch(child.pd, nt));
        OK(create_space(pio, ROOT_ACCOUNT, SPACE_PIO, child.pd));
        OK(space_copy(ROOT_PORTS, TEST_PORT, pio, TEST_PORT, 1, 0));
        (void)thread_start(&child, 1, writes_port, 0, PRIORITY, OTHER);
        if (i % 16 == 0)
            beats();
        OK(i % 2 ? space_remove(pio, TEST_PORT, 1) : destroy(pio));
        if (!OK(nt_wait(nt, now() + PATIENCE, &bits)))
            return;
        clean();
    }
}

/* ---- Both make and destroy. */

static void makes(uint64_t base)
{
    selector at = (selector)base;
    uint64_t wrong = 0;

    for (unsigned i = 0; i < ROUNDS / 5; i++) {
        wrong += create_pd(at, ROOT_ACCOUNT) != STATUS_OK;
        wrong += create_space(at + 1, ROOT_ACCOUNT, SPACE_OBJ, at) != STATUS_OK;
        wrong += create_space(at + 2, ROOT_ACCOUNT, SPACE_HST, at) != STATUS_OK;
        wrong += create_nt(at + 3, ROOT_ACCOUNT) != STATUS_OK;
        wrong += space_copy(ROOT_OBJ, at, at + 1, 5, 4, PERM_ALL) != STATUS_OK;
        wrong += space_copy(ROOT_MEM, ram_page(GUEST_RAM), at + 2, 0x1000 + i, 1, MEM_READ) != STATUS_OK;
        wrong += destroy(at) != STATUS_OK;
        wrong += space_remove(ROOT_OBJ, at, 4) != STATUS_OK;
    }
    shared[base % 8] = wrong + 1;
}

static void makes_there(uint64_t base)
{
    makes(base);
    thread_end();
}

static void both_make(void)
{
    selector here, there;

    (void)ram_map(GUEST_RAM);
    do
        here = fresh();
    while (here % 8 != 0);
    for (unsigned i = 0; i < 3; i++)
        (void)fresh();
    there = fresh();
    for (unsigned i = 0; i < 3; i++)
        (void)fresh();
    shared[0] = shared[4] = 0;
    (void)thread_start(&own, 1, makes_there, there, PRIORITY, OTHER);
    makes(here);
    EXPECT(shared[0], 1);
    (void)wait_until(&shared[4], 1);
}

/* ---- Guests. */

static const uint8_t code_loop[] = {0xeb, 0xfe};
static selector guest_vcpu, guest_gst;
static volatile struct vcpu_state *const guest = (volatile struct vcpu_state *)STATE_PAGE;

static void guest_make(unsigned cpu)
{
    uint8_t *memory = ram_map(GUEST_RAM + 2);

    guest_gst = fresh();
    guest_vcpu = fresh();
    for (unsigned i = 0; i < sizeof(code_loop); i++)
        memory[i] = code_loop[i];
    OK(create_space(guest_gst, ROOT_ACCOUNT, SPACE_GST, 0));
    OK(space_copy(ROOT_MEM, ram_page(GUEST_RAM + 2), guest_gst, GUEST_CODE / PAGE, 1,
                  MEM_READ | MEM_WRITE | MEM_EXECUTE));
    OK(create_vcpu(guest_vcpu, ROOT_ACCOUNT, ROOT_PD, guest_gst, STATE_PAGE | cpu));
    guest->cs = (struct vcpu_segment){.attributes = 0x9b, .limit = 0xffff};
    guest->rip = GUEST_CODE;
    guest->rflags = 2;
    guest->dirty = VCPU_CS_SS | VCPU_RIP;
}

static void runs(uint64_t deadline)
{
    uint64_t bits;

    shared[5] = 1;
    result = vcpu_run(guest_vcpu, ping, deadline, &bits);
    shared[2] = 1;
    thread_end();
}

/* What ends a stay in the guest on the other CPU, and how. */
static void guest_disturbed(unsigned way, enum status expected)
{
    for (unsigned i = 0; i < LIVES / 3; i++) {
        guest_make(1);
        ping = notification();
        shared[2] = shared[5] = 0;
        result = STATUSES;
        (void)thread_start(&own, 1, runs, now() + PATIENCE, PRIORITY, OTHER);
        (void)wait_until(&shared[5], 1);
        for (unsigned spin = 0; spin < i * 100; spin++)
            __builtin_ia32_pause();
        switch (way) {
        case 0:
            OK(nt_signal(ping));
            break;
        case 1:
            OK(destroy(guest_vcpu));
            break;
        case 2:
            OK(destroy(guest_gst));
            break;
        case 3:
            OK(space_remove(guest_gst, GUEST_CODE / PAGE, 1));
            break;
        default:
            OK(destroy(ping));
            OK(space_remove(guest_gst, GUEST_CODE / PAGE, 1)); /* else it is not looked at for long */
            break;
        }
        if (!wait_until(&shared[2], 1))
            return;
        if (way < 4)
            EXPECT_STATUS(result, expected);
        if (way == 3)
            EXPECT(guest->exit, VCPU_EXIT_MMIO);
        clean();
    }
}

static void guest_signalled(void)
{
    guest_disturbed(0, STATUS_SIGNAL);
}

static void guest_vcpu_dies(void)
{
    guest_disturbed(1, STATUS_DEAD);
}

static void guest_space_dies(void)
{
    guest_disturbed(2, STATUS_DEAD);
}

static void guest_memory_goes(void)
{
    guest_disturbed(3, STATUS_OK);
}

static void guest_signal_dies(void)
{
    guest_disturbed(4, STATUS_OK);
}

static void guest_of_the_other(void)
{
    uint64_t bits;

    guest_make(1);
    ping = notification();
    EXPECT_CALL(CALL_VCPU_RUN, vcpu_run(guest_vcpu, ping, 0, &bits), STATUS_BAD_CPU);
}

static void scribbles(uint64_t argument)
{
    volatile uint8_t *page = (volatile uint8_t *)STATE_PAGE;
    uint64_t x = argument | 1;

    for (;;) {
        x = x * 6364136223846793005ul + 1442695040888963407ul;
        page[x >> 52] = (uint8_t)(x >> 40);
        guest->dirty = VCPU_GROUPS;
        beat++;
    }
}

/* The state page changes while the kernel looks at it. */
static void state_scribbled(void)
{
    uint64_t bits, entered = 0; /* how often is chance */

    ping = notification();
    for (unsigned i = 0; i < 20; i++) {
        selector ec;

        guest_make(0);
        ec = thread_start(&own, 1, scribbles, i, PRIORITY, OTHER);
        for (unsigned k = 0; k < 500; k++) {
            if (k % 10 == 0) {
                guest->cs = (struct vcpu_segment){.attributes = 0x9b, .limit = 0xffff};
                guest->cr0 = 0x10;
                guest->cr4 = guest->efer = guest->inject = 0;
            }
            (void)!vcpu_run(guest_vcpu, ping, now() + 20000, &bits);
            entered += guest->exit != VCPU_EXIT_INVALID_STATE;
        }
        OK(destroy(ec));
        OK(destroy(guest_vcpu));
        OK(space_remove(ROOT_OBJ, guest_vcpu, 1));
        OK(space_remove(ROOT_OBJ, guest_gst, 1));
        OK(space_remove(ROOT_OBJ, ec, 2));
    }
    say("ktest: entered %u times of 10000 with a page that changes", entered);
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
    for (unsigned i = 0; i < LIVES; i++) {
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
    for (unsigned i = 0; i < LIVES; i++) {
        struct pd_space child = child_create(ROOT_ACCOUNT);
        selector ec = thread_local_ec(&child, 2, OTHER);

        OK(space_remove(ROOT_OBJ, ec, 1));
        for (unsigned spin = 0; spin < i % 64; spin++)
            __builtin_ia32_pause();
        OK(destroy(child.pd));
        clean();
    }
}

/* The same with a guest's space and its vCPU. */
static void guest_space_of_the_forgotten(void)
{
    for (unsigned i = 0; i < LIVES; i++) {
        guest_make(1);
        OK(space_remove(ROOT_OBJ, guest_vcpu, 1));
        for (unsigned spin = 0; spin < i % 64; spin++)
            __builtin_ia32_pause();
        OK(destroy(guest_gst));
        clean();
        for (uint64_t end = now() + PATIENCE; objects(OBJECT_VCPU) && now() < end;)
            pass(milliseconds(1)); /* its own CPU frees it, and then its state page has a place again */
    }
}

static void reads_fs(uint64_t argument)
{
    uint64_t value;

    (void)argument;
    __asm__ volatile("mov %%fs:0, %0" : "=r"(value));
    shared[6] = value;
    thread_end();
}

/* The base of FS is set from here while the thread is in a guest: the next thread there has none. */
static void fs_base_stays_its_own(void)
{
    static volatile uint64_t secret;

    secret = 4711;
    shared[6] = 0;
    for (unsigned i = 0; i < LIVES / 10; i++) {
        selector ec;

        guest_make(1);
        ping = notification();
        shared[2] = shared[5] = 0;
        ec = thread_start(&own, 1, runs, now() + PATIENCE, PRIORITY, OTHER);
        (void)wait_until(&shared[5], 1);
        for (unsigned spin = 0; spin < i * 100; spin++)
            __builtin_ia32_pause();
        OK(system_call_status(CALL_EC_CONTROL, ec, EC_FS_BASE, (uint64_t)&secret, 0, 0, 0));
        OK(nt_signal(ping));
        if (!wait_until(&shared[2], 1))
            return;
        (void)thread_start(&own, 2, reads_fs, 0, PRIORITY, OTHER);
        pass(milliseconds(3));
        clean();
    }
    EXPECT(shared[6], 0);
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

/* What another CPU has still to free, and will not for long, keeps nobody from being told that there is no memory. */
static void memory_is_short(void)
{
    selector account = fresh(), ec = fresh(), sc = fresh(), other = fresh();
    uint64_t *stack = (uint64_t *)ram_map(GUEST_RAM + 4), begin;

    rubbish = fresh();
    shared[2] = 0;
    OK(create_account(account, ROOT_ACCOUNT, 0));
    OK(create_ec(ec, ROOT_ACCOUNT, ROOT_PD, UTCB_BASE + PAGE, EC_GLOBAL | 1 << EC_CPU_SHIFT, (uint64_t)&stack[511],
                 (uint64_t)leaves_rubbish));
    OK(create_sc(sc, ROOT_ACCOUNT, ec, PRIORITY, BOOT->tsc_hz * 3));
    (void)wait_until(&shared[2], 1);
    begin = now();
    EXPECT_STATUS(create_nt(other, account), STATUS_NO_MEMORY);
    expect_range("the time it took", now() - begin, 0, milliseconds(100));
}

static const struct test tests[] = {
    {"two CPUs: ping-pong of signals", ping_pong},
    {"two CPUs: no signal is lost", no_signal_lost},
    {"two CPUs: a deadline", deadline_there},
    {"two CPUs: a notification dies under its waiter", waits_on_the_dead},
    {"two CPUs: calls stay on theirs", call_across},
    {"two CPUs: threads die", thread_dies},
    {"two CPUs: domains die", domain_dies},
    {"two CPUs: callees die", callee_dies},
    {"two CPUs: a page is replaced under a reader", replaced_under_use},
    {"two CPUs: a page is removed under a reader", removed_under_use},
    {"two CPUs: ports are removed under a writer", ports_under_use},
    {"two CPUs: both make and destroy", both_make},
    {"two CPUs: a guest's thread is signalled", guest_signalled},
    {"two CPUs: a vCPU dies in its guest", guest_vcpu_dies},
    {"two CPUs: a guest's space dies", guest_space_dies},
    {"two CPUs: a guest's memory goes", guest_memory_goes},
    {"two CPUs: a guest's notification dies", guest_signal_dies},
    {"two CPUs: calls to run a vCPU, too", guest_of_the_other},
    {"two CPUs: the state page is scribbled on", state_scribbled},
    {"two CPUs: the base of FS stays its thread's", fs_base_stays_its_own},
    {"two CPUs: who has no memory is told so", memory_is_short},
    {"two CPUs: a notification is signalled to its end", signalled_to_the_end},
    {"two CPUs: a forgotten callee makes calls", callee_forgotten},
    {"two CPUs: a domain ends with a forgotten EC", domain_of_the_forgotten},
    {"two CPUs: a guest's space ends with a forgotten vCPU", guest_space_of_the_forgotten},
};

void test_smp(void)
{
    if (BOOT->cpus > 1)
        run_tests(tests, COUNT(tests));
}
