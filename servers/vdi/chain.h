/* SPDX-License-Identifier: ISC */
/*
 * The images of a chain, opened from the stores they lie in: the first byte of a store is the first of its
 * image. It knows no session: stores, memory and the log are given to it, so that it is tested on the build
 * machine.
 */
#pragma once

#include "lib/vdi/disk.h"

#include <stdarg.h>

#define CHAIN_IMAGES 8u  /* a disk and its parents */
#define CHAIN_LABEL  64u /* bytes of a store's name, with the terminating zero */

struct chain_store {
    char label[CHAIN_LABEL];
    uint64_t bytes;
    uint32_t unit; /* its sector: what it takes at a time */
    bool read_only;
};

struct chain_source {
    void *context;
    /* Reads from the store of this number; offset and length are multiples of its unit. False: it failed. */
    bool (*read)(void *context, uint32_t store, uint64_t offset, uint64_t length, void *bytes);
    /* Memory for good, page-aligned and zero. NULL: there is not as much. */
    void *(*memory)(void *context, uint64_t bytes);
    /* One line, without its end; the format is printf's. */
    void (*say)(void *context, const char *format, va_list arguments) __attribute__((format(printf, 2, 0)));
    /* For the library's use, at least one page; page-aligned. */
    uint8_t *bounce;
    uint32_t bounce_size; /* a multiple of 4096 */
};

struct chain {
    struct chain_store store[CHAIN_IMAGES];
    struct vdi_image image[CHAIN_IMAGES];
    uint32_t count;
    bool read_only;  /* the disk itself; parents are never written */
    uint8_t *header; /* of the first image, a unit of its store; NULL if the disk is read only */
};

/*
 * Opens all images and checks that they are a chain. The stores, their number and `read_only` are set. False:
 * a line said which image is not as it must be.
 */
MUST_CHECK bool chain_open(struct chain *chain, const struct chain_source *source);
