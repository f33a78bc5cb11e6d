/* SPDX-License-Identifier: ISC */
/*
 * The client's side of a Terminal session: two rings in the session's dataspace.
 */
#include "lib/terminal/terminal.h"

#include "base/include/dataspace.h"
#include "base/include/session/terminal.h"

enum error terminal_open(const char *label, selector base, uint64_t bits, struct terminal *terminal)
{
    struct session_request request = {.service = TERMINAL_SERVICE,
                                      .label = label,
                                      .donation = TERMINAL_DONATION,
                                      .base = base,
                                      .bits = bits};
    *terminal = (struct terminal){.signal = base};
    enum error error = session_open_wait(&request, &terminal->session);
    if (error)
        return error;
    error = dataspace_attach(terminal->session.dataspace, 0, MEM_READ | MEM_WRITE, &terminal->memory);
    if (error)
        return error;
    size_t half = terminal->session.bytes / 2;
    if (!ring_init(&terminal->output, terminal->memory, half, true) ||
        !ring_init(&terminal->input, (char *)terminal->memory + half, half, false))
        return ERROR_FAULT;
    return ERROR_OK;
}

/* PARENT_POLL reports a peer that has gone; here that is harmless. */
static void terminal_signal(const struct terminal *terminal, bool wanted)
{
    if (wanted) {
        enum status status = nt_signal(terminal->signal);
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
