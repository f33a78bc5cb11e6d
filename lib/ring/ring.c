/* SPDX-License-Identifier: ISC */
/*
 * The ring between two components. It loses no wake-up although it sends few signals:
 *
 * The producer publishes its index, then reads the consumer's. If the consumer had taken everything before this
 * write, it may sleep, and the producer signals. The consumer publishes its index, then reads the producer's. So
 * one of the two sees the other.
 *
 * A producer that finds too little room raises the flag, then reads the consumer's index once more. The consumer
 * publishes its index, then reads the flag. Again one of the two sees the other. Both need a full fence between store
 * and load. A hostile flag costs a signal too many or, to its writer, one too few.
 */
#include "lib/ring/ring.h"

#include <string.h>

struct ring_shared {
    uint32_t written; /* by the producer */
    uint32_t pad0[15];
    uint32_t taken;   /* by the consumer */
    uint32_t waiting; /* set by the producer, cleared by the consumer */
    uint32_t pad1[14];
};

_Static_assert(sizeof(struct ring_shared) == RING_OVERHEAD, "the indices stand in lines of their own");

bool ring_init(struct ring *ring, void *memory, size_t bytes, bool producer)
{
    *ring = (struct ring){.broken = true};
    if ((uintptr_t)memory % 64 != 0 || bytes < RING_OVERHEAD + RING_DATA_MINIMUM)
        return false;
    uint32_t size = RING_DATA_MINIMUM;
    while (size < RING_DATA_MAXIMUM && size * (size_t)2 <= bytes - RING_OVERHEAD)
        size *= 2;
    *ring = (struct ring){
        .shared = memory,
        .data = (uint8_t *)memory + RING_OVERHEAD,
        .size = size,
        .producer = producer,
    };
    return true;
}

bool ring_is_broken(const struct ring *ring)
{
    return ring->broken;
}

/* Bytes in the ring by the peer's index as it stands now; 0 and broken when that cannot be. */
static uint32_t ring_fill(struct ring *ring)
{
    if (ring->broken)
        return 0;
    const uint32_t *index = ring->producer ? &ring->shared->taken : &ring->shared->written;
    uint32_t peer = __atomic_load_n(index, __ATOMIC_ACQUIRE);
    uint32_t fill = ring->producer ? ring->own - peer : peer - ring->own;
    if (fill > ring->size) {
        ring->broken = true;
        return 0;
    }
    return fill;
}

/* Bytes that this side can move now. */
static uint32_t ring_window(struct ring *ring)
{
    uint32_t fill = ring_fill(ring);
    if (ring->broken)
        return 0;
    return ring->producer ? ring->size - fill : fill;
}

size_t ring_available(struct ring *ring)
{
    return ring_window(ring);
}

size_t ring_room(struct ring *ring, size_t count)
{
    size_t room = ring_window(ring);
    if (room < count && !ring->broken) {
        __atomic_store_n(&ring->shared->waiting, 1, __ATOMIC_RELAXED);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        room = ring_window(ring);
    }
    return room;
}

/* `offset` counts from this side's index; offset + count is within the window. */
static void ring_copy_in(struct ring *ring, uint32_t offset, const uint8_t *bytes, uint32_t count)
{
    uint32_t at = (ring->own + offset) & (ring->size - 1);
    uint32_t first = ring->size - at < count ? ring->size - at : count;
    if (first != 0)
        memcpy(ring->data + at, bytes, first);
    if (count != first)
        memcpy(ring->data, bytes + first, count - first);
}

static void ring_copy_out(const struct ring *ring, uint32_t offset, uint8_t *bytes, uint32_t count)
{
    uint32_t at = (ring->own + offset) & (ring->size - 1);
    uint32_t first = ring->size - at < count ? ring->size - at : count;
    if (first != 0)
        memcpy(bytes, ring->data + at, first);
    if (count != first)
        memcpy(bytes + first, ring->data, count - first);
}

