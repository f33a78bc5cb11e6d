/* SPDX-License-Identifier: ISC */
/*
 * Errors in words.
 */
#include "base/include/session/error.h"

const char *error_text(enum error error)
{
    static const char *const texts[ERRORS] = {
        [ERROR_OK] = "no error",
        [ERROR_DENIED] = "denied",
        [ERROR_NO_RAM] = "out of RAM quota",
        [ERROR_NO_KMEM] = "out of kernel pages",
        [ERROR_BAD_ARGUMENT] = "bad argument",
        [ERROR_BAD_OPERATION] = "no such operation",
        [ERROR_NOT_FOUND] = "not found",
        [ERROR_PENDING] = "pending",
        [ERROR_MORE] = "not done yet",
        [ERROR_LIMIT] = "table full",
        [ERROR_BUSY] = "busy",
        [ERROR_EXISTS] = "place taken",
        [ERROR_CLOSED] = "closed",
        [ERROR_BAD_ELF] = "no proper ELF program",
        [ERROR_UNSUPPORTED] = "not supported by this machine",
        [ERROR_FAULT] = "internal fault",
    };
    return (unsigned)error < ERRORS ? texts[error] : "unknown error";
}
