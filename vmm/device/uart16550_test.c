/* SPDX-License-Identifier: ISC */
/* The serial port: register by register, then FIFO, interrupts, time-out, loop-back, back-pressure, random.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/device/uart16550.h"

#define BASE 0x3f8

struct fixture {
    struct bus bus;
    struct uart16550 uart;
    uint64_t now;
    bool level;
    unsigned edges, rooms;
    uint8_t sent[64];
    size_t count;
    const uint8_t *more; /* to deliver when there is room */
    size_t more_count;
};

static void set_irq(void *sink, unsigned pin, bool level)
{
    struct fixture *f = sink;

    assert_int_equal(pin, 4);
    f->edges += level && !f->level;
    f->level = level;
}

static void transmit(void *context, uint8_t byte)
{
    struct fixture *f = context;

    f->sent[f->count++ % sizeof f->sent] = byte;
}

static void room(void *context, uint64_t now)
{
    struct fixture *f = context;
    size_t taken;

    f->rooms++;
    assert_int_equal(now, f->now);
    taken = uart16550_receive(&f->uart, f->more, f->more_count, now);
    f->more = taken ? f->more + taken : f->more;
    f->more_count -= taken;
}

static void out(struct fixture *f, unsigned offset, uint8_t value)
{
    bus_write(&f->bus, BUS_PORT, BASE + offset, 1, value, 0, f->now);
}

static uint8_t in(struct fixture *f, unsigned offset)
{
    return (uint8_t)bus_read(&f->bus, BUS_PORT, BASE + offset, 1, 0, f->now);
}

static void fresh(struct fixture *f)
{
    struct uart16550_wiring wiring = {
        .transmit = transmit, .room = room, .context = f, .irq = {.set = set_irq, .sink = f, .pin = 4}};

    memset(f, 0, sizeof *f);
    bus_init(&f->bus);
    uart16550_init(&f->uart, BASE, &wiring);
    assert_int_equal(uart16550_attach(&f->uart, &f->bus), BUS_OK);
}

static void fresh_fifo(struct fixture *f, uint8_t fcr, uint8_t ier)
{
    fresh(f);
    out(f, 3, 0x03);
    out(f, 2, fcr);
    out(f, 4, 0x0b);
    out(f, 1, ier);
}

static size_t feed(struct fixture *f, size_t count)
{
    static const uint8_t data[32] = "0123456789abcdefghijklmnopqrstu";

    return uart16550_receive(&f->uart, data, count, f->now);
}

static void test_registers(void **state)
{
    struct fixture f;

    (void)state;
    fresh(&f);
    assert_int_equal(in(&f, 1), 0);
    assert_int_equal(in(&f, 2), 0x01);
    assert_int_equal(in(&f, 3), 0);
    assert_int_equal(in(&f, 4), 0);
    assert_int_equal(in(&f, 5), 0x60);
    assert_int_equal(in(&f, 6), 0xb0);
    out(&f, 1, 0xff);
    assert_int_equal(in(&f, 1), 0x0f);
    out(&f, 4, 0xff);
    assert_int_equal(in(&f, 4), 0x1f);
    out(&f, 7, 0xa5);
    assert_int_equal(in(&f, 7), 0xa5);
    out(&f, 3, 0x83);
    out(&f, 0, 0x34);
    out(&f, 1, 0x12);
    assert_int_equal(in(&f, 0), 0x34);
    assert_int_equal(in(&f, 1), 0x12);
    assert_int_equal(f.uart.reg.divisor, 0x1234);
    out(&f, 3, 0x03);
    assert_int_equal(in(&f, 1), 0x0f);
    out(&f, 4, 0x03);
    out(&f, 0, 'x');
    assert_int_equal(f.count, 1);
    assert_int_equal(f.sent[0], 'x');
    assert_int_equal(in(&f, 5), 0x60);
    out(&f, 3, 0x00); /* five data bits */
    out(&f, 0, 0xff);
    assert_int_equal(f.sent[1], 0x1f);
    out(&f, 5, 0xff); /* read-only */
    out(&f, 6, 0xff);
    assert_int_equal(in(&f, 5), 0x60);
    uart16550_reset(&f.uart);
    assert_int_equal(in(&f, 4), 0);
    assert_int_equal(in(&f, 7), 0xa5);
}

