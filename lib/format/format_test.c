/* SPDX-License-Identifier: ISC */
/* Formatting, against the C library's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/format/format.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#define same(...)                                                                                            \
    do {                                                                                                     \
        char ours[256], theirs[256];                                                                         \
        int length = snprintf(theirs, sizeof(theirs), __VA_ARGS__);                                          \
        assert_int_equal(format_text(ours, sizeof(ours), __VA_ARGS__), length);                              \
        assert_string_equal(ours, theirs);                                                                   \
    } while (0)

static void as_the_library(void **state)
{
    (void)state;
    same("plain");
    same("%d %d %u", -5, 0, 7u);
    same("%d %ld %lld", INT_MIN, LONG_MIN, LLONG_MAX);
    same("%lu %llu %zu", ULONG_MAX, 1ull << 63, (size_t)9);
    same("%x %08x|%8x|%02x", 0xabcu, 0x12u, 0x12u, 0x123u);
    same("%016lx", 0x123456789abcdeful);
    same("%05d|%5d|%3d|%03d", -42, -42, -4242, 7);
    same("%s|%10s|%.2s|%*s|%.*s|%.*s|%5.1s", "abc", "abc", "abc", 5, "x", 1, "yz", 0, "no", "abc");
    same("%c%c%%", 'a', 'b');
}

static void cut_at_the_end(void **state)
{
    (void)state;
    char buffer[8];
    memset(buffer, 'x', sizeof(buffer));
    assert_int_equal(format_text(buffer, 5, "%s", "123456789"), 4);
    assert_string_equal(buffer, "1234");
    assert_int_equal(buffer[5], 'x');
    assert_int_equal(format_text(buffer, 1, "%d", 5), 0);
    assert_string_equal(buffer, "");
    assert_int_equal(format_text(buffer, 5, "%999d", 5), 4);
    assert_string_equal(buffer, "    ");
    /* Formats that nobody writes: a field that does not end, and a letter that is none. */
    assert_int_equal(format_text(buffer, sizeof(buffer), (const char[]){"a%5"}), 1);
    assert_int_equal(format_text(buffer, sizeof(buffer), (const char[]){"a%"}), 1);
    assert_int_equal(format_text(buffer, sizeof(buffer), (const char[]){"%q"}), 1);
    assert_string_equal(buffer, "q");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_the_library),
        cmocka_unit_test(cut_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
