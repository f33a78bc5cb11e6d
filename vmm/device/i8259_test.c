/* SPDX-License-Identifier: ISC */
/* The 8259A pair against its data sheet: each command word, each mode, the cascade, and random traffic. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "vmm/device/i8259.h"

struct fixture {
    struct bus bus;
    struct i8259 pic;
    bool intr;
    unsigned changes;
};

static void set_intr(void *sink, unsigned pin, bool level)
{
    struct fixture *f = sink;

    assert_int_equal(pin, 5);
    f->changes++;
    f->intr = level;
}

static void out(struct fixture *f, uint16_t port, uint8_t value)
{
    bus_write(&f->bus, BUS_PORT, port, 1, value, 0, 0);
}

static uint8_t in(struct fixture *f, uint16_t port)
{
    return (uint8_t)bus_read(&f->bus, BUS_PORT, port, 1, 0, 0);
}

static void program(struct fixture *f, uint8_t icw4_master, uint8_t icw4_slave)
{
    out(f, 0x20, 0x11);
    out(f, 0x21, 0x20);
    out(f, 0x21, 0x04);
    out(f, 0x21, icw4_master);
    out(f, 0xa0, 0x11);
    out(f, 0xa1, 0x28);
    out(f, 0xa1, 0x02);
    out(f, 0xa1, icw4_slave);
}

static void pulse(struct fixture *f, unsigned pin)
{
    i8259_set_irq(&f->pic, pin, true);
    i8259_set_irq(&f->pic, pin, false);
}

static struct fixture fixture;

static struct fixture *fresh(void)
{
    struct fixture *f = &fixture;
    struct irq_line line = {.set = set_intr, .sink = f, .pin = 5};

    *f = (struct fixture){.intr = true};
    bus_init(&f->bus);
    i8259_init(&f->pic, &line);
    assert_false(f->intr);
    assert_int_equal(i8259_attach(&f->pic, &f->bus), BUS_OK);
    program(f, 0x01, 0x01);
    return f;
}

static void test_basic(void **state)
{
    struct fixture *f = fresh();

    (void)state;
    assert_int_equal(in(f, 0x21), 0);
    i8259_set_irq(&f->pic, 3, true);
    assert_true(f->intr);
    assert_int_equal(in(f, 0x20), 0x08);
    assert_int_equal(i8259_acknowledge(&f->pic), 0x23);
    assert_false(f->intr);
    assert_int_equal(in(f, 0x20), 0); /* IRR; the level alone is no request */
    out(f, 0x20, 0x0b);
    assert_int_equal(in(f, 0x20), 0x08); /* ISR */
    i8259_set_irq(&f->pic, 5, true);     /* lower priority waits */
    assert_false(f->intr);
    i8259_set_irq(&f->pic, 1, true); /* higher nests */
    assert_true(f->intr);
    assert_int_equal(i8259_acknowledge(&f->pic), 0x21);
    out(f, 0x20, 0x20);
    assert_int_equal(in(f, 0x20), 0x08);
    assert_false(f->intr);
    out(f, 0x20, 0x63); /* specific EOI of 3 */
    assert_int_equal(in(f, 0x20), 0);
    assert_true(f->intr);
    assert_int_equal(i8259_acknowledge(&f->pic), 0x25);
    out(f, 0x20, 0x0a);
    assert_int_equal(in(f, 0x20), 0);
}

static void test_mask(void **state)
{
    struct fixture *f = fresh();

    (void)state;
    out(f, 0x21, 0xff);
    pulse(f, 4);
    assert_false(f->intr);
    assert_int_equal(in(f, 0x20), 0x10); /* the edge is kept behind the mask */
    assert_int_equal(in(f, 0x21), 0xff);
    out(f, 0x21, 0xef);
    assert_true(f->intr);
    out(f, 0x21, 0xff);
    assert_false(f->intr);
    assert_int_equal(i8259_acknowledge(&f->pic), 0x27); /* spurious */
    out(f, 0x20, 0x0b);
    assert_int_equal(in(f, 0x20), 0);
}