static void test_fifo_identification(void **state)
{
    struct fixture f;

    (void)state;
    fresh(&f);
    out(&f, 2, 0xc1);
    assert_int_equal(in(&f, 2), 0xc1);
    out(&f, 2, 0x00);
    assert_int_equal(in(&f, 2), 0x01);
    out(&f, 2, 0xc0); /* nothing but the enable bit counts while it is clear */
    assert_int_equal(f.uart.reg.fcr, 0);
    out(&f, 2, 0x21); /* no 64-byte FIFO */
    assert_int_equal(in(&f, 2), 0xc1);
}

/* What a write of FCR does to a byte that has been received. */
static void test_fifo_control(void **state)
{
    static const struct {
        uint8_t before, written, lsr;
    } rows[] = {
        {0x00, 0x00, 0x61}, {0x00, 0x02, 0x61}, {0x00, 0x04, 0x61}, {0x00, 0x06, 0x61}, {0x00, 0xc6, 0x61},
        {0x00, 0x01, 0x60}, {0x00, 0x07, 0x60}, {0x01, 0x01, 0x61}, {0x01, 0xc1, 0x61}, {0x01, 0x05, 0x61},
        {0x01, 0x03, 0x60}, {0x01, 0x07, 0x60}, {0x01, 0x00, 0x60}, {0x01, 0x06, 0x60},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fixture f;

        fresh_fifo(&f, rows[i].before, 0x01);
        assert_int_equal(feed(&f, 1), 1);
        out(&f, 2, rows[i].written);
        assert_int_equal(in(&f, 5), rows[i].lsr);
        assert_int_equal(f.uart.reg.rx_count, rows[i].lsr & 1);
        if (rows[i].lsr & 1)
            assert_int_equal(in(&f, 0), '0');
        assert_false(in(&f, 5) & 1);
    }
}

static void test_receive(void **state)
{
    static const unsigned levels[] = {1, 4, 8, 14};

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct fixture f;

        fresh_fifo(&f, (uint8_t)(i << 6 | 1), 0x01);
        assert_int_equal(feed(&f, levels[i] - 1), levels[i] - 1);
        assert_false(f.level);
        assert_int_equal(uart16550_receive(&f.uart, (const uint8_t *)"!", 1, 0), 1);
        assert_true(f.level);
        assert_int_equal(in(&f, 2), 0xc4);
        assert_int_equal(in(&f, 5), 0x61);
        (void)in(&f, 0);
        assert_false(f.level); /* below the trigger level */
        for (unsigned k = 1; k < levels[i]; k++)
            assert_int_equal(in(&f, 5) & 1, 1), (void)in(&f, 0);
        assert_int_equal(in(&f, 5), 0x60);
        assert_int_equal(feed(&f, 20), 16);
        assert_int_equal(uart16550_room(&f.uart), 0);
        for (unsigned k = 0; k < 16; k++)
            assert_int_equal(in(&f, 0), "0123456789abcdef"[k]);
    }
}

static void test_without_fifo(void **state)
{
    struct fixture f;

    (void)state;
    fresh_fifo(&f, 0, 0x01);
    assert_int_equal(feed(&f, 3), 1);
    assert_int_equal(in(&f, 2), 0x04);
    assert_true(f.level);
    assert_int_equal(in(&f, 0), '0');
    assert_false(f.level);
    assert_int_equal(in(&f, 0), '0');
    assert_true(bus_deadline(&f.bus) == BUS_NEVER);
}

static void test_timeout(void **state)
{
    struct fixture f;
    uint64_t at;

    (void)state;
    fresh_fifo(&f, 0xc1, 0x01);
    assert_true(bus_deadline(&f.bus) == BUS_NEVER);
    f.now = 1000;
    assert_int_equal(feed(&f, 2), 2);
    at = bus_deadline(&f.bus); /* 4 * 10 bits at 9600 baud */
    assert_in_range(at, 1000 + 4166666, 1000 + 4166667);
    f.now = 500000;
    assert_int_equal(feed(&f, 1), 1); /* a new character starts it again */
    assert_int_equal(bus_deadline(&f.bus), at + 499000);
    bus_advance(&f.bus, f.now = at);
    assert_false(f.level);
    bus_advance(&f.bus, f.now = at + 499000);
    assert_true(f.level);
    assert_int_equal(in(&f, 2), 0xcc);
    assert_true(bus_deadline(&f.bus) == BUS_NEVER);
    (void)in(&f, 0); /* reading clears it and starts it again */
    assert_int_equal(in(&f, 2), 0xc1);
    assert_false(f.level);
    assert_true(bus_deadline(&f.bus) > f.now);
    f.now = bus_deadline(&f.bus);
    assert_int_equal(in(&f, 2), 0xcc); /* seen by an access as well */
    (void)in(&f, 0);
    (void)in(&f, 0);
    assert_true(bus_deadline(&f.bus) == BUS_NEVER);

    for (unsigned divisor = 0; divisor <= 0xffff; divisor += 0x5555) { /* zero among them */
        fresh_fifo(&f, 0xc1, 0x01);
        out(&f, 3, 0x9f);
        out(&f, 0, (uint8_t)divisor);
        out(&f, 1, (uint8_t)(divisor >> 8));
        out(&f, 3, 0x1f);
        assert_int_equal(feed(&f, 1), 1);
        assert_true(bus_deadline(&f.bus) > 0 && bus_deadline(&f.bus) < UINT64_C(60000000000));
    }
}

