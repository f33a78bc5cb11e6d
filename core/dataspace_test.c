/* SPDX-License-Identifier: ISC */
/* Dataspaces, their shares and attachments, each operation in steps, against a model of the kernel. */
#include "core/core.h"

#include "base/include/session/pd.h"
#include "tests/core/machine.h"

#include <cmocka.h>
#include <string.h>

#define RW              (MEM_READ | MEM_WRITE)
#define PLACE           0x200000001000ul
#define MIB             (1ul << 20)
#define PAGES_IN(bytes) ((bytes) / PAGE)

static struct pd *owner, *other;
static uint64_t owner_handle, other_handle;
static struct snapshot before;

static int begin(void **state)
{
    (void)state;
    owner = machine_child("owner", 6000, 400, &owner_handle);
    other = machine_child("other", 200, 200, &other_handle);
    before = machine_snapshot();
    return 0;
}

static int end(void **state)
{
    struct snapshot now = machine_snapshot();

    (void)state;
    machine_check();
    snapshot_same(&before, &now);
    assert_int_equal(WHOLE(machine_init, CHILD_DESTROY, owner_handle), ERROR_OK);
    assert_int_equal(WHOLE(machine_init, CHILD_DESTROY, other_handle), ERROR_OK);
    machine_check();
    return 0;
}

static uint64_t alloc(struct pd *pd, uint64_t bytes)
{
    enum error error = CALL(pd, PD_DATASPACE_ALLOC, bytes);
    uint64_t handle = answer.word[0];

    while (error == ERROR_MORE)
        error = CALL(pd, PD_DATASPACE_CLEAR, handle);
    assert_int_equal(error, ERROR_OK);
    return handle;
}

/* A step clears some pages, and what is not cleared cannot be used. */
static void test_clear(void **state)
{
    unsigned steps = 0;
    uint64_t handle;

    (void)state;
    for (uint64_t page = 0x800; page < 0x2000; page++)
        if (free_memory.map[page / 64] >> page % 64 & 1)
            memset(physical_pointer(page * PAGE), 0xa5, PAGE);
    assert_int_equal(CALL(owner, PD_DATASPACE_ALLOC, 4 * MIB), ERROR_MORE);
    handle = answer.word[0];
    assert_in_range(owner->handle[handle].memory.cleared, 1, 64);
    assert_int_equal(CALL(owner, PD_ATTACH, handle, 0, 0, 0, RW), ERROR_BUSY);
    for (uint64_t last = owner->handle[handle].memory.cleared;
         CALL(owner, PD_DATASPACE_CLEAR, handle) == ERROR_MORE; steps++) {
        assert_in_range(owner->handle[handle].memory.cleared - last, 1, 64);
        last = owner->handle[handle].memory.cleared;
    }
    assert_in_range(steps, PAGES_IN(4 * MIB) / 64 - 2, 2 * PAGES_IN(4 * MIB) / 48);
    for (unsigned i = 0; i < RUNS; i++)
        for (uint64_t page = 0; page < owner->handle[handle].memory.run[i].count; page++) {
            const uint64_t *word = physical_pointer((owner->handle[handle].memory.run[i].page + page) * PAGE);
            for (unsigned j = 0; j < PAGE / 8; j++)
                assert_int_equal(word[j], 0);
        }
    assert_int_equal(WHOLE(owner, PD_DATASPACE_FREE, handle), ERROR_OK);
    assert_int_equal(CALL(owner, PD_DATASPACE_FREE, handle), ERROR_NOT_FOUND);
}

static void test_refused(void **state)
{
    uint64_t handle = alloc(owner, PAGE);

    (void)state;
    assert_int_equal(CALL(owner, PD_DATASPACE_ALLOC, 0), ERROR_BAD_ARGUMENT);
    assert_int_equal(CALL(owner, PD_DATASPACE_ALLOC, UINT64_MAX), ERROR_BAD_ARGUMENT);
    assert_int_equal(CALL(owner, PD_DATASPACE_ALLOC, 6000 * PAGE), ERROR_NO_RAM);
    assert_int_equal(answer.word[0], 6000 * PAGE);
    assert_int_equal(CALL(other, PD_DATASPACE_INFO, handle), ERROR_NOT_FOUND);
    assert_int_equal(CALL(owner, PD_ATTACH, handle, PAGE, 0, 0, RW), ERROR_BAD_ARGUMENT);
    assert_int_equal(CALL(owner, PD_ATTACH, handle, 0, 2 * PAGE, 0, RW), ERROR_BAD_ARGUMENT);
    assert_int_equal(CALL(owner, PD_ATTACH, handle, 8, 0, 0, RW), ERROR_BAD_ARGUMENT);
    assert_int_equal(CALL(owner, PD_ATTACH, handle, 0, 0, 0, RW | MEM_EXECUTE), ERROR_BAD_ARGUMENT);
    assert_int_equal(CALL(owner, PD_ATTACH, handle, 0, 0, 0, MEM_WRITE), ERROR_BAD_ARGUMENT);
    assert_int_equal(CALL(owner, PD_ATTACH, handle, 0, 0, 0, RW | 8), ERROR_DENIED);
    assert_int_equal(CALL(owner, PD_ATTACH, handle, 0, 0, 0x400000, RW), ERROR_BAD_ARGUMENT);
    assert_int_equal(CALL(owner, PD_ATTACH, handle, 0, 0, ATTACH_LIMIT, RW), ERROR_BAD_ARGUMENT);
    assert_int_equal(CALL(owner, PD_DETACH, PLACE), ERROR_NOT_FOUND);
    assert_int_equal(WHOLE(owner, PD_DATASPACE_FREE, handle), ERROR_OK);
}

