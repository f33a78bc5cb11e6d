/* SPDX-License-Identifier: ISC */
/* The IOAPIC against its datasheet: register face, edges, levels and remote IRR, message contents. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "vmm/device/i82093aa.h"

struct sink {
    unsigned sent;
    bool refuse;
    struct lapic_message last;
};

static bool send(void *context, const struct lapic_message *message)
{
    struct sink *sink = context;

    if (sink->refuse)
        return false;
    sink->sent++;
    sink->last = *message;
    return true;
}

static void setup(struct i82093aa *ioapic, struct sink *sink)
{
    struct i82093aa_wiring link = {send, sink};

    memset(sink, 0, sizeof *sink);
    i82093aa_init(ioapic, &link);
}

static uint32_t window_get(struct i82093aa *ioapic, uint8_t index)
{
    struct bus_access select = {.offset = 0, .value = index, .size = 4, .write = true};
    struct bus_access read = {.offset = 0x10, .value = UINT64_MAX, .size = 4};

    i82093aa_access(ioapic, &select);
    i82093aa_access(ioapic, &read);
    return (uint32_t)read.value;
}

static void window_put(struct i82093aa *ioapic, uint8_t index, uint32_t value)
{
    struct bus_access select = {.offset = 0, .value = index, .size = 1, .write = true};
    struct bus_access write = {.offset = 0x10, .value = value, .size = 4, .write = true};

    i82093aa_access(ioapic, &select);
    i82093aa_access(ioapic, &write);
}

static void registers(void **state)
{
    struct i82093aa ioapic;
    struct sink sink;
    struct bus_access byte = {.offset = 0x12, .value = UINT64_MAX, .size = 1};
    struct bus_access nothing = {.offset = 0x20, .value = UINT64_MAX, .size = 4};

    (void)state;
    setup(&ioapic, &sink);
    assert_int_equal(window_get(&ioapic, 1), 0x00170020);
    i82093aa_access(&ioapic, &byte);
    assert_int_equal(byte.value & 0xff, 0x17);
    i82093aa_access(&ioapic, &nothing);
    assert_int_equal(nothing.value, 0);
    window_put(&ioapic, 0, 0xff000000);
    assert_int_equal(window_get(&ioapic, 0), 0x0f000000);
    assert_int_equal(window_get(&ioapic, 2), 0x0f000000);
    for (unsigned pin = 0; pin < 24; pin++) {
        assert_int_equal(window_get(&ioapic, (uint8_t)(0x10 + 2 * pin)), 1u << 16);
        window_put(&ioapic, (uint8_t)(0x11 + 2 * pin), UINT32_MAX);
        window_put(&ioapic, (uint8_t)(0x10 + 2 * pin), UINT32_MAX);
        assert_int_equal(window_get(&ioapic, (uint8_t)(0x11 + 2 * pin)), 0xff000000);
        assert_int_equal(window_get(&ioapic, (uint8_t)(0x10 + 2 * pin)), 0x0001afff);
    }
    for (unsigned index = 0x40; index < 0x100; index++) {
        window_put(&ioapic, (uint8_t)index, UINT32_MAX);
        assert_int_equal(window_get(&ioapic, (uint8_t)index), 0);
    }
}

static void edge(void **state)
{
    struct i82093aa ioapic;
    struct sink sink;

    (void)state;
    setup(&ioapic, &sink);
    i82093aa_set_irq(&ioapic, 4, true);
    assert_int_equal(sink.sent, 0);
    window_put(&ioapic, 0x19, 0x03000000);
    window_put(&ioapic, 0x18, 0x834);
    assert_int_equal(sink.sent, 0); /* came while masked: lost */
    i82093aa_set_irq(&ioapic, 4, true);
    assert_int_equal(sink.sent, 0); /* no edge */
    i82093aa_set_irq(&ioapic, 4, false);
    i82093aa_set_irq(&ioapic, 4, true);
    assert_int_equal(sink.sent, 1);
    assert_int_equal(sink.last.vector, 0x34);
    assert_int_equal(sink.last.destination, 3);
    assert_true(sink.last.logical);
    assert_false(sink.last.level);
    assert_int_equal(sink.last.source, LAPIC_NO_CPU);
    window_put(&ioapic, 0x19, 0xff000000);
    window_put(&ioapic, 0x18, LAPIC_NMI << 8);
    i82093aa_set_irq(&ioapic, 4, false);
    i82093aa_set_irq(&ioapic, 4, true);
    assert_int_equal(sink.last.delivery, LAPIC_NMI);
    assert_int_equal(sink.last.destination, LAPIC_BROADCAST);
    i82093aa_set_irq(&ioapic, 24, true);
    i82093aa_set_irq(&ioapic, UINT32_MAX, true);
    assert_int_equal(sink.sent, 2);
}

