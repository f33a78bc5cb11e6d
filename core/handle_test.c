/* SPDX-License-Identifier: ISC */
/* A component's table of handles: its places, all of them, and a handle that is being closed. */
#include "core/core.h"

#include "tests/core/machine.h"

#include <cmocka.h>
#include <string.h>

static unsigned closes, steps;

static enum error counted_close(struct pd *pd, unsigned handle)
{
    assert_true(pd->handle[handle].closing);
    closes++;
    return steps && steps-- ? ERROR_MORE : ERROR_OK;
}

static const struct service counted[HANDLE_KINDS] = {[HANDLE_NT] = {.close = counted_close}};

static int begin(void **state)
{
    static struct pd pd;

    static struct handle table[HANDLES];

    memset(table, 0, sizeof(table));
    pd = (struct pd){.places = HANDLES, .handle = table};
    handle_services = counted;
    closes = 0;
    *state = &pd;
    return 0;
}

static void test_full(void **state)
{
    struct pd *pd = *state;
    unsigned handle;

    for (unsigned i = 1; i < HANDLES; i++) {
        assert_int_equal(handle_new(pd, HANDLE_NT, &handle), ERROR_OK);
        assert_int_equal(handle, i);
    }
    assert_int_equal(handle_new(pd, HANDLE_NT, &handle), ERROR_LIMIT);
    assert_int_equal(handle_close(pd, 77), ERROR_OK);
    assert_int_equal(closes, 1);
    assert_int_equal(handle_new(pd, HANDLE_RAM, &handle), ERROR_OK);
    assert_int_equal(handle, 77);
}

static void test_get(void **state)
{
    struct pd *pd = *state;
    unsigned handle;

    assert_null(handle_get(pd, 1, HANDLE_NT));
    assert_int_equal(handle_new(pd, HANDLE_NT, &handle), ERROR_OK);
    assert_ptr_equal(handle_get(pd, handle, HANDLE_NT), &pd->handle[handle]);
    assert_null(handle_get(pd, handle, HANDLE_RAM));
    assert_null(handle_get(pd, 0, HANDLE_NT));
    assert_null(handle_get(pd, HANDLES, HANDLE_NT));
    assert_null(handle_get(pd, UINT64_MAX, HANDLE_NT));
    assert_int_equal(handle_kind(pd, UINT64_MAX), HANDLE_NONE);
    assert_int_equal(handle_kind(pd, HANDLES), HANDLE_NONE);
    assert_int_equal(handle_kind(pd, 0), HANDLE_NONE);
}

/* Between the steps of its close a handle is there for these alone, and its place is not given away. */
static void test_steps(void **state)
{
    struct pd *pd = *state;
    unsigned handle, other;

    assert_int_equal(handle_new(pd, HANDLE_NT, &handle), ERROR_OK);
    steps = 2;
    assert_int_equal(handle_close(pd, handle), ERROR_MORE);
    assert_null(handle_get(pd, handle, HANDLE_NT));
    assert_int_equal(handle_kind(pd, handle), HANDLE_NT);
    assert_int_equal(handle_new(pd, HANDLE_NT, &other), ERROR_OK);
    assert_int_not_equal(other, handle);
    assert_int_equal(handle_close(pd, handle), ERROR_MORE);
    assert_int_equal(handle_close(pd, handle), ERROR_OK);
    assert_int_equal(handle_kind(pd, handle), HANDLE_NONE);
    assert_int_equal(handle_new(pd, HANDLE_NT, &other), ERROR_OK);
    assert_int_equal(other, handle);
    assert_non_null(handle_get(pd, handle, HANDLE_NT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_full, begin),
        cmocka_unit_test_setup(test_get, begin),
        cmocka_unit_test_setup(test_steps, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
