/* SPDX-License-Identifier: ISC */
/* Sessions of every service: opened, used and closed, and opened with a kernel that has no memory at the n-th
 * call. */
#include "core/core.h"

#include "base/include/session/io_port.h"
#include "base/include/session/log.h"
#include "base/include/session/parent.h"
#include "base/include/session/pd.h"
#include "base/include/session/platform.h"
#include "base/include/session/vm.h"
#include "tests/core/machine.h"

#include <cmocka.h>

#define RW (MEM_READ | MEM_WRITE)

static struct pd *client;
static uint64_t client_handle;

static int begin(void **state)
{
    (void)state;
    client = machine_child("client", 1000, 500, &client_handle);
    return 0;
}

static int end(void **state)
{
    (void)state;
    machine_check();
    assert_int_equal(WHOLE(machine_init, CHILD_DESTROY, client_handle), ERROR_OK);
    machine_check();
    return 0;
}

static const struct {
    const char *service, *label, *arguments;
    uint64_t at, bits;
} session[] = {
    {"ROM", "data", "", 0, 0},      {"LOG", "me", "", 0, 0},        {"IRQ", "4", "", 50, 2},
    {"IRQ", "20", "", 50, 2},       {"IO_PORT", "0x60", "5", 0, 0}, {"VM", "", "", 0, 0},
    {"PLATFORM", "", "", 0, 0},     {"INFO", "", "", 0, 0},         {"DEVICE", "00:04.0", "", 0, 0},
    {"DEVICE", "00ff00", "", 0, 0},
};

/* Opens and closes; nothing remains whichever call fails. */
static void test_open_fails(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof(session) / sizeof(*session); i++) {
        /* Once, so that tables of selectors and the space of ports are there. */
        for (unsigned n = 0, failed = true; failed; n++) {
            struct snapshot before = machine_snapshot(), now;
            model.fail = n;
            model.failed = false;
            enum error error = machine_open(client_handle, session[i].at, session[i].bits, session[i].service,
                                            session[i].label, session[i].arguments);
            model.fail = 0;
            failed = n == 0 || model.failed;
            assert_int_equal(error, n && model.failed ? ERROR_NO_KMEM : ERROR_OK);
            machine_check();
            if (!error)
                assert_int_equal(WHOLE(machine_init, PARENT_CLOSE, answer.word[0], client_handle), ERROR_OK);
            machine_check();
            now = machine_snapshot();
            if (n)
                snapshot_same(&before, &now);
        }
    }
}

static void test_refused(void **state)
{
    (void)state;
    assert_int_equal(machine_open(client_handle, 0, 0, "NONE", "", ""), ERROR_NOT_FOUND);
    assert_int_equal(machine_open(client_handle, 0, 0, "ROM", "none", ""), ERROR_NOT_FOUND);
    assert_int_equal(machine_open(client_handle, 0, 0, "ROM", "core", ""), ERROR_NOT_FOUND);
    assert_int_equal(machine_open(client_handle, 50, 2, "IRQ", "24", ""), ERROR_NOT_FOUND);
    assert_int_equal(machine_open(client_handle, 50, 2, "IRQ", "x", ""), ERROR_BAD_ARGUMENT);
    assert_int_equal(machine_open(client_handle, 2, 2, "IRQ", "5", ""), ERROR_BAD_ARGUMENT);
    assert_int_equal(machine_open(client_handle, 50, 0, "IRQ", "5", ""), ERROR_BAD_ARGUMENT);
    assert_int_equal(machine_open(client_handle, 0, 0, "IO_PORT", "0x3f0", "9"), ERROR_BUSY);
    assert_int_equal(machine_open(client_handle, 0, 0, "IO_PORT", "0xcf8", "1"), ERROR_BUSY);
    assert_int_equal(machine_open(client_handle, 0, 0, "IO_PORT", "0xffff", "2"), ERROR_BAD_ARGUMENT);
    assert_int_equal(machine_open(client_handle, 0, 0, "IO_PORT", "0x60", "0"), ERROR_BAD_ARGUMENT);
    assert_int_equal(CALL(machine_init, PARENT_CLOSE, 0, client_handle), ERROR_NOT_FOUND);
    assert_int_equal(CALL(machine_init, PARENT_CLOSE, 127, client_handle), ERROR_NOT_FOUND);
    assert_int_equal(CALL(machine_init, PARENT_CLOSE, UINT64_MAX, client_handle), ERROR_NOT_FOUND);
    assert_int_equal(CALL(client, session_operation(5, 0)), ERROR_NOT_FOUND);
    assert_int_equal(CALL(client, session_operation(client->places, 0)), ERROR_NOT_FOUND);
}

