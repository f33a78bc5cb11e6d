/* SPDX-License-Identifier: ISC */
/* The burst, the rate after it, and what is told of lines that were not let through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/rate.h"

#define HZ   1000000000u
#define LINE 64u /* bytes; the rates are multiples of it */

static unsigned take(struct rate *rate, uint64_t now, unsigned lines, uint64_t *dropped)
{
    unsigned taken = 0;

    *dropped = 0;
    for (unsigned i = 0; i < lines; i++) {
        uint64_t before;

        taken += rate_take(rate, now, HZ, LINE, &before);
        *dropped += before;
    }
    return taken;
}

static void test_burst(void **state)
{
    struct rate rate = {0};
    uint64_t dropped;

    (void)state;
    assert_int_equal(take(&rate, 5 * HZ, 100000, &dropped), RATE_BURST / LINE);
    assert_int_equal(dropped, 0);
    assert_int_equal(take(&rate, 5 * HZ, 1, &dropped), 0);
}

static void test_rate(void **state)
{
    struct rate rate = {0};
    uint64_t dropped;

    (void)state;
    assert_int_equal(take(&rate, HZ, RATE_BURST / LINE + 7, &dropped), RATE_BURST / LINE);
    assert_int_equal(take(&rate, 2 * HZ, 100000, &dropped), 0); /* not enough for RATE_AGAIN */
    assert_int_equal(take(&rate, 3ull * HZ, 100000, &dropped), 2 * RATE_SECOND / LINE);
    assert_int_equal(dropped, 100007);
    assert_int_equal(take(&rate, 5ull * HZ, 100000, &dropped), 2 * RATE_SECOND / LINE);
    assert_int_equal(dropped, 100000 - 2 * RATE_SECOND / LINE);
    assert_int_equal(take(&rate, 100ull * HZ, 100000, &dropped),
                     RATE_BURST / LINE); /* no more, however long it was quiet */
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
    assert_in_range(taken, (RATE_BURST + 10 * RATE_SECOND - RATE_AGAIN) / LINE,
                    (RATE_BURST + 10 * RATE_SECOND) / LINE + 2);
}

/* It is bytes that are paid: a long line costs as much as the short ones that it could be. */
static void test_bytes(void **state)
{
    struct rate rate = {0};
    uint64_t dropped, bytes = 0;

    (void)state;
    for (unsigned i = 0; rate_take(&rate, HZ, HZ, 1 + i % 300, &dropped); i++)
        bytes += 1 + i % 300;
    assert_in_range(bytes, RATE_BURST - 300, RATE_BURST);
    bytes = 0;
    for (uint64_t now = HZ; now < 61ull * HZ; now += HZ / 100)
        for (unsigned i = 0; i < 100; i++)
            bytes += rate_take(&rate, now, HZ, 240, &dropped) ? 240 : 0;
    assert_in_range(bytes, 60 * RATE_SECOND - RATE_AGAIN, 60 * RATE_SECOND + 300);
}

static void test_clock_turned_back(void **state)
{
    struct rate rate = {0};
    uint64_t dropped;

    (void)state;
    assert_int_equal(take(&rate, 9ull * HZ, RATE_BURST / LINE + 1, &dropped), RATE_BURST / LINE);
    assert_int_equal(take(&rate, HZ, 1, &dropped), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_burst),
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_steady),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_clock_turned_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
