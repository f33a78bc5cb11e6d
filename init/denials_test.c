/* SPDX-License-Identifier: ISC */
/* What is news about refused requests, and what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "init/denials.h"

static void test_once(void **state)
{
    struct denials denials = {0};

    (void)state;
    assert_int_equal(denial_told(&denials, "LOG", "", "", ERROR_DENIED), DENIAL_NEW);
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(denial_told(&denials, "LOG", "", "", ERROR_DENIED), DENIAL_OLD);
}

/* Another request, another reason. */
static void test_news(void **state)
{
    struct denials denials = {0};

    (void)state;
    assert_int_equal(denial_told(&denials, "ROM", "a", "", ERROR_NOT_FOUND), DENIAL_NEW);
    assert_int_equal(denial_told(&denials, "ROM", "b", "", ERROR_NOT_FOUND), DENIAL_NEW);
    assert_int_equal(denial_told(&denials, "ROM", "", "a", ERROR_NOT_FOUND), DENIAL_NEW);
    assert_int_equal(denial_told(&denials, "ROM", "a", "", ERROR_CLOSED), DENIAL_NEW);
    assert_int_equal(denial_told(&denials, "ROM", "a", "", ERROR_NOT_FOUND), DENIAL_OLD);
    assert_int_equal(denial_told(&denials, "ROM", "a", "", ERROR_CLOSED), DENIAL_OLD);
}

static void test_last(void **state)
{
    struct denials denials = {0};
    unsigned said[3] = {0};
    char label[16];

    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(label, sizeof label, "%u", i);
        said[denial_told(&denials, "ROM", label, "", ERROR_DENIED)]++;
    }
    assert_int_equal(said[DENIAL_NEW], DENIALS);
    assert_int_equal(said[DENIAL_LAST], 1);
    assert_int_equal(denial_told(&denials, "ROM", "0", "", ERROR_DENIED), DENIAL_OLD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_once),
        cmocka_unit_test(test_news),
        cmocka_unit_test(test_last),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
