/* SPDX-License-Identifier: ISC */
/*
 * The 8254 against the wave forms and tables of its data sheet, and against itself: a counter that is looked
 * at after every clock must agree with one that is looked at rarely.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/bus/ticks.h"
#include "vmm/device/i8254.h"

struct fixture {
    struct bus bus;
    struct i8254 pit;
    uint64_t tick;
    bool level;
    unsigned edges;
};

static void set_irq(void *sink, unsigned pin, bool level)
{
    struct fixture *f = sink;

    assert_int_equal(pin, 0);
    f->edges += level && !f->level;
    f->level = level;
}

static uint64_t now(const struct fixture *f)
{
    return ns_from_ticks(f->tick, I8254_HZ);
}

static void out(struct fixture *f, uint16_t port, uint8_t value)
{
    bus_write(&f->bus, BUS_PORT, port, 1, value, 0, now(f));
}

static uint8_t in(struct fixture *f, uint16_t port)
{
    return (uint8_t)bus_read(&f->bus, BUS_PORT, port, 1, 0, now(f));
}

static void fresh(struct fixture *f)
{
    struct irq_line line = {.set = set_irq, .sink = f, .pin = 0};

    memset(f, 0, sizeof *f);
    bus_init(&f->bus);
    i8254_init(&f->pit, &line);
    assert_int_equal(i8254_attach(&f->pit, &f->bus), BUS_OK);
    f->tick = 100;
}

static bool out2(struct fixture *f)
{
    return in(f, 0x61) & 0x20;
}

/* OUT of counter 2 over the next clocks, as the data sheet draws it. */
static void expect_wave(struct fixture *f, const char *wave)
{
    for (size_t i = 0; wave[i]; i++, f->tick++)
        if (out2(f) != (wave[i] == '#'))
            fail_msg("clock %zu of %s", i, wave);
}

static void program2(struct fixture *f, unsigned mode, uint8_t count)
{
    out(f, 0x43, (uint8_t)(0x90 | mode << 1));
    out(f, 0x42, count);
}

static void test_mode0(void **state)
{
    struct fixture f;

    (void)state;
    fresh(&f);
    out(&f, 0x61, 1);
    program2(&f, 0, 4);
    expect_wave(&f, "_____###"); /* N + 1 clocks */
    program2(&f, 0, 3);
    f.tick += 2;
    assert_int_equal(in(&f, 0x42), 2);
    out(&f, 0x61, 0); /* the gate stops it */
    f.tick += 10;
    assert_int_equal(in(&f, 0x42), 2);
    assert_false(out2(&f));
    out(&f, 0x61, 1);
    expect_wave(&f, "__##");
    assert_int_equal(in(&f, 0x42), 0xfe); /* counts on around */
    /* a new count starts over; the first of two bytes stops it */
    out(&f, 0x43, 0xb0);
    out(&f, 0x42, 3);
    f.tick += 100;
    assert_false(out2(&f));
    out(&f, 0x42, 0);
    expect_wave(&f, "____##");
    out(&f, 0x42, 2);
    assert_false(out2(&f));
    f.tick += 50;
    assert_false(out2(&f));
    out(&f, 0x42, 0);
    expect_wave(&f, "___##");
}

static void test_mode1(void **state)
{
    struct fixture f;

    (void)state;
    fresh(&f);
    program2(&f, 1, 3);
    expect_wave(&f, "#####");
    out(&f, 0x61, 1);
    expect_wave(&f, "#___###");
    out(&f, 0x61, 0);
    out(&f, 0x61, 1);
    expect_wave(&f, "#__");
    out(&f, 0x61, 0);
    out(&f, 0x61, 1); /* retriggered: the pulse gets longer */
    expect_wave(&f, "____##");
    out(&f, 0x42, 2); /* not before the next trigger */
    expect_wave(&f, "####");
    out(&f, 0x61, 0);
    out(&f, 0x61, 1);
    expect_wave(&f, "#__##");
}

static void test_mode2(void **state)
{
    struct fixture f;

    (void)state;
    fresh(&f);
    out(&f, 0x61, 1);
    program2(&f, 2, 3);
    expect_wave(&f, "###_##_##_##_");
    out(&f, 0x42, 4); /* from the next period on */
    expect_wave(&f, "##_###_###_#");
    out(&f, 0x61, 0);
    expect_wave(&f, "######");
    out(&f, 0x61, 1);
    expect_wave(&f, "####_###_");
    program2(&f, 6, 2); /* M2 does not count */
    expect_wave(&f, "##_#_#_#_");
    program2(&f, 2, 1); /* not allowed, and harmless */
    expect_wave(&f, "########");
    out(&f, 0x42, 3);
    f.tick += 10;
    assert_int_equal(in(&f, 0x42) <= 3, 1);
}

