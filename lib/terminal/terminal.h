/* SPDX-License-Identifier: ISC */
/*
 * The client's side of a Terminal session: base/include/session/terminal.h as functions.
 */
#pragma once

#include "base/include/link.h"
#include "lib/ring/ring.h"

struct terminal {
    struct link link;
    bool open;
    struct ring output, input;
};

/* base: a free selector; bits: of CAP_NT, signalled when there is input or room for output. */
void terminal_init(struct terminal *terminal, const char *label, selector base, uint64_t bits);
/*
 * As link_poll(). When the session has ended, the rings keep what the server has not taken and what it has given,
 * until terminal_close(); the next call asks for a new session.
 */
MUST_CHECK enum error terminal_poll(struct terminal *terminal);
void terminal_close(struct terminal *terminal);
/* Bytes taken, 0 to count. Never blocks. */
size_t terminal_write(struct terminal *terminal, const void *bytes, size_t count);
/* Bytes given, 0: nothing there. Never blocks. */
size_t terminal_read(struct terminal *terminal, void *bytes, size_t size);
