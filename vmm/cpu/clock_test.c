/* SPDX-License-Identifier: ISC */
/* Virtual time: exact against 128-bit division, monotonic, and a deadline is never early. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vmm/cpu/clock.h"

static const uint64_t frequencies[] = {1000,       999999000,  1000000000,  1000000000 + 1000,
                                       2394560000, 3700000000, CLOCK_MAX_HZ};
#define FREQUENCIES (sizeof frequencies / sizeof frequencies[0])

static void test_exact(void **state)
{
    (void)state;
    for (unsigned i = 0; i < FREQUENCIES; i++) {
        struct clock clock;

        clock_init(&clock, 12345, frequencies[i]);
        assert_int_equal(clock.hz, frequencies[i]);
        for (uint64_t ticks = 1; ticks < UINT64_MAX / 8; ticks = ticks * 3 + 1) {
            unsigned __int128 exact = (unsigned __int128)ticks * CLOCK_NS_PER_S / clock.hz;
            uint64_t ns = clock_ns(&clock, 12345 + ticks);

            if (exact >> 62)
                break;
            assert_true((uint64_t)exact - ns <= 1);
        }
    }
}

static void test_deadline_is_not_early(void **state)
{
    (void)state;
    for (unsigned i = 0; i < FREQUENCIES; i++) {
        struct clock clock;

        clock_init(&clock, 1ull << 40, frequencies[i]);
        for (uint64_t ns = 1; ns < 1ull << 58; ns = ns * 2 + (ns & 5)) {
            uint64_t tsc = clock_tsc(&clock, ns);

            assert_true(clock_ns(&clock, tsc) >= ns);
            assert_true(clock_ns(&clock, tsc - 1) < ns);
        }
    }
}

static void test_limits(void **state)
{
    struct clock clock;

    (void)state;
    clock_init(&clock, 1000, 2500000499);
    assert_int_equal(clock.hz, 2500000000);
    assert_int_equal(clock_ns(&clock, 0), 0);
    assert_int_equal(clock_ns(&clock, 1000), 0);
    assert_int_equal(clock_tsc(&clock, 0), 1000);
    assert_int_equal(clock_tsc(&clock, CLOCK_NEVER), CLOCK_NEVER);
    assert_int_equal(clock_tsc(&clock, CLOCK_NEVER - 1), CLOCK_NEVER);
    clock_init(&clock, 0, 0);
    assert_int_equal(clock.hz, 1000);
    clock_init(&clock, 0, UINT64_MAX / 2);
    assert_int_equal(clock.hz, CLOCK_MAX_HZ);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact),
        cmocka_unit_test(test_deadline_is_not_early),
        cmocka_unit_test(test_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
