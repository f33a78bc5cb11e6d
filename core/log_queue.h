/* SPDX-License-Identifier: ISC */
/*
 * The log's lines on their way to the UART, which is slow: 240 bytes take 20 ms. A request that logs puts a
 * whole line into a ring and goes on. Core's main thread fills the UART's FIFO when it is empty, and sleeps
 * while the FIFO is sent. So a line costs its copy and an OUT for each byte, and no request waits for the line
 * before it.
 *
 * There is one producer and one sender at a time; they may interrupt each other.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/ring/ring.h"

#define LOG_QUEUE_NOTE 64u  /* bytes kept free for a line about lines that were lost */
#define LOG_FIFO       16u  /* bytes that the UART takes at once */
#define LOG_TURNS      720u /* a second: how often 115200 baud send a FIFO */
#define LOG_FIFOS      8u /* at most in a turn, where the UART is ready again at once, as an emulator's is */

/* A 16550's registers, by number. */
struct log_port {
    uint8_t (*in)(void *context, unsigned reg);
    void (*out)(void *context, unsigned reg, uint8_t value);
    void *context;
};

struct log_queue {
    struct ring in, out; /* the two sides of one ring */
    uint64_t lost;       /* lines that found no room, and are not reported yet */
};

/* memory: 64-byte aligned, all zero. */
bool log_queue_init(struct log_queue *queue, void *memory, size_t bytes) __attribute__((warn_unused_result));

/*
 * Whether there is room for a line of so many bytes and for the line about those that were lost; if not, it
 * is counted as lost. *lost: how many were lost before this one, 0 unless the result is true.
 */
bool log_queue_room(struct log_queue *queue, size_t bytes, uint64_t *lost)
    __attribute__((warn_unused_result));

/* A line for which there is room. True: the sender may sleep and must be woken. */
bool log_queue_put(struct log_queue *queue, const char *line, size_t bytes)
    __attribute__((warn_unused_result));

/* One turn: what the UART takes without waiting. True: something is left for the next turn. */
bool log_queue_send(struct log_queue *queue, const struct log_port *port) __attribute__((warn_unused_result));

/* Sends all and waits until the last bit is on the line, for the machine's end. A UART that never gets ready
 * is left alone. */
void log_queue_flush(struct log_queue *queue, const struct log_port *port);
