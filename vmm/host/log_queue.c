/* SPDX-License-Identifier: ISC */
/*
 * Places in a ring; see log_queue.h. A thread that has a place and has not filled it yet holds up the
 * lines behind it. When it has filled it, it wakes the reader as every thread does.
 */
#include "vmm/host/log_queue.h"

#include <string.h>

bool log_queue_put(struct log_queue *queue, const char *text, size_t length)
{
    uint32_t place = __atomic_load_n(&queue->head, __ATOMIC_RELAXED);
    size_t kept = length < LOG_LINE ? length : LOG_LINE;

    do {
        if (place - __atomic_load_n(&queue->tail, __ATOMIC_ACQUIRE) >= LOG_QUEUE_LINES) {
            __atomic_add_fetch(&queue->lost, 1, __ATOMIC_RELAXED);
            return false;
        }
    } while (!__atomic_compare_exchange_n(&queue->head, &place, place + 1, false, __ATOMIC_ACQUIRE,
                                          __ATOMIC_RELAXED));
    memcpy(queue->line[place % LOG_QUEUE_LINES].text, text, kept);
    queue->line[place % LOG_QUEUE_LINES].length = (uint32_t)kept;
    __atomic_store_n(&queue->line[place % LOG_QUEUE_LINES].ready, place + 1, __ATOMIC_RELEASE);
    return true;
}

const char *log_queue_first(const struct log_queue *queue, size_t *length)
{
    uint32_t place = queue->tail;

    if (__atomic_load_n(&queue->line[place % LOG_QUEUE_LINES].ready, __ATOMIC_ACQUIRE) != place + 1)
        return NULL;
    *length = queue->line[place % LOG_QUEUE_LINES].length;
    return queue->line[place % LOG_QUEUE_LINES].text;
}

void log_queue_drop(struct log_queue *queue)
{
    __atomic_store_n(&queue->tail, queue->tail + 1, __ATOMIC_RELEASE);
}

uint32_t log_queue_lost(struct log_queue *queue)
{
    return __atomic_exchange_n(&queue->lost, 0, __ATOMIC_RELAXED);
}
