/* SPDX-License-Identifier: ISC */
/* Calls through portals: words, nesting, helping, and what happens when one of the two is gone. */
#include "tests/kernel/tests.h"

#define DEPTH 64u /* calls inside calls; EC_DEPTH_MAX of the kernel */

/* What portals leave for the test to look at. */
static volatile uint64_t seen_id, seen_words, seen_stack, hold, order, log[8];
static volatile selector next_portal[THREADS];
static volatile enum status inner[THREADS];

/* Answers with each word's complement. Its UTCB is that of slot 1. */
static _Noreturn void echo(uint64_t id, uint64_t words)
{
    volatile uint64_t *utcb = utcb_of(1);
    uint64_t local = 0;

    seen_id = id;
    seen_words = words;
    seen_stack = (uint64_t)&local;
    for (unsigned i = 0; i < words; i++)
        utcb[i] = ~utcb[i];
    reply(words);
}

static void words_through(selector pt)
{
    static const unsigned sizes[] = {0, 1, 2, 10, 63, 64, 65, 511, 512};
    uint64_t stack = 0;
    unsigned back;

    for (unsigned s = 0; s < COUNT(sizes); s++) {
        uint64_t wrong = 0;

        for (unsigned i = 0; i < UTCB_WORDS; i++) {
            ROOT_UTCB[i] = i * 0x1234567890abcdul + sizes[s];
        }
        OK(ipc_call(pt, sizes[s], &back));
        EXPECT(back, sizes[s]);
        EXPECT(seen_words, sizes[s]);
        EXPECT(seen_id, 0xfeedfacecafebeeful);
        for (unsigned i = 0; i < UTCB_WORDS; i++) {
            uint64_t word = i * 0x1234567890abcdul + sizes[s];

            wrong += ROOT_UTCB[i] != (i < sizes[s] ? ~word : word);
        }
        EXPECT(wrong, 0);
        if (stack)
            EXPECT(seen_stack, stack); /* each request begins on the same stack */
        stack = seen_stack;
    }
}

static void same_pd(void)
{
    words_through(portal(thread_local_ec(&own, 1, 0), echo, 0xfeedfacecafebeeful));
}

static void other_pd(void)
{
    struct pd_space child = child_create(ROOT_ACCOUNT);

    words_through(portal(thread_local_ec(&child, 1, 0), echo, 0xfeedfacecafebeeful));
}

/* The words arrive whatever direction the caller copies its own strings in, and it keeps that. */
static void direction_flag(void)
{
    selector pt = portal(thread_local_ec(&own, 1, 0), echo, 0);
    uint64_t status = CALL_IPC_CALL, first = pt, words = 100, flags, wrong = 0;

    for (unsigned i = 0; i < words; i++)
        ROOT_UTCB[i] = i * 0x1234567890abcdul;
    __asm__ volatile("std\n\tsyscall\n\tcld\n\tmov %%r11, %[flags]"
                     : "+a"(status), "+D"(first), "+S"(words), [flags] "=r"(flags)
                     :
                     : "rcx", "rdx", "r8", "r9", "r10", "r11", "cc", "memory");
    EXPECT_STATUS((enum status)status, STATUS_OK);
    EXPECT(words, 100);
    EXPECT(flags & 0x400, 0x400);
    for (unsigned i = 0; i < 100; i++)
        wrong += ROOT_UTCB[i] != ~(i * 0x1234567890abcdul);
    EXPECT(wrong, 0);
}

/* Answers more words than came, and fewer. */
static _Noreturn void resize(uint64_t id, uint64_t words)
{
    for (unsigned i = 0; i < id; i++)
        utcb_of(1)[i] = i;
    (void)words;
    reply(id);
}

static void sizes(void)
{
    selector ec = thread_local_ec(&own, 1, 0);
    unsigned back;

    ROOT_UTCB[5] = 77;
    OK(ipc_call(portal(ec, resize, 5), 512, &back));
    EXPECT(back, 5);
    EXPECT(ROOT_UTCB[5], 77);
    OK(ipc_call(portal(ec, resize, 512), 0, &back));
    EXPECT(back, 512);
    EXPECT(ROOT_UTCB[511], 511);
}

/* More words than there are: the reply is refused and can be repeated. Waits are not for local ECs. */
static volatile selector vcpu; /* 0: no virtual machines here */

static _Noreturn void refused(uint64_t id, uint64_t words)
{
    uint64_t bits;

    (void)id, (void)words;
    inner[0] = system_call_status(CALL_IPC_REPLY, UTCB_WORDS + 1, 0, 0, 0, 0, 0);
    inner[1] = nt_wait(SELECTOR_MAIN, 0, &bits);
    inner[2] = vcpu ? vcpu_run(vcpu, SELECTOR_MAIN, 0, &bits) : STATUS_BAD_ARG;
    reply(0);
}

