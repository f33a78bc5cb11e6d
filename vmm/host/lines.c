/* SPDX-License-Identifier: ISC */
/*
 * Lines of a guest for the log; see lines.h.
 */
#include "vmm/host/lines.h"

#include "base/include/log.h"

#include <stdbool.h>
#include <string.h>

enum { ESCAPE_NONE, ESCAPE_BEGIN, ESCAPE_CSI, ESCAPE_STRING };

void lines_init(struct lines *lines, const char *name, const char *prefix)
{
    memset(lines, 0, sizeof(*lines));
    lines->name = name;
    lines->prefix = prefix;
    lines->awaited = "";
}

void lines_await(struct lines *lines, const char *text, void (*seen)(void *context), void *context)
{
    lines->awaited = text;
    lines->seen = seen;
    lines->seen_context = context;
}

static bool contains(const char *line, const char *text)
{
    size_t length = strlen(text);

    for (; *line; line++)
        if (strncmp(line, text, length) == 0)
            return true;
    return false;
}

static void flush(struct lines *lines)
{
    lines->line[lines->length] = '\0';
    log_line("vm %s: %s%s", lines->name, lines->prefix, lines->line);
    lines->length = 0;
    if (lines->awaited[0] && contains(lines->line, lines->awaited))
        lines->seen(lines->seen_context);
}

/* True while the byte belongs to an escape sequence (ECMA-48: CSI ends with 0x40 to 0x7e, OSC with BEL or
 * ST). */
static bool is_escape(struct lines *lines, uint8_t byte)
{
    switch (lines->escape) {
    case ESCAPE_NONE:
        if (byte == 0x1b)
            lines->escape = ESCAPE_BEGIN;
        return byte == 0x1b;
    case ESCAPE_BEGIN:
        lines->escape = byte == '[' ? ESCAPE_CSI : byte == ']' ? ESCAPE_STRING : ESCAPE_NONE;
        return true;
    case ESCAPE_CSI:
        if (byte >= 0x40 && byte <= 0x7e)
            lines->escape = ESCAPE_NONE;
        return true;
    default:
        /* A line end ends it too: a lost terminator must not swallow the rest of the log. */
        if (byte == 0x07 || byte == 0x1b || byte == '\n')
            lines->escape = byte == 0x1b ? ESCAPE_BEGIN : ESCAPE_NONE;
        return byte != '\n';
    }
}

void lines_put(struct lines *lines, uint8_t byte)
{
    if (is_escape(lines, byte))
        return;
    if (byte == '\n') {
        flush(lines);
        return;
    }
    if (byte == '\b' && lines->length > 0)
        lines->length--;
    if (byte == '\t')
        byte = ' ';
    if (byte < 0x20 || byte == 0x7f)
        return;
    lines->line[lines->length++] = byte < 0x80 ? (char)byte : '?';
    if (lines->length == LINES_LENGTH - 1)
        flush(lines);
}

void lines_finish(struct lines *lines)
{
    if (lines->length)
        flush(lines);
}
