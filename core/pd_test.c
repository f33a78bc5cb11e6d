/* SPDX-License-Identifier: ISC */
/* Protection domains: made, started, and brought to their end in steps, with whatever they have open. */
#include "core/core.h"

#include "base/include/session/pd.h"
#include "base/include/session/vm.h"
#include "tests/core/machine.h"

#include <cmocka.h>
#include <string.h>

#define RW (MEM_READ | MEM_WRITE)

static struct snapshot before;

static int begin(void **state)
{
    (void)state;
    before = machine_snapshot();
    return 0;
}

static int end(void **state)
{
    struct snapshot now = machine_snapshot();

    (void)state;
    machine_check();
    snapshot_same(&before, &now);
    return 0;
}

static void test_quotas(void **state)
{
    uint64_t handle, init_used = machine_init->ram_used;
    struct pd *child = machine_child("a", 100, 50, &handle);
    const struct model_object *account = model_object(pd_selector(child, SEL_ACCOUNT));

    (void)state;
    assert_int_equal(machine_init->ram_used, init_used + 100);
    assert_int_equal(child->ram_limit, 100);
    assert_int_equal(child->ram_used, child->pages.count + child->elf.pages + child->stack[0].count);
    assert_ptr_equal(account->account, model_object(pd_selector(machine_init, SEL_ACCOUNT)));
    assert_int_equal(account->free + account->used, 50);
    assert_int_equal(CALL(machine_init, CHILD_QUOTA, handle, 10 * PAGE), ERROR_OK);
    assert_int_equal(child->ram_limit, 110);
    assert_int_equal(CALL(machine_init, CHILD_QUOTA, handle, 0ul - 20 * PAGE), ERROR_OK);
    assert_int_equal(child->ram_limit, 90);
    assert_int_equal(CALL(machine_init, CHILD_QUOTA, handle, 0ul - 90 * PAGE), ERROR_NO_RAM);
    assert_int_equal(CALL(machine_init, CHILD_QUOTA, handle, 1ul << 40), ERROR_NO_RAM);
    assert_int_equal(CALL(machine_init, CHILD_QUOTA, handle, 1), ERROR_BAD_ARGUMENT);
    machine_check();
    assert_int_equal(WHOLE(machine_init, CHILD_DESTROY, handle), ERROR_OK);
}

/* The program is where its file says, behind it zeros, and what is written there is nobody else's. */
static void test_program(void **state)
{
    uint64_t handle;
    struct pd *child = machine_child("a", 100, 50, &handle);
    const struct model_object *space = model_object(pd_selector(child, SEL_HST));
    const struct model_range *code = model_mapping(space, 0x400), *data = model_mapping(space, 0x502);
    const uint8_t *file = physical_pointer(module_run(module_find("init")).page * PAGE);

    (void)state;
    assert_non_null(code);
    assert_non_null(data);
    assert_int_equal(code->rights, MEM_READ | MEM_EXECUTE);
    assert_int_equal(data->rights, RW);
    assert_memory_equal(physical_pointer(code->source * PAGE), file + 0x1000, PAGE);
    assert_memory_equal(physical_pointer(child->image[1].page * PAGE), file + 0x2000, 0x800);
    for (unsigned i = 0x800; i < 0x3000; i++)
        assert_int_equal(((const uint8_t *)physical_pointer(child->image[1].page * PAGE))[i], 0);
    assert_int_equal(CALL(machine_init, CHILD_START, handle, 7), ERROR_EXISTS);
    assert_int_equal(WHOLE(machine_init, CHILD_DESTROY, handle), ERROR_OK);
}

static void test_refused(void **state)
{
    uint64_t handle;

    (void)state;
    assert_int_equal(machine_child_create("a", 5, 50, 500, &handle), ERROR_NO_RAM);
    assert_int_equal(machine_child_create("a", 1ul << 30, 50, 500, &handle), ERROR_NO_RAM);
    assert_int_equal(machine_child_create("a", 100, 1u << 20, 500, &handle), ERROR_NO_KMEM);
    assert_int_equal(machine_child_create("a", 100, 50, 2, &handle), ERROR_BAD_ARGUMENT);
    assert_int_equal(machine_child_create("a", 100, 5, 500, &handle), ERROR_NO_KMEM);
}

/* The kernel has no memory at the n-th call of creation and start, for every n. */
static void test_fails(void **state)
{
    bool failed = true;

    (void)state;
    for (unsigned n = 1; failed; n++) {
        uint64_t handle;
        struct snapshot now;
        model.fail = n;
        model.failed = false;
        enum error error = machine_child_create("a", 100, 50, 500, &handle);
        if (!error) {
            error = WHOLE(machine_init, CHILD_START, handle, 7);
            if (error)
                assert_false(machine_init->handle[handle].child->started);
            machine_check();
            model.fail = 0;
            assert_int_equal(WHOLE(machine_init, CHILD_DESTROY, handle), ERROR_OK);
        }
        failed = model.failed;
        model.fail = 0;
        assert_int_equal(error, failed ? ERROR_NO_KMEM : ERROR_OK);
        machine_check();
        now = machine_snapshot();
        if (n > 1) /* the first fills core's own table of selectors */
            snapshot_same(&before, &now);
        before = now;
        assert_true(n < 100);
    }
}

