/* SPDX-License-Identifier: ISC */
/* Two CPUs and memory: translations taken away from who uses them, and what both make and destroy at once. */
#include "tests/kernel/smp.h"

#define TEST_PORT 0x80u

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
    for (uint64_t i = 0; i < lives; i++) {
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
    for (uint64_t i = 0; i < lives; i++) {
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

static const struct test tests[] = {
    {"two CPUs: a page is replaced under a reader", replaced_under_use},
    {"two CPUs: a page is removed under a reader", removed_under_use},
    {"two CPUs: ports are removed under a writer", ports_under_use},
    {"two CPUs: both make and destroy", both_make},
};

void smp_memory(void)
{
    run_tests(tests, COUNT(tests));
}
