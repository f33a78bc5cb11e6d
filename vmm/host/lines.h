/* SPDX-License-Identifier: ISC */
/*
 * A guest's output as lines of the log, without escape sequences and control characters, with the VM's name in
 * front.
 */
#pragma once

#include <stdint.h>

#define LINES_LENGTH 200u

struct lines {
    const char *name;   /* of the VM */
    const char *prefix; /* between the name and the line */
    char line[LINES_LENGTH];
    uint32_t length;
    uint8_t escape; /* state of an escape sequence; 0: none */

    const char *awaited; /* "": none; see lines_await */
    void (*seen)(void *context);
    void *seen_context;
};

/* Both strings stay the caller's. */
void lines_init(struct lines *lines, const char *name, const char *prefix);

/* Calls seen(context) for each line that has `text` in it, after the line has gone to the log. `text` stays the
 * caller's; "": none. */
void lines_await(struct lines *lines, const char *text, void (*seen)(void *context), void *context);

void lines_put(struct lines *lines, uint8_t byte);

/* Writes the unfinished line, if there is one. */
void lines_finish(struct lines *lines);