static void test_mode3(void **state)
{
    struct fixture f;

    (void)state;
    fresh(&f);
    out(&f, 0x61, 1);
    program2(&f, 3, 4);
    expect_wave(&f, "###__##__##__");
    program2(&f, 3, 5);
    expect_wave(&f, "####__###__###__");
    program2(&f, 3, 4);
    f.tick += 1;
    assert_int_equal(in(&f, 0x42), 4);
    f.tick += 1;
    assert_int_equal(in(&f, 0x42), 2);
    f.tick += 1;
    assert_int_equal(in(&f, 0x42), 4);
    out(&f, 0x42, 6); /* from the next half period on */
    expect_wave(&f, "__###___###___");
    out(&f, 0x61, 0);
    expect_wave(&f, "####");
    out(&f, 0x61, 1);
    expect_wave(&f, "####___###");
    program2(&f, 3, 1);
    expect_wave(&f, "######");
    out(&f, 0x42, 2);
    f.tick += 2;
    expect_wave(&f, out2(&f) ? "#_#_" : "_#_#");
}

static void test_mode4_and_5(void **state)
{
    struct fixture f;

    (void)state;
    fresh(&f);
    out(&f, 0x61, 1);
    program2(&f, 4, 3);
    expect_wave(&f, "####_####");
    out(&f, 0x42, 2);
    expect_wave(&f, "###_##########");
    out(&f, 0x42, 2);
    f.tick++;
    out(&f, 0x61, 0);
    expect_wave(&f, "######");
    out(&f, 0x61, 1);
    expect_wave(&f, "##_###");
    out(&f, 0x61, 0);
    program2(&f, 5, 3);
    expect_wave(&f, "######");
    out(&f, 0x61, 1);
    expect_wave(&f, "####_####");
    out(&f, 0x61, 0); /* neither edge stops a strobe under way */
    out(&f, 0x61, 1);
    f.tick += 2;
    out(&f, 0x61, 0);
    expect_wave(&f, "##_###");
}

static void test_bytes_and_bcd(void **state)
{
    struct fixture f;

    (void)state;
    fresh(&f);
    out(&f, 0x61, 1);
    out(&f, 0x43, 0xa4); /* high byte only, mode 2 */
    out(&f, 0x42, 0x12);
    f.tick += 2;
    assert_int_equal(in(&f, 0x42), 0x11);
    out(&f, 0x43, 0xb4); /* both */
    out(&f, 0x42, 0x34);
    out(&f, 0x42, 0x12);
    f.tick += 1;
    assert_int_equal(bus_read(&f.bus, BUS_PORT, 0x42, 1, 0, now(&f)), 0x34);
    assert_int_equal(in(&f, 0x42), 0x12);
    out(&f, 0x43, 0xb5); /* BCD */
    out(&f, 0x42, 0x00);
    out(&f, 0x42, 0x00);
    f.tick += 2;
    assert_int_equal(in(&f, 0x42), 0x99);
    assert_int_equal(in(&f, 0x42), 0x99);
    f.tick += 9998;
    assert_int_equal(in(&f, 0x42), 0x01);
    assert_false(out2(&f));
    f.tick += 1;
    assert_true(out2(&f));
    out(&f, 0x43, 0xb1); /* BCD digits above nine, mode 0: no harm */
    out(&f, 0x42, 0xff);
    out(&f, 0x42, 0xff);
    f.tick += 20000;
    assert_true(out2(&f));
    assert_int_equal(in(&f, 0x43), 0xff);
}

static void test_latch(void **state)
{
    struct fixture f;

    (void)state;
    fresh(&f);
    out(&f, 0x61, 1);
    out(&f, 0x43, 0xb4);
    out(&f, 0x42, 0x00);
    out(&f, 0x42, 0x10);
    f.tick += 1 + 0x123;
    out(&f, 0x43, 0x80);
    f.tick += 0x321;
    out(&f, 0x43, 0x80); /* ignored until read */
    assert_int_equal(in(&f, 0x42), 0xdd);
    f.tick += 50;
    assert_int_equal(in(&f, 0x42), 0x0e);
    out(&f, 0x43, 0x80);
    assert_int_equal(in(&f, 0x42), (0x1000 - 0x123 - 0x321 - 50) & 0xff);
    assert_int_equal(in(&f, 0x42), (0x1000 - 0x123 - 0x321 - 50) >> 8);
}

/* Each of status, count and the three counters, in all combinations: a 0 in bit 5 latches the count, a 0 in
 * bit 4 the status. */
