/* SPDX-License-Identifier: ISC */
/*
 * Objects that go while others use them: by their last capability, in the middle of their own destruction, in
 * chains. Each of these was, or could be, a fault of the kernel's book-keeping.
 */
#include "tests/kernel/tests.h"

#include <string.h>

#define CHAIN 1500u
#define TABLES                                                                                               \
    150u /* gigabytes in which a page is mapped: the destruction of the space takes that many steps */
#define HIGH_PAGE (TABLES << 18) /* page number above all these */

static volatile enum status how[4];
static volatile uint64_t marks[4];

static void waiter(uint64_t nt)
{
    uint64_t bits;
    unsigned index = (unsigned)(nt >> 32);

    how[index] = nt_wait(nt & UINT32_MAX, marks[index], &bits);
    marks[index] = 0;
    thread_end();
}

static selector start_waiter(unsigned index, selector nt, uint64_t deadline)
{
    how[index] = STATUSES;
    marks[index] = deadline;
    return thread_start(&own, index + 1, waiter, nt | (uint64_t)index << 32, 20, 0);
}

/* The last capability of a notification that somebody waits for. */
static void notification_dropped(void)
{
    selector first = notification(), second;

    (void)start_waiter(0, first, now() + milliseconds(10));
    pass(milliseconds(1));
    OK(space_remove(ROOT_OBJ, first, 1));
    second = notification(); /* in the same place, if that was freed */
    (void)start_waiter(1, second, DEADLINE_NEVER);
    pass(milliseconds(20));
    expect_range("the waiter is told", how[0], STATUS_BAD_CAP, STATUS_DEAD);
    EXPECT_STATUS(how[1], STATUSES);
    OK(nt_signal(second));
    pass(milliseconds(2));
    EXPECT_STATUS(how[1], STATUS_OK);
}

/* The husk of an SC must not take the time of the SC after it. */
static void husk_of_an_sc(void)
{
    selector nt = notification(), ec = start_waiter(0, nt, DEADLINE_NEVER), sc = fresh();

    pass(milliseconds(1));
    OK(destroy(ec + 1));
    OK(create_sc(sc, ROOT_ACCOUNT, ec, 20, SC_BUDGET_MIN));
    OK(space_remove(ROOT_OBJ, ec + 1, 1));
    EXPECT_STATUS(create_sc(fresh(), ROOT_ACCOUNT, ec, 20, SC_BUDGET_MIN), STATUS_EXISTS);
    OK(nt_signal(nt));
    pass(milliseconds(2));
    EXPECT_STATUS(how[0], STATUS_OK);
}

/* All threads of a PD stand still when it is gone. */
static volatile uint64_t spun[3];

static void spins(uint64_t index)
{
    for (;;)
        spun[index]++;
}

static void threads_of_a_pd(void)
{
    struct pd_space child = child_create(ROOT_ACCOUNT);
    uint64_t before[3];

    for (unsigned i = 0; i < 3; i++) {
        spun[i] = 0;
        (void)thread_start(&child, i + 1, spins, i, 20, 0);
    }
    pass(milliseconds(6));
    OK(destroy(child.pd));
    for (unsigned i = 0; i < 3; i++) {
        before[i] = spun[i];
        expect_range("spins", before[i], 1, UINT64_MAX);
    }
    pass(milliseconds(6));
    for (unsigned i = 0; i < 3; i++)
        EXPECT(spun[i], before[i]);
}

/* PDs, each of which holds the last capabilities of the next: they go one after another, not one in another.
 */
static void chain(bool by_destroy)
{
    selector first = fresh(), obj = fresh(), pd = first, next = fresh(), next_obj = fresh();

    OK(create_pd(first, ROOT_ACCOUNT));
    OK(create_space(obj, ROOT_ACCOUNT, SPACE_OBJ, first));
    for (unsigned i = 0; i < CHAIN; i++) {
        OK(create_pd(next, ROOT_ACCOUNT));
        OK(create_space(next_obj, ROOT_ACCOUNT, SPACE_OBJ, next));
        OK(space_copy(ROOT_OBJ, next, obj, 0, 2, PERM_ALL));
        if (i)
            OK(space_remove(ROOT_OBJ, pd, 2));
        else
            OK(space_remove(ROOT_OBJ, obj, 1));
        /* The next pair takes over; its selectors are used by turns. */
        pd = next;
        obj = next_obj;
        next = next == first + 2 ? first + 4 : first + 2;
        next_obj = next + 1;
    }
    OK(space_remove(ROOT_OBJ, pd, 2));
    if (by_destroy)
        OK(destroy(first));
    OK(space_remove(ROOT_OBJ, first, 1));
}

