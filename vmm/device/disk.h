/* SPDX-License-Identifier: ISC */
/*
 * A disk as a chip sees it. The chip hands over requests, one at a time, and goes on; the disk's owner moves the
 * bytes and says when a request is over. Nothing waits in here: a request may take as long as a driver's restart.
 *
 * All functions are called with the chips' lock.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define DISK_SECTOR  512u
#define DISK_SERIAL  20u
#define DISK_AT_ONCE 256u /* sectors of a request at most */

enum disk_action { DISK_READ, DISK_WRITE, DISK_FLUSH, DISK_DISCARD, DISK_ACTIONS };

enum disk_result {
    DISK_DONE,
    DISK_FAILED, /* some of a write may be done */
    DISK_STOPPED /* move() said so: nothing was written */
};

/* The chip's; from submit() to done() the disk's. */
struct disk_request {
    enum disk_action action;
    bool fua; /* a write that is durable when it is done */
    uint64_t sector;
    uint32_t count; /* sectors: 0 of a flush, 1 to DISK_AT_ONCE of a read or write, any number of a discard */
    /* Takes the bytes that were read, or puts those to be written: all of the request's, once. Not called for
     * flush and discard. False: the chip does not want them any more. */
    bool (*move)(void *context, uint8_t *bytes, uint32_t length);
    /* It is over. Called from within submit() only with DISK_FAILED. */
    void (*done)(void *context, enum disk_result result);
    void *context;
};

/* What does not change while the machine runs, and how to submit. */
struct disk {
    uint64_t sectors; /* 1 to 2^48 */
    bool read_only, discards;
    uint32_t physical_bytes; /* what is written at once, a multiple of DISK_SECTOR; 0: not known */
    char serial[DISK_SERIAL + 1];
    void (*submit)(void *context, struct disk_request *request);
    void *context;
};
