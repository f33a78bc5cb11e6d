/* SPDX-License-Identifier: ISC */
/*
 * printf's formatting, of what the kernel and components use of it: %d, %u, %x with a width, '0' and l, ll or z; %c;
 * %s with a width, or with a precision, which may be '*'; %%.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

/* Writes at most size bytes (at least 1), with a zero at the end. Returns the length without it. */
size_t format_text(char *buffer, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
size_t format_list(char *buffer, size_t size, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));
