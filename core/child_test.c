/* SPDX-License-Identifier: ISC */
/* What init asks for its children: sharing, connections, faults, and what it cannot ask. */
#include "core/core.h"

#include "base/include/session/parent.h"
#include "base/include/session/pd.h"
#include "tests/core/machine.h"

#include <cmocka.h>

static struct pd *one, *two;
static uint64_t one_handle, two_handle;
static struct snapshot before;

static int begin(void **state)
{
    (void)state;
    machine_children = 2;
    one = machine_child("one", 300, 160, &one_handle);
    two = machine_child("two", 100, 60, &two_handle);
    before = machine_snapshot();
    return 0;
}

static int end(void **state)
{
    struct snapshot now = machine_snapshot();

    (void)state;
    machine_check();
    snapshot_same(&before, &now);
    assert_int_equal(WHOLE(machine_init, CHILD_DESTROY, one_handle), ERROR_OK);
    assert_int_equal(WHOLE(machine_init, CHILD_DESTROY, two_handle), ERROR_OK);
    machine_check();
    return 0;
}

static const struct model_capability *capability(const struct pd *pd, uint64_t at)
{
    return model_capability(model_object(pd_selector(pd, SEL_OBJ)), at);
}

/* Who may have no children names none, sessions with core are init's to open, and no handle of another kind is a
 * child. */
static void test_denied(void **state)
{
    uint64_t below;

    (void)state;
    for (uint64_t operation = CHILD_CREATE; operation <= CHILD_CAPABILITIES; operation++)
        assert_int_equal(CALL(one, operation, 1, 1, 1),
                         operation == CHILD_CREATE ? ERROR_BAD_ARGUMENT : ERROR_NOT_FOUND);
    assert_int_equal(machine_create(one, one_handle, "below", 60, 50, 1000, &below), ERROR_OK);
    struct pd *lowest = one->handle[below].child;
    for (uint64_t operation = CHILD_CREATE; operation <= PARENT_OPEN + 20; operation++)
        if (operation <= CHILD_CAPABILITIES || operation >= PARENT_OPEN)
            assert_int_equal(CALL(lowest, operation, 1, 1, 1), ERROR_DENIED);
    assert_int_equal(CALL(one, PARENT_OPEN), ERROR_DENIED);
    assert_int_equal(CALL(one, PARENT_CLOSE), ERROR_DENIED);
    assert_int_equal(WHOLE(one, CHILD_DESTROY, below), ERROR_OK);
    assert_int_equal(machine_open(0, 0, 0, "ROM", "data", ""), ERROR_OK);
    uint64_t rom = answer.word[0];
    for (uint64_t operation = CHILD_START; operation <= CHILD_CAPABILITIES; operation++)
        assert_int_equal(CALL(machine_init, operation, rom, 1, 1), ERROR_NOT_FOUND);
    assert_int_equal(CALL(machine_init, CHILD_START, 0, 1), ERROR_BAD_ARGUMENT);
    assert_int_equal(CALL(machine_init, CHILD_QUOTA, 0, PAGE), ERROR_BAD_ARGUMENT);
    assert_int_equal(CALL(machine_init, CHILD_DESTROY, 0), ERROR_NOT_FOUND);
    assert_int_equal(CALL(machine_init, CHILD_DESTROY, UINT64_MAX), ERROR_NOT_FOUND);
    assert_int_equal(CALL(machine_init, PARENT_CLOSE, rom), ERROR_OK);
    assert_int_equal(CALL(machine_init, PARENT_CLOSE, rom), ERROR_NOT_FOUND);
}

/* By a path: what init does for a grandchild reaches it and no other, its quota goes past its parent, and all of it
 * dies with the parent. */