/* Attachments side by side, at an offset, and one on another. */
static void test_attach(void **state)
{
    uint64_t handle = alloc(owner, 64 * PAGE), place;
    const struct model_object *space = model_object(pd_selector(owner, SEL_HST));

    (void)state;
    assert_int_equal(WHOLE(owner, PD_ATTACH, handle, 16 * PAGE, 8 * PAGE, PLACE, MEM_READ), ERROR_OK);
    assert_int_equal(model_mapping(space, PLACE / PAGE)->source,
                     owner->handle[handle].memory.run[0].page + 16);
    assert_int_equal(model_mapping(space, PLACE / PAGE)->rights, MEM_READ);
    assert_null(model_mapping(space, PLACE / PAGE + 8));
    assert_int_equal(CALL(owner, PD_ATTACH, handle, 0, 0, PLACE, RW), ERROR_EXISTS);
    assert_int_equal(CALL(owner, PD_ATTACH, handle, 16 * PAGE, 8 * PAGE, PLACE, MEM_READ), ERROR_EXISTS);
    assert_int_equal(CALL(owner, PD_ATTACH, handle, 0, PAGE, PLACE + 7 * PAGE, RW), ERROR_EXISTS);
    assert_int_equal(CALL(owner, PD_ATTACH, handle, 0, PAGE, PLACE + 8 * PAGE, RW), ERROR_OK);
    assert_int_equal(WHOLE(owner, PD_ATTACH, handle, 0, 0, 0, RW), ERROR_OK);
    place = answer.word[0];
    assert_int_equal(place, ATTACH_BASE);
    assert_int_equal(CALL(owner, PD_DETACH, PLACE + PAGE), ERROR_NOT_FOUND);
    machine_check();
    assert_int_equal(WHOLE(owner, PD_DETACH, PLACE), ERROR_OK);
    assert_null(model_mapping(space, PLACE / PAGE));
    assert_non_null(model_mapping(space, PLACE / PAGE + 8));
    assert_int_equal(WHOLE(owner, PD_DATASPACE_FREE, handle), ERROR_OK);
    assert_null(model_mapping(space, PLACE / PAGE + 8));
    assert_null(model_mapping(space, place / PAGE));
}

/* Half attached, half detached, freed half way. */
static void test_half(void **state)
{
    uint64_t handle = alloc(owner, 2 * MIB), second = alloc(owner, PAGE);

    (void)state;
    assert_int_equal(CALL(owner, PD_ATTACH, handle, 0, 0, PLACE, RW), ERROR_MORE);
    assert_int_equal(CALL(owner, PD_ATTACH, second, 0, 0, PLACE + MIB, RW), ERROR_EXISTS);
    machine_check();
    assert_int_equal(CALL(owner, PD_ATTACH, handle, 0, 0, PLACE, RW), ERROR_MORE);
    assert_int_equal(CALL(owner, PD_DETACH, PLACE), ERROR_MORE);
    assert_int_equal(CALL(owner, PD_ATTACH, handle, 0, 0, PLACE, RW), ERROR_EXISTS);
    machine_check();
    assert_int_equal(CALL(owner, PD_DATASPACE_FREE, handle), ERROR_OK);
    assert_int_equal(CALL(owner, PD_ATTACH, second, 0, 0, PLACE, RW), ERROR_OK);
    assert_int_equal(WHOLE(owner, PD_DATASPACE_FREE, second), ERROR_OK);
}

/* Freed in steps: from the first on it is of no use to anybody. */
static void test_free_steps(void **state)
{
    uint64_t handle = alloc(owner, 2 * MIB);
    unsigned steps;

    (void)state;
    assert_int_equal(WHOLE(owner, PD_ATTACH, handle, 0, 0, PLACE, RW), ERROR_OK);
    assert_int_equal(WHOLE(owner, PD_ATTACH, handle, 0, 0, 0, RW), ERROR_OK);
    assert_int_equal(CALL(owner, PD_DATASPACE_FREE, handle), ERROR_MORE);
    assert_int_equal(CALL(owner, PD_ATTACH, handle, 0, 0, 0, RW), ERROR_NOT_FOUND);
    assert_int_equal(CALL(owner, PD_DATASPACE_INFO, handle), ERROR_NOT_FOUND);
    assert_int_equal(CALL(owner, PD_DATASPACE_CLEAR, handle), ERROR_NOT_FOUND);
    machine_check();
    assert_int_equal(machine_repeat(owner, (const uint64_t[8]){PD_DATASPACE_FREE, handle}, &steps), ERROR_OK);
    assert_in_range(steps, 2 * PAGES_IN(2 * MIB) / 103, 2 * PAGES_IN(2 * MIB) / 103 + 4);
}

