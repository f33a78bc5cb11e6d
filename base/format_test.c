/* SPDX-License-Identifier: ISC */
/* Formatting, against the C library's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/include/log.h"

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
    same("%d %i %u", -5, 0, 7u);
    same("%d %ld %lld", INT_MIN, LONG_MIN, LLONG_MAX);
    same("%lu %llu %zu", ULONG_MAX, 1ull << 63, (size_t)9);
    same("%x %X %08x|%8x|%-8x|", 0xabcu, 0xABCu, 0x12u, 0x12u, 0x12u);
    same("%016lx", 0x123456789abcdeful);
    same("%05d|%5d|%-5d|%.3d", -42, -42, -42, -7);
    same("%s|%10s|%-10s|%.2s|%*s|%.*s", "abc", "abc", "abc", "abc", 5, "x", 1, "yz");
    same("%c%c%%", 'a', 'b');
    same("%hu %hhu", (unsigned short)65535, (unsigned char)255);
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
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_the_library),
        cmocka_unit_test(cut_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
