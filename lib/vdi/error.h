/* SPDX-License-Identifier: ISC */
/*
 * One line on why an image is refused: the thing, what was expected, what was found. The library has no
 * printf beneath it, and no byte of an image gets into a line but as a number.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define VDI_ERROR_BYTES 200

struct vdi_uuid {
    uint8_t bytes[16]; /* as they lie in the file: the first three fields are little-endian */
};

struct vdi_error {
    char text[VDI_ERROR_BYTES]; /* without a full stop or line end, always terminated */
};

/* All return false, so that a check can end with them. A NULL error is allowed: then no line is made. */

/* "THING: expected EXPECTED, found FOUND" */
bool vdi_fail(struct vdi_error *error, const char *thing, const char *expected, uint64_t found);

/* The same with FOUND in hexadecimal. */
bool vdi_fail_hex(struct vdi_error *error, const char *thing, const char *expected, uint64_t found);

/* "THING: expected RELATION BOUND, found FOUND" */
bool vdi_fail_bound(struct vdi_error *error, const char *thing, const char *relation, uint64_t bound,
                    uint64_t found);

/* "THING NUMBER: expected RELATION BOUND, found FOUND" */
bool vdi_fail_entry(struct vdi_error *error, const char *thing, uint64_t number, const char *relation,
                    uint64_t bound, uint64_t found);

/* "THING: expected EXPECTED, found FOUND", both UUIDs. */
bool vdi_fail_uuid(struct vdi_error *error, const char *thing, const struct vdi_uuid *expected,
                   const struct vdi_uuid *found);

/* The usual text form of a UUID, lower case; text takes 37 bytes. */
void vdi_uuid_text(const struct vdi_uuid *uuid, char text[37]);