static void test_cascade(void **state)
{
    struct fixture *f = fresh();

    (void)state;
    pulse(f, 12);
    assert_int_equal(in(f, 0x20), 0x04);
    assert_int_equal(in(f, 0xa0), 0x10);
    assert_int_equal(i8259_acknowledge(&f->pic), 0x2c);
    out(f, 0x20, 0x0b);
    out(f, 0xa0, 0x0b);
    assert_int_equal(in(f, 0x20), 0x04);
    assert_int_equal(in(f, 0xa0), 0x10);
    pulse(f, 9); /* higher on the slave, but the master has the slave in service */
    assert_false(f->intr);
    pulse(f, 3);
    assert_false(f->intr);
    pulse(f, 1);
    assert_true(f->intr);
    assert_int_equal(i8259_acknowledge(&f->pic), 0x21);
    out(f, 0x20, 0x20);
    out(f, 0xa0, 0x20);
    assert_false(f->intr);
    out(f, 0x20, 0x20);
    assert_int_equal(i8259_acknowledge(&f->pic), 0x29);
    out(f, 0xa0, 0x20);
    out(f, 0x20, 0x20);
    assert_int_equal(i8259_acknowledge(&f->pic), 0x23);
}

static void test_special_fully_nested(void **state)
{
    struct fixture *f = fresh();

    (void)state;
    program(f, 0x11, 0x01);
    pulse(f, 12);
    assert_int_equal(i8259_acknowledge(&f->pic), 0x2c);
    pulse(f, 14);
    assert_false(f->intr);
    pulse(f, 9);
    assert_true(f->intr);
    assert_int_equal(i8259_acknowledge(&f->pic), 0x29);
}

static void test_spurious_slave(void **state)
{
    struct fixture *f = fresh();

    (void)state;
    out(f, 0x4d1, 0x10);
    i8259_set_irq(&f->pic, 12, true);
    i8259_set_irq(&f->pic, 12, false);
    assert_false(f->intr);
    assert_int_equal(i8259_acknowledge(&f->pic), 0x27);
    /* The slave is asked although it has withdrawn: only a poll of the master can bring that about here. */
    i8259_set_irq(&f->pic, 12, true);
    out(f, 0x20, 0x0c);
    assert_int_equal(in(f, 0x20), 0x82);
    assert_int_equal(in(f, 0xa0), 0x10);
}

static void test_level(void **state)
{
    struct fixture *f = fresh();

    (void)state;
    out(f, 0x4d0, 0xff);
    out(f, 0x4d1, 0xff);
    assert_int_equal(in(f, 0x4d0), 0xf8);
    assert_int_equal(in(f, 0x4d1), 0xde);
    assert_int_equal(bus_read(&f->bus, BUS_PORT, 0x4d0, 2, 0, 0), 0xdef8);
    i8259_set_irq(&f->pic, 5, true);
    assert_int_equal(i8259_acknowledge(&f->pic), 0x25);
    assert_int_equal(in(f, 0x20), 0x20); /* still requested */
    out(f, 0x20, 0x20);
    assert_true(f->intr);
    assert_int_equal(i8259_acknowledge(&f->pic), 0x25);
    i8259_set_irq(&f->pic, 5, false);
    out(f, 0x20, 0x20);
    assert_false(f->intr);
    i8259_set_irq(&f->pic, 11, true);
    assert_int_equal(i8259_acknowledge(&f->pic), 0x2b);
    out(f, 0xa0, 0x20);
    out(f, 0x20, 0x20);
    assert_true(f->intr);
    i8259_set_irq(&f->pic, 11, false);
    assert_false(f->intr);
}

