/* SPDX-License-Identifier: ISC */
/* The real-time clock: calendar against the C library, modes, flags, alarm against a search, random traffic.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vmm/bus/ticks.h"
#include "vmm/device/mc146818.h"

#define MS UINT64_C(1000000)

struct fixture {
    struct bus bus;
    struct mc146818 rtc;
    uint64_t now;
    bool level;
    unsigned edges;
};

static void set_irq(void *sink, unsigned pin, bool level)
{
    struct fixture *f = sink;

    assert_int_equal(pin, 8);
    f->edges += level && !f->level;
    f->level = level;
}

static void put(struct fixture *f, uint8_t index, uint8_t value)
{
    bus_write(&f->bus, BUS_PORT, 0x70, 1, index, 0, f->now);
    bus_write(&f->bus, BUS_PORT, 0x71, 1, value, 0, f->now);
}

static uint8_t get(struct fixture *f, uint8_t index)
{
    bus_write(&f->bus, BUS_PORT, 0x70, 1, index, 0, f->now);
    return (uint8_t)bus_read(&f->bus, BUS_PORT, 0x71, 1, 0, f->now);
}

static void fresh(struct fixture *f, int64_t seconds)
{
    struct irq_line line = {.set = set_irq, .sink = f, .pin = 8};

    memset(f, 0, sizeof *f);
    bus_init(&f->bus);
    mc146818_init(&f->rtc, &line, seconds);
    assert_int_equal(mc146818_attach(&f->rtc, &f->bus), BUS_OK);
}

static unsigned bcd(uint8_t value)
{
    return (value >> 4) * 10u + (value & 15);
}

static void expect_time(struct fixture *f, int64_t seconds)
{
    time_t t = (time_t)seconds;
    struct tm tm;

    assert_non_null(gmtime_r(&t, &tm));
    assert_int_equal(bcd(get(f, RTC_SECONDS)), tm.tm_sec);
    assert_int_equal(bcd(get(f, RTC_MINUTES)), tm.tm_min);
    assert_int_equal(bcd(get(f, RTC_HOURS)), tm.tm_hour);
    assert_int_equal(bcd(get(f, RTC_DATE)), tm.tm_mday);
    assert_int_equal(bcd(get(f, RTC_MONTH)), tm.tm_mon + 1);
    assert_int_equal(bcd(get(f, RTC_CENTURY)) * 100 + bcd(get(f, RTC_YEAR)), tm.tm_year + 1900);
    assert_int_equal(get(f, RTC_DAY_OF_WEEK), tm.tm_wday + 1);
}

static void test_calendar(void **state)
{
    struct fixture f;

    (void)state;
    srand(6);
    for (unsigned i = 0; i < 3000; i++) {
        int64_t start =
            (int64_t)(((uint64_t)rand() << 31 | (uint64_t)rand()) % UINT64_C(315569519999)) - 62167219200;
        uint64_t step = (uint64_t)rand() % (rand() & 1 ? 100000 : 1000000000);

        fresh(&f, start);
        expect_time(&f, start);
        f.now = NS_PER_SECOND - 1;
        expect_time(&f, start);
        f.now = NS_PER_SECOND * (1 + step);
        if (start + (int64_t)step + 1 <= 253402300799)
            expect_time(&f, start + (int64_t)step + 1);
    }
    fresh(&f, INT64_MIN);
    expect_time(&f, -62167219200);
    fresh(&f, INT64_MAX);
    expect_time(&f, 253402300799);
    f.now = UINT64_MAX;
    (void)get(&f, RTC_SECONDS);
    (void)get(&f, RTC_SECONDS);
}

static void test_modes(void **state)
{
    static const struct {
        unsigned hour;
        uint8_t bcd, binary;
    } hours[] = {{0, 0x12, 12},    {1, 0x01, 1},     {11, 0x11, 11},
                 {12, 0x92, 0x8c}, {13, 0x81, 0x81}, {23, 0x91, 0x8b}};

    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        struct fixture f;

        fresh(&f, 0);
        put(&f, RTC_B, 0x80); /* SET, 12 hours, BCD */
        put(&f, RTC_HOURS, hours[i].bcd);
        put(&f, RTC_MINUTES, 0x59);
        put(&f, RTC_SECONDS, 0x58);
        put(&f, RTC_B, 0x00);
        f.now += NS_PER_SECOND;
        assert_int_equal(get(&f, RTC_HOURS), hours[i].bcd);
        assert_int_equal(get(&f, RTC_SECONDS), 0x59);
        f.now += 23 * 3600 * NS_PER_SECOND + NS_PER_SECOND;
        assert_int_equal(get(&f, RTC_HOURS), hours[i].bcd);
        assert_int_equal(get(&f, RTC_MINUTES), 0);
        put(&f, RTC_B, 0x84); /* binary */
        put(&f, RTC_HOURS, hours[i].binary);
        put(&f, RTC_B, 0x04);
        f.now += 24 * 3600 * NS_PER_SECOND;
        assert_int_equal(get(&f, RTC_HOURS), hours[i].binary);
        put(&f, RTC_B, 0x86);
        put(&f, RTC_HOURS, (uint8_t)hours[i].hour);
        put(&f, RTC_MINUTES, 59);
        put(&f, RTC_SECONDS, 59);
        put(&f, RTC_B, 0x06);
        f.now += NS_PER_SECOND;
        assert_int_equal(get(&f, RTC_HOURS), (hours[i].hour + 1) % 24);
    }
}