static void test_path(void **state)
{
    uint64_t below, second, other;

    (void)state;
    assert_int_equal(machine_create(one, one_handle, "below", 60, 50, 1000, &below), ERROR_OK);
    assert_int_equal(machine_create(one, one_handle, "second", 61, 50, 1001, &second), ERROR_OK);
    assert_int_equal(machine_create(one, one_handle, "third", 60, 20, 1002, &other), ERROR_LIMIT);
    struct pd *pd = one->handle[below].child;
    uint64_t path = one_handle | below << CHILD_BITS, init_used = machine_init->ram_used;
    uint64_t free = one->ram_limit - one->ram_used;
    const uint64_t wrong[] = {one_handle | 99 << CHILD_BITS, two_handle | below << CHILD_BITS,
                              path << CHILD_BITS, path | 1ull << 2 * CHILD_BITS, UINT64_MAX};
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        assert_int_equal(CALL(machine_init, CHILD_INFO, wrong[i]), ERROR_NOT_FOUND);
        assert_int_equal(machine_open(wrong[i], 0, 0, "LOG", "", ""), ERROR_NOT_FOUND);
    }
    assert_int_equal(CALL(machine_init, CHILD_INFO, path), ERROR_OK);
    assert_int_equal(answer.word[0] + answer.word[1], 60 * PAGE);
    assert_int_equal(CALL(machine_init, CHILD_QUOTA, path, 0ull - 2 * PAGE), ERROR_OK);
    assert_int_equal(pd->ram_limit, 58);
    assert_int_equal(one->ram_limit, 298);
    assert_int_equal(one->ram_limit - one->ram_used, free);
    assert_int_equal(machine_init->ram_used, init_used - 2);
    assert_int_equal(CALL(machine_init, CHILD_QUOTA, path, 0ull - 60 * PAGE), ERROR_NO_RAM);
    assert_int_equal(CALL(machine_init, CHILD_QUOTA, path, 2 * PAGE), ERROR_OK);
    assert_int_equal(machine_init->ram_used, init_used);
    assert_int_equal(CALL(machine_init, CHILD_CONNECT, path, 40, two_handle, 6), ERROR_OK);
    assert_ptr_equal(capability(pd, 40)->object, model_object(pd_selector(two, SEL_NT)));
    assert_int_equal(machine_open(path, 0, 0, "ROM", "one -> below -> data", ""), ERROR_OK);
    uint64_t rom = answer.word[0];
    assert_int_equal(handle_kind(pd, rom), HANDLE_ROM);
    assert_int_equal(CALL(machine_init, PARENT_CLOSE, rom, two_handle), ERROR_NOT_FOUND);
    assert_int_equal(CALL(machine_init, PARENT_CLOSE, rom, path), ERROR_OK);
    machine_check();
    assert_int_equal(WHOLE(machine_init, CHILD_DESTROY, one_handle), ERROR_OK);
    one = machine_child("one", 300, 160, &one_handle);
}

static void test_connect(void **state)
{
    (void)state;
    assert_int_equal(CALL(machine_init, CHILD_CONNECT, one_handle, 40, two_handle, 6), ERROR_OK);
    assert_ptr_equal(capability(one, 40)->object, model_object(pd_selector(two, SEL_NT)));
    assert_int_equal(capability(one, 40)->bits, 6);
    assert_int_equal(capability(one, 40)->permissions, PERM_NT_SIGNAL);
    assert_int_equal(CALL(machine_init, CHILD_CONNECT, one_handle, 40, two_handle, 6), ERROR_EXISTS);
    assert_int_equal(CALL(machine_init, CHILD_CONNECT, one_handle, 3, two_handle, 6), ERROR_BAD_ARGUMENT);
    assert_int_equal(CALL(machine_init, CHILD_CONNECT, one_handle, 41, two_handle, 0), ERROR_BAD_ARGUMENT);
    assert_int_equal(CALL(machine_init, CHILD_CONNECT, one_handle, 41, 99, 6), ERROR_NOT_FOUND);
    machine_check();
    assert_int_equal(CALL(machine_init, CHILD_DISCONNECT, one_handle, 40), ERROR_OK);
    assert_null(capability(one, 40)->object);
    assert_int_equal(CALL(machine_init, CHILD_CONNECT, one_handle, 40, two_handle, 6), ERROR_OK);
    assert_int_equal(CALL(one, PD_DROP, 40), ERROR_OK);
    assert_int_equal(CALL(one, PD_DROP, 2), ERROR_BAD_ARGUMENT);
}