static void test_transmit_interrupt(void **state)
{
    struct fixture f;
    unsigned edges;

    (void)state;
    fresh_fifo(&f, 0x01, 0x00);
    assert_false(f.level);
    out(&f, 1, 0x02);
    assert_true(f.level); /* enabling raises it */
    assert_int_equal(in(&f, 2), 0xc2);
    assert_false(f.level); /* reading the identification clears it */
    assert_int_equal(in(&f, 2), 0xc1);
    out(&f, 1, 0x02); /* already enabled: nothing new */
    assert_false(f.level);
    edges = f.edges;
    out(&f, 0, 'a');
    assert_int_equal(f.edges, edges + 1);
    out(&f, 0, 'b');
    assert_int_equal(f.edges, edges + 2); /* each byte gives an edge */
    out(&f, 1, 0x00);
    assert_false(f.level);
    out(&f, 1, 0x02);
    assert_int_equal(in(&f, 2), 0xc2);
    out(&f, 1, 0x00);
    out(&f, 1, 0x02);
    assert_int_equal(in(&f, 2), 0xc2);
    out(&f, 4, 0x03); /* OUT2 gates the line, not the identification */
    out(&f, 0, 'c');
    assert_false(f.level);
    assert_int_equal(in(&f, 2), 0xc2);
}

static void test_priorities(void **state)
{
    struct fixture f;

    (void)state;
    fresh_fifo(&f, 0x01, 0x0f);
    uart16550_set_modem(&f.uart, UART_MSR_DCD);
    assert_true(uart16550_receive_break(&f.uart, 0));
    assert_int_equal(in(&f, 2), 0xc6);
    assert_int_equal(in(&f, 5), 0xf1); /* BI, in the FIFO */
    assert_int_equal(in(&f, 5), 0x61);
    assert_int_equal(in(&f, 2), 0xc4);
    assert_int_equal(in(&f, 0), 0);
    assert_int_equal(in(&f, 2), 0xc2);
    assert_int_equal(in(&f, 2), 0xc0);
    assert_int_equal(in(&f, 6), 0x83);
    assert_int_equal(in(&f, 2), 0xc1);
    assert_false(f.level);
    /* an error shows when its byte is at the top; bit 7 tells of it before */
    assert_int_equal(feed(&f, 1), 1);
    assert_true(uart16550_receive_break(&f.uart, 0));
    assert_int_equal(in(&f, 5), 0xe1);
    assert_int_equal(in(&f, 0), '0');
    assert_int_equal(in(&f, 5), 0xf1);
}

static void test_modem(void **state)
{
    struct fixture f;

    (void)state;
    fresh_fifo(&f, 0x01, 0x08);
    uart16550_set_modem(&f.uart, UART_MSR_CTS | UART_MSR_DSR | UART_MSR_DCD | UART_MSR_RI);
    assert_false(f.level); /* the leading edge of RI is no event */
    uart16550_set_modem(&f.uart, UART_MSR_CTS | UART_MSR_DSR | UART_MSR_DCD);
    assert_true(f.level);
    assert_int_equal(in(&f, 6), 0xb4);
    assert_int_equal(in(&f, 6), 0xb0);
    assert_false(f.level);
    uart16550_set_modem(&f.uart, 0);
    assert_int_equal(in(&f, 6), 0x0b);
}

