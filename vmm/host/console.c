/* SPDX-License-Identifier: ISC */
/*
 * Serial output to terminal and log, input from the terminal; see console.h.
 */
#include "vmm/host/console.h"

#include "base/include/log.h"

#include <string.h>

#define FLUSH_NS    1000000u
#define FLUSH_BYTES 1024u /* so many bytes are sent at once */

enum { ESCAPE_NONE, ESCAPE_BEGIN, ESCAPE_CSI, ESCAPE_STRING };

void console_open(struct console *console, const char *name, const char *label)
{
    enum error status;

    memset(console, 0, sizeof(*console));
    console->name = name;
    console->deadline = BUS_NEVER;
    console->awaited = "";
    status = terminal_open(label, CONSOLE_CAPS, CONSOLE_BIT, &console->terminal);
    console->connected = status == ERROR_OK;
    if (!console->connected)
        log_line("vm %s: no terminal (%s): output goes to the log only", name, error_text(status));
}

void console_wire(struct console *console, const struct clock *clock, struct uart16550 *uart)
{
    console->clock = clock;
    console->uart = uart;
}

void console_await(struct console *console, const char *text, void (*seen)(void *context), void *context)
{
    console->awaited = text;
    console->seen = seen;
    console->seen_context = context;
}

static bool contains(const char *line, const char *text)
{
    size_t length = strlen(text);

    for (; *line; line++)
        if (strncmp(line, text, length) == 0)
            return true;
    return false;
}

static void log_flush(struct console *console)
{
    console->line[console->length] = '\0';
    log_line("vm %s: %s", console->name, console->line);
    console->length = 0;
    if (console->awaited[0] && contains(console->line, console->awaited))
        console->seen(console->seen_context);
}

/* True while the byte belongs to an escape sequence (ECMA-48: CSI ends with 0x40 to 0x7e, OSC with BEL or
 * ST). */
static bool is_escape(struct console *console, uint8_t byte)
{
    switch (console->escape) {
    case ESCAPE_NONE:
        if (byte == 0x1b)
            console->escape = ESCAPE_BEGIN;
        return byte == 0x1b;
    case ESCAPE_BEGIN:
        console->escape = byte == '[' ? ESCAPE_CSI : byte == ']' ? ESCAPE_STRING : ESCAPE_NONE;
        return true;
    case ESCAPE_CSI:
        if (byte >= 0x40 && byte <= 0x7e)
            console->escape = ESCAPE_NONE;
        return true;
    default:
        /* A line end ends it too: a lost terminator must not swallow the rest of the log. */
        if (byte == 0x07 || byte == 0x1b || byte == '\n')
            console->escape = byte == 0x1b ? ESCAPE_BEGIN : ESCAPE_NONE;
        return byte != '\n';
    }
}

static void log_byte(struct console *console, uint8_t byte)
{
    if (is_escape(console, byte))
        return;
    if (byte == '\n') {
        log_flush(console);
        return;
    }
    if (byte == '\b' && console->length > 0)
        console->length--;
    if (byte == '\t')
        byte = ' ';
    if (byte < 0x20 || byte == 0x7f)
        return;
    console->line[console->length++] = byte < 0x80 ? (char)byte : '?';
    if (console->length == CONSOLE_LINE - 1)
        log_flush(console);
}

static void flush(struct console *console)
{
    console->deadline = BUS_NEVER;
    while (console->connected && console->count > 0) {
        uint32_t to_end = CONSOLE_BUFFER - console->head;
        uint32_t part = console->count < to_end ? console->count : to_end;
        size_t done = terminal_write(&console->terminal, console->output + console->head, part);

        if (done == 0 || done > part)
            return; /* full: the server signals when it has made room */
        console->head = (console->head + (uint32_t)done) % CONSOLE_BUFFER;
        console->count -= (uint32_t)done;
    }
}

void console_transmit(void *context, uint8_t byte)
{
    struct console *console = context;

    log_byte(console, byte);
    if (!console->connected)
        return;
    if (console->count == CONSOLE_BUFFER) {
        if (console->dropped++ == 0)
            log_line("vm %s: the terminal does not take the guest's output: dropped from here on",
                     console->name);
        return;
    }
    console->output[(console->head + console->count++) % CONSOLE_BUFFER] = byte;
    if (console->count == FLUSH_BYTES)
        flush(console);
    else if (console->deadline == BUS_NEVER && console->count < FLUSH_BYTES)
        console->deadline = clock_now(console->clock) + FLUSH_NS;
}

/* Gives the guest as many bytes as its receiver takes; the rest waits here, and behind it in the ring. */
void console_room(void *context, uint64_t now)
{
    struct console *console = context;
    size_t taken;

    for (;;) {
        if (console->input_count == 0 && console->connected)
            console->input_count =
                (uint32_t)terminal_read(&console->terminal, console->input, sizeof console->input);
        if (console->input_count == 0 || console->input_count > sizeof console->input)
            return;
        taken = uart16550_receive(console->uart, console->input, console->input_count, now);
        if (taken > console->input_count)
            return;
        console->input_count -= (uint32_t)taken;
        if (console->input_count) {
            memmove(console->input, console->input + taken, console->input_count);
            return;
        }
    }
}

uint64_t console_deadline(void *context)
{
    const struct console *console = context;

    return console->deadline;
}

void console_advance(void *context, uint64_t now)
{
    struct console *console = context;

    if (now >= console->deadline)
        flush(console);
}

static void disconnect(struct console *console)
{
    console->connected = false;
    console->count = 0;
    console->input_count = 0;
    console->deadline = BUS_NEVER;
    log_line("vm %s: the terminal was closed", console->name);
}

void console_signal(struct console *console, uint64_t bits, uint64_t now)
{
    if (bits & NT_PARENT_NEWS && console->connected &&
        session_poll(&console->terminal.session) == ERROR_CLOSED)
        disconnect(console);
    if (!(bits & CONSOLE_BIT))
        return;
    flush(console);
    console_room(console, now);
}

void console_finish(struct console *console)
{
    flush(console);
    if (console->length)
        log_flush(console);
}
