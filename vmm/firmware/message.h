/* SPDX-License-Identifier: ISC */
/*
 * One-line messages without stdio: text, decimal and hexadecimal numbers appended to a bounded buffer that is
 * always terminated.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MESSAGE_BYTES 160

struct message_line {
    char *text;
    size_t capacity; /* at least 1 */
    size_t length;
};

static inline void message_text(struct message_line *message, const char *text)
{
    for (; *text && message->length + 1 < message->capacity; text++)
        message->text[message->length++] = *text;
    message->text[message->length] = 0;
}

static inline void message_number(struct message_line *message, uint64_t value, unsigned base)
{
    char digits[24];
    size_t at = sizeof digits;

    digits[--at] = 0;
    do {
        digits[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    message_text(message, digits + at);
}

/* "<text>, found 0x<number>"; returns false, as a check that failed does. */
static inline bool message_found(struct message_line *message, const char *text, uint64_t found)
{
    message_text(message, text);
    message_text(message, ", found 0x");
    message_number(message, found, 16);
    return false;
}
