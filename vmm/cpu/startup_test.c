/* SPDX-License-Identifier: ISC */
/* INIT and STARTUP in every order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vmm/cpu/startup.h"

static void test_running_takes_init_only(void **state)
{
    uint32_t word = 0;
    uint8_t vector = 0;

    (void)state;
    assert_false(startup_send_vector(&word, 7));
    assert_int_equal(startup_take(&word, &vector), STARTUP_NOTHING);
    startup_send_init(&word);
    assert_false(startup_waits(&word)); /* not before it was taken */
    assert_int_equal(startup_take(&word, &vector), STARTUP_RESET);
    assert_true(startup_waits(&word));
    assert_int_equal(startup_take(&word, &vector), STARTUP_NOTHING);
}

/* The usual sequence, before the processor has looked even once; the second STARTUP is void. */
static void test_sequence_at_once(void **state)
{
    uint32_t word = 0;
    uint8_t vector = 0;

    (void)state;
    startup_send_init(&word);
    assert_true(startup_send_vector(&word, 0x99));
    assert_false(startup_send_vector(&word, 0x11));
    assert_int_equal(startup_take(&word, &vector), STARTUP_RESET);
    assert_int_equal(startup_take(&word, &vector), STARTUP_START);
    assert_int_equal(vector, 0x99);
    assert_false(startup_waits(&word));
    assert_int_equal(startup_take(&word, &vector), STARTUP_NOTHING);
    assert_false(startup_send_vector(&word, 0x11));
}

/* An INIT behind a STARTUP takes it back, and the next STARTUP counts. */
static void test_init_behind_startup(void **state)
{
    uint32_t word = STARTUP_WAITS;
    uint8_t vector = 0;

    (void)state;
    assert_true(startup_send_vector(&word, 1));
    startup_send_init(&word);
    assert_true(startup_waits(&word));
    assert_true(startup_send_vector(&word, 0xff));
    assert_int_equal(startup_take(&word, &vector), STARTUP_RESET);
    assert_int_equal(startup_take(&word, &vector), STARTUP_START);
    assert_int_equal(vector, 0xff);
    startup_send_init(&word);
    assert_int_equal(startup_take(&word, &vector), STARTUP_RESET);
    assert_int_equal(startup_take(&word, &vector), STARTUP_NOTHING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_running_takes_init_only),
        cmocka_unit_test(test_sequence_at_once),
        cmocka_unit_test(test_init_behind_startup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