/* One client at a time; ports of a closed session are out of the client's reach. */
static void test_ports(void **state)
{
    uint64_t other, first;
    struct pd *second = machine_child("second", 100, 50, &other);

    (void)state;
    assert_int_equal(machine_open(client_handle, 0, 0, "IO_PORT", "0x60", "5"), ERROR_OK);
    first = answer.word[0];
    assert_int_equal(machine_open(other, 0, 0, "IO_PORT", "0x64", "1"), ERROR_BUSY);
    assert_int_equal(machine_open(other, 0, 0, "IO_PORT", "0x65", "1"), ERROR_OK);
    assert_non_null(model_mapping(model_object(pd_selector(client, SEL_PIO)), 0x64));
    assert_null(model_mapping(model_object(pd_selector(second, SEL_PIO)), 0x64));
    assert_int_equal(CALL(machine_init, PARENT_CLOSE, first, client_handle), ERROR_OK);
    assert_null(model_mapping(model_object(pd_selector(client, SEL_PIO)), 0x64));
    assert_int_equal(machine_open(other, 0, 0, "IO_PORT", "0x64", "1"), ERROR_OK);
    assert_int_equal(WHOLE(machine_init, CHILD_DESTROY, other), ERROR_OK);
}

static void test_irq(void **state)
{
    uint64_t other, first;

    (void)state;
    (void)machine_child("second", 100, 50, &other);
    assert_int_equal(machine_open(client_handle, 50, 2, "IRQ", "4", ""), ERROR_OK);
    first = answer.word[0];
    assert_int_equal(model_capability(model_object(pd_selector(client, SEL_OBJ)), 50)->permissions,
                     PERM_INTERRUPT_ACK);
    assert_int_equal(machine_open(other, 50, 2, "IRQ", "4", ""), ERROR_BUSY);
    assert_int_equal(CALL(machine_init, PARENT_CLOSE, first, client_handle), ERROR_OK);
    assert_null(model_capability(model_object(pd_selector(client, SEL_OBJ)), 50)->object);
    assert_int_equal(machine_open(other, 50, 2, "IRQ", "4", ""), ERROR_OK);
    assert_int_equal(WHOLE(machine_init, CHILD_DESTROY, other), ERROR_OK);
}

static void test_vm(void **state)
{
    uint64_t vm, memory, vcpu;
    unsigned steps;
    struct snapshot before = machine_snapshot(), now;

    (void)state;
    assert_int_equal(machine_open(client_handle, 0, 0, "VM", "", ""), ERROR_OK);
    vm = answer.word[0];
    assert_int_equal(CALL(client, session_operation(vm, VM_VCPU), 60, 2), ERROR_BAD_ARGUMENT);
    assert_int_equal(CALL(client, session_operation(vm, VM_VCPU), 2, 0), ERROR_BAD_ARGUMENT);
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(CALL(client, session_operation(vm, VM_VCPU), 60 + i, i % 2), ERROR_OK);
    vcpu = answer.word[1];
    assert_int_equal(CALL(client, PD_DETACH, answer.word[0]), ERROR_NOT_FOUND);
    assert_int_equal(CALL(client, PD_CLOSE, vcpu), ERROR_OK);
    assert_int_equal(CALL(client, PD_DATASPACE_ALLOC, 40 * PAGE), ERROR_OK);
    memory = answer.word[0];
    assert_int_equal(CALL(client, session_operation(vm, VM_ATTACH), memory, 0, 40 * PAGE, 5 * PAGE, RW),
                     ERROR_OK);
    assert_int_equal(CALL(client, session_operation(vm, VM_ATTACH), memory, 0, 40 * PAGE, 44 * PAGE, RW),
                     ERROR_EXISTS);
    assert_non_null(model_mapping(model_object(handle_selector(client, (unsigned)vm)), 44));
    assert_int_equal(CALL(client, session_operation(vm, 99)), ERROR_BAD_OPERATION);
    machine_check();
    assert_int_equal(CALL(machine_init, PARENT_CLOSE, vm, client_handle), ERROR_MORE);
    assert_int_equal(CALL(client, session_operation(vm, VM_VCPU), 80, 0), ERROR_NOT_FOUND);
    machine_check();
    assert_int_equal(
        machine_repeat(machine_init, (const uint64_t[8]){PARENT_CLOSE, vm, client_handle}, &steps), ERROR_OK);
    assert_int_equal(steps, 7);
    assert_int_equal(WHOLE(client, PD_DATASPACE_FREE, memory), ERROR_OK);
    now = machine_snapshot();
    snapshot_same(&before, &now);
}

