/* SPDX-License-Identifier: ISC */
/* Messages: what is written is read again, and nothing beyond the limit is touched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/include/message.h"

#include <string.h>

static void round_trip(void **state)
{
    (void)state;
    uint64_t words[16];
    char text[16], bytes[4];
    struct message message = message_at(words, 16);
    message_put(&message, 7);
    message_put_string(&message, "");
    message_put_string(&message, "12345678");
    message_put_string(&message, "abcdefghi");
    message_put_bytes(&message, "\x01\x02\x03\x04\x05", 5);
    assert_false(message.bad);
    assert_int_equal(message.at, 1 + 1 + 2 + 3 + 2);
    message = message_at(words, message.at);
    assert_int_equal(message_get(&message), 7);
    message_get_string(&message, text, sizeof(text));
    assert_string_equal(text, "");
    message_get_string(&message, text, 9);
    assert_string_equal(text, "12345678");
    message_get_string(&message, text, sizeof(text));
    assert_string_equal(text, "abcdefghi");
    assert_int_equal(message_get_bytes(&message, bytes, sizeof(bytes)), 4);
    assert_memory_equal(bytes, "\x01\x02\x03\x04", 4);
    assert_false(message.bad);
    assert_int_equal(message_get(&message), 0);
    assert_true(message.bad);
}

static void writing_has_a_limit(void **state)
{
    (void)state;
    uint64_t words[3] = {1, 2, 3};
    struct message message = message_at(words, 2);
    message_put_string(&message, "123456789");
    assert_true(message.bad);
    assert_int_equal(words[2], 3);
    message = message_at(words, 2);
    message_put_string(&message, "12345678");
    assert_false(message.bad);
    message_put(&message, 9);
    assert_true(message.bad);
    message_put_string(&message, "");
    assert_true(message.bad);
    assert_int_equal(words[2], 3);
}

static void bad_strings(void **state)
{
    (void)state;
    static const uint64_t lengths[] = {9, 64, UINT64_MAX, UINT64_MAX - 7, 1ull << 32};
    char text[8];
    for (unsigned i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
        uint64_t words[2] = {lengths[i], 0x4141414141414141};
        struct message message = message_at(words, 2);
        message_get_string(&message, text, sizeof(text));
        assert_true(message.bad);
        assert_string_equal(text, "");
        message = message_at(words, 2);
        assert_int_equal(message_get_bytes(&message, text, sizeof(text)), 0);
        assert_true(message.bad);
    }
    uint64_t words[2] = {8, 0x4141414141414141}; /* its NUL does not fit */
    struct message message = message_at(words, 2);
    message_get_string(&message, text, sizeof(text));
    assert_true(message.bad);
    words[0] = 7;
    words[1] = 0x4141410a41414141;
    message = message_at(words, 2);
    message_get_string(&message, text, sizeof(text));
    assert_true(message.bad);
    assert_string_equal(text, "");
    message = message_at(words, 0);
    message_get_string(&message, text, sizeof(text));
    assert_true(message.bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(writing_has_a_limit),
        cmocka_unit_test(bad_strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
