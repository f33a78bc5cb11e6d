/* SPDX-License-Identifier: ISC */
/*
 * A ring in memory that two components share: one produces, one consumes. Bytes are the plain use (a
 * terminal); records, each behind a length word, are the other. The two sides do not trust each other: either
 * may write anything at any time, so each keeps its own index in private memory, takes the peer's index once
 * per operation, checks it against its own, and copies the data out before it looks at them. A peer that
 * breaks the rules gets a ring that is broken for good and carries nothing more; memory outside of the ring
 * is never touched.
 *
 * Layout: a line of 64 bytes with the producer's index, a line with the consumer's and the flag, then the
 * data. The indices run freely modulo 2^32; the number of data bytes is a power of two. All zero is an empty
 * ring, so a fresh dataspace needs no preparation.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RING_OVERHEAD     128u /* bytes before the data */
#define RING_DATA_MINIMUM 64u  /* a ring with less makes no sense */
#define RING_DATA_MAXIMUM (UINT32_C(1) << 30)
#define RING_RECORD_WORD  4u /* bytes of the length before each record */

enum ring_status {
    RING_OK,
    RING_EMPTY,   /* nothing to take */
    RING_FULL,    /* no room now; the consumer signals when it has made some */
    RING_TOO_BIG, /* the record can never fit (put), or not into the buffer (get: it is dropped) */
    RING_BROKEN,  /* the peer wrote an impossible index or length: close the session */
};

/* One side's view; private memory. Fields are the ring's own affair. */
struct ring {
    struct ring_shared *shared;
    uint8_t *data;
    uint32_t size; /* data bytes, a power of two */
    uint32_t own;  /* this side's index; the shared copy is for the peer only */
    bool producer;
    bool broken;
};

/*
 * Takes `bytes` bytes at `memory` (64-byte aligned) for a ring, seen from the producer's or the consumer's
 * side. The data part is the largest power of two that fits. Both sides must give the same size. False: the
 * alignment or the size is wrong.
 */
bool ring_init(struct ring *ring, void *memory, size_t bytes, bool producer)
    __attribute__((warn_unused_result));

/* Bytes that ring_read (consumer) or ring_write (producer) would move now. 0 when broken. */
size_t ring_available(struct ring *ring);

/*
 * For a producer: the room there is now, 0 when broken. When it is less than `count`, the consumer is asked
 * to signal as soon as it has made some. For a producer that has to know before it fetches the bytes.
 */
size_t ring_room(struct ring *ring, size_t count);

/* The peer has broken the rules: nothing moves any more. */
bool ring_is_broken(const struct ring *ring);

/*
 * Writes up to `count` bytes and returns how many. *signal is set true (never false) when the consumer may be
 * waiting because the ring was empty. When less than `count` went in, the consumer signals after it made
 * room.
 */
size_t ring_write(struct ring *ring, const void *bytes, size_t count, bool *signal);

/*
 * Reads up to `count` bytes and returns how many. *signal is set true (never false) when the producer waits
 * for room. A consumer that read less than `count` is signalled when more come.
 */
size_t ring_read(struct ring *ring, void *bytes, size_t count, bool *signal);

/*
 * For a producer whose consumer has gone: copies up to `size` of the bytes that it has not taken, the oldest first,
 * and returns how many. The ring stays as it is.
 */
size_t ring_untaken(struct ring *ring, void *bytes, size_t size);

/* Puts one record of `count` bytes, whole or not at all: RING_OK, RING_FULL, RING_TOO_BIG or RING_BROKEN. */
enum ring_status ring_put(struct ring *ring, const void *record, size_t count, bool *signal)
    __attribute__((warn_unused_result));

/*
 * Takes one record into `buffer` of `size` bytes; its length comes in *count. RING_OK, RING_EMPTY,
 * RING_TOO_BIG (the record is dropped, *count says what it needed) or RING_BROKEN. Do not mix with ring_read.
 */
enum ring_status ring_get(struct ring *ring, void *buffer, size_t size, size_t *count, bool *signal)
    __attribute__((warn_unused_result));
