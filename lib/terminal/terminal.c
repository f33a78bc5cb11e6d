/* SPDX-License-Identifier: ISC */
/*
 * The client's side of a Terminal session: two rings in the session's dataspace.
 */
#include "lib/terminal/terminal.h"

#include "base/include/dataspace.h"
#include "base/include/session/terminal.h"

void terminal_init(struct terminal *terminal, const char *label, selector base, uint64_t bits)
{
    *terminal = (struct terminal){.link = {.request = {.service = TERMINAL_SERVICE,
                                                       .label = label,
                                                       .donation = TERMINAL_DONATION,
                                                       .base = base,
                                                       .bits = bits},
                                           .rights = MEM_READ | MEM_WRITE}};
}

enum error terminal_poll(struct terminal *terminal)
{
    struct link *link = &terminal->link;
    enum error error = link_poll(link);
    size_t half = link->session.bytes / 2;
    if (error || terminal->open)
        return error;
    terminal->open = ring_init(&terminal->output, link->memory, half, true) &&
                     ring_init(&terminal->input, (char *)link->memory + half, half, false);
    return terminal->open ? ERROR_OK : ERROR_FAULT;
}

void terminal_close(struct terminal *terminal)
{
    terminal->open = false;
    terminal->output = terminal->input = (struct ring){.broken = true};
    link_close(&terminal->link);
}

/* PARENT_POLL reports a peer that has gone; here that is harmless. */
static void terminal_signal(const struct terminal *terminal, bool wanted)
{
    if (wanted) {
        enum status status = nt_signal(terminal->link.request.base);
        (void)status;
    }
}

size_t terminal_write(struct terminal *terminal, const void *bytes, size_t count)
{
    bool signal = false;
    size_t written = ring_write(&terminal->output, bytes, count, &signal);
    terminal_signal(terminal, signal);
    return written;
}

size_t terminal_read(struct terminal *terminal, void *bytes, size_t size)
{
    bool signal = false;
    size_t read = ring_read(&terminal->input, bytes, size, &signal);
    terminal_signal(terminal, signal);
    return read;
}
