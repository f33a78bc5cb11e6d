/* SPDX-License-Identifier: ISC */
/* The characters that XML text may consist of, in UTF-8 (RFC 3629; XML 1.0 section 2.2). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether XML allows the character: no control characters but tab, line feed and carriage return. */
bool xml_is_character(uint32_t code);

/*
 * The length in bytes (1 to 4) of the character at text, of which size bytes are there; 0 if it is malformed,
 * overlong, a surrogate, cut off or not allowed in XML.
 */
size_t xml_utf8_length(const char *text, size_t size);

/* The value of a digit, or base (up to 16) if it is none. */
unsigned xml_digit(char digit, unsigned base);

/* Writes the character, which must be allowed, as 1 to 4 bytes and returns how many. */
size_t xml_utf8_put(char *text, uint32_t code);
