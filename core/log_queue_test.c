/* SPDX-License-Identifier: ISC */
/*
 * The queue before a UART that takes its time: 16 bytes at once, and 86.8 us for each on the line, which
 * QEMU's does not show. Time passes here by what is done: an access to a register takes a microsecond.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "core/log_queue.h"

#define ACCESS    1000u  /* ns */
#define CHARACTER 86806u /* ns: ten bits at 115200 baud */
#define TURN      (1000000000u / LOG_TURNS)
#define QUEUE     0x10000u

struct uart {
    struct log_port port;
    uint64_t now, sent_until; /* ns */
    uint64_t accesses, overruns;
    bool stuck;
    char line[4 * QUEUE]; /* what has come out */
    size_t length;
};

static struct uart uart;
static struct log_queue queue;
static uint8_t memory[QUEUE + RING_OVERHEAD] __attribute__((aligned(64)));

/* Bytes in FIFO and shift register. */
static uint64_t waiting(void)
{
    return uart.sent_until > uart.now ? (uart.sent_until - uart.now + CHARACTER - 1) / CHARACTER : 0;
}

static uint8_t in(void *context, unsigned reg)
{
    assert_ptr_equal(context, &uart);
    assert_int_equal(reg, 5);
    uart.now += ACCESS;
    uart.accesses++;
    if (uart.stuck)
        return 0;
    return (uint8_t)((waiting() <= 1 ? 0x20 : 0) | (waiting() == 0 ? 0x40 : 0));
}

static void out(void *context, unsigned reg, uint8_t value)
{
    assert_ptr_equal(context, &uart);
    assert_int_equal(reg, 0);
    uart.now += ACCESS;
    uart.accesses++;
    uart.overruns += waiting() > LOG_FIFO;
    uart.sent_until = (uart.sent_until > uart.now ? uart.sent_until : uart.now) + CHARACTER;
    if (uart.length < sizeof(uart.line))
        uart.line[uart.length++] = (char)value;
}

static int begin(void **state)
{
    (void)state;
    uart = (struct uart){.port = {.in = in, .out = out, .context = &uart}};
    memset(memory, 0, sizeof(memory));
    assert_true(log_queue_init(&queue, memory, sizeof(memory)));
    return 0;
}

/* False: there was no room. */
static bool say(const char *line)
{
    uint64_t lost;
    bool wake;

    if (!log_queue_room(&queue, strlen(line), &lost))
        return false;
    wake = log_queue_put(&queue, line, strlen(line));
    (void)wake;
    return true;
}

static const char *long_line(void)
{
    static char line[241];

    memset(line, 'x', sizeof(line) - 1);
    return line;
}

/* Core's main thread until all is sent. */
static unsigned send_all(void)
{
    unsigned turns = 1;

    for (; log_queue_send(&queue, &uart.port); turns++)
        uart.now += TURN;
    return turns;
}

/* As many lines as a component may say at once: none of them waits for the UART. */
static void test_putting_takes_no_time(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 200; i++)
        assert_true(say(long_line()));
    assert_int_equal(uart.accesses, 0);
    assert_int_equal(uart.now, 0);
}

/* The thread that sends has the CPU for the bytes' OUT alone, and the line is always busy. */
static void test_sending_does_not_wait(void **state)
{
    uint64_t busy, worst = 0;
    unsigned turns;

    (void)state;
    for (unsigned i = 0; i < 48; i++) /* 11,520 bytes: a second */
        assert_true(say(long_line()));
    for (turns = 1;; turns++) {
        uint64_t before = uart.accesses;
        bool left = log_queue_send(&queue, &uart.port);

        worst = uart.accesses - before > worst ? uart.accesses - before : worst;
        if (!left)
            break;
        uart.now += TURN;
    }
    assert_in_range(worst, LOG_FIFO, LOG_FIFO + 2);
    busy = uart.accesses * ACCESS;
    assert_in_range(busy, 0, uart.now / 50); /* 2 % */
    assert_in_range(uart.now, 900000000u, 1100000000u);
    assert_int_equal(uart.overruns, 0);
    assert_int_equal(uart.length, 48 * 240);
}

/* A UART that is ready again at once gets several FIFOs a turn, and no more. */
static void test_fast_uart(void **state)
{
    uint64_t before;

    (void)state;
    for (unsigned i = 0; i < 48; i++)
        assert_true(say(long_line()));
    uart.sent_until = 0;
    for (unsigned i = 0; i < 4; i++) {
        before = uart.length;
        uart.now += 1000ull * CHARACTER;
        assert_true(log_queue_send(&queue, &uart.port));
        assert_in_range(uart.length - before, LOG_FIFO, LOG_FIFO * LOG_FIFOS);
    }
}

static void test_order_and_wake(void **state)
{
    uint64_t lost;

    (void)state;
    assert_true(log_queue_room(&queue, 4, &lost));
    assert_true(log_queue_put(&queue, "one\n", 4)); /* it was empty: wake */
    assert_true(log_queue_room(&queue, 4, &lost));
    assert_false(log_queue_put(&queue, "two\n", 4));
    send_all();
    assert_int_equal(uart.length, 8);
    assert_memory_equal(uart.line, "one\ntwo\n", 8);
    assert_true(log_queue_put(&queue, "six\n", 4));
    send_all();
    assert_memory_equal(uart.line, "one\ntwo\nsix\n", 12);
}

/* Lines are lost whole, are counted, and are told with the next line that has room, for which there is room.
 */
static void test_lost(void **state)
{
    unsigned kept = 0, turned_away = 0;
    uint64_t lost;

    (void)state;
    while (say(long_line()))
        kept++;
    assert_int_equal(kept, (QUEUE - LOG_QUEUE_NOTE) / 240);
    for (turned_away = 1; turned_away < 1000; turned_away++)
        assert_false(say(long_line()));
    assert_int_equal(uart.accesses, 0); /* not even now does it wait */
    send_all();
    assert_int_equal(uart.length, kept * 240);
    assert_true(log_queue_room(&queue, 240, &lost));
    assert_int_equal(lost, 1000);
    assert_true(log_queue_room(&queue, 240, &lost));
    assert_int_equal(lost, 0);
}

/* The last words are on the line, to the last bit, when the machine goes off. */
static void test_flush(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 100; i++)
        assert_true(say(long_line()));
    assert_true(say("power off\n"));
    log_queue_flush(&queue, &uart.port);
    assert_int_equal(uart.length, 100 * 240 + 10);
    assert_memory_equal(uart.line + 100 * 240, "power off\n", 10);
    assert_int_equal(waiting(), 0);
    assert_int_equal(uart.overruns, 0);
}

static void test_flush_of_a_stuck_uart(void **state)
{
    (void)state;
    uart.stuck = true;
    assert_true(say("power off\n"));
    log_queue_flush(&queue, &uart.port); /* comes back */
    assert_int_equal(uart.length, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_putting_takes_no_time, begin),
        cmocka_unit_test_setup(test_sending_does_not_wait, begin),
        cmocka_unit_test_setup(test_fast_uart, begin),
        cmocka_unit_test_setup(test_order_and_wake, begin),
        cmocka_unit_test_setup(test_lost, begin),
        cmocka_unit_test_setup(test_flush, begin),
        cmocka_unit_test_setup(test_flush_of_a_stuck_uart, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
