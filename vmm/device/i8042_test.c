/* SPDX-License-Identifier: ISC */
/* The keyboard controller: commands, an empty socket and a plugged one, reset requests, random traffic. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/device/i8042.h"

struct fixture {
    struct bus bus;
    struct i8042 kbc;
    unsigned resets, edges[2];
    bool level[2];
    uint8_t queue[8], last;
    unsigned count;
};

static void set_irq(void *sink, unsigned pin, bool level)
{
    struct fixture *f = sink;
    unsigned n = pin == 12;

    assert_true(pin == 1 || pin == 12);
    f->edges[n] += level && !f->level[n];
    f->level[n] = level;
}

static void reset(void *context)
{
    ((struct fixture *)context)->resets++;
}

static void out(struct fixture *f, uint16_t port, uint8_t value)
{
    bus_write(&f->bus, BUS_PORT, port, 1, value, 0, 0);
}

static uint8_t in(struct fixture *f, uint16_t port)
{
    return (uint8_t)bus_read(&f->bus, BUS_PORT, port, 1, 0, 0);
}

static void fresh(struct fixture *f)
{
    struct i8042_wiring wiring = {
        .reset = reset,
        .context = f,
        .irq = {{.set = set_irq, .sink = f, .pin = 1}, {.set = set_irq, .sink = f, .pin = 12}}};

    memset(f, 0, sizeof *f);
    bus_init(&f->bus);
    i8042_init(&f->kbc, &wiring);
    assert_int_equal(i8042_attach(&f->kbc, &f->bus), BUS_OK);
}

static void test_commands(void **state)
{
    struct fixture f;

    (void)state;
    fresh(&f);
    assert_int_equal(in(&f, 0x64), 0x10);
    out(&f, 0x64, 0xaa);
    assert_int_equal(in(&f, 0x64), 0x1d);
    assert_int_equal(in(&f, 0x60), 0x55);
    assert_int_equal(in(&f, 0x64), 0x1c);
    assert_int_equal(in(&f, 0x60), 0x55); /* the last byte again */
    out(&f, 0x64, 0xab);
    assert_int_equal(in(&f, 0x60), 0x00);
    out(&f, 0x64, 0x60);
    out(&f, 0x60, 0x47);
    assert_int_equal(in(&f, 0x64), 0x14);
    out(&f, 0x64, 0x20);
    assert_true(f.level[0]); /* answers interrupt like keys do */
    assert_int_equal(in(&f, 0x60), 0x47);
    assert_false(f.level[0]);
    out(&f, 0x64, 0xad);
    out(&f, 0x64, 0xa7);
    out(&f, 0x64, 0x20);
    assert_int_equal(in(&f, 0x60), 0x77);
    out(&f, 0x64, 0xae);
    out(&f, 0x64, 0xa8);
    out(&f, 0x64, 0x20);
    assert_int_equal(in(&f, 0x60), 0x47);
    out(&f, 0x64, 0x7f);
    out(&f, 0x60, 0x12);
    out(&f, 0x64, 0x3f);
    assert_int_equal(in(&f, 0x60), 0x12);
    out(&f, 0x64, 0xc0);
    assert_int_equal(in(&f, 0x60), 0x80);
    out(&f, 0x64, 0xe0);
    assert_int_equal(in(&f, 0x60), 0x00);
    out(&f, 0x64, 0xd2);
    out(&f, 0x60, 0x99);
    assert_int_equal(in(&f, 0x64) & 0x21, 0x01);
    assert_int_equal(in(&f, 0x60), 0x99);
    out(&f, 0x64, 0x60);
    out(&f, 0x64, 0xaa); /* a command replaces the one that waits for data */
    assert_int_equal(in(&f, 0x60), 0x55);
    out(&f, 0x64, 0x20);
    assert_int_equal(in(&f, 0x60), 0x47);
    /* one answer waits behind the output buffer */
    out(&f, 0x64, 0xaa);
    out(&f, 0x64, 0x20);
    assert_int_equal(in(&f, 0x60), 0x55);
    assert_int_equal(in(&f, 0x60), 0x47);
    assert_int_equal(in(&f, 0x64) & 1, 0);
}

static void test_a20_and_reset(void **state)
{
    struct fixture f;

    (void)state;
    fresh(&f);
    assert_true(i8042_a20(&f.kbc));
    out(&f, 0x64, 0xd0);
    assert_int_equal(in(&f, 0x60), 0xcf);
    out(&f, 0x64, 0xd1);
    out(&f, 0x60, 0xdd);
    assert_false(i8042_a20(&f.kbc));
    assert_int_equal(in(&f, 0x92), 0x00);
    out(&f, 0x64, 0xdf);
    assert_true(i8042_a20(&f.kbc));
    assert_int_equal(in(&f, 0x92), 0x02);
    out(&f, 0x64, 0xdd);
    assert_false(i8042_a20(&f.kbc));
    out(&f, 0x92, 0x02);
    assert_true(i8042_a20(&f.kbc));
    assert_int_equal(f.resets, 0);
    out(&f, 0x92, 0x03);
    assert_int_equal(f.resets, 1);
    out(&f, 0x64, 0xfe);
    assert_int_equal(f.resets, 2);
    out(&f, 0x64, 0xff); /* pulses nothing */
    assert_int_equal(f.resets, 2);
    out(&f, 0x64, 0xd1);
    out(&f, 0x60, 0xde);
    assert_int_equal(f.resets, 3);
    i8042_reset(&f.kbc);
    assert_int_equal(in(&f, 0x64), 0x10);
}