static void open_all(struct pd *pd, uint64_t handle)
{
    uint64_t memory;

    assert_int_equal(CALL(pd, PD_ENTRY, 0x400000, 0x2000), ERROR_OK);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(CALL(pd, PD_THREAD, 0x400000, 1, 2, 5, 0x3000, i % 2), ERROR_OK);
    for (unsigned i = 0; i < 3; i++) {
        enum error error = CALL(pd, PD_DATASPACE_ALLOC, 200 * PAGE);
        memory = answer.word[0];
        while (error == ERROR_MORE)
            error = CALL(pd, PD_DATASPACE_CLEAR, memory);
        assert_int_equal(error, ERROR_OK);
        assert_int_equal(WHOLE(pd, PD_ATTACH, memory, 0, 0, 0, RW), ERROR_OK);
    }
    assert_int_equal(CALL(pd, PD_PORTAL, 20, 1), ERROR_OK);
    assert_int_equal(CALL(pd, PD_NOTIFICATION, 21), ERROR_OK);
    assert_int_equal(machine_open(handle, 22, 4, "IRQ", "4", ""), ERROR_OK);
    assert_int_equal(machine_open(handle, 0, 0, "IO_PORT", "0x2f8", "8"), ERROR_OK);
    assert_int_equal(machine_open(handle, 0, 0, "LOG", "log", ""), ERROR_OK);
    assert_int_equal(machine_open(handle, 0, 0, "ROM", "data", ""), ERROR_OK);
    assert_int_equal(WHOLE(pd, PD_ATTACH, answer.word[0], 0, 0, 0, MEM_READ), ERROR_OK);
    assert_int_equal(machine_open(handle, 0, 0, "DEVICE", "010802", ""), ERROR_OK);
    assert_int_equal(WHOLE(pd, session_operation(answer.word[0], 5), memory, 0, 200 * PAGE, 0x100000, RW),
                     ERROR_OK);
    assert_int_equal(machine_open(handle, 0, 0, "VM", "", ""), ERROR_OK);
    uint64_t vm = answer.word[0];
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(CALL(pd, session_operation(vm, VM_VCPU), 30 + i, i % 2), ERROR_OK);
    assert_int_equal(WHOLE(pd, session_operation(vm, VM_ATTACH), memory, 0, 200 * PAGE, 0, RW), ERROR_OK);
}

/* A PD's end with everything open: in steps, and dead to all from the first on. */
static void test_end_with_all(void **state)
{
    uint64_t handle, other_handle, shared;
    struct pd *child = machine_child("all", 2000, 500, &handle),
              *other = machine_child("other", 100, 50, &other_handle);
    unsigned steps = 0;
    enum error error;

    (void)state;
    open_all(child, handle);
    assert_int_equal(CALL(machine_init, PD_DATASPACE_ALLOC, 4 * PAGE), ERROR_OK);
    shared = answer.word[0];
    assert_int_equal(CALL(machine_init, CHILD_SHARE, handle, shared, RW), ERROR_OK);
    assert_int_equal(WHOLE(child, PD_ATTACH, answer.word[0], 0, 0, 0, RW), ERROR_OK);
    assert_int_equal(CALL(machine_init, CHILD_CONNECT, handle, 40, other_handle, 8), ERROR_OK);
    assert_int_equal(CALL(machine_init, CHILD_CONNECT, other_handle, 40, handle, 8), ERROR_OK);
    machine_check();
    assert_int_equal(CALL(machine_init, CHILD_DESTROY, handle), ERROR_MORE);
    machine_check();
    assert_null(model_capability(model_object(pd_selector(other, SEL_OBJ)), 40)->object);
    assert_int_equal(CALL(machine_init, CHILD_INFO, handle), ERROR_NOT_FOUND);
    assert_int_equal(CALL(machine_init, CHILD_SHARE, handle, shared, RW), ERROR_NOT_FOUND);
    assert_int_equal(CALL(machine_init, CHILD_CONNECT, other_handle, 41, handle, 8), ERROR_NOT_FOUND);
    assert_int_equal(CALL(machine_init, CHILD_START, handle, 1), ERROR_NOT_FOUND);
    assert_int_equal(machine_open(handle, 0, 0, "LOG", "log", ""), ERROR_NOT_FOUND);
    assert_int_equal(CALL(child, PD_INFO), ERROR_DENIED);
    do {
        uint64_t work = model.work;
        error = CALL(machine_init, CHILD_DESTROY, handle);
        assert_in_range(model.work - work, 0, 120);
        machine_check();
        assert_true(++steps < 100);
    } while (error == ERROR_MORE);
    assert_int_equal(error, ERROR_OK);
    assert_int_equal(CALL(machine_init, CHILD_DESTROY, handle), ERROR_NOT_FOUND);
    assert_int_equal(CALL(machine_init, CHILD_SHARES, shared), ERROR_OK);
    assert_int_equal(answer.word[0], 0);
    assert_int_equal(WHOLE(machine_init, PD_DATASPACE_FREE, shared), ERROR_OK);
    assert_int_equal(WHOLE(machine_init, CHILD_DESTROY, other_handle), ERROR_OK);
}

