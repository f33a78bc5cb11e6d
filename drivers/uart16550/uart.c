/* SPDX-License-Identifier: ISC */
/*
 * The 16550A. Its interrupt output is wired to an edge-triggered pin on the PC, so uart_service goes on until
 * the chip has no reason left to interrupt: what is left pending would never give another edge. A reason that
 * cannot be served now (no room for input, nothing to send) is therefore switched off in IER, never left
 * pending.
 */
#include "drivers/uart16550/uart.h"

enum {
    UART_RBR = 0, /* read: received byte */
    UART_THR = 0, /* write: byte to send */
    UART_DLL = 0, /* with LCR_DLAB: divisor */
    UART_IER = 1,
    UART_DLM = 1, /* with LCR_DLAB */
    UART_IIR = 2, /* read */
    UART_FCR = 2, /* write */
    UART_LCR = 3,
    UART_MCR = 4,
    UART_LSR = 5,
    UART_MSR = 6,
    UART_SCR = 7,
};

#define IER_RECEIVED   0x01u
#define IER_TRANSMIT   0x02u
#define IIR_NONE       0x01u
#define IIR_FIFO       0xc0u
#define FCR_ENABLE     0x01u
#define FCR_CLEAR      0x06u
#define FCR_TRIGGER_8  0x80u /* interrupt at 8 bytes, or when the line is quiet for four characters */
#define LCR_8N1        0x03u
#define LCR_DLAB       0x80u
#define MCR_DTR_RTS    0x03u
#define MCR_OUT2       0x08u /* gates the interrupt on the PC */
#define LSR_DATA       0x01u
#define LSR_OVERRUN    0x02u
#define LSR_THR_EMPTY  0x20u
#define DIVISOR_115200 1u

/* A line that is always busy must not hold the driver. */
#define ROUNDS_MAXIMUM 64

static uint8_t uart_in(struct uart *uart, uint16_t reg)
{
    return uart->ports->in(uart->context, (uint16_t)(uart->base + reg));
}

static void uart_out(struct uart *uart, uint16_t reg, uint8_t value)
{
    uart->ports->out(uart->context, (uint16_t)(uart->base + reg), value);
}

static void uart_enable(struct uart *uart, uint8_t reasons)
{
    if (uart->enabled != reasons) {
        uart->enabled = reasons;
        uart_out(uart, UART_IER, reasons);
    }
}

static bool uart_keeps(struct uart *uart, uint8_t value)
{
    uart_out(uart, UART_SCR, value);
    return uart_in(uart, UART_SCR) == value;
}

bool uart_init(struct uart *uart, const struct uart_ports *ports, void *context, uint16_t base)
{
    uint8_t clear;

    *uart = (struct uart){.ports = ports, .context = context, .base = base};
    uart_out(uart, UART_IER, 0);
    if (!uart_keeps(uart, 0x5a) || !uart_keeps(uart, 0xa5)) {
        return false;
    }
    uart_out(uart, UART_LCR, LCR_DLAB);
    uart_out(uart, UART_DLL, DIVISOR_115200);
    uart_out(uart, UART_DLM, 0);
    uart_out(uart, UART_LCR, LCR_8N1);
    /* FIFOs that are on are those of a driver before this one: what is in them is somebody's. */
    clear = (uart_in(uart, UART_IIR) & IIR_FIFO) == IIR_FIFO ? 0 : FCR_CLEAR;
    uart_out(uart, UART_FCR, FCR_ENABLE | FCR_TRIGGER_8 | clear);
    if ((uart_in(uart, UART_IIR) & IIR_FIFO) != IIR_FIFO) {
        return false;
    }
    uart_out(uart, UART_MCR, MCR_DTR_RTS | MCR_OUT2);
    (void)uart_in(uart, UART_LSR);
    (void)uart_in(uart, UART_MSR);
    uart->fresh = true;
    return true;
}

void uart_set_client(struct uart *uart, struct ring *received, struct ring *transmit)
{
    uart->received = received;
    uart->transmit = transmit;
    uart->fresh = false;
    uart_enable(uart, IER_RECEIVED);
}

/* Empties the receive FIFO as far as the client has room. True while the receive interrupt is wanted. */
static bool uart_receive(struct uart *uart, uint8_t status, bool *signal)
{
    size_t room = uart->fresh ? 0 : UART_FIFO;
    if (uart->received != NULL && !ring_is_broken(uart->received)) {
        room = ring_room(uart->received, UART_FIFO);
        if (ring_is_broken(uart->received)) {
            room = UART_FIFO;
        }
    }
    uint8_t bytes[UART_FIFO];
    size_t count = 0;
    while ((status & LSR_DATA) != 0 && count < room && count < UART_FIFO) {
        bytes[count++] = uart_in(uart, UART_RBR);
        status = uart_in(uart, UART_LSR);
        uart->overruns += (status & LSR_OVERRUN) != 0;
    }
    if (uart->received != NULL && count != 0) {
        (void)ring_write(uart->received, bytes, count, signal);
    }
    return room != 0;
}

/* Fills the empty transmit FIFO. True when something was sent, so that the chip will say when it is empty
 * again. */
static bool uart_transmit(struct uart *uart, bool *signal)
{
    uint8_t bytes[UART_FIFO];
    size_t count = uart->transmit != NULL ? ring_read(uart->transmit, bytes, sizeof bytes, signal) : 0;
    for (size_t i = 0; i < count; i++) {
        uart_out(uart, UART_THR, bytes[i]);
    }
    return count != 0;
}

bool uart_service(struct uart *uart)
{
    bool signal = false;
    for (int round = 0; round < ROUNDS_MAXIMUM; round++) {
        uint8_t status = uart_in(uart, UART_LSR);
        uint8_t reasons = 0;
        uart->overruns += (status & LSR_OVERRUN) != 0;
        if (uart_receive(uart, status, &signal)) {
            reasons |= IER_RECEIVED;
        }
        if ((status & LSR_THR_EMPTY) == 0 || uart_transmit(uart, &signal)) {
            reasons |= IER_TRANSMIT;
        }
        uart_enable(uart, reasons);
        if ((uart_in(uart, UART_IIR) & IIR_NONE) != 0) {
            return signal;
        }
    }
    /* Others have waited long enough. Off and on makes a new edge from what is still pending: the chip calls
     * again. */
    uint8_t reasons = uart->enabled;
    uart_enable(uart, 0);
    uart_enable(uart, reasons);
    return signal;
}
