/* SPDX-License-Identifier: ISC */
/* The heap of deadlines against a plain array. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kernel/timer.h"

#define TIMERS 500
#define ROUNDS 200000

static uint64_t earliest(const struct timer *timer)
{
    uint64_t best = UINT64_MAX;

    for (unsigned i = 0; i < TIMERS; i++) {
        if (timer[i].queued && timer[i].deadline < best)
            best = timer[i].deadline;
    }
    return best;
}

/* Every node reached once, with its links right and no deadline before its parent's. */
static unsigned check(const struct timer *timer, const struct timer *left, uint64_t least)
{
    unsigned count = 0;

    for (; timer; left = timer, timer = timer->sibling) {
        assert_ptr_equal(timer->previous, left);
        assert_true(timer->queued);
        assert_true(timer->deadline >= least);
        count += 1 + check(timer->child, timer, timer->deadline);
    }
    return count;
}

static void random_insertions_and_removals(void **state)
{
    static struct timer timer[TIMERS];
    struct timer_queue queue = {0};
    unsigned queued = 0;

    (void)state;
    srand(1);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct timer *t = &timer[rand() % TIMERS];

        if (rand() % 4 == 0 && queue.root)
            t = timer_first(&queue);
        if (t->queued) {
            timer_remove(&queue, t);
            queued--;
        } else {
            t->deadline = (uint64_t)rand() % 1000;
            timer_insert(&queue, t);
            queued++;
        }
        assert_int_equal(timer_first(&queue) ? timer_first(&queue)->deadline : UINT64_MAX, earliest(timer));
        if (round % 100 == 0)
            assert_int_equal(check(queue.root, NULL, 0), queued);
    }
}

static void taken_in_order(void **state)
{
    static struct timer timer[TIMERS];
    struct timer_queue queue = {0};
    uint64_t last = 0;

    (void)state;
    for (unsigned i = 0; i < TIMERS; i++) {
        timer[i].deadline = (i * 7919u) % TIMERS;
        timer_insert(&queue, &timer[i]);
    }
    for (unsigned i = 0; i < TIMERS; i++) {
        struct timer *first = timer_first(&queue);

        assert_non_null(first);
        assert_true(first->deadline >= last);
        last = first->deadline;
        timer_remove(&queue, first);
        assert_false(first->queued);
    }
    assert_null(timer_first(&queue));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_insertions_and_removals),
                                       cmocka_unit_test(taken_in_order)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