static void test_threads(void **state)
{
    uint64_t handle;
    struct pd *child = machine_child("a", 400, 100, &handle);
    unsigned number = 2;

    (void)state;
    assert_int_equal(CALL(child, PD_THREAD, 0x400000, 0, 0, 21, 0x1000, 0), ERROR_BAD_ARGUMENT);
    assert_int_equal(CALL(child, PD_THREAD, 0x400000, 0, 0, 20, 0, 0), ERROR_BAD_ARGUMENT);
    assert_int_equal(CALL(child, PD_THREAD, 0x400000, 0, 0, 20, THREAD_STACK_MAX + 1, 0), ERROR_BAD_ARGUMENT);
    assert_int_equal(CALL(child, PD_THREAD, 0x400000, 0, 0, 20, 0x1000, 2), ERROR_BAD_ARGUMENT);
    assert_int_equal(CALL(child, PD_THREAD, USER_ADDRESS_LIMIT, 0, 0, 20, 0x1000, 0), ERROR_BAD_ARGUMENT);
    assert_int_equal(CALL(child, PD_THREAD, 0x400000, 0, 0, 20, THREAD_STACK_MAX, 0), ERROR_OK);
    assert_int_equal(answer.word[0], number++);
    while (number < THREADS && CALL(child, PD_THREAD, 0x400000, 5, 6, 3, 0x1000, 0) == ERROR_OK)
        assert_int_equal(answer.word[0], number++);
    assert_int_equal(CALL(child, PD_THREAD, 0x400000, 0, 0, 3, 0x1000, 0),
                     number == THREADS ? ERROR_LIMIT : ERROR_NO_KMEM);
    machine_check();
    assert_int_equal(WHOLE(machine_init, CHILD_DESTROY, handle), ERROR_OK);
}

static const struct model_object *object_at(const struct pd *pd, uint64_t at)
{
    return model_capability(model_object(pd_selector(pd, SEL_OBJ)), at)->object;
}

/* A portal to core for each CPU that the PD has, of the entry EC there. Its id is not that of a PD before it. */
static void test_portals(void **state)
{
    uint64_t handle;
    struct pd *child = machine_child("a", 400, 100, &handle);
    unsigned index = child->index;
    uint64_t serial = child->serial;

    (void)state;
    assert_int_equal(object_at(child, CAP_CORE)->id, PORTAL_ID(child, 0));
    assert_int_equal(object_at(child, CAP_CORE_OTHER(1))->id, PORTAL_ID(child, 1));
    assert_null(object_at(child, CAP_CORE_OTHER(2)));
    assert_int_equal(CALL(child, PD_NOTIFICATION, CAP_END), ERROR_BAD_ARGUMENT);
    assert_int_equal(CALL(child, PD_THREAD, 0x400000, 5, 6, 3, 0x1000, 1), ERROR_OK);
    const uint64_t *top = physical_pointer((child->stack[2].page + 1) * PAGE);
    assert_int_equal(top[-4], 5);
    assert_int_equal(top[-3], 6);
    assert_int_equal(top[-2], 1);
    assert_int_equal(top[-1], CAP_CORE_OTHER(1));
    top = physical_pointer((child->stack[0].page + child->stack[0].count) * PAGE);
    assert_int_equal(top[-2], 0);
    assert_int_equal(top[-1], CAP_CORE);
    assert_int_equal(WHOLE(machine_init, CHILD_DESTROY, handle), ERROR_OK);
    child = machine_child("b", 400, 100, &handle);
    assert_int_equal(child->index, index);
    assert_int_not_equal(child->serial, serial);
    assert_int_equal(WHOLE(machine_init, CHILD_DESTROY, handle), ERROR_OK);
}

/* As many as there are places, and one more. */
static void test_table_full(void **state)
{
    uint64_t handle[PDS];
    unsigned count = 0;
    enum error error;

    (void)state;
    while (!(error = machine_child_create("a", 60, 30, 3000 + count, &handle[count])))
        count++;
    assert_int_equal(error, ERROR_LIMIT);
    assert_int_equal(count, PDS - 2);
    machine_check();
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(WHOLE(machine_init, CHILD_DESTROY, handle[i]), ERROR_OK);
    before.kernel_free =
        machine_snapshot().kernel_free; /* init's and core's tables of selectors have grown */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_fails, begin, end),
        cmocka_unit_test_setup_teardown(test_quotas, begin, end),
        cmocka_unit_test_setup_teardown(test_program, begin, end),
        cmocka_unit_test_setup_teardown(test_refused, begin, end),
        cmocka_unit_test_setup_teardown(test_end_with_all, begin, end),
        cmocka_unit_test_setup_teardown(test_threads, begin, end),
        cmocka_unit_test_setup_teardown(test_portals, begin, end),
        cmocka_unit_test_setup_teardown(test_table_full, begin, end),
    };

    return cmocka_run_group_tests(tests, machine_start, machine_end);
}