/* As many as a notification has places for, and the kernel without memory at each call. */
static void test_connections_end(void **state)
{
    uint64_t at = 40;
    enum error error;

    (void)state;
    while (!(error = CALL(machine_init, CHILD_CONNECT, one_handle, at, two_handle, 6)))
        at++;
    assert_int_equal(error, ERROR_LIMIT);
    assert_int_equal(at, 40 + one->places);
    while (at-- > 40)
        assert_int_equal(CALL(machine_init, CHILD_DISCONNECT, one_handle, at), ERROR_OK);
    for (unsigned n = 1; n <= 2; n++) {
        model.fail = n;
        assert_int_equal(CALL(machine_init, CHILD_CONNECT, one_handle, 40, two_handle, 6), ERROR_NO_KMEM);
        machine_check();
    }
}

/* With more RAM there are more places, up to a limit, and all of them can be used and come back. */
static void test_places(void **state)
{
    uint64_t large_handle, small_places = one->places;
    struct pd *large = machine_child("large", 6000, 160, &large_handle);
    unsigned shares = 0;

    (void)state;
    assert_int_equal(small_places, HANDLES + 300 / PLACE_PAGES);
    assert_int_equal(large->places, HANDLES + 6000 / PLACE_PAGES);
    assert_int_equal(machine_init->places, PLACES_MAX);
    assert_int_equal(CALL(machine_init, PD_DATASPACE_ALLOC, PAGE), ERROR_OK);
    uint64_t memory = answer.word[0];
    while (CALL(machine_init, CHILD_SHARE, large_handle, memory, MEM_READ) == ERROR_OK) {
        uint64_t place = answer.word[0];
        shares++;
        assert_int_equal(CALL(large, PD_ATTACH, place, 0, 0, 0, MEM_READ), ERROR_OK);
    }
    assert_int_equal(shares, large->places - 1);
    for (unsigned i = 0; i + 1 < shares; i++)
        assert_int_equal(CALL(machine_init, CHILD_CONNECT, large_handle, 40 + i, two_handle, 1), ERROR_OK);
    machine_check();
    assert_int_equal(CALL(large, PD_DETACH, large->attachment[7].page * PAGE), ERROR_OK);
    machine_check();
    assert_int_equal(WHOLE(machine_init, CHILD_DESTROY, two_handle), ERROR_OK);
    machine_check();
    for (unsigned i = 0; i < large->places; i++)
        assert_null(large->connection[i].holder);
    two = machine_child("two", 100, 60, &two_handle);
    assert_int_equal(WHOLE(machine_init, CHILD_DESTROY, large_handle), ERROR_OK);
    assert_int_equal(WHOLE(machine_init, PD_DATASPACE_FREE, memory), ERROR_OK);
}

static void test_share(void **state)
{
    (void)state;
    assert_int_equal(CALL(machine_init, PD_DATASPACE_ALLOC, 3 * PAGE), ERROR_OK);
    uint64_t memory = answer.word[0];
    assert_int_equal(CALL(machine_init, CHILD_SHARE, one_handle, memory, MEM_WRITE), ERROR_BAD_ARGUMENT);
    assert_int_equal(CALL(machine_init, CHILD_SHARE, 0, memory, MEM_READ), ERROR_BAD_ARGUMENT);
    assert_int_equal(CALL(machine_init, CHILD_SHARE, one_handle, memory + 1, MEM_READ), ERROR_NOT_FOUND);
    assert_int_equal(CALL(machine_init, CHILD_SHARE, one_handle, memory, MEM_READ), ERROR_OK);
    uint64_t handle = answer.word[0];
    assert_int_equal(CALL(one, PD_DATASPACE_INFO, handle), ERROR_OK);
    assert_int_equal(answer.word[0], 3 * PAGE);
    assert_int_equal(answer.word[1], MEM_READ);
    assert_int_equal(CALL(one, PD_DATASPACE_CLEAR, handle), ERROR_NOT_FOUND);
    assert_int_equal(CALL(machine_init, PD_DATASPACE_ALLOC, 2000 * PAGE), ERROR_MORE);
    uint64_t unclear = answer.word[0];
    assert_int_equal(CALL(machine_init, CHILD_SHARE, one_handle, unclear, MEM_READ), ERROR_BUSY);
    assert_int_equal(WHOLE(machine_init, PD_DATASPACE_FREE, unclear), ERROR_OK);
    assert_int_equal(WHOLE(machine_init, PD_DATASPACE_FREE, memory), ERROR_OK);
    assert_int_equal(CALL(one, PD_DATASPACE_INFO, handle), ERROR_NOT_FOUND);
}