static void chain_dropped(void)
{
    chain(false);
}

static void chain_destroyed(void)
{
    chain(true);
}

/* A PD that holds itself, and what goes when it destroys itself. */
static void destroys_itself(uint64_t target)
{
    (void)!destroy(target);
    marks[0] = 1;
    thread_end();
}

static void self_destruction(void)
{
    for (unsigned what = 0; what < 5; what++) {
        struct pd_space child = child_create(ROOT_ACCOUNT);
        selector ec;

        marks[0] = 0;
        ec = thread_start(&child, 1, destroys_itself, what, 20, 0);
        give(&child, child.pd, 0, PERM_ALL);
        give(&child, child.obj, 1, PERM_ALL);
        give(&child, child.hst, 2, PERM_ALL);
        give(&child, ec, 3, PERM_ALL);
        give(&child, ec + 1, 4, PERM_ALL);
        pass(milliseconds(3));
        EXPECT(marks[0], what == 1); /* without capabilities there is still life */
        clean();
    }
}

static volatile uint64_t low_status;

static void destroys_a_space(uint64_t hst)
{
    low_status = destroy(hst);
    thread_end();
}

/* What was a UTCB stays out of reach when it is freed in the middle of its space's destruction. That begins
 * with the lowest addresses, so the program that tries to write there stands above them, and needs no stack:
 * its stack pointer is the address of two words, the second that of the UTCB. */
static const uint8_t code_write[] = {
    0x48, 0x8b, 0x44, 0x24, 0x08,                   /* mov 8(%rsp), %rax */
    0x48, 0x89, 0x00,                               /* mov %rax, (%rax) */
    0x48, 0xc7, 0x04, 0x24, 0x02, 0x00, 0x00, 0x00, /* movq $2, (%rsp) */
    0xeb, 0xfe,                                     /* jmp . */
};

static struct {
    selector hst, utcb_ec, writer_ec, writer_sc;
} dying;

static void waits_for_the_end(uint64_t nt)
{
    uint64_t bits;

    while (space_remove(dying.hst, 0x100, 1) != STATUS_DEAD)
        (void)!nt_wait(nt, now() + milliseconds(1) / 100, &bits);
    marks[0] = low_status == STATUSES; /* we are in the middle of it */
    how[0] = destroy(dying.utcb_ec);
    how[1] = create_sc(dying.writer_sc, ROOT_ACCOUNT, dying.writer_ec, 20, SC_BUDGET_MIN);
    (void)!nt_wait(nt, now() + milliseconds(1), &bits);
    how[2] = destroy(dying.writer_ec);
    thread_end();
}

static void freed_in_a_dying_space(void)
{
    uint64_t utcb = HIGH_PAGE * PAGE;
    struct pd_space child = child_create(ROOT_ACCOUNT);
    volatile uint64_t *words = ram_map(41);

    memcpy(ram_map(40), code_write, sizeof(code_write));
    words[0] = 1;
    words[1] = utcb;
    dying.hst = child.hst;
    dying.utcb_ec = fresh();
    dying.writer_ec = fresh();
    dying.writer_sc = fresh();
    for (uint64_t i = 1; i < TABLES; i++)
        OK(space_copy(ROOT_MEM, ram_page(0), child.hst, i << 18, 1, MEM_READ));
    OK(space_copy(ROOT_MEM, ram_page(40), child.hst, HIGH_PAGE + 1, 1, MEM_READ | MEM_EXECUTE));
    OK(space_copy(ROOT_MEM, ram_page(41), child.hst, HIGH_PAGE + 2, 1, MEM_READ | MEM_WRITE));
    OK(create_ec(dying.utcb_ec, ROOT_ACCOUNT, child.pd, utcb, 0, 0, 0x400000));
    OK(create_ec(dying.writer_ec, ROOT_ACCOUNT, child.pd, utcb + 3 * PAGE, EC_GLOBAL, utcb + 2 * PAGE,
                 utcb + PAGE));
    low_status = STATUSES;
    marks[0] = how[0] = how[1] = how[2] = STATUSES;
    (void)thread_start(&own, 1, waits_for_the_end, notification(), 40, 0);
    (void)thread_start(&own, 2, destroys_a_space, child.hst, 10, 0);
    pass(milliseconds(30));
    EXPECT(low_status, STATUS_OK);
    EXPECT(marks[0], true);
    EXPECT_STATUS(how[0], STATUS_OK);
    EXPECT_STATUS(how[1], STATUS_OK);
    EXPECT(words[0], 1); /* 2: it has written to what is the kernel's again */
}

