/* SPDX-License-Identifier: ISC */
/*
 * One-line messages without stdio: text, decimal and hexadecimal numbers appended to a bounded buffer that is
 * always terminated.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct linux_message {
    char *text;
    size_t capacity; /* at least 1 */
    size_t length;
};

static inline void linux_message_text(struct linux_message *message, const char *text)
{
    for (; *text && message->length + 1 < message->capacity; text++)
        message->text[message->length++] = *text;
    message->text[message->length] = 0;
}

static inline void linux_message_number(struct linux_message *message, uint64_t value, unsigned base)
{
    char digits[24];
    size_t at = sizeof digits;

    digits[--at] = 0;
    do {
        digits[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    linux_message_text(message, digits + at);
}
