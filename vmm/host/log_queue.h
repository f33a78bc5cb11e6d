/* SPDX-License-Identifier: ISC */
/*
 * Lines for the log on their way from threads that cannot call core to the one that can. Any thread puts lines
 * in, without waiting for another; one thread takes them out, in the order of their places. When the queue is
 * full, lines are lost and counted, since a guest must not wait for the log.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/include/session/log.h"

#define LOG_QUEUE_LINES 32u

struct log_queue {
    uint32_t head, tail; /* atomic; places given out, and read */
    uint32_t lost;       /* atomic */
    struct {
        uint32_t ready; /* atomic: the place's number and 1 when its line is whole */
        uint32_t length;
        char text[LOG_LINE];
    } line[LOG_QUEUE_LINES];
};

/* False: it was lost. Cut at LOG_LINE. */
bool log_queue_put(struct log_queue *queue, const char *text, size_t length);

/* The oldest line, until log_queue_drop; NULL: none, or not whole yet. */
const char *log_queue_first(const struct log_queue *queue, size_t *length);
void log_queue_drop(struct log_queue *queue);

/* How many were lost since the last time. */
uint32_t log_queue_lost(struct log_queue *queue);