static void local_ec_refusals(void)
{
    selector gst = fresh();
    unsigned back;

    vcpu = BOOT->features & BOOT_FEATURE_VM ? fresh() : 0;
    OK(create_space(gst, ROOT_ACCOUNT, SPACE_GST, 0));
    if (vcpu)
        OK(create_vcpu(vcpu, ROOT_ACCOUNT, ROOT_PD, gst, STATE_PAGE));
    EXPECT_CALL(CALL_IPC_CALL, ipc_call(portal(thread_local_ec(&own, 1, 0), refused, 0), 0, &back),
                STATUS_OK);
    EXPECT_CALL(CALL_IPC_REPLY, inner[0], STATUS_BAD_ARG);
    EXPECT_CALL(CALL_NT_WAIT, inner[1], STATUS_BAD_ARG);
    EXPECT_CALL(CALL_VCPU_RUN, inner[2], STATUS_BAD_ARG);
}

/* Slot `id` calls that of the next number. */
static _Noreturn void nested(uint64_t id, uint64_t words)
{
    unsigned back;

    (void)words;
    inner[id] = next_portal[id] ? ipc_call(next_portal[id], 0, &back) : STATUS_OK;
    order = id;
    reply(0);
}

static void nest(unsigned depth)
{
    for (unsigned i = 1; i <= depth; i++) {
        next_portal[i] = 0;
        next_portal[i - 1] = portal(thread_local_ec(&own, i, 0), nested, i);
        inner[i] = STATUSES;
    }
}

static void nesting(void)
{
    unsigned back;

    nest(DEPTH);
    OK(ipc_call(next_portal[0], 0, &back));
    for (unsigned i = 1; i <= DEPTH; i++)
        expect_status("nested call", inner[i], STATUS_OK);
    EXPECT(order, 1);
}

static void too_deep(void)
{
    unsigned back;

    nest(DEPTH + 1);
    OK(ipc_call(next_portal[0], 0, &back));
    EXPECT_CALL(CALL_IPC_CALL, inner[DEPTH], STATUS_CHAIN);
    EXPECT_STATUS(inner[DEPTH - 1], STATUS_OK);
    EXPECT_STATUS(inner[DEPTH + 1], STATUSES);
}

static void cycles(void)
{
    unsigned back;

    nest(5);
    next_portal[5] = next_portal[0]; /* 5 calls 1, which waits for it */
    OK(ipc_call(next_portal[0], 0, &back));
    EXPECT_STATUS(inner[5], STATUS_CHAIN);
    next_portal[5] = next_portal[4]; /* itself */
    OK(ipc_call(next_portal[0], 0, &back));
    EXPECT_STATUS(inner[5], STATUS_CHAIN);
    EXPECT_STATUS(inner[4], STATUS_OK);
}

/* Serves until `hold` is clear. */
static _Noreturn void slow(uint64_t id, uint64_t words)
{
    (void)words;
    log[order++ % COUNT(log)] = id;
    while (hold)
        __asm__ volatile("pause");
    reply(0);
}

static void caller(uint64_t slot)
{
    unsigned back;

    inner[slot] = ipc_call(next_portal[slot], 0, &back);
    log[order++ % COUNT(log)] = 100 + slot;
    thread_end();
}

/* A server that a thread of low priority calls, held in its work. */
static selector busy_server(const struct pd_space *pd, selector *low)
{
    selector ec = thread_local_ec(pd, 1, 0);

    order = 0;
    hold = 1;
    inner[2] = inner[3] = inner[4] = STATUSES;
    next_portal[2] = portal(ec, slow, 1);
    next_portal[3] = portal(ec, slow, 2);
    *low = thread_start(&own, 2, caller, 2, 2, 0);
    pass(milliseconds(2));
    EXPECT(order, 1);
    return ec;
}

static void spinner(uint64_t counter)
{
    for (;;)
        (*(volatile uint64_t *)counter)++;
}

static volatile uint64_t spins[4];

static void helping(void)
{
    selector low;

    /* A thread between the two would starve the server; the higher caller lends it time. */
    (void)busy_server(&own, &low);
    spins[0] = 0;
    (void)thread_start(&own, 5, spinner, (uint64_t)&spins[0], 10, 0);
    pass(milliseconds(2));
    expect_range("turns of the thread between", spins[0], 1, UINT64_MAX);
    (void)thread_start(&own, 3, caller, 3, 20, 0);
    pass(milliseconds(2));
    hold = 0;
    pass(milliseconds(2));
    EXPECT_STATUS(inner[3], STATUS_OK);
    EXPECT(log[1], 2);                 /* the second request */
    EXPECT(log[2], 103);               /* and its caller is first to go on */
    EXPECT_STATUS(inner[2], STATUSES); /* the low one waits for the spinner */
}

