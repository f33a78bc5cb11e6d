/* SPDX-License-Identifier: ISC */
/* DEVICE sessions: a driver gets one function's registers, interrupt and DMA, and none of it stays behind. */
#include "core/core.h"

#include "base/include/session/device.h"
#include "base/include/session/parent.h"
#include "base/include/session/pd.h"
#include "tests/core/machine.h"

#include <cmocka.h>

#define RW         (MEM_READ | MEM_WRITE)
#define COMMAND    4u
#define MEMORY     2u
#define BUS_MASTER 4u
#define BAR        0x10u
#define MSI        0x40u

static struct pd *driver;
static uint64_t driver_handle, device;
static struct snapshot before;

static int begin(void **state)
{
    (void)state;
    driver = machine_child("driver", 500, 200, &driver_handle);
    /* Once for the tables of selectors that stay. */
    assert_int_equal(machine_open(driver_handle, 0, 0, DEVICE_SERVICE, "00:04.0", ""), ERROR_OK);
    device = answer.word[0];
    assert_int_equal(CALL(driver, session_operation(device, DEVICE_INTERRUPT), 50, 2), ERROR_OK);
    assert_int_equal(WHOLE(machine_init, PARENT_CLOSE, device, driver_handle), ERROR_OK);
    before = machine_snapshot();
    assert_int_equal(machine_open(driver_handle, 0, 0, DEVICE_SERVICE, "00:04.0", ""), ERROR_OK);
    device = answer.word[0];
    return 0;
}

static int end(void **state)
{
    struct snapshot now = machine_snapshot();

    (void)state;
    machine_check();
    snapshot_same(&before, &now);
    assert_false(devices_there());
    assert_int_equal(WHOLE(machine_init, CHILD_DESTROY, driver_handle), ERROR_OK);
    return 0;
}

static uint64_t session(uint64_t operation)
{
    return session_operation(device, operation);
}

static void close_device(void)
{
    assert_int_equal(WHOLE(machine_init, PARENT_CLOSE, device, driver_handle), ERROR_OK);
}

static void test_registers(void **state)
{
    uint64_t bar;

    (void)state;
    assert_int_equal(CALL(driver, session(DEVICE_INFO)), ERROR_OK);
    assert_int_equal(answer.word[0], MACHINE_DISK);
    assert_int_equal(CALL(driver, session(DEVICE_READ), 8), ERROR_OK);
    assert_int_equal(answer.word[0] >> 8, 0x010802);
    assert_int_equal(CALL(driver, session(DEVICE_READ), 3), ERROR_BAD_ARGUMENT);
    assert_int_equal(CALL(driver, session(DEVICE_READ), 256), ERROR_BAD_ARGUMENT);
    assert_int_equal(CALL(driver, session(DEVICE_BAR), 1), ERROR_NOT_FOUND);
    assert_int_equal(CALL(driver, session(DEVICE_BAR), 0), ERROR_OK);
    bar = answer.word[0];
    assert_int_equal(answer.word[1], 0x4000);
    assert_int_equal(WHOLE(driver, PD_ATTACH, bar, 0, 0, 0, RW), ERROR_OK);
    const struct model_range *range =
        model_mapping(model_object(pd_selector(driver, SEL_HST)), answer.word[0] / PAGE);
    assert_non_null(range);
    assert_int_equal(range->source, (machine_config(MACHINE_DISK, BAR) & ~0xfu) / PAGE);
    assert_true(range->rights & MEM_UNCACHED);
    assert_int_equal(CALL(driver, session(DEVICE_MAP), bar, 0, 0x4000, 0x100000, RW), ERROR_DENIED);
    assert_int_equal(CALL(driver, PD_ATTACH, bar, 0, 0, 0, MEM_READ | MEM_EXECUTE), ERROR_DENIED);
    close_device();
    assert_int_equal(driver->handle[bar].kind, HANDLE_NONE);
}

static void test_dma(void **state)
{
    uint64_t memory;

    (void)state;
    assert_int_equal(machine_config(MACHINE_DISK, COMMAND) & (MEMORY | BUS_MASTER), MEMORY);
    assert_int_equal(CALL(driver, session(DEVICE_DMA), 1), ERROR_OK);
    assert_true(machine_config(MACHINE_DISK, COMMAND) & BUS_MASTER);
    assert_int_equal(CALL(driver, PD_DATASPACE_ALLOC, 40 * PAGE), ERROR_OK);
    memory = answer.word[0];
    assert_int_equal(CALL(driver, session(DEVICE_MAP), memory, 0, 40 * PAGE, 0x100000, RW | MEM_EXECUTE),
                     ERROR_BAD_ARGUMENT);
    assert_int_equal(WHOLE(driver, session(DEVICE_MAP), memory, 0, 40 * PAGE, 0x100000, RW), ERROR_OK);
    const struct model_object *space = model_object(handle_selector(driver, (unsigned)device));
    assert_non_null(model_mapping(space, 0x100));
    machine_check();
    /* Memory that is freed is out of the device's reach. */
    assert_int_equal(WHOLE(driver, PD_DATASPACE_FREE, memory), ERROR_OK);
    assert_null(model_mapping(space, 0x100));
    close_device();
    assert_false(machine_config(MACHINE_DISK, COMMAND) & BUS_MASTER);
}