static void test_set_and_divider(void **state)
{
    struct fixture f;

    (void)state;
    fresh(&f, 1000);
    f.now = 10 * NS_PER_SECOND;
    expect_time(&f, 1010);
    put(&f, RTC_B, 0x92); /* SET clears UIE and holds the time */
    assert_int_equal(get(&f, RTC_B), 0x82);
    f.now = 20 * NS_PER_SECOND + 300 * MS;
    expect_time(&f, 1010);
    put(&f, RTC_B, 0x02); /* the divider was running all the time */
    f.now = 21 * NS_PER_SECOND - 1;
    expect_time(&f, 1010);
    f.now = 21 * NS_PER_SECOND;
    expect_time(&f, 1011);
    put(&f, RTC_A, 0x76); /* divider in reset */
    f.now = 30 * NS_PER_SECOND;
    expect_time(&f, 1011);
    assert_int_equal(get(&f, RTC_A), 0x76);
    put(&f, RTC_A, 0x26); /* the first update comes half a second later */
    f.now += 500 * MS - 1;
    expect_time(&f, 1011);
    f.now += 1;
    expect_time(&f, 1012);
    f.now += NS_PER_SECOND;
    expect_time(&f, 1013);
}

static void test_uip(void **state)
{
    struct fixture f;

    (void)state;
    fresh(&f, 0);
    f.now = NS_PER_SECOND - 244001;
    assert_int_equal(get(&f, RTC_A), 0x26);
    f.now = NS_PER_SECOND - 244000;
    assert_int_equal(get(&f, RTC_A), 0xa6);
    f.now = NS_PER_SECOND - 1;
    assert_int_equal(get(&f, RTC_A), 0xa6);
    f.now = NS_PER_SECOND;
    assert_int_equal(get(&f, RTC_A), 0x26);
    put(&f, RTC_B, 0x82);
    f.now = 2 * NS_PER_SECOND - 1;
    assert_int_equal(get(&f, RTC_A), 0x26);
    put(&f, RTC_A, 0xff); /* UIP cannot be written */
    assert_int_equal(get(&f, RTC_A), 0x7f);
}

static void test_update_ended(void **state)
{
    struct fixture f;

    (void)state;
    fresh(&f, 0);
    assert_true(bus_deadline(&f.bus) == BUS_NEVER);
    f.now = NS_PER_SECOND;
    assert_int_equal(get(&f, RTC_C) & 0xb0, 0x10); /* flag without interrupt */
    assert_int_equal(get(&f, RTC_C), 0x00);        /* reading clears */
    put(&f, RTC_B, 0x12);
    assert_int_equal(bus_deadline(&f.bus), 2 * NS_PER_SECOND);
    bus_advance(&f.bus, 2 * NS_PER_SECOND);
    assert_true(f.level);
    assert_true(bus_deadline(&f.bus) == BUS_NEVER);
    bus_advance(&f.bus, f.now = 50 * NS_PER_SECOND);
    assert_int_equal(get(&f, RTC_C) & 0xb0, 0x90);
    assert_false(f.level);
    assert_int_equal(f.edges, 1);
    assert_int_equal(bus_deadline(&f.bus), 51 * NS_PER_SECOND);
    f.now = 52 * NS_PER_SECOND;
    put(&f, RTC_B, 0x12); /* a flag that is up and enabled interrupts at once */
    assert_true(f.level);
    put(&f, RTC_B, 0x02);
    assert_false(f.level);
}

static void test_periodic(void **state)
{
    (void)state;
    for (uint8_t rate = 0; rate < 16; rate++) {
        struct fixture f;
        uint64_t hz = rate == 0 ? 0 : rate < 3 ? 512u >> rate : 65536u >> rate;

        fresh(&f, 0);
        put(&f, RTC_A, 0x20 | rate);
        put(&f, RTC_B, 0x42);
        if (!rate) {
            assert_true(bus_deadline(&f.bus) == BUS_NEVER);
            continue;
        }
        for (unsigned i = 0; i < 10 * hz; i++) {
            f.now = bus_deadline(&f.bus);
            bus_advance(&f.bus, f.now - 1);
            assert_false(f.level);
            bus_advance(&f.bus, f.now);
            assert_true(f.level);
            assert_int_equal(get(&f, RTC_C) & 0xc0, 0xc0);
        }
        assert_int_equal(f.now, 10 * NS_PER_SECOND); /* no drift */
        bus_advance(&f.bus, f.now += 1000 * NS_PER_SECOND);
        assert_int_equal(f.edges, 10 * hz + 1);
        (void)get(&f, RTC_C);
        assert_true(bus_deadline(&f.bus) > f.now);
        put(&f, RTC_A, 0x70 | rate);
        assert_true(bus_deadline(&f.bus) == BUS_NEVER);
    }
}