static void caller_dies(void)
{
    selector low;
    unsigned back;

    /* It finishes with a helper's time, and its reply goes nowhere. */
    (void)busy_server(&own, &low);
    OK(destroy(low));
    hold = 0;
    OK(ipc_call(next_portal[3], 0, &back));
    EXPECT_STATUS(inner[2], STATUSES);
    EXPECT(log[1], 2);
}

static void callee_dies(void)
{
    selector low, ec = busy_server(&own, &low);

    (void)thread_start(&own, 3, caller, 3, 20, 0);
    pass(milliseconds(2));
    OK(destroy(ec));
    pass(milliseconds(2));
    EXPECT_STATUS(inner[2], STATUS_ABORTED);
    EXPECT_STATUS(inner[3], STATUS_DEAD); /* it only waited */
}

static void callee_pd_dies(void)
{
    struct pd_space child = child_create(ROOT_ACCOUNT);
    selector low;
    unsigned back;

    (void)busy_server(&child, &low);
    OK(destroy(child.pd));
    pass(milliseconds(2));
    EXPECT_STATUS(inner[2], STATUS_ABORTED);
    EXPECT_STATUS(ipc_call(next_portal[3], 0, &back), STATUS_DEAD);
}

/* A portal's death closes the door; who is inside comes out. */
static void portal_dies(void)
{
    selector low;
    unsigned back;

    (void)busy_server(&own, &low);
    (void)thread_start(&own, 3, caller, 3, 20, 0);
    pass(milliseconds(2));
    OK(destroy(next_portal[2]));
    OK(destroy(next_portal[3]));
    hold = 0;
    pass(milliseconds(2));
    EXPECT_STATUS(inner[2], STATUS_OK);
    EXPECT_STATUS(inner[3], STATUS_DEAD);
    EXPECT_STATUS(ipc_call(next_portal[2], 0, &back), STATUS_DEAD);
}

static _Noreturn void faulty(uint64_t id, uint64_t words)
{
    (void)id, (void)words;
    __asm__ volatile("ud2");
    __builtin_unreachable();
}

static void callee_faults(void)
{
    struct pd_space child = child_create(ROOT_ACCOUNT);
    selector pt = portal(thread_local_ec(&child, 1, 0), faulty, 0);
    unsigned back;

    EXPECT_CALL(CALL_IPC_CALL, ipc_call(pt, 3, &back), STATUS_ABORTED);
    EXPECT_STATUS(ipc_call(pt, 3, &back), STATUS_DEAD);
}

/* The EC in the middle of a chain goes: its caller is told, and its callee is free when it has finished. */
static volatile selector victim;

static _Noreturn void destroys(uint64_t id, uint64_t words)
{
    (void)id, (void)words;
    inner[10] = destroy(victim);
    order = 10;
    reply(0);
}

static void middle_dies(void)
{
    selector middle = thread_local_ec(&own, 1, 0), pt = portal(middle, nested, 1);
    unsigned back;

    next_portal[1] = portal(thread_local_ec(&own, 2, 0), destroys, 2);
    victim = middle;
    order = 0;
    inner[10] = STATUSES;
    EXPECT_STATUS(ipc_call(pt, 0, &back), STATUS_ABORTED);
    /* What it called is taken up by the next who comes. */
    victim = pt;
    OK(ipc_call(next_portal[1], 0, &back));
    EXPECT_STATUS(inner[10], STATUS_OK);
}

static void callee_dies_by_itself(void)
{
    selector ec = thread_local_ec(&own, 2, 0), pt = portal(ec, destroys, 2);
    unsigned back;

    victim = ec;
    EXPECT_STATUS(ipc_call(pt, 0, &back), STATUS_ABORTED);
}

void test_ipc(void)
{
    static const struct test tests[] = {
        {"ipc: words in the same PD", same_pd},
        {"ipc: words to another PD", other_pd},
        {"ipc: the caller's direction flag", direction_flag},
        {"ipc: more and fewer words back", sizes},
        {"ipc: what a local EC is refused", local_ec_refusals},
        {"ipc: nested calls", nesting},
        {"ipc: a chain too deep", too_deep},
        {"ipc: circles", cycles},
        {"ipc: helping", helping},
        {"ipc: the caller dies", caller_dies},
        {"ipc: the callee dies", callee_dies},
        {"ipc: the callee's PD dies", callee_pd_dies},
        {"ipc: the portal dies", portal_dies},
        {"ipc: the callee faults", callee_faults},
        {"ipc: the middle of a chain dies", middle_dies},
        {"ipc: the callee destroys itself", callee_dies_by_itself},
    };

    run_tests(tests, COUNT(tests));
}
