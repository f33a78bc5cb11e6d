/* SPDX-License-Identifier: ISC */
/*
 * Lines for people, made without a C library, and the texts that a table has.
 */
#include "lib/part/scan.h"

static const char digits_of[] = "0123456789abcdef";

void part_put(struct part_text *text, const char *string)
{
    while (*string && text->length + 1 < sizeof(text->bytes))
        text->bytes[text->length++] = *string++;
    text->bytes[text->length] = '\0';
}

static void put_base(struct part_text *text, uint64_t number, unsigned base, unsigned least)
{
    char digits[24];
    size_t place = sizeof(digits) - 1;

    digits[place] = '\0';
    do {
        digits[--place] = digits_of[number % base];
        number /= base;
    } while (number || (sizeof(digits) - 1 - place < least && place));
    part_put(text, digits + place);
}

void part_put_number(struct part_text *text, uint64_t number)
{
    put_base(text, number, 10, 1);
}

void part_put_hex(struct part_text *text, uint64_t number, unsigned digits)
{
    put_base(text, number, 16, digits);
}

void part_say(struct part_scan *scan, const struct part_text *text)
{
    if (!scan->source->say || scan->lines >= PART_LINES)
        return;
    scan->lines++;
    scan->source->say(scan->source->context,
                      scan->lines < PART_LINES ? text->bytes : "more is wrong with the table than is told");
}

bool part_fail(struct part_scan *scan, const char *thing, const char *expected, uint64_t found)
{
    struct part_text text = {.length = 0};

    part_put(&text, thing);
    part_put(&text, ": expected ");
    part_put(&text, expected);
    part_put(&text, ", found ");
    part_put_number(&text, found);
    part_say(scan, &text);
    return false;
}

bool part_fail_at(struct part_scan *scan, const char *thing, uint64_t at, const char *expected,
                  const char *found)
{
    struct part_text text = {.length = 0};

    part_put(&text, thing);
    part_put(&text, ", sector ");
    part_put_number(&text, at);
    part_put(&text, ": expected ");
    part_put(&text, expected);
    part_put(&text, ", found ");
    part_put(&text, found);
    part_say(scan, &text);
    return false;
}

void part_uuid_text(const uint8_t uuid[16], char text[PART_UUID_SIZE])
{
    /* The first three fields are little-endian. */
    static const uint8_t order[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};

    for (size_t i = 0; i < sizeof(order); i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *text++ = '-';
        *text++ = digits_of[uuid[order[i]] >> 4];
        *text++ = digits_of[uuid[order[i]] & 15];
    }
    *text = '\0';
}

static size_t put_utf8(char *text, uint32_t code)
{
    if (code < 0x20 || (code >= 0x7f && code < 0xa0))
        code = '?';
    if (code < 0x80) {
        text[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        text[0] = (char)(0xc0 | code >> 6);
        text[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        text[0] = (char)(0xe0 | code >> 12);
        text[1] = (char)(0x80 | (code >> 6 & 0x3f));
        text[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    text[0] = (char)(0xf0 | code >> 18);
    text[1] = (char)(0x80 | (code >> 12 & 0x3f));
    text[2] = (char)(0x80 | (code >> 6 & 0x3f));
    text[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

void part_name_text(const uint8_t units[72], char text[PART_NAME_SIZE])
{
    for (size_t i = 0; i < 36; i++) {
        uint32_t code = part_get16(units + 2 * i);

        if (!code)
            break;
        if (code >= 0xd800 && code < 0xdc00 && i + 1 < 36) {
            const uint32_t low = part_get16(units + 2 * (i + 1));

            if (low >= 0xdc00 && low < 0xe000) {
                code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                i++;
            }
        }
        if (code >= 0xd800 && code < 0xe000)
            code = '?'; /* half a pair */
        text += put_utf8(text, code);
    }
    *text = '\0';
}