static void test_read_back(void **state)
{
    (void)state;
    for (unsigned command = 0xc0; command <= 0xff; command++) {
        struct fixture f;

        fresh(&f);
        out(&f, 0x61, 1);
        for (unsigned n = 0; n < 3; n++) {
            out(&f, 0x43, (uint8_t)(n << 6 | 0x34));
            out(&f, (uint16_t)(0x40 + n), 0x00);
            out(&f, (uint16_t)(0x40 + n), 0x20);
        }
        f.tick += 0x101;
        out(&f, 0x43, (uint8_t)command);
        f.tick += 0x300;
        for (unsigned n = 0; n < 3; n++) {
            bool selected = command & 2u << n;
            uint16_t port = (uint16_t)(0x40 + n), count;

            if (selected && !(command & 0x10))
                assert_int_equal(in(&f, port), 0x80 | 0x34);
            count = in(&f, port);
            count |= (uint16_t)(in(&f, port) << 8);
            assert_int_equal(count, selected && !(command & 0x20) ? 0x1f00 : 0x1c00);
            count = in(&f, port);
            count |= (uint16_t)(in(&f, port) << 8);
            assert_int_equal(count, 0x1c00);
        }
    }
}

static void test_null_count(void **state)
{
    struct fixture f;

    (void)state;
    fresh(&f);
    out(&f, 0x61, 1);
    out(&f, 0x43, 0x90); /* mode 0 */
    out(&f, 0x43, 0xe8);
    assert_int_equal(in(&f, 0x42), 0x40 | 0x10);
    out(&f, 0x42, 2);
    out(&f, 0x43, 0xe8);
    f.tick += 1;
    out(&f, 0x43, 0xe8); /* ignored: the first status stands */
    assert_int_equal(in(&f, 0x42), 0x40 | 0x10);
    out(&f, 0x43, 0xe8);
    assert_int_equal(in(&f, 0x42), 0x10);
    f.tick += 2;
    out(&f, 0x43, 0xe8);
    assert_int_equal(in(&f, 0x42), 0x80 | 0x10);
    out(&f, 0x43, 0x94); /* mode 2: a new count is null until the period ends */
    out(&f, 0x42, 5);
    f.tick += 2;
    out(&f, 0x42, 6);
    out(&f, 0x43, 0xe8);
    assert_int_equal(in(&f, 0x42), 0x80 | 0x40 | 0x14);
    f.tick += 4;
    out(&f, 0x43, 0xe8);
    assert_int_equal(in(&f, 0x42), 0x80 | 0x14);
}

static void test_interrupt(void **state)
{
    struct fixture f;
    uint64_t start, deadline;

    (void)state;
    fresh(&f);
    out(&f, 0x43, 0x34);
    out(&f, 0x40, 0x9c); /* 11932: 100 Hz */
    out(&f, 0x40, 0x2e);
    f.edges = 0;
    start = f.tick;
    for (unsigned i = 1; i <= 1000; i++) {
        deadline = bus_deadline(&f.bus);
        assert_int_equal(deadline, ns_from_ticks(start + 1 + i * 11932, I8254_HZ));
        bus_advance(&f.bus, deadline - 1);
        assert_int_equal(f.edges, i - 1);
        bus_advance(&f.bus, deadline);
        assert_int_equal(f.edges, i);
    }
    /* A long pause is one edge, and the beat goes on where it would have been. */
    bus_advance(&f.bus, deadline + 86400 * NS_PER_SECOND);
    assert_int_equal(f.edges, 1001);
    assert_true(bus_deadline(&f.bus) > deadline + 86400 * NS_PER_SECOND);
    assert_true(bus_deadline(&f.bus) <= deadline + 86401 * NS_PER_SECOND);
    bus_advance(&f.bus, UINT64_MAX - 1);
    assert_int_equal(f.edges, 1002);

    fresh(&f);
    out(&f, 0x43, 0x30); /* one shot */
    out(&f, 0x40, 0x10);
    assert_true(bus_deadline(&f.bus) == BUS_NEVER);
    out(&f, 0x40, 0x00);
    assert_int_equal(bus_deadline(&f.bus), ns_from_ticks(f.tick + 17, I8254_HZ));
    f.edges = 0;
    bus_advance(&f.bus, bus_deadline(&f.bus));
    assert_int_equal(f.edges, 1);
    assert_true(bus_deadline(&f.bus) == BUS_NEVER);
    out(&f, 0x43, 0x12); /* mode 1 has no trigger on counter 0 */
    out(&f, 0x40, 5);
    assert_true(bus_deadline(&f.bus) == BUS_NEVER);
}