static void ring_publish_written(struct ring *ring, uint32_t count, bool *signal)
{
    uint32_t before = ring->own;
    ring->own = before + count;
    __atomic_store_n(&ring->shared->written, ring->own, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (__atomic_load_n(&ring->shared->taken, __ATOMIC_RELAXED) == before)
        *signal = true;
}

static void ring_publish_taken(struct ring *ring, uint32_t count, bool *signal)
{
    ring->own += count;
    __atomic_store_n(&ring->shared->taken, ring->own, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (__atomic_load_n(&ring->shared->waiting, __ATOMIC_RELAXED) != 0) {
        __atomic_store_n(&ring->shared->waiting, 0, __ATOMIC_RELAXED);
        *signal = true;
    }
}

size_t ring_write(struct ring *ring, const void *bytes, size_t count, bool *signal)
{
    size_t room = ring_room(ring, count);
    uint32_t moved = (uint32_t)(count < room ? count : room);
    if (moved != 0) {
        ring_copy_in(ring, 0, bytes, moved);
        ring_publish_written(ring, moved, signal);
    }
    return moved;
}

size_t ring_read(struct ring *ring, void *bytes, size_t count, bool *signal)
{
    uint8_t *to = bytes;
    size_t done = 0;
    /* Bytes that came in during a copy raised no signal, so a reader that wants more looks again until there are
     * none. Each turn moves a byte at least, so a peer cannot keep this side here for longer than `count` turns.
     */
    while (done < count) {
        uint32_t fill = ring_window(ring);
        uint32_t moved = count - done < fill ? (uint32_t)(count - done) : fill;
        if (moved == 0)
            break;
        ring_copy_out(ring, 0, to + done, moved);
        ring_publish_taken(ring, moved, signal);
        done += moved;
    }
    return done;
}

size_t ring_untaken(struct ring *ring, void *bytes, size_t size)
{
    uint32_t fill = ring_fill(ring);
    uint32_t count = fill < size ? fill : (uint32_t)size;
    ring_copy_out(ring, 0u - fill, bytes, count);
    return count;
}

enum ring_status ring_put(struct ring *ring, const void *record, size_t count, bool *signal)
{
    if (ring->broken)
        return RING_BROKEN;
    if (count > ring->size - RING_RECORD_WORD)
        return RING_TOO_BIG;
    uint32_t length = (uint32_t)count;
    size_t room = ring_room(ring, count + RING_RECORD_WORD);
    if (ring->broken)
        return RING_BROKEN;
    if (room < count + RING_RECORD_WORD)
        return RING_FULL;
    uint8_t word[RING_RECORD_WORD];
    memcpy(word, &length, sizeof word);
    ring_copy_in(ring, 0, word, RING_RECORD_WORD);
    ring_copy_in(ring, RING_RECORD_WORD, record, length);
    ring_publish_written(ring, length + RING_RECORD_WORD, signal);
    return RING_OK;
}

enum ring_status ring_get(struct ring *ring, void *buffer, size_t size, size_t *count, bool *signal)
{
    *count = 0;
    uint32_t fill = ring_window(ring);
    if (ring->broken)
        return RING_BROKEN;
    if (fill == 0)
        return RING_EMPTY;
    if (fill < RING_RECORD_WORD) {
        ring->broken = true; /* records are published whole */
        return RING_BROKEN;
    }
    uint8_t word[RING_RECORD_WORD];
    uint32_t length;
    ring_copy_out(ring, 0, word, RING_RECORD_WORD);
    memcpy(&length, word, sizeof length);
    if (length > fill - RING_RECORD_WORD) {
        ring->broken = true;
        return RING_BROKEN;
    }
    *count = length;
    if (length <= size)
        ring_copy_out(ring, RING_RECORD_WORD, buffer, length);
    ring_publish_taken(ring, length + RING_RECORD_WORD, signal);
    return length <= size ? RING_OK : RING_TOO_BIG;
}