static void level(void **state)
{
    struct i82093aa ioapic;
    struct sink sink;
    struct bus_access eoi = {.offset = 0x40, .value = 0x50, .size = 4, .write = true};

    (void)state;
    setup(&ioapic, &sink);
    i82093aa_set_irq(&ioapic, 10, true);
    window_put(&ioapic, 0x24, 1u << 15 | 0x50);
    assert_int_equal(sink.sent, 1); /* unmasking finds the line high */
    assert_true(sink.last.level);
    assert_int_equal(window_get(&ioapic, 0x24), 1u << 15 | 1u << 14 | 0x50);
    i82093aa_set_irq(&ioapic, 10, false);
    i82093aa_set_irq(&ioapic, 10, true);
    assert_int_equal(sink.sent, 1); /* remote IRR holds it back */
    i82093aa_eoi(&ioapic, 0x51);
    assert_int_equal(sink.sent, 1);
    i82093aa_eoi(&ioapic, 0x50);
    assert_int_equal(sink.sent, 2);
    window_put(&ioapic, 0x24, 1u << 16 | 1u << 15 | 0x50);
    i82093aa_access(&ioapic, &eoi);
    assert_int_equal(sink.sent, 2); /* masked */
    window_put(&ioapic, 0x24, 1u << 15 | 0x50);
    assert_int_equal(sink.sent, 3);
    window_put(&ioapic, 0x24, 1u << 16 | 0x50); /* edge and back: the way to clear remote IRR */
    window_put(&ioapic, 0x24, 1u << 16 | 1u << 15 | 0x50);
    assert_int_equal(window_get(&ioapic, 0x24), 1u << 16 | 1u << 15 | 0x50);
    window_put(&ioapic, 0x24, 1u << 15 | 0x50);
    assert_int_equal(sink.sent, 4);
    i82093aa_set_irq(&ioapic, 10, false);
    i82093aa_eoi(&ioapic, 0x50);
    assert_int_equal(sink.sent, 4);
}

static void nobody_accepts(void **state)
{
    struct i82093aa ioapic;
    struct sink sink;

    (void)state;
    setup(&ioapic, &sink);
    sink.refuse = true;
    window_put(&ioapic, 0x24, 1u << 15 | 0x50);
    i82093aa_set_irq(&ioapic, 10, true);
    assert_int_equal(window_get(&ioapic, 0x24), 1u << 15 | 0x50);
    sink.refuse = false;
    i82093aa_set_irq(&ioapic, 10, true);
    assert_int_equal(sink.sent, 1);
}

static void reset(void **state)
{
    struct i82093aa ioapic;
    struct sink sink;

    (void)state;
    setup(&ioapic, &sink);
    i82093aa_set_irq(&ioapic, 3, true);
    window_put(&ioapic, 0x16, 1u << 15 | 0x50);
    i82093aa_reset(&ioapic);
    assert_int_equal(window_get(&ioapic, 0x16), 1u << 16);
    window_put(&ioapic, 0x16, 1u << 15 | 0x50);
    assert_int_equal(sink.sent, 2); /* the line is still high: its device was not reset here */
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(registers),      cmocka_unit_test(edge),  cmocka_unit_test(level),
        cmocka_unit_test(nobody_accepts), cmocka_unit_test(reset),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