static void test_port61(void **state)
{
    struct fixture f;
    unsigned toggles = 0;
    uint8_t last;

    (void)state;
    fresh(&f);
    out(&f, 0x61, 0xff);
    assert_int_equal(in(&f, 0x61) & 0xcf, 0x0f);
    last = in(&f, 0x61) & 0x10;
    for (unsigned i = 0; i < 1800; i++, f.tick++) {
        uint8_t toggle = in(&f, 0x61) & 0x10;

        toggles += toggle != last;
        last = toggle;
    }
    assert_int_equal(toggles, 100);
}

/* Every rate zero and one, every mode: deadlines lie ahead, nothing hangs. */
static void test_extremes(void **state)
{
    (void)state;
    for (unsigned control = 0x10; control < 0x40; control++)
        for (unsigned count = 0; count < 3; count++) {
            struct fixture f;
            uint64_t at;

            fresh(&f);
            out(&f, 0x43, (uint8_t)control);
            out(&f, 0x40, (uint8_t)count);
            out(&f, 0x40, (uint8_t)count);
            at = now(&f);
            for (unsigned i = 0; i < 100 && bus_deadline(&f.bus) != BUS_NEVER; i++) {
                unsigned edges = f.edges;

                assert_true(bus_deadline(&f.bus) > at);
                at = bus_deadline(&f.bus);
                bus_advance(&f.bus, at);
                assert_int_equal(f.edges, edges + 1);
            }
        }
}

/* The same accesses at the same times; one chip is synchronised at every clock in between. */
static void test_steps(void **state)
{
    static struct fixture slow, fast;

    (void)state;
    srand(4);
    for (unsigned round = 0; round < 300; round++) {
        fresh(&slow);
        fresh(&fast);
        for (unsigned i = 0; i < 60; i++) {
            unsigned choice = (unsigned)rand() % 8, step = (unsigned)rand() % 40;
            uint8_t value = (uint8_t)(rand() % 12);
            uint16_t port = (uint16_t)(0x40 + 2 * (rand() & 1));

            for (unsigned k = 0; k < step; k++) {
                slow.tick++;
                (void)in(&slow, 0x61);
                bus_advance(&slow.bus, now(&slow));
            }
            fast.tick += step;
            if (choice == 0) {
                port = 0x43;
                value = (uint8_t)(rand() & 0x80) | (uint8_t)(0x10 + rand() % 0x30);
            } else if (choice == 1) {
                port = 0x61;
            }
            if (choice < 6) {
                out(&slow, port, value);
                out(&fast, port, value);
            } else {
                assert_int_equal(in(&slow, port), in(&fast, port));
            }
            (void)in(&slow, 0x61);
            (void)in(&fast, 0x61);
            bus_advance(&slow.bus, now(&slow));
            bus_advance(&fast.bus, now(&fast));
            for (unsigned n = 0; n < 3; n += 2) {
                out(&slow, 0x43, (uint8_t)(0xc0 | 2u << n));
                out(&fast, 0x43, (uint8_t)(0xc0 | 2u << n));
                for (unsigned k = 0; k < 3; k++)
                    assert_int_equal(in(&slow, (uint16_t)(0x40 + n)), in(&fast, (uint16_t)(0x40 + n)));
            }
            assert_int_equal(bus_deadline(&slow.bus), bus_deadline(&fast.bus));
        }
    }
}

static void test_random(void **state)
{
    struct fixture f;
    uint64_t at = 0;

    (void)state;
    srand(5);
    fresh(&f);
    for (unsigned i = 0; i < 100000; i++) {
        uint16_t port = (uint16_t)(rand() % 5 ? 0x3f + rand() % 6 : 0x61);
        uint8_t size = (uint8_t)(1 << rand() % 3);

        at += (uint64_t)rand() >> rand() % 31;
        if (rand() % 100 == 0)
            at -= at > 1000 ? 1000 : 0; /* another vCPU's clock */
        if (rand() & 1)
            bus_write(&f.bus, BUS_PORT, port, size, (uint64_t)rand(), 0, at);
        else
            (void)bus_read(&f.bus, BUS_PORT, port, size, 0, at);
        if (rand() % 4 == 0) {
            bus_advance(&f.bus, at);
            assert_true(bus_deadline(&f.bus) > at);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mode0),       cmocka_unit_test(test_mode1),
        cmocka_unit_test(test_mode2),       cmocka_unit_test(test_mode3),
        cmocka_unit_test(test_mode4_and_5), cmocka_unit_test(test_bytes_and_bcd),
        cmocka_unit_test(test_latch),       cmocka_unit_test(test_read_back),
        cmocka_unit_test(test_null_count),  cmocka_unit_test(test_interrupt),
        cmocka_unit_test(test_port61),      cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_steps),       cmocka_unit_test(test_random),
    };

    return cmocka_run_group_tests_name("i8254", tests, NULL, NULL);
}