/* A virtual CPU, a thread, a portal, a notification: the n-th call fails. */
static void test_objects_fail(void **state)
{
    uint64_t vm;

    (void)state;
    assert_int_equal(machine_open(client_handle, 0, 0, "VM", "", ""), ERROR_OK);
    vm = answer.word[0];
    assert_int_equal(CALL(client, PD_ENTRY, 0x400000, 0x2000), ERROR_OK);
    const uint64_t request[][8] = {
        {session_operation(vm, VM_VCPU), 60, 0}, {PD_PORTAL, 60, 1}, {PD_NOTIFICATION, 60}};
    for (unsigned i = 0; i < sizeof(request) / sizeof(*request); i++)
        for (unsigned n = 0, failed = true; failed; n++) {
            struct snapshot before = machine_snapshot(), now;
            model.fail = n;
            model.failed = false;
            enum error error = machine_call(client, request[i]);
            model.fail = 0;
            failed = n == 0 || model.failed;
            assert_int_equal(error, n && model.failed ? ERROR_NO_KMEM : ERROR_OK);
            if (!error)
                assert_int_equal(CALL(client, PD_CLOSE, answer.word[i == 0 ? 1 : 0]), ERROR_OK);
            machine_check();
            now = machine_snapshot();
            if (n)
                snapshot_same(&before, &now);
        }
    for (unsigned n = 1, failed = true; failed; n++) {
        struct snapshot before = machine_snapshot(), now;
        model.fail = n;
        model.failed = false;
        enum error error = CALL(client, PD_THREAD, 0x400000, 1, 2, 3, 0x5000, 0);
        model.fail = 0;
        failed = model.failed;
        assert_int_equal(error, failed ? ERROR_NO_KMEM : ERROR_OK);
        machine_check();
        now = machine_snapshot();
        if (failed)
            snapshot_same(&before, &now);
    }
}

/* The main thread ends the machine, which stays on here: each request is told so. */
static void test_platform(void **state)
{
    uint64_t platform, signals = model.signals;

    (void)state;
    assert_int_equal(machine_open(client_handle, 0, 0, "PLATFORM", "", ""), ERROR_OK);
    platform = answer.word[0];
    assert_int_equal(CALL(client, session_operation(platform, PLATFORM_OFF)),
                     ERROR_UNSUPPORTED); /* no tables */
    assert_int_equal(CALL(client, session_operation(platform, 2)), ERROR_BAD_OPERATION);
    platform_end();
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(CALL(client, session_operation(platform, PLATFORM_RESTART)), ERROR_MORE);
        assert_true(model.signals > signals);
        signals = model.signals;
        assert_int_equal(CALL(client, session_operation(platform, PLATFORM_RESTART)), ERROR_MORE);
        platform_end();
        assert_int_equal(CALL(client, session_operation(platform, PLATFORM_RESTART)), ERROR_UNSUPPORTED);
    }
}

static void test_info(void **state)
{
    uint64_t info;

    (void)state;
    assert_int_equal(machine_open(client_handle, 0, 0, "INFO", "", ""), ERROR_OK);
    info = answer.word[0];
    assert_int_equal(CALL(client, session_operation(info, INFO_READ)), ERROR_OK);
    assert_int_equal(answer.word[0], free_memory.free);
    assert_int_equal(answer.word[1], memory_total);
    assert_int_equal(CALL(client, session_operation(info, 1)), ERROR_BAD_OPERATION);
    assert_int_equal(CALL(client, PD_INFO), ERROR_OK);
    assert_int_equal(answer.word[4], 2);
    assert_int_equal(answer.word[9], 20);
    assert_int_equal(CALL(client, 99), ERROR_DENIED);
    assert_int_equal(CALL(client, 17), ERROR_BAD_OPERATION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_open_fails, begin, end),
        cmocka_unit_test_setup_teardown(test_refused, begin, end),
        cmocka_unit_test_setup_teardown(test_ports, begin, end),
        cmocka_unit_test_setup_teardown(test_irq, begin, end),
        cmocka_unit_test_setup_teardown(test_vm, begin, end),
        cmocka_unit_test_setup_teardown(test_objects_fail, begin, end),
        cmocka_unit_test_setup_teardown(test_platform, begin, end),
        cmocka_unit_test_setup_teardown(test_info, begin, end),
    };

    return cmocka_run_group_tests(tests, machine_start, machine_end);
}
