/* SPDX-License-Identifier: ISC */
/*
 * Block: a disk, or a part of one, for one client. Label: names the disk where a server has several.
 *
 * The session's dataspace, which the client pays for, holds:
 *
 *   0x0000  struct block_header, which the server writes
 *   0x1000  a ring of records (lib/ring), client to server: struct block_request
 *   0x2000  a ring of records, server to client: struct block_response
 *   0x4000  the data area, to the end of the dataspace
 *
 * Each side signals the other when lib/ring says so, the server also when it has changed the header's state. A
 * fresh dataspace is all zeros: no disk yet. A client sends nothing before BLOCK_STATE_READY.
 *
 * Neither side trusts the other. Each copies a record once and checks the copy. A record that no well-behaved peer
 * makes (its length, a tag that is under way or is not, an action, a status, a place outside of the data area) ends
 * the session; a request that the disk cannot do is answered with the reason.
 *
 * Rules:
 * - Requests under way have no order between them. A client that needs one waits for the answer.
 * - A flush covers the writes, zeroes and discards that were answered before it was sent.
 * - BLOCK_FUA: the write is durable when it is answered.
 * - A server's own memory alone never holds data that it has answered: if it dies, the disk or the server below has it.
 * - The part of the data area that a request names belongs to the server from the request to its answer.
 * - Before the first command of a newer session to a disk, the server has finished or aborted all of the ended
 *   session's, so that no old write comes late.
 * - When its server dies, or says BLOCK_STATE_GONE, the client opens the session again. It compares serial and sizes,
 *   and sends nothing to another disk. It sends the unanswered requests, in the order in which they were first sent,
 *   before any new one.
 */
#pragma once

#include <stdint.h>

#define BLOCK_SERVICE  "Block"
#define BLOCK_DONATION 0x100000u /* bytes that a client donates by default */
#define BLOCK_REQUESTS 0x1000u
#define BLOCK_ANSWERS  0x2000u
#define BLOCK_RING     0x1000u /* bytes of each */
#define BLOCK_DATA     0x4000u
#define BLOCK_TAGS     64u /* requests under way at most; a server takes as many as its header's depth */
#define BLOCK_SERIAL   64u

enum block_state {
    BLOCK_STATE_NONE, /* not known yet */
    BLOCK_STATE_READY,
    BLOCK_STATE_GONE, /* the disk was taken away or is another one now; what is under way is not answered */
};

enum block_flag {
    BLOCK_READ_ONLY = 1,
    BLOCK_DISCARDS = 2, /* discards do something; they are allowed without, too */
};

/* Written once, the state last (release), and from then on only the state changes. */
struct block_header {
    uint32_t state;
    uint32_t flags;
    uint64_t sectors;        /* 1 or more, up to 2^63 bytes */
    uint32_t sector_bytes;   /* 512, 1024, 2048 or 4096 */
    uint32_t physical_bytes; /* what is written at once, a multiple; 0: not known */
    uint32_t discard;    /* sectors: discards of less than such a piece, aligned, do nothing; 0: not known */
    uint32_t most;       /* sectors of a read or write, 1 or more */
    uint32_t most_empty; /* sectors of zeroes and discards, 1 or more */
    uint32_t depth;      /* requests under way, 1 to BLOCK_TAGS */
    char serial[BLOCK_SERIAL]; /* the disk's own, the same at every start; ends with a zero */
};

enum block_action { BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH, BLOCK_WRITE_ZEROES, BLOCK_DISCARD, BLOCK_ACTIONS };

#define BLOCK_FUA 1u /* flag of a write or of zeroes */

struct block_request {
    uint64_t sector;
    uint32_t count;  /* sectors; 0 of a flush */
    uint32_t offset; /* of the bytes in the data area, a multiple of 512; 0 of what has none */
    uint16_t tag;    /* below BLOCK_TAGS, of no other request under way */
    uint8_t action;
    uint8_t flags;
    uint32_t zero;
};

enum block_status {
    BLOCK_OK,
    BLOCK_MEDIUM,         /* the disk could not do it: some of a write may be done */
    BLOCK_RANGE,          /* not on the disk, or more than its header says */
    BLOCK_READ_ONLY_DISK, /* nothing was written */
    BLOCK_NO_SPACE,       /* what the disk lies in is full: some of a write may be done */
    BLOCK_GONE,           /* never sent: the client's library says so when the disk is another one */
    BLOCK_STATUSES
};

struct block_response {
    uint16_t tag;
    uint8_t status;
    uint8_t zero[5];
};
