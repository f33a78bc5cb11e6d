/* SPDX-License-Identifier: ISC */
/* Lines that wait for the UART: see log_queue.h. */
#include "core/log_queue.h"

#define UART_THR      0u
#define UART_LSR      5u
#define UART_LSR_THRE 0x20u    /* the FIFO is empty */
#define UART_LSR_TEMT 0x40u    /* and the last byte sent */
#define PATIENCE      1000000u /* polls without progress */

bool log_queue_init(struct log_queue *queue, void *memory, size_t bytes)
{
    queue->lost = 0;
    return ring_init(&queue->in, memory, bytes, true) && ring_init(&queue->out, memory, bytes, false);
}

bool log_queue_room(struct log_queue *queue, size_t bytes, uint64_t *lost)
{
    bool room = ring_available(&queue->in) >= bytes + LOG_QUEUE_NOTE;

    *lost = room ? queue->lost : 0;
    queue->lost = room ? 0 : queue->lost + 1;
    return room;
}

bool log_queue_put(struct log_queue *queue, const char *line, size_t bytes)
{
    bool wake = false;

    ring_write(&queue->in, line, bytes, &wake);
    return wake;
}

bool log_queue_send(struct log_queue *queue, const struct log_port *port)
{
    for (unsigned i = 0; i < LOG_FIFOS && ring_available(&queue->out); i++) {
        uint8_t bytes[LOG_FIFO];
        bool signal = false;
        size_t count;

        if (!(port->in(port->context, UART_LSR) & UART_LSR_THRE))
            break;
        count = ring_read(&queue->out, bytes, sizeof(bytes), &signal);
        for (size_t j = 0; j < count; j++)
            port->out(port->context, UART_THR, bytes[j]);
    }
    return ring_available(&queue->out);
}

void log_queue_flush(struct log_queue *queue, const struct log_port *port)
{
    size_t before = ring_available(&queue->out);

    for (unsigned i = 0; i < PATIENCE; i++) {
        bool left = log_queue_send(queue, port);

        if (!left && port->in(port->context, UART_LSR) & UART_LSR_TEMT)
            return;
        if (ring_available(&queue->out) < before)
            i = 0;
        before = ring_available(&queue->out);
    }
}