/* Capabilities that a PD makes while its OBJ space is being destroyed. */
static uint64_t step; /* a child does not see the boot information, which has the clock's rate */

static void keeps_making(uint64_t account)
{
    uint64_t bits;

    for (selector s = 1; s < 100; s++) {
        how[0] = nt_wait(OBJ_SELECTORS - 2, now() + step, &bits);
        if (how[0] != STATUS_TIMEOUT)
            break;
        how[1] = create_nt(s, account);
        marks[0] += how[1] == STATUS_OK;
    }
    thread_end();
}

static void capabilities_in_a_dying_space(void)
{
    struct pd_space child = child_create(ROOT_ACCOUNT);

    for (uint64_t leaf = 1; leaf < 512; leaf += 2)
        give(&child, SELECTOR_PASS, leaf * 256, PERM_ALL);
    give(&child, ROOT_ACCOUNT, OBJ_SELECTORS - 1, PERM_ALL);
    give(&child, notification(), OBJ_SELECTORS - 2, PERM_ALL);
    marks[0] = 0;
    step = milliseconds(1) / 50;
    (void)thread_start(&child, 1, keeps_making, OBJ_SELECTORS - 1, 40, 0);
    low_status = STATUSES;
    (void)thread_start(&own, 2, destroys_a_space, child.obj, 10, 0);
    pass(milliseconds(30));
    EXPECT(low_status, STATUS_OK);
    /* It was refused, and a thread whose capabilities are gone cannot wait any more. */
    EXPECT(marks[0], 0);
    EXPECT_STATUS(how[1], STATUS_DEAD);
    EXPECT_STATUS(how[0], STATUS_BAD_CAP);
}

/* All that a thread waits or works with is taken away, at any moment, many times over. */
static _Noreturn void answers(uint64_t id, uint64_t words)
{
    (void)words;
    for (unsigned i = 0; i < id; i++)
        __asm__ volatile("pause");
    reply(words);
}

static void works(uint64_t portal_selector)
{
    unsigned back;

    for (;;) {
        marks[2] = ipc_call(portal_selector, 4, &back);
        if (marks[2] == STATUS_DEAD || marks[2] == STATUS_BAD_CAP)
            thread_end();
        marks[3]++;
    }
}

static void anything_at_any_time(void)
{
    for (unsigned i = 0; i < 300; i++) {
        struct pd_space server = child_create(ROOT_ACCOUNT), client = child_create(ROOT_ACCOUNT);
        selector ec = thread_local_ec(&server, 1, 0), pt = portal(ec, answers, random() % 200), victims[8];
        unsigned count = 0;

        give(&client, pt, pt, PERM_ALL);
        victims[count++] = thread_start(&client, 2, works, pt, 10, 0);
        victims[count++] = thread_start(&client, 3, works, pt, 10, 0);
        victims[count++] = thread_start(&own, 4, works, pt, 9, 0);
        victims[count++] = ec;
        victims[count++] = pt;
        victims[count++] = server.pd;
        victims[count++] = client.pd;
        victims[count++] = server.hst;
        for (unsigned j = 0; j < 4; j++) {
            pass(random() % milliseconds(1));
            OK(destroy(victims[random() % count]));
        }
        clean();
    }
}

void test_lifetimes(void)
{
    static const struct test tests[] = {
        {"lifetimes: a notification's last capability", notification_dropped},
        {"lifetimes: the husk of an SC", husk_of_an_sc},
        {"lifetimes: all threads of a PD", threads_of_a_pd},
        {"lifetimes: destroying oneself", self_destruction},
        {"lifetimes: a UTCB freed in a dying space", freed_in_a_dying_space},
        {"lifetimes: capabilities made in a dying space", capabilities_in_a_dying_space},
        {"lifetimes: anything at any time", anything_at_any_time},
        {"lifetimes: a chain of PDs destroyed", chain_destroyed},
        {"lifetimes: a chain of PDs dropped", chain_dropped},
    };

    run_tests(tests, COUNT(tests));
}
