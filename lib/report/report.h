/* SPDX-License-Identifier: ISC */
/*
 * The writer of a Report and the reader of a ROM that changes (base/include/session/report.h, rom.h). Both are events
 * of their component, open their session without waiting and open it again when its server has gone.
 */
#pragma once

#include "base/include/event.h"
#include "base/include/link.h"

struct report {
    struct link link;
    struct event event;
    bool told;        /* that there is no server */
    const char *text; /* the last one; NULL: none yet */
    size_t bytes;
};

/*
 * label stays the caller's. most: bytes of the longest text, more is cut off. base: a free selector; bit: of CAP_NT,
 * which a session has to have and no server signals.
 */
void report_start(struct report *report, const char *label, size_t most, selector base, uint64_t bit);
/* The text is to stay as it is until the next one: a server that is started anew gets it, too. */
void report_put(struct report *report, const char *text, size_t bytes);

struct follower {
    struct link link;
    struct event event;
    bool told;
    uint64_t version;
    char *text;
    size_t size;
    void (*changed)(void *context, char *text, size_t bytes);
    void *context;
};

/*
 * Calls changed() for each new content that is whole; the text is the component's to change until the next. Before,
 * text, size, changed and context are set: `size` bytes at `text`, of which content takes all but a struct rom_header.
 * base: a free selector; bit: of CAP_NT.
 */
void follower_start(struct follower *follower, const char *label, selector base, uint64_t bit);
