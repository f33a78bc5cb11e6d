/* SPDX-License-Identifier: ISC */
/*
 * UTF-8, strictly: an overlong form or a surrogate is an error, so two different byte strings are never the
 * same name.
 */
#include "lib/xml/utf8.h"

bool xml_is_character(uint32_t code)
{
    if (code < 0x20)
        return code == '\t' || code == '\n' || code == '\r';
    return code <= 0xd7ff || (code >= 0xe000 && code <= 0xfffd) || (code >= 0x10000 && code <= 0x10ffff);
}

size_t xml_utf8_length(const char *text, size_t size)
{
    /* The smallest code that needs so many bytes: less is overlong. */
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    uint32_t lead = size > 0 ? (uint8_t)text[0] : 0;
    size_t length = lead < 0xc0 || lead >= 0xf8 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    uint32_t code = lead & 0x7fu >> length;

    if (lead < 0x80)
        return size > 0 && xml_is_character(lead) ? 1 : 0;
    if (length == 0 || length > size)
        return 0;
    for (size_t i = 1; i < length; i++) {
        uint32_t next = (uint8_t)text[i];
        if ((next & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (next & 0x3f);
    }
    return code >= smallest[length] && xml_is_character(code) ? length : 0;
}

unsigned xml_digit(char digit, unsigned base)
{
    unsigned number = (unsigned)(uint8_t)digit - '0', letter = ((uint8_t)digit | 0x20u) - 'a';
    unsigned value = number < 10 ? number : letter < 6 ? letter + 10 : base;

    return value < base ? value : base;
}

size_t xml_utf8_put(char *text, uint32_t code)
{
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    size_t length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;

    for (size_t i = length - 1; i > 0; i--) {
        text[i] = (char)(uint8_t)(0x80 | (code & 0x3f));
        code >>= 6;
    }
    text[0] = (char)(uint8_t)(lead[length] | code);
    return length;
}