/* Every capability is found; no request looks at more than some. */
static void test_capabilities(void **state)
{
    unsigned found = 0;
    uint64_t at = 0;
    enum error error;

    (void)state;
    do {
        uint64_t calls = model.calls;
        error = CALL(machine_init, CHILD_CAPABILITIES, one_handle, at);
        assert_in_range(model.calls - calls, 0, 256);
        found += error == ERROR_OK;
        at = answer.word[0] + (error == ERROR_OK);
    } while (error == ERROR_OK || error == ERROR_MORE);
    assert_int_equal(error, ERROR_NOT_FOUND);
    assert_int_equal(found, model_capabilities(model_object(pd_selector(one, SEL_OBJ))));
    assert_int_equal(CALL(machine_init, CHILD_CAPABILITIES, one_handle, UINT64_MAX), ERROR_NOT_FOUND);
}

static void test_fault(void **state)
{
    (void)state;
    model_utcb[0] = 0x1234;
    assert_int_equal(CALL(machine_init, CHILD_FAULT, one_handle), ERROR_OK);
    assert_int_equal(answer.word[2], 0x1234);
    assert_int_equal(CALL(machine_init, CHILD_INFO, one_handle), ERROR_OK);
    assert_int_equal(answer.word[0] + answer.word[1], 300 * PAGE);
    assert_int_equal(answer.word[2] + answer.word[3], 160);
    assert_int_equal(CALL(machine_init, 0x2f, one_handle), ERROR_BAD_OPERATION);
}

/* A child's are of its creator's, and CPU 0, where each has its main thread. */
static void test_cpus(void **state)
{
    uint64_t below;

    (void)state;
    assert_int_equal(CALL(one, PD_INFO), ERROR_OK);
    assert_int_equal(answer.word[4], 2);
    for (unsigned cpu = 0; cpu < 4; cpu++)
        assert_int_equal(pd_has_cpu(one, cpu), cpu < 2);
    assert_false(pd_has_cpu(one, 64 + 1));
    assert_int_equal(machine_create(one, one_handle, "below", 60, 50, 1000, &below), ERROR_OK);
    assert_int_equal(WHOLE(one, CHILD_DESTROY, below), ERROR_OK);
    one->cpus = 5;
    assert_int_equal(machine_create(one, one_handle, "below", 60, 50, 1000, &below), ERROR_BAD_ARGUMENT);
    one->cpus = 2;
}

/* Of all threads; the entry EC runs on others' time. */
static void test_time(void **state)
{
    (void)state;
    assert_int_equal(CALL(one, PD_ENTRY, 0x400000, 0x1000), ERROR_OK);
    assert_int_equal(CALL(one, PD_THREAD, 0x400000, 0, 0, 3, 0x1000, 0), ERROR_OK);
    model_object(pd_selector(one, SEL_THREADS))->time = 1000;
    model_object(pd_selector(one, SEL_THREADS + 4))->time = 200;
    model_object(pd_selector(one, SEL_ENTRY))->time = 30;
    model_object(pd_selector(two, SEL_THREADS))->time = 4;
    assert_int_equal(CALL(one, PD_INFO), ERROR_OK);
    assert_int_equal(answer.word[10], 1200);
    assert_int_equal(CALL(machine_init, CHILD_INFO, one_handle), ERROR_OK);
    assert_int_equal(answer.word[4], 1200);
    assert_int_equal(CALL(machine_init, CHILD_INFO, two_handle), ERROR_OK);
    assert_int_equal(answer.word[4], 4);
    before = machine_snapshot();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_denied, begin, end),
        cmocka_unit_test_setup_teardown(test_path, begin, end),
        cmocka_unit_test_setup_teardown(test_connect, begin, end),
        cmocka_unit_test_setup_teardown(test_connections_end, begin, end),
        cmocka_unit_test_setup_teardown(test_places, begin, end),
        cmocka_unit_test_setup_teardown(test_share, begin, end),
        cmocka_unit_test_setup_teardown(test_capabilities, begin, end),
        cmocka_unit_test_setup_teardown(test_fault, begin, end),
        cmocka_unit_test_setup_teardown(test_cpus, begin, end),
        cmocka_unit_test_setup_teardown(test_time, begin, end),
    };

    return cmocka_run_group_tests(tests, machine_start, machine_end);
}
