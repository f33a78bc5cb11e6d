/* SPDX-License-Identifier: ISC */
/*
 * The 16550 driver against a chip of a few lines: nothing is lost or reordered, a full client holds the line
 * off and does not make the interrupt storm, and when the driver returns nothing is left pending, for an
 * edge-triggered pin would stay silent ever after.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "drivers/uart16550/uart.h"

#define BASE   0x2f8
#define MEMORY (RING_OVERHEAD + 64)

struct chip {
    uint8_t scratch, ier, lcr, mcr, fcr;
    uint16_t divisor;
    bool no_fifo, absent, slow;
    bool empty_pending; /* THR empty, not yet reported */
    size_t unsent;      /* in the transmit FIFO, when slow */
    uint8_t line[4096]; /* what comes in */
    size_t line_at, line_end;
    uint8_t sent[4096];
    size_t sent_count;
};

static uint8_t chip_status(const struct chip *chip)
{
    return (uint8_t)((chip->line_at < chip->line_end ? 0x01 : 0) | (chip->unsent == 0 ? 0x60 : 0));
}

static uint8_t chip_reason(const struct chip *chip)
{
    uint8_t fifo = chip->no_fifo || (chip->fcr & 1) == 0 ? 0 : 0xc0;
    if ((chip->ier & 1) != 0 && chip->line_at < chip->line_end) {
        return fifo | 0x04;
    }
    if ((chip->ier & 2) != 0 && chip->empty_pending) {
        return fifo | 0x02;
    }
    return fifo | 0x01;
}

static uint8_t chip_in(void *context, uint16_t port)
{
    struct chip *chip = context;
    uint8_t reason;
    assert_in_range(port, BASE, BASE + 7);
    if (chip->absent) {
        return 0xff;
    }
    switch (port - BASE) {
    case 0:
        return chip->line_at < chip->line_end ? chip->line[chip->line_at++] : 0;
    case 2:
        reason = chip_reason(chip);
        if ((reason & 0x0f) == 0x02) {
            chip->empty_pending = false;
        }
        return reason;
    case 5:
        return chip_status(chip);
    case 7:
        return chip->scratch;
    default:
        return 0;
    }
}

static void chip_out(void *context, uint16_t port, uint8_t value)
{
    struct chip *chip = context;
    bool dlab = (chip->lcr & 0x80) != 0;
    switch (port - BASE) {
    case 0:
        if (dlab) {
            chip->divisor = (uint16_t)((chip->divisor & 0xff00) | value);
            break;
        }
        assert_true(chip->unsent < 16);
        assert_true(chip->sent_count < sizeof chip->sent);
        chip->sent[chip->sent_count++] = value;
        chip->unsent += chip->slow;
        chip->empty_pending = !chip->slow;
        break;
    case 1:
        if (dlab) {
            chip->divisor = (uint16_t)((chip->divisor & 0xff) | value << 8);
            break;
        }
        if ((value & 2) != 0 && (chip->ier & 2) == 0 && chip->unsent == 0) {
            chip->empty_pending = true;
        }
        chip->ier = value;
        break;
    case 2:
        if ((value & 2) != 0) {
            chip->line_at = chip->line_end;
        }
        chip->fcr = value;
        break;
    case 3:
        chip->lcr = value;
        break;
    case 4:
        chip->mcr = value;
        break;
    case 7:
        chip->scratch = value;
        break;
    default:
        break;
    }
}

static const struct uart_ports chip_ports = {.in = chip_in, .out = chip_out};

struct bench {
    struct chip chip;
    struct uart uart;
    _Alignas(64) uint8_t in_memory[MEMORY], out_memory[MEMORY];
    struct ring received, transmit;             /* the driver's */
    struct ring client_received, client_output; /* the client's */
};

static void bench_init(struct bench *bench)
{
    memset(bench, 0, sizeof *bench);
    assert_true(uart_init(&bench->uart, &chip_ports, &bench->chip, BASE));
    assert_true(ring_init(&bench->received, bench->in_memory, MEMORY, true));
    assert_true(ring_init(&bench->client_received, bench->in_memory, MEMORY, false));
    assert_true(ring_init(&bench->transmit, bench->out_memory, MEMORY, false));
    assert_true(ring_init(&bench->client_output, bench->out_memory, MEMORY, true));
    uart_set_client(&bench->uart, &bench->received, &bench->transmit);
}

static void service(struct bench *bench)
{
    bool signal = uart_service(&bench->uart);
    (void)signal;
}

static void assert_quiet(const struct chip *chip)
{
    assert_int_equal(chip_reason(chip) & 0x0f, 0x01);
}

static void test_init(void **state)
{
    (void)state;
    static struct bench bench;
    bench_init(&bench);
    assert_int_equal(bench.chip.divisor, 1);
    assert_int_equal(bench.chip.lcr, 0x03);
    assert_int_equal(bench.chip.mcr, 0x0b);
    assert_int_equal(bench.chip.fcr & 0x01, 0x01);
    assert_int_equal(bench.chip.ier, 0x01);
}

