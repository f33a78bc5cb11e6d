/* SPDX-License-Identifier: ISC */
/*
 * Serial output to terminal and log, input from the terminal; see console.h.
 */
#include "vmm/host/console.h"

#include "base/include/log.h"

#include <string.h>

#define FLUSH_NS    1000000u
#define FLUSH_BYTES 1024u      /* so many bytes are sent at once */
#define AGAIN_NS    200000000u /* from one request for a terminal to the next */

void console_wire(struct console *console, const struct clock *clock, struct uart16550 *uart)
{
    console->clock = clock;
    console->uart = uart;
}

void console_await(struct console *console, const char *text, void (*seen)(void *context), void *context)
{
    lines_await(&console->log, text, seen, context);
}

static void flush(struct console *console)
{
    console->flush_at = BUS_NEVER;
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

/* What the server has given and not taken, before the memory goes: it comes before all that waits here already. */
static void take_back(struct console *console)
{
    static uint8_t untaken[CONSOLE_RING];
    struct terminal *terminal = &console->terminal;
    uint32_t left = (uint32_t)ring_untaken(&terminal->output, untaken, sizeof(untaken));

    for (; left && console->count < CONSOLE_BUFFER; console->count++) {
        console->head = (console->head + CONSOLE_BUFFER - 1) % CONSOLE_BUFFER;
        console->output[console->head] = untaken[--left];
    }
    console->dropped += left;
    memmove(console->input, console->input + console->input_at, console->input_end - console->input_at);
    console->input_end -= console->input_at;
    console->input_at = 0;
    console->input_end += (uint32_t)terminal_read(terminal, console->input + console->input_end,
                                                  sizeof(console->input) - console->input_end);
}

/* Opens the terminal, or follows it to its next server. Does not wait. */
static void connect(struct console *console, uint64_t now)
{
    enum error error = terminal_poll(&console->terminal);

    console->ask_at = BUS_NEVER;
    if (error == ERROR_CLOSED && console->connected) {
        take_back(console);
        console->connected = false;
        terminal_close(&console->terminal);
        log_line("vm %s: the terminal was closed", console->name);
        console->missing = true;
        error = terminal_poll(&console->terminal);
    }
    if (error == ERROR_PENDING || (error == ERROR_OK && console->connected))
        return;
    if (error == ERROR_OK) {
        console->connected = true;
        if (console->missing)
            log_line("vm %s: the terminal is there", console->name);
        flush(console);
        return;
    }
    if (!console->missing)
        log_line("vm %s: no terminal (%s): output goes to the log only", console->name, error_text(error));
    console->missing = true;
    terminal_close(&console->terminal);
    console->never = error == ERROR_DENIED;
    if (!console->never)
        console->ask_at = now + AGAIN_NS;
}

void console_open(struct console *console, const char *name, const char *label)
{
    enum error error;

    memset(console, 0, sizeof(*console));
    console->name = name;
    console->flush_at = BUS_NEVER;
    lines_init(&console->log, name, "");
    terminal_init(&console->terminal, label, CONSOLE_CAPS, CONSOLE_BIT);
    error = link_wait(&console->terminal.link);
    (void)error; /* is said now */
    connect(console, 0);
}

void console_transmit(void *context, uint8_t byte)
{
    struct console *console = context;

    lines_put(&console->log, byte);
    if (console->never)
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
    else if (console->flush_at == BUS_NEVER && console->count < FLUSH_BYTES)
        console->flush_at = clock_now(console->clock) + FLUSH_NS;
}

/* Gives the guest as many bytes as its receiver takes; the rest waits here, and behind it in the ring. */
void console_room(void *context, uint64_t now)
{
    struct console *console = context;

    for (;;) {
        uint32_t count = console->input_end - console->input_at;
        size_t taken;

        if (count == 0) {
            console->input_at = 0;
            console->input_end = (uint32_t)terminal_read(&console->terminal, console->input, UART16550_FIFO);
            count = console->input_end;
        }
        if (count == 0)
            return;
        taken = uart16550_receive(console->uart, console->input + console->input_at, count, now);
        console->input_at += (uint32_t)taken;
        if (taken < count)
            return;
    }
}

uint64_t console_deadline(void *context)
{
    const struct console *console = context;

    return console->flush_at < console->ask_at ? console->flush_at : console->ask_at;
}

void console_advance(void *context, uint64_t now)
{
    struct console *console = context;

    if (now >= console->flush_at)
        flush(console);
    if (now >= console->ask_at)
        connect(console, now);
}

void console_signal(struct console *console, uint64_t bits, uint64_t now)
{
    if (bits & NT_PARENT_NEWS && !console->never)
        connect(console, now);
    if (!(bits & CONSOLE_BIT) && console->input_at == console->input_end)
        return;
    flush(console);
    console_room(console, now);
}

void console_finish(struct console *console)
{
    flush(console);
    lines_finish(&console->log);
}