static bool matches(uint8_t alarm, uint64_t value)
{
    return alarm >= 0xc0 || bcd(alarm) == value;
}

static void test_alarm(void **state)
{
    (void)state;
    srand(7);
    for (unsigned i = 0; i < 300; i++) {
        struct fixture f;
        int64_t start = rand();
        uint8_t alarm[3];
        uint64_t expected = 0, t;

        fresh(&f, start);
        for (unsigned k = 0; k < 3; k++) {
            unsigned value = (unsigned)rand() % (k == 2 ? 24 : 60);

            alarm[k] = (uint8_t)(rand() & 1 ? 0xc0 | value : value / 10 << 4 | value % 10);
            put(&f, (uint8_t)(1 + 2 * k), alarm[k]);
        }
        put(&f, RTC_B, 0x22);
        for (t = 1; !expected; t++) {
            uint64_t time = (uint64_t)start + t;

            if (matches(alarm[0], time % 60) && matches(alarm[1], time / 60 % 60) &&
                matches(alarm[2], time / 3600 % 24))
                expected = t;
        }
        assert_int_equal(bus_deadline(&f.bus), expected * NS_PER_SECOND);
        bus_advance(&f.bus, expected * NS_PER_SECOND - 1);
        assert_false(f.level);
        bus_advance(&f.bus, f.now = expected * NS_PER_SECOND);
        assert_true(f.level);
        assert_int_equal(get(&f, RTC_C) & 0xa0, 0xa0);
        assert_true(bus_deadline(&f.bus) > f.now);
        bus_advance(&f.bus, f.now += 86400 * NS_PER_SECOND); /* slept over it */
        assert_true(f.level);
    }
}

static void test_impossible_alarm(void **state)
{
    struct fixture f;

    (void)state;
    fresh(&f, 0);
    put(&f, RTC_SECONDS_ALARM, 0x61);
    put(&f, RTC_B, 0x22);
    assert_true(bus_deadline(&f.bus) == BUS_NEVER);
    bus_advance(&f.bus, f.now = 200000 * NS_PER_SECOND);
    assert_int_equal(get(&f, RTC_C) & 0x20, 0);
}

static void test_memory(void **state)
{
    struct fixture f;

    (void)state;
    fresh(&f, 0);
    for (unsigned i = 0; i < 256; i++)
        mc146818_cmos_set(&f.rtc, (uint8_t)i, (uint8_t)(i ^ 0x5a));
    expect_time(&f, 0);
    for (unsigned i = 0x0e; i < 0x80; i++)
        if (i != RTC_CENTURY)
            assert_int_equal(get(&f, (uint8_t)(i | 0x80)), i ^ 0x5a); /* NMI mask bit does not select */
    bus_write(&f.bus, BUS_PORT, 0x72, 2, 0x770f, 0, 0);
    assert_int_equal(bus_read(&f.bus, BUS_PORT, 0x73, 1, 0, 0), 0x77);
    assert_int_equal(mc146818_cmos_get(&f.rtc, 0x8f), 0x77);
    assert_int_equal(get(&f, 0x0f), 0x0f ^ 0x5a);
    assert_int_equal(bus_read(&f.bus, BUS_PORT, 0x70, 1, 0, 0), 0xff);
    assert_int_equal(get(&f, RTC_D), 0x80);
    put(&f, RTC_D, 0);
    put(&f, RTC_C, 0xff);
    assert_int_equal(get(&f, RTC_D), 0x80);
    assert_int_equal(get(&f, RTC_C), 0x00);
    put(&f, RTC_B, 0x7a);
    mc146818_reset(&f.rtc);
    assert_int_equal(get(&f, RTC_B), 0x02);
}

static void test_random(void **state)
{
    struct fixture f;

    (void)state;
    srand(8);
    fresh(&f, 1700000000);
    for (unsigned i = 0; i < 100000; i++) {
        uint16_t port = (uint16_t)(0x6f + rand() % 6);
        uint8_t size = (uint8_t)(1 << rand() % 3);

        f.now += (uint64_t)rand() * 16 >> rand() % 36;
        if (rand() & 1)
            put(&f, (uint8_t)(rand() % 14), (uint8_t)rand());
        if (rand() & 1)
            bus_write(&f.bus, BUS_PORT, port, size, (uint64_t)rand(), 0, f.now);
        else
            (void)bus_read(&f.bus, BUS_PORT, port, size, 0, f.now);
        bus_advance(&f.bus, f.now);
        assert_true(bus_deadline(&f.bus) > f.now);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calendar),        cmocka_unit_test(test_modes),
        cmocka_unit_test(test_set_and_divider), cmocka_unit_test(test_uip),
        cmocka_unit_test(test_update_ended),    cmocka_unit_test(test_periodic),
        cmocka_unit_test(test_alarm),           cmocka_unit_test(test_impossible_alarm),
        cmocka_unit_test(test_memory),          cmocka_unit_test(test_random),
    };

    return cmocka_run_group_tests_name("mc146818", tests, NULL, NULL);
}