static uint64_t share(struct pd *from, uint64_t to, uint64_t handle, unsigned rights)
{
    assert_ptr_equal(from, machine_init);
    assert_int_equal(CALL(from, CHILD_SHARE, to, handle, rights), ERROR_OK);
    return answer.word[0];
}

/* What others have of it goes with it, whoever frees first. */
static void test_share(void **state)
{
    uint64_t handle = alloc(machine_init, MIB), one = share(machine_init, owner_handle, handle, MEM_READ);
    uint64_t two = share(machine_init, other_handle, handle, RW),
             three = share(machine_init, owner_handle, handle, RW);

    (void)state;
    assert_int_equal(CALL(machine_init, CHILD_SHARES, handle), ERROR_OK);
    assert_int_equal(answer.word[0], 3);
    assert_int_equal(CALL(owner, PD_ATTACH, one, 0, 0, PLACE, RW), ERROR_DENIED);
    assert_int_equal(WHOLE(owner, PD_ATTACH, one, 0, 0, PLACE, MEM_READ), ERROR_OK);
    assert_int_equal(WHOLE(other, PD_ATTACH, two, 0, 0, PLACE, RW), ERROR_OK);
    machine_check();
    assert_int_equal(WHOLE(owner, PD_DATASPACE_FREE, three), ERROR_OK);
    assert_int_equal(CALL(machine_init, CHILD_SHARES, handle), ERROR_OK);
    assert_int_equal(answer.word[0], 2);
    assert_int_equal(CALL(machine_init, PD_DATASPACE_FREE, handle), ERROR_MORE);
    assert_int_equal(CALL(other, PD_ATTACH, two, 0, 0, 0, RW), ERROR_NOT_FOUND);
    assert_int_equal(CALL(machine_init, CHILD_SHARE, other_handle, handle, RW), ERROR_NOT_FOUND);
    machine_check();
    assert_int_equal(CALL(other, PD_DATASPACE_FREE, two), ERROR_MORE);
    assert_int_equal(WHOLE(machine_init, PD_DATASPACE_FREE, handle), ERROR_OK);
    machine_check();
    assert_int_equal(CALL(other, PD_DATASPACE_FREE, two), ERROR_NOT_FOUND);
    assert_null(model_mapping(model_object(pd_selector(owner, SEL_HST)), PLACE / PAGE));
    assert_null(model_mapping(model_object(pd_selector(other, SEL_HST)), PLACE / PAGE));
}

/* Closing looks at none but the dataspace's own shares: as many kernel calls with all tables full. */
static void test_free_looks_at_its_own(void **state)
{
    uint64_t handle, calls[2], handles[64];

    (void)state;
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; round && i < 64; i++)
            handles[i] = alloc(other, PAGE);
        handle = alloc(owner, PAGE);
        calls[round] = model.calls;
        assert_int_equal(CALL(owner, PD_DATASPACE_FREE, handle), ERROR_OK);
        calls[round] = model.calls - calls[round];
    }
    for (unsigned i = 0; i < 64; i++)
        assert_int_equal(CALL(other, PD_DATASPACE_FREE, handles[i]), ERROR_OK);
    assert_int_equal(calls[0], calls[1]);
}

/* The kernel has no memory at the n-th call, for every n: nothing remains, but what earlier steps have
 * entered. */
static void test_fails(void **state)
{
    uint64_t handle = alloc(owner, MIB);
    struct snapshot now, there = machine_snapshot();
    enum error error;

    (void)state;
    for (unsigned n = 1;; n++) {
        model.fail = n;
        model.failed = false;
        error = WHOLE(owner, PD_ATTACH, handle, 0, 0, PLACE, RW);
        model.fail = 0;
        machine_check();
        if (!model.failed)
            break;
        assert_int_equal(error, ERROR_NO_KMEM);
        error = WHOLE(owner, PD_DETACH, PLACE);
        assert_int_equal(error, n == 1 ? ERROR_NOT_FOUND : ERROR_OK);
        now = machine_snapshot();
        snapshot_same(&there, &now);
    }
    assert_int_equal(error, ERROR_OK);
    assert_int_equal(WHOLE(owner, PD_DATASPACE_FREE, handle), ERROR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_clear, begin, end),
        cmocka_unit_test_setup_teardown(test_refused, begin, end),
        cmocka_unit_test_setup_teardown(test_attach, begin, end),
        cmocka_unit_test_setup_teardown(test_half, begin, end),
        cmocka_unit_test_setup_teardown(test_free_steps, begin, end),
        cmocka_unit_test_setup_teardown(test_share, begin, end),
        cmocka_unit_test_setup_teardown(test_free_looks_at_its_own, begin, end),
        cmocka_unit_test_setup_teardown(test_fails, begin, end),
    };

    return cmocka_run_group_tests(tests, machine_start, machine_end);
}
