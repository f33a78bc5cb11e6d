/* SPDX-License-Identifier: ISC */
/*
 * What a disk is asked, whichever controller it is at. Each driver is a library without a component (submit,
 * work, done), and one of these is what goes through it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define DISK_PIECES 6u

enum disk_action {
    DISK_READ,
    DISK_WRITE,
    DISK_FLUSH,       /* what has been written and answered is durable */
    DISK_DISCARD,     /* the sectors hold nothing from now on */
    DISK_WRITE_ZEROES /* where the drive can */
};

enum disk_status {
    DISK_OK,
    DISK_MEDIUM, /* the drive could not do it, or did not answer, also when tried again */
    DISK_GONE    /* the drive has been taken away, or does not work */
};

/* Of the request's data, where the controller sees it: even address, even number of bytes. */
struct disk_piece {
    uint64_t address;
    uint32_t bytes;
};

/* The caller's until it is submitted, and again once it is said to be done. */
struct disk_request {
    enum disk_action action;
    bool fua; /* a write that is durable when it is done */
    uint64_t sector;
    uint32_t count; /* sectors of the drive; not of a flush */
    unsigned pieces;
    struct disk_piece piece[DISK_PIECES]; /* of a read or write: together the count's bytes */
    /* The driver's own. */
    uint64_t number; /* in the order of submission */
    uint8_t tries;
    bool flushing; /* the write is done, and made durable now */
};
