/* SPDX-License-Identifier: ISC */
/*
 * The guests that are part of the monitor: <vm guest="..."/> names one of them. Their source is builtin.S.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct builtin_guest {
    const char *name;
    bool real_mode; /* else 32-bit protected mode, flat */
    uint64_t base;  /* guest-physical address of image and entry */
    const uint8_t *image, *end;
};

/* NULL if there is none of this name. */
const struct builtin_guest *builtin_find(const char *name);

/* All names, for messages. */
#define BUILTIN_NAMES "spin, spin16, hello or out"