static void test_loopback(void **state)
{
    struct fixture f;

    (void)state;
    fresh_fifo(&f, 0x01, 0x00);
    for (uint8_t lines = 0; lines < 16; lines++) {
        out(&f, 4, 0x10 | lines);
        assert_int_equal(in(&f, 6) & 0xf0, (lines & 1 ? 0x20 : 0) | (lines & 2 ? 0x10 : 0) |
                                               (lines & 4 ? 0x40 : 0) | (lines & 8 ? 0x80 : 0));
    }
    out(&f, 4, 0x1a);
    assert_int_equal(in(&f, 6) & 0xf0, 0x90);
    out(&f, 0, 0x42);
    assert_int_equal(f.count, 0);
    assert_int_equal(in(&f, 5), 0x61);
    assert_int_equal(in(&f, 0), 0x42);
    assert_int_equal(feed(&f, 4), 0); /* the line is cut off */
    for (unsigned i = 0; i < 17; i++)
        out(&f, 0, (uint8_t)i);
    assert_int_equal(in(&f, 5), 0x63); /* overrun: the FIFO keeps what it has */
    assert_int_equal(in(&f, 5), 0x61);
    for (unsigned i = 0; i < 16; i++)
        assert_int_equal(in(&f, 0), i);
    out(&f, 2, 0x00);
    out(&f, 0, 1);
    out(&f, 0, 2);
    assert_int_equal(in(&f, 5), 0x63);
    assert_int_equal(in(&f, 0), 2); /* without FIFO the new one wins */
    out(&f, 3, 0x43);
    assert_int_equal(in(&f, 5), 0x71);
    f.more = (const uint8_t *)"back";
    f.more_count = 4;
    out(&f, 4, 0x0b); /* leaving loop-back: refused bytes are asked for, one at a time without FIFO */
    (void)in(&f, 0);
    assert_int_equal(in(&f, 0), 'b');
    assert_int_equal(in(&f, 0), 'a');
}

static void test_room(void **state)
{
    static const uint8_t text[] = "The quick brown fox jumps over the lazy dog";
    struct fixture f;
    size_t taken;

    (void)state;
    fresh_fifo(&f, 0x81, 0x01);
    taken = uart16550_receive(&f.uart, text, sizeof text, 0);
    assert_int_equal(taken, 16);
    f.more = text + taken;
    f.more_count = sizeof text - taken;
    for (size_t i = 0; i < sizeof text; i++) {
        assert_int_equal(in(&f, 5) & 1, 1);
        assert_int_equal(in(&f, 0), text[i]);
    }
    assert_int_equal(in(&f, 5) & 1, 0);
    assert_int_equal(f.rooms, 2);
    assert_int_equal(feed(&f, 17), 16);
    f.more_count = 0;
    out(&f, 2, 0x83); /* clearing the FIFO makes room too */
    assert_int_equal(f.rooms, 3);
    assert_int_equal(in(&f, 5) & 1, 0);
}

static void test_random(void **state)
{
    static uint8_t noise[32];
    struct fixture f;

    (void)state;
    srand(9);
    fresh(&f);
    for (unsigned i = 0; i < 100000; i++) {
        uint16_t port = (uint16_t)(BASE - 1 + rand() % 10);
        uint8_t size = (uint8_t)(1 << rand() % 3);

        f.now += (uint64_t)rand() >> rand() % 31;
        switch (rand() % 6) {
        case 0:
            f.more = noise;
            f.more_count = (size_t)rand() % 20;
            (void)!uart16550_receive(&f.uart, noise, (size_t)rand() % 20, f.now);
            break;
        case 1:
            uart16550_set_modem(&f.uart, (uint8_t)rand());
            (void)!uart16550_receive_break(&f.uart, f.now);
            break;
        case 2:
        case 3:
            bus_write(&f.bus, BUS_PORT, port, size, (uint64_t)rand(), 0, f.now);
            break;
        default:
            (void)bus_read(&f.bus, BUS_PORT, port, size, 0, f.now);
            break;
        }
        bus_advance(&f.bus, f.now);
        assert_true(bus_deadline(&f.bus) > f.now);
        assert_true(f.uart.reg.rx_count <= 16);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registers),
        cmocka_unit_test(test_fifo_identification),
        cmocka_unit_test(test_fifo_control),
        cmocka_unit_test(test_receive),
        cmocka_unit_test(test_without_fifo),
        cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_transmit_interrupt),
        cmocka_unit_test(test_priorities),
        cmocka_unit_test(test_modem),
        cmocka_unit_test(test_loopback),
        cmocka_unit_test(test_room),
        cmocka_unit_test(test_random),
    };

    return cmocka_run_group_tests_name("uart16550", tests, NULL, NULL);
}