static void test_empty_sockets(void **state)
{
    struct fixture f;

    (void)state;
    fresh(&f);
    out(&f, 0x60, 0xff); /* reset the keyboard that is not there */
    assert_int_equal(in(&f, 0x64), 0x51);
    assert_int_equal(in(&f, 0x60), 0xfe);
    out(&f, 0x64, 0xd4);
    out(&f, 0x60, 0xf2);
    assert_int_equal(in(&f, 0x64), 0x71);
    assert_int_equal(in(&f, 0x60), 0xfe);
    out(&f, 0x64, 0xd3);
    out(&f, 0x60, 0x5a);
    assert_int_equal(in(&f, 0x64) & 0x61, 0x01);
    assert_int_equal(in(&f, 0x60), 0x5a);
    out(&f, 0x64, 0xa9);
    assert_int_equal(in(&f, 0x60), 0x01);
}

/* A device that answers every byte with ACK and the byte. */
static void device_write(void *device, uint8_t byte, uint64_t now)
{
    struct fixture *f = device;

    (void)now;
    f->last = byte;
    if (f->count <= 6) {
        f->queue[f->count++] = 0xfa;
        f->queue[f->count++] = byte;
    }
}

static bool device_read(void *device, uint8_t *byte)
{
    struct fixture *f = device;

    if (f->count == 0)
        return false;
    *byte = f->queue[0];
    memmove(f->queue, f->queue + 1, --f->count);
    return true;
}

static void test_plugged(void **state)
{
    struct fixture f;
    struct i8042_device device = {.write = device_write, .read = device_read, .device = &f};

    (void)state;
    fresh(&f);
    i8042_plug(&f.kbc, I8042_AUX, &device);
    out(&f, 0x64, 0xa9);
    assert_int_equal(in(&f, 0x60), 0x00);
    out(&f, 0x64, 0xd3);
    out(&f, 0x60, 0x5a);
    assert_int_equal(in(&f, 0x64) & 0x21, 0x21);
    assert_int_equal(in(&f, 0x60), 0x5a);
    out(&f, 0x64, 0x60);
    out(&f, 0x60, 0x03);
    out(&f, 0x64, 0xd4);
    out(&f, 0x60, 0xf4);
    assert_int_equal(f.last, 0xf4);
    assert_true(f.level[1]);
    assert_int_equal(in(&f, 0x64) & 0x61, 0x21);
    assert_int_equal(in(&f, 0x60), 0xfa);
    assert_true(f.level[1]);
    assert_int_equal(f.edges[1], 2); /* an edge a byte */
    assert_int_equal(in(&f, 0x60), 0xf4);
    assert_false(f.level[1]);
    out(&f, 0x64, 0xa7); /* disabled: the device keeps its bytes */
    f.queue[f.count++] = 0x08;
    i8042_notify(&f.kbc);
    assert_int_equal(in(&f, 0x64) & 1, 0);
    out(&f, 0x64, 0xa8);
    assert_int_equal(in(&f, 0x64) & 0x21, 0x21);
    assert_int_equal(in(&f, 0x60), 0x08);
    i8042_plug(&f.kbc, I8042_AUX, NULL);
    i8042_plug(&f.kbc, I8042_KEYBOARD, &device);
    out(&f, 0x60, 0xed);
    assert_int_equal(f.edges[0], 1);
    assert_int_equal(in(&f, 0x60), 0xfa);
    assert_int_equal(in(&f, 0x60), 0xed);
}

static void test_random(void **state)
{
    static const uint16_t ports[] = {0x60, 0x64, 0x92, 0x5f, 0x61, 0x63, 0x91};
    struct fixture f;
    struct i8042_device device = {.write = device_write, .read = device_read, .device = &f};

    (void)state;
    srand(10);
    fresh(&f);
    for (unsigned i = 0; i < 100000; i++) {
        uint16_t port = ports[rand() % 7];
        uint8_t size = (uint8_t)(1 << rand() % 3);

        if (rand() % 1000 == 0)
            i8042_plug(&f.kbc, rand() & 1, rand() & 1 ? &device : NULL);
        if (rand() & 1)
            bus_write(&f.bus, BUS_PORT, port, size, (uint64_t)rand(), 0, i);
        else
            (void)bus_read(&f.bus, BUS_PORT, port, size, 0, i);
        assert_false(f.level[0] && f.level[1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commands),      cmocka_unit_test(test_a20_and_reset),
        cmocka_unit_test(test_empty_sockets), cmocka_unit_test(test_plugged),
        cmocka_unit_test(test_random),
    };

    return cmocka_run_group_tests_name("i8042", tests, NULL, NULL);
}
