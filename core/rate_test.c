/* SPDX-License-Identifier: ISC */
/* The burst, the rate after it, and what is told of lines that were not let through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/rate.h"

#define HZ 1000000000u

static unsigned take(struct rate *rate, uint64_t now, unsigned lines, uint64_t *dropped)
{
    unsigned taken = 0;

    *dropped = 0;
    for (unsigned i = 0; i < lines; i++) {
        uint64_t before;

        taken += rate_take(rate, now, HZ, &before);
        *dropped += before;
    }
    return taken;
}

static void test_burst(void **state)
{
    struct rate rate = {0};
    uint64_t dropped;

    (void)state;
    assert_int_equal(take(&rate, 5 * HZ, 100000, &dropped), RATE_BURST);
    assert_int_equal(dropped, 0);
    assert_int_equal(take(&rate, 5 * HZ, 1, &dropped), 0);
}

static void test_rate(void **state)
{
    struct rate rate = {0};
    uint64_t dropped;

    (void)state;
    assert_int_equal(take(&rate, HZ, RATE_BURST + 7, &dropped), RATE_BURST);
    assert_int_equal(take(&rate, 2 * HZ, 100000, &dropped), RATE_SECOND);
    assert_int_equal(dropped, 7);
    assert_int_equal(take(&rate, 2 * HZ + HZ / 2, 100000, &dropped), RATE_SECOND / 2);
    assert_int_equal(dropped, 100000 - RATE_SECOND);
    assert_int_equal(take(&rate, 100ull * HZ, 100000, &dropped),
                     RATE_BURST); /* no more, however long it was quiet */
}

/* A line at a time, each a tick apart, is not cheaper than many at once. */
static void test_steady(void **state)
{
    struct rate rate = {0};
    uint64_t dropped;
    unsigned taken = 0;

    (void)state;
    for (uint64_t now = HZ; now < 11ull * HZ; now += HZ / 1000)
        taken += take(&rate, now, 1, &dropped);
    assert_in_range(taken, RATE_BURST + 10 * RATE_SECOND - RATE_AGAIN, RATE_BURST + 10 * RATE_SECOND + 2);
}

static void test_clock_turned_back(void **state)
{
    struct rate rate = {0};
    uint64_t dropped;

    (void)state;
    assert_int_equal(take(&rate, 9ull * HZ, RATE_BURST + 1, &dropped), RATE_BURST);
    assert_int_equal(take(&rate, HZ, 1, &dropped), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_burst),
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_steady),
        cmocka_unit_test(test_clock_turned_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