static void test_interrupt(void **state)
{
    (void)state;
    assert_int_equal(CALL(driver, session(DEVICE_INTERRUPT), 2, 2), ERROR_BAD_ARGUMENT);
    assert_int_equal(CALL(driver, session(DEVICE_INTERRUPT), 50, 0), ERROR_BAD_ARGUMENT);
    assert_int_equal(CALL(driver, session(DEVICE_INTERRUPT), 50, 2), ERROR_OK);
    assert_int_equal(machine_config(MACHINE_DISK, MSI) >> 16 & 1, 1);
    assert_int_equal(machine_config(MACHINE_DISK, MSI + 4), answer.word[1]);
    assert_int_equal(CALL(driver, session(DEVICE_INTERRUPT), 51, 2), ERROR_LIMIT);
    close_device();
    assert_int_equal(machine_config(MACHINE_DISK, MSI) >> 16 & 1, 0);
    assert_null(model_capability(model_object(pd_selector(driver, SEL_OBJ)), 50)->object);
}

static void test_interrupt_fails(void **state)
{
    (void)state;
    for (unsigned n = 1, failed = true; failed; n++) {
        struct snapshot there = machine_snapshot(), now;
        model.fail = n;
        model.failed = false;
        enum error error = CALL(driver, session(DEVICE_INTERRUPT), 50, 2);
        model.fail = 0;
        failed = model.failed;
        assert_int_equal(error, failed ? ERROR_NO_KMEM : ERROR_OK);
        machine_check();
        now = machine_snapshot();
        if (failed)
            snapshot_same(&there, &now);
    }
    close_device();
}

/* One driver a function; bridges have none; a class is served by the first that is free. */
static void test_taken(void **state)
{
    uint64_t other;

    (void)state;
    (void)machine_child("other", 100, 60, &other);
    assert_int_equal(machine_open(other, 0, 0, DEVICE_SERVICE, "00:04.0", ""), ERROR_BUSY);
    assert_int_equal(machine_open(other, 0, 0, DEVICE_SERVICE, "010802", ""), ERROR_BUSY);
    assert_int_equal(machine_open(other, 0, 0, DEVICE_SERVICE, "00:00.0", ""), ERROR_NOT_FOUND);
    assert_int_equal(machine_open(other, 0, 0, DEVICE_SERVICE, "00:07.0", ""), ERROR_NOT_FOUND);
    assert_int_equal(machine_open(other, 0, 0, DEVICE_SERVICE, "nonsense", ""), ERROR_BAD_ARGUMENT);
    assert_int_equal(machine_open(other, 0, 0, DEVICE_SERVICE, "00ff00", ""), ERROR_OK);
    close_device();
    assert_int_equal(machine_open(other, 0, 0, DEVICE_SERVICE, "010802", ""), ERROR_OK);
    assert_int_equal(WHOLE(machine_init, CHILD_DESTROY, other), ERROR_OK);
}

/* A close in steps: the first one has the device at rest, and no more is to be had of it. */
static void test_close_steps(void **state)
{
    unsigned steps;

    (void)state;
    assert_int_equal(CALL(driver, session(DEVICE_BAR), 0), ERROR_OK);
    assert_int_equal(CALL(driver, session(DEVICE_INTERRUPT), 50, 2), ERROR_OK);
    assert_int_equal(CALL(driver, session(DEVICE_DMA), 1), ERROR_OK);
    assert_int_equal(CALL(machine_init, PARENT_CLOSE, device, driver_handle), ERROR_MORE);
    assert_false(machine_config(MACHINE_DISK, COMMAND) & BUS_MASTER);
    assert_int_equal(CALL(driver, session(DEVICE_DMA), 1), ERROR_NOT_FOUND);
    assert_int_equal(CALL(driver, session(DEVICE_BAR), 0), ERROR_NOT_FOUND);
    machine_check();
    assert_int_equal(
        machine_repeat(machine_init, (const uint64_t[8]){PARENT_CLOSE, device, driver_handle}, &steps),
        ERROR_OK);
    assert_int_equal(steps, 2);
}

/* Refused DMAs are told, of which at most so many in one look. */
static void test_faults(void **state)
{
    (void)state;
    model.faults = 1000;
    uint64_t calls = model.calls;
    device_faults();
    assert_in_range(model.calls - calls, 1, 70);
    model.faults = 0;
    close_device();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_registers, begin, end),
        cmocka_unit_test_setup_teardown(test_dma, begin, end),
        cmocka_unit_test_setup_teardown(test_interrupt, begin, end),
        cmocka_unit_test_setup_teardown(test_interrupt_fails, begin, end),
        cmocka_unit_test_setup_teardown(test_taken, begin, end),
        cmocka_unit_test_setup_teardown(test_close_steps, begin, end),
        cmocka_unit_test_setup_teardown(test_faults, begin, end),
    };

    return cmocka_run_group_tests(tests, machine_start, machine_end);
}