static void test_edge(void **state)
{
    struct fixture *f = fresh();

    (void)state;
    i8259_set_irq(&f->pic, 0, true);
    assert_int_equal(i8259_acknowledge(&f->pic), 0x20);
    out(f, 0x20, 0x20);
    i8259_set_irq(&f->pic, 0, true); /* the same level is no edge */
    assert_false(f->intr);
    i8259_set_irq(&f->pic, 0, false);
    i8259_set_irq(&f->pic, 0, true);
    assert_true(f->intr);
    program(f, 0x01, 0x01); /* ICW1 forgets edges and does not take a level for one */
    assert_false(f->intr);
    i8259_set_irq(&f->pic, 0, false);
    i8259_set_irq(&f->pic, 0, true);
    assert_true(f->intr);
    i8259_set_irq(&f->pic, 2, true); /* not an input */
    i8259_set_irq(&f->pic, 16, true);
    assert_int_equal(in(f, 0x20), 0x01);
}

static void test_automatic_eoi(void **state)
{
    struct fixture *f = fresh();

    (void)state;
    program(f, 0x03, 0x03);
    out(f, 0x20, 0x0b);
    for (unsigned i = 0; i < 3; i++) {
        pulse(f, 15);
        assert_int_equal(i8259_acknowledge(&f->pic), 0x2f);
        assert_int_equal(in(f, 0x20), 0);
    }
    out(f, 0x20, 0x80); /* rotate in AEOI */
    pulse(f, 3);
    pulse(f, 4);
    assert_int_equal(i8259_acknowledge(&f->pic), 0x23);
    pulse(f, 3);
    assert_int_equal(i8259_acknowledge(&f->pic), 0x24);
    assert_int_equal(i8259_acknowledge(&f->pic), 0x23);
    out(f, 0x20, 0x00);
    pulse(f, 5);
    assert_int_equal(i8259_acknowledge(&f->pic), 0x25);
    assert_int_equal(f->pic.reg.chip[0].lowest, 3);
}

static void test_rotation(void **state)
{
    struct fixture *f = fresh();

    (void)state;
    out(f, 0x20, 0xc4); /* set priority: 4 lowest, 5 highest */
    pulse(f, 0);
    pulse(f, 4);
    pulse(f, 6);
    assert_int_equal(i8259_acknowledge(&f->pic), 0x26);
    out(f, 0x20, 0xa0); /* rotate on non-specific EOI: 6 lowest */
    assert_int_equal(i8259_acknowledge(&f->pic), 0x20);
    out(f, 0x20, 0xe0); /* rotate on specific EOI: 0 lowest */
    pulse(f, 0);
    assert_int_equal(i8259_acknowledge(&f->pic), 0x24);
    out(f, 0x20, 0x40); /* no operation */
    assert_false(f->intr);
    out(f, 0x20, 0x20);
    assert_int_equal(i8259_acknowledge(&f->pic), 0x20);
    out(f, 0x20, 0x20);
    out(f, 0x20, 0xa0); /* nothing in service: no rotation */
    assert_int_equal(f->pic.reg.chip[0].lowest, 0);
}

static void test_special_mask(void **state)
{
    struct fixture *f = fresh();

    (void)state;
    pulse(f, 1);
    assert_int_equal(i8259_acknowledge(&f->pic), 0x21);
    pulse(f, 6);
    assert_false(f->intr);
    out(f, 0x21, 0x02);
    assert_false(f->intr); /* fully nested: masking does not help */
    out(f, 0x20, 0x68);
    assert_true(f->intr);
    assert_int_equal(i8259_acknowledge(&f->pic), 0x26);
    out(f, 0x20, 0x20); /* ends 6, since 1 is masked */
    out(f, 0x20, 0x0b);
    assert_int_equal(in(f, 0x20), 0x02);
    out(f, 0x20, 0x28); /* ESMM clear: SMM unchanged */
    assert_true(f->pic.reg.chip[0].special_mask);
    out(f, 0x20, 0x48);
    assert_false(f->pic.reg.chip[0].special_mask);
}