/* A driver that is started anew leaves in the chip what came meanwhile, until it has a client. */
static void test_init_again(void **state)
{
    (void)state;
    static struct bench bench;
    uint8_t bytes[8];
    bool signal = false;
    memset(&bench, 0, sizeof bench);
    memcpy(bench.chip.line, "oldnew", 6);
    bench.chip.line_end = 3;
    assert_true(
        uart_init(&bench.uart, &chip_ports, &bench.chip, BASE)); /* the first one: noise of the start */
    assert_int_equal(bench.chip.line_at, 3);                     /* thrown away */
    bench.chip.line_end = 6;
    assert_true(uart_init(&bench.uart, &chip_ports, &bench.chip, BASE));
    service(&bench);
    assert_int_equal(bench.chip.line_at, 3);
    assert_quiet(&bench.chip);
    assert_true(ring_init(&bench.received, bench.in_memory, MEMORY, true));
    assert_true(ring_init(&bench.client_received, bench.in_memory, MEMORY, false));
    uart_set_client(&bench.uart, &bench.received, NULL);
    service(&bench);
    assert_int_equal(ring_read(&bench.client_received, bytes, sizeof bytes, &signal), 3);
    assert_memory_equal(bytes, "new", 3);
    uart_set_client(&bench.uart, NULL, NULL); /* that client's affair: nobody else gets it */
    bench.chip.line_at = 0;
    service(&bench);
    assert_int_equal(bench.chip.line_at, bench.chip.line_end);
}

static void test_init_refuses(void **state)
{
    (void)state;
    struct uart uart;
    struct chip absent = {.absent = true}, old = {.no_fifo = true};
    assert_false(uart_init(&uart, &chip_ports, &absent, BASE));
    assert_false(uart_init(&uart, &chip_ports, &old, BASE));
}

static void test_input_with_a_slow_client(void **state)
{
    (void)state;
    static struct bench bench;
    bench_init(&bench);
    for (size_t i = 0; i < 1000; i++) {
        bench.chip.line[i] = (uint8_t)(i * 31);
    }
    bench.chip.line_end = 1000;
    size_t got = 0;
    for (int turn = 0; got < 1000; turn++) {
        assert_true(turn < 1000);
        service(&bench);
        assert_quiet(&bench.chip);
        uint8_t bytes[10];
        bool signal = false;
        size_t count = ring_read(&bench.client_received, bytes, sizeof bytes, &signal);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(bytes[i], (uint8_t)(got++ * 31));
        }
        if (bench.chip.line_at < 1000 && bench.chip.ier == 0) {
            assert_true(signal || ring_available(&bench.client_received) != 0);
        }
    }
    assert_int_equal(bench.chip.ier, 0x01);
}

static void test_input_signals_once(void **state)
{
    (void)state;
    static struct bench bench;
    bench_init(&bench);
    bench.chip.line_end = 1;
    assert_true(uart_service(&bench.uart));
    bench.chip.line_end = 2;
    assert_false(uart_service(&bench.uart));
}

static void test_input_without_client_is_dropped(void **state)
{
    (void)state;
    static struct bench bench;
    bench_init(&bench);
    uart_set_client(&bench.uart, NULL, NULL);
    bench.chip.line_end = 500;
    assert_false(uart_service(&bench.uart));
    assert_int_equal(bench.chip.line_at, 500);
    assert_quiet(&bench.chip);
}

static void output(bool slow)
{
    static struct bench bench;
    bench_init(&bench);
    bench.chip.slow = slow;
    size_t given = 0;
    for (int turn = 0; bench.chip.sent_count < 1000; turn++) {
        assert_true(turn < 1000);
        uint8_t bytes[50];
        bool signal = false;
        for (size_t i = 0; i < sizeof bytes; i++) {
            bytes[i] = (uint8_t)((given + i) * 13);
        }
        given += ring_write(&bench.client_output, bytes, given + 50 <= 1000 ? 50 : 1000 - given, &signal);
        service(&bench);
        assert_quiet(&bench.chip);
        if (bench.chip.unsent != 0) {
            assert_int_equal(bench.chip.ier & 2, 2); /* the chip will say when it is done */
            bench.chip.unsent = 0;
            bench.chip.empty_pending = true;
        }
    }
    for (size_t i = 0; i < 1000; i++) {
        assert_int_equal(bench.chip.sent[i], (uint8_t)(i * 13));
    }
    service(&bench);
    assert_int_equal(bench.chip.ier, 0x01);
}

static void test_output(void **state)
{
    (void)state;
    output(false);
}

static void test_output_slow(void **state)
{
    (void)state;
    output(true);
}

static void test_hostile_client(void **state)
{
    (void)state;
    static struct bench bench;
    bench_init(&bench);
    memset(bench.in_memory, 0xee, RING_OVERHEAD);
    memset(bench.out_memory, 0xee, RING_OVERHEAD);
    bench.chip.line_end = 100;
    service(&bench);
    assert_int_equal(bench.chip.line_at, 100); /* as without a client */
    assert_int_equal(bench.chip.sent_count, 0);
    assert_quiet(&bench.chip);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_init),
        cmocka_unit_test(test_init_refuses),
        cmocka_unit_test(test_init_again),
        cmocka_unit_test(test_input_with_a_slow_client),
        cmocka_unit_test(test_input_signals_once),
        cmocka_unit_test(test_input_without_client_is_dropped),
        cmocka_unit_test(test_output),
        cmocka_unit_test(test_output_slow),
        cmocka_unit_test(test_hostile_client),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
