/* SPDX-License-Identifier: ISC */
/* Formatting without a C library; see format.h. */
#include "lib/format/format.h"

#include <stdbool.h>
#include <stdint.h>

#define DIGITS 20u

struct output {
    char *buffer;
    size_t size, length;
};

static void put(struct output *output, char c)
{
    if (output->length + 1 < output->size)
        output->buffer[output->length++] = c;
}

static void put_text(struct output *output, const char *text, size_t most, size_t width)
{
    size_t length = 0;

    while (length < most && text[length])
        length++;
    for (size_t i = length; i < width; i++)
        put(output, ' ');
    for (size_t i = 0; i < length; i++)
        put(output, text[i]);
}

static void put_number(struct output *output, uint64_t value, unsigned base, bool negative, size_t width,
                       bool zeros)
{
    char digits[DIGITS];
    size_t count = 0;

    do
        digits[count++] = "0123456789abcdef"[value % base];
    while (value /= base);
    if (negative && zeros)
        put(output, '-');
    for (size_t i = count + negative; i < width; i++)
        put(output, zeros ? '0' : ' ');
    if (negative && !zeros)
        put(output, '-');
    while (count)
        put(output, digits[--count]);
}

static size_t number_read(const char **format, va_list *arguments)
{
    size_t number = 0;

    if (**format == '*') {
        (*format)++;
        return (unsigned)va_arg(*arguments, int);
    }
    for (; **format >= '0' && **format <= '9'; (*format)++)
        number = number < 1000 ? number * 10 + (size_t)(**format - '0') : number;
    return number;
}

/* What follows a '%'; *format is left at its last character. */
static void put_field(struct output *output, const char **format, va_list *arguments)
{
    bool zeros = **format == '0', wide = false;
    size_t width = number_read(format, arguments), most = SIZE_MAX;
    int64_t number;

    if (**format == '.') {
        (*format)++;
        most = number_read(format, arguments);
    }
    for (; **format == 'l' || **format == 'z'; (*format)++)
        wide = true;
    switch (**format) {
    case 'd':
        number = wide ? va_arg(*arguments, int64_t) : va_arg(*arguments, int);
        put_number(output, number < 0 ? 0 - (uint64_t)number : (uint64_t)number, 10, number < 0, width,
                   zeros);
        break;
    case 'u':
    case 'x':
        put_number(output, wide ? va_arg(*arguments, uint64_t) : va_arg(*arguments, unsigned),
                   **format == 'u' ? 10 : 16, false, width, zeros);
        break;
    case 'c':
        put(output, (char)va_arg(*arguments, int));
        break;
    case 's':
        put_text(output, va_arg(*arguments, const char *), most, width);
        break;
    default:
        if (**format)
            put(output, **format);
        break;
    }
}

size_t format_list(char *buffer, size_t size, const char *format, va_list arguments)
{
    struct output output = {.buffer = buffer, .size = size};
    va_list list;

    va_copy(list, arguments);
    for (; *format; format++) {
        if (*format != '%') {
            put(&output, *format);
            continue;
        }
        format++;
        put_field(&output, &format, &list);
        if (!*format)
            break;
    }
    va_end(list);
    buffer[output.length] = '\0';
    return output.length;
}

size_t format_text(char *buffer, size_t size, const char *format, ...)
{
    va_list arguments;
    size_t length;

    va_start(arguments, format);
    length = format_list(buffer, size, format, arguments);
    va_end(arguments);
    return length;
}
