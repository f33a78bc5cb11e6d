/* SPDX-License-Identifier: ISC */
/*
 * printf's formatting for the log: strings, characters and integers with width, precision, '-' and '0'.
 */
#include "base/include/log.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct output {
    char *buffer;
    size_t size, length;
};

struct field {
    bool left, zero;
    int width, precision; /* precision -1: none given */
    int longs;            /* number of l; z counts as one */
};

static void output_put(struct output *output, char c)
{
    if (output->length + 1 < output->size)
        output->buffer[output->length++] = c;
}

static void output_pad(struct output *output, char c, size_t have, int width)
{
    for (size_t i = have; width > 0 && i < (size_t)width; i++)
        output_put(output, c);
}

static void output_text(struct output *output, const struct field *field, const char *text, size_t length)
{
    if (!field->left)
        output_pad(output, ' ', length, field->width);
    for (size_t i = 0; i < length; i++)
        output_put(output, text[i]);
    if (field->left)
        output_pad(output, ' ', length, field->width);
}

static void output_number(struct output *output, struct field field, uint64_t value, unsigned base,
                          bool negative, bool capital)
{
    char digits[32];
    const char *set = capital ? "0123456789ABCDEF" : "0123456789abcdef";
    size_t start = sizeof(digits);
    size_t wanted = field.precision > 0 ? (size_t)field.precision : 1;

    do {
        digits[--start] = set[value % base];
        value /= base;
    } while (value);
    if (field.zero && !field.left && field.precision < 0 && field.width > 0)
        wanted = (size_t)field.width - (negative && field.width > 1);
    while (sizeof(digits) - start < wanted && start > 1)
        digits[--start] = '0';
    if (negative)
        digits[--start] = '-';
    output_text(output, &field, digits + start, sizeof(digits) - start);
}

/* What stands between '%' and the conversion's letter; *format is left at the letter. */
static struct field field_read(const char **format, va_list *arguments)
{
    struct field field = {.precision = -1};
    const char *at = *format;
    for (; *at == '-' || *at == '0'; at++) {
        field.left |= *at == '-';
        field.zero |= *at == '0';
    }
    for (int *number = &field.width;; number = &field.precision) {
        if (*at == '*') {
            *number = va_arg(*arguments, int);
            at++;
        } else
            for (; *at >= '0' && *at <= '9'; at++)
                if (*number < 1000)
                    *number = (*number < 0 ? 0 : *number) * 10 + (*at - '0');
        if (number == &field.precision || *at != '.')
            break;
        field.precision = 0;
        at++;
    }
    for (; *at == 'l' || *at == 'z' || *at == 'h' || *at == 'j'; at++)
        field.longs += *at != 'h';
    *format = at;
    return field;
}

static void output_field(struct output *output, const char **format, va_list *arguments)
{
    struct field field = field_read(format, arguments);
    char letter = **format, character;
    switch (letter) {
    case 'd':
    case 'i': {
        int64_t value = field.longs ? va_arg(*arguments, int64_t) : va_arg(*arguments, int);
        uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
        output_number(output, field, magnitude, 10, value < 0, false);
        break;
    }
    case 'u':
    case 'x':
    case 'X': {
        uint64_t value = field.longs ? va_arg(*arguments, uint64_t) : va_arg(*arguments, unsigned);
        output_number(output, field, value, letter == 'u' ? 10 : 16, false, letter == 'X');
        break;
    }
    case 'p':
        output_number(output, field, (uintptr_t)va_arg(*arguments, void *), 16, false, false);
        break;
    case 'c':
        character = (char)va_arg(*arguments, int);
        output_text(output, &field, &character, 1);
        break;
    case 's': {
        const char *text = va_arg(*arguments, const char *);
        text = text ? text : "(null)";
        output_text(output, &field, text,
                    field.precision >= 0 ? strnlen(text, (size_t)field.precision) : strlen(text));
        break;
    }
    default:
        output_put(output, letter);
    }
}

size_t format_list(char *buffer, size_t size, const char *format, va_list arguments)
{
    struct output output = {.buffer = buffer, .size = size};
    va_list list;
    va_copy(list, arguments);
    for (; *format; format++) {
        if (*format != '%') {
            output_put(&output, *format);
            continue;
        }
        format++;
        if (!*format)
            break;
        output_field(&output, &format, &list);
        if (!*format)
            break;
    }
    va_end(list);
    buffer[output.length] = 0;
    return output.length;
}

size_t format_text(char *buffer, size_t size, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    size_t length = format_list(buffer, size, format, arguments);
    va_end(arguments);
    return length;
}
