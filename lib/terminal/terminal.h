/* SPDX-License-Identifier: ISC */
/*
 * The client's side of a Terminal session: base/include/session/terminal.h as functions.
 */
#pragma once

#include "base/include/session.h"
#include "lib/ring/ring.h"

struct terminal {
    struct session session;
    selector signal; /* to the server */
    void *memory;
    struct ring output, input;
};

/*
 * Opens and waits for the server; main thread only. base: a free selector; bits: of CAP_NT, signalled when
 * there is input or room for output.
 */
MUST_CHECK enum error terminal_open(const char *label, selector base, uint64_t bits,
                                    struct terminal *terminal);
/* Bytes taken, 0 to count. Never blocks. */
size_t terminal_write(struct terminal *terminal, const void *bytes, size_t count);
/* Bytes given, 0: nothing there. Never blocks. */
size_t terminal_read(struct terminal *terminal, void *bytes, size_t size);
