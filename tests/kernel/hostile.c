/* SPDX-License-Identifier: ISC */
/*
 * A child without capabilities makes random calls with random arguments. Nothing may be granted, nothing may
 * change, and the main thread sees its deadlines kept. A second one has an account, a PD and a space of its
 * own to make nonsense with.
 */
#include "tests/kernel/tests.h"

#define ROUNDS 100000u
#define LIVES  200u

static volatile uint64_t granted, done, state;

static uint64_t child_random(void)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * 0x2545f4914f6cdd1dul;
}

static uint64_t argument(void)
{
    static const uint64_t edges[] = {
        0,         1,         UINT64_MAX, 1ull << 63,    1ull << 47,       0x7fffffffe000,
        HST_PAGES, GST_PAGES, 1ull << 32, 4096,          UTCB_BASE,        WINDOW,
        0x400000,  512,       513,        OBJ_SELECTORS, OBJ_SELECTORS - 1};
    uint64_t kind = child_random() % 4;

    if (kind == 0)
        return child_random() >> child_random() % 64;
    if (kind == 1)
        return edges[child_random() % COUNT(edges)];
    return child_random() % 10;
}

static void makes_calls(uint64_t rounds)
{
    for (uint64_t i = 0; i < rounds; i++) {
        uint64_t first, second, call = child_random() % (CALLS + 3);
        enum status status;

        if (call == CALLS + 2)
            call = child_random();
        status = system_call((enum call)call, argument(), argument(), argument(), argument(), argument(),
                             argument(), &first, &second);
        granted += status == STATUS_OK;
        done++;
    }
    thread_end();
}

static void without_capabilities(void)
{
    struct pd_space child = child_create(ROOT_ACCOUNT);
    uint64_t info, bits;

    granted = done = 0;
    state = 42;
    (void)thread_start(&child, 1, makes_calls, ROUNDS, 20, 0);
    for (unsigned i = 0; i < 5000 && done < ROUNDS; i++)
        pass(milliseconds(2));
    EXPECT(done, ROUNDS);
    EXPECT(granted, 0);
    for (selector s = 0; s < 32; s++) {
        OK(cap_info(child.obj, s, &info, &bits));
        EXPECT(info, OBJECT_NONE);
    }
}

/* It has all of itself and an account: it may harm itself only. Waits without end are its own affair, so its
 * thread is made anew when it has died or hangs. */
static void with_its_own(void)
{
    uint64_t before = 0, all_granted = 0, all_done = 0;

    for (unsigned life = 0; life < LIVES; life++) {
        selector account = fresh();
        struct pd_space child;

        OK(create_account(account, ROOT_ACCOUNT, 200));
        child = child_create(account);
        give(&child, account, 1, PERM_ALL);
        give(&child, child.pd, 2, PERM_ALL);
        give(&child, child.obj, 3, PERM_ALL);
        give(&child, child.hst, 4, PERM_ALL);
        OK(create_nt(fresh(), account));
        give(&child, child.hst + 1, 5, PERM_ALL);
        OK(create_space(fresh(), account, SPACE_GST, 0));
        give(&child, child.hst + 2, 6, PERM_ALL);
        state = life * 7919 + 1;
        granted = done = 0;
        give(&child, thread_start(&child, 1, makes_calls, 2000, 20, 0), 7, PERM_ALL);
        pass(milliseconds(1));
        all_granted += granted;
        all_done += done;
        clean();
        /* All of it is gone, whatever it had made. */
        if (life == 0)
            before = free_pages();
        if (!EXPECT(free_pages(), before))
            return;
    }
    expect_range("calls that were granted", all_granted, LIVES, all_done);
    say("ktest: %u random calls with something of one's own, %u granted", all_done, all_granted);
}

void test_hostile(void)
{
    static const struct test tests[] = {
        {"hostile: 100000 random calls without capabilities", without_capabilities},
        {"hostile: 200 lives with a little of its own", with_its_own},
    };

    run_tests(tests, COUNT(tests));
}
