/* SPDX-License-Identifier: ISC */
/* The debug console: both ports, what is read, and that it decodes nothing unless it is wanted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vmm/device/debug_port.h"

static char written[8];
static unsigned count;

static void transmit(void *context, uint8_t byte)
{
    assert_ptr_equal(context, written);
    written[count++ % sizeof(written)] = (char)byte;
}

static void test_ports(void **state)
{
    struct debug_port port = {.transmit = transmit, .context = written};
    struct bus bus;

    (void)state;
    bus_init(&bus);
    assert_int_equal(debug_port_attach(&port, &bus), BUS_OK);
    assert_int_equal(bus_read(&bus, BUS_PORT, 0x402, 1, 0, 0), 0xe9);
    assert_int_equal(bus_read(&bus, BUS_PORT, 0xe9, 1, 0, 0), 0xe9);
    bus_write(&bus, BUS_PORT, 0x402, 1, 'a', 0, 0);
    bus_write(&bus, BUS_PORT, 0xe9, 2, 'b', 0, 0);
    bus_write(&bus, BUS_PORT, 0x403, 1, 'c', 0, 0);
    assert_int_equal(count, 2);
    assert_memory_equal(written, "ab", 2);
}

static void test_absent(void **state)
{
    struct debug_port port = {.transmit = NULL};
    struct bus bus;

    (void)state;
    bus_init(&bus);
    assert_int_equal(debug_port_attach(&port, &bus), BUS_OK);
    assert_int_equal(bus_read(&bus, BUS_PORT, 0x402, 1, 0, 0), 0xff);
    assert_false(bus_port_decodes(&bus, 0xe9, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ports),
        cmocka_unit_test(test_absent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