static void test_poll(void **state)
{
    struct fixture *f = fresh();

    (void)state;
    out(f, 0x20, 0x0c);
    assert_int_equal(in(f, 0x20), 0);
    assert_int_equal(in(f, 0x21), 0); /* one read only: this is the mask */
    pulse(f, 6);
    pulse(f, 4);
    out(f, 0x20, 0x0f); /* poll wins over a register selection */
    assert_int_equal(in(f, 0x21), 0x84);
    assert_int_equal(in(f, 0x20), 0x40);
    out(f, 0x20, 0x0b);
    assert_int_equal(in(f, 0x20), 0x10);
    assert_false(f->intr);
}

static void test_initialisation(void **state)
{
    struct fixture *f = fresh();

    (void)state;
    out(f, 0x21, 0xaa);
    out(f, 0x20, 0xc3);
    out(f, 0x20, 0x13); /* single, with ICW4 */
    assert_int_equal(in(f, 0x21), 0);
    pulse(f, 7);
    assert_false(f->intr); /* not before the sequence is complete */
    out(f, 0x21, 0x4f);    /* low bits of ICW2 do not count */
    out(f, 0x21, 0x01);
    assert_true(f->intr);
    assert_int_equal(i8259_acknowledge(&f->pic), 0x4f);
    out(f, 0x20, 0x20);
    out(f, 0x21, 0x55);
    assert_int_equal(in(f, 0x21), 0x55);
    out(f, 0x20, 0x12); /* single, no ICW4: ready after ICW2 */
    out(f, 0x21, 0x60);
    out(f, 0x21, 0xfe);
    assert_int_equal(in(f, 0x21), 0xfe);
    out(f, 0x20, 0x10); /* cascaded, no ICW4 */
    out(f, 0x21, 0x20);
    out(f, 0x21, 0x04);
    out(f, 0x21, 0xfd);
    assert_int_equal(in(f, 0x21), 0xfd);
    i8259_set_irq(&f->pic, 1, true);
    assert_true(f->intr);
    i8259_reset(&f->pic);
    assert_false(f->intr);
    assert_int_equal(f->pic.reg.chip[0].lines, 0x02);
}

static void test_random(void **state)
{
    static const uint16_t ports[] = {0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1, 0x1f, 0x9f};
    struct fixture *f = fresh();

    (void)state;
    srand(3);
    for (unsigned i = 0; i < 100000; i++) {
        uint16_t port = ports[rand() % 8];
        uint8_t size = (uint8_t)(1 << rand() % 3);

        switch (rand() % 4) {
        case 0:
            bus_write(&f->bus, BUS_PORT, port, size, (uint64_t)rand(), 0, 0);
            break;
        case 1:
            (void)bus_read(&f->bus, BUS_PORT, port, size, 0, 0);
            break;
        case 2:
            i8259_set_irq(&f->pic, (unsigned)rand() % 18, rand() & 1);
            break;
        default:
            if (f->intr) {
                int vector = i8259_acknowledge(&f->pic);

                assert_in_range(vector, 0, 255);
            }
        }
        assert_int_equal(f->intr, f->pic.reg.intr);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_basic),          cmocka_unit_test(test_mask),
        cmocka_unit_test(test_cascade),        cmocka_unit_test(test_special_fully_nested),
        cmocka_unit_test(test_spurious_slave), cmocka_unit_test(test_level),
        cmocka_unit_test(test_edge),           cmocka_unit_test(test_automatic_eoi),
        cmocka_unit_test(test_rotation),       cmocka_unit_test(test_special_mask),
        cmocka_unit_test(test_poll),           cmocka_unit_test(test_initialisation),
        cmocka_unit_test(test_random),
    };

    return cmocka_run_group_tests_name("i8259", tests, NULL, NULL);
}
