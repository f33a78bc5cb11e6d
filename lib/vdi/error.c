/* SPDX-License-Identifier: ISC */
/*
 * Lines on what is wrong with an image, made without a C library.
 */
#include "lib/vdi/error.h"

#include <stddef.h>

static const char digits[] = "0123456789abcdef";

static size_t put(struct vdi_error *error, size_t at, const char *text)
{
    while (*text && at + 1 < sizeof(error->text))
        error->text[at++] = *text++;
    error->text[at] = '\0';
    return at;
}

static size_t put_number(struct vdi_error *error, size_t at, uint64_t number, unsigned int base)
{
    char text[24];
    size_t place = sizeof(text) - 1;

    text[place] = '\0';
    do {
        text[--place] = digits[number % base];
        number /= base;
    } while (number);
    if (base == 16) {
        text[--place] = 'x';
        text[--place] = '0';
    }
    return put(error, at, text + place);
}

static bool fail(struct vdi_error *error, const char *thing, const char *expected, uint64_t found,
                 unsigned int base)
{
    size_t at;

    if (!error)
        return false;
    at = put(error, 0, thing);
    at = put(error, at, ": expected ");
    at = put(error, at, expected);
    at = put(error, at, ", found ");
    (void)put_number(error, at, found, base); /* only the length */
    return false;
}

bool vdi_fail(struct vdi_error *error, const char *thing, const char *expected, uint64_t found)
{
    return fail(error, thing, expected, found, 10);
}

bool vdi_fail_hex(struct vdi_error *error, const char *thing, const char *expected, uint64_t found)
{
    return fail(error, thing, expected, found, 16);
}

static bool finish_bound(struct vdi_error *error, size_t at, const char *relation, uint64_t bound,
                         uint64_t found)
{
    at = put(error, at, ": expected ");
    at = put(error, at, relation);
    at = put(error, at, " ");
    at = put_number(error, at, bound, 10);
    at = put(error, at, ", found ");
    (void)put_number(error, at, found, 10); /* only the length */
    return false;
}

bool vdi_fail_bound(struct vdi_error *error, const char *thing, const char *relation, uint64_t bound,
                    uint64_t found)
{
    return error ? finish_bound(error, put(error, 0, thing), relation, bound, found) : false;
}

bool vdi_fail_entry(struct vdi_error *error, const char *thing, uint64_t number, const char *relation,
                    uint64_t bound, uint64_t found)
{
    size_t at;

    if (!error)
        return false;
    at = put(error, 0, thing);
    at = put(error, at, " ");
    return finish_bound(error, put_number(error, at, number, 10), relation, bound, found);
}

bool vdi_fail_uuid(struct vdi_error *error, const char *thing, const struct vdi_uuid *expected,
                   const struct vdi_uuid *found)
{
    char text[37];
    size_t at;

    if (!error)
        return false;
    at = put(error, 0, thing);
    at = put(error, at, ": expected ");
    vdi_uuid_text(expected, text);
    at = put(error, at, text);
    at = put(error, at, ", found ");
    vdi_uuid_text(found, text);
    (void)put(error, at, text); /* only the length */
    return false;
}

void vdi_uuid_text(const struct vdi_uuid *uuid, char text[37])
{
    static const uint8_t order[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};

    for (size_t i = 0; i < sizeof(order); i++) {
        const uint8_t byte = uuid->bytes[order[i]];

        if (i == 4 || i == 6 || i == 8 || i == 10)
            *text++ = '-';
        *text++ = digits[byte >> 4];
        *text++ = digits[byte & 15];
    }
    *text = '\0';
}
