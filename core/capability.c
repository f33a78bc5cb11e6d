/* SPDX-License-Identifier: ISC */
/* The kernel's capabilities and statuses, for all parts of core. */
#include "core/core.h"

enum error kernel_error(enum status status)
{
    switch (status) {
    case STATUS_OK:
        return ERROR_OK;
    case STATUS_NO_MEMORY:
        return ERROR_NO_KMEM;
    case STATUS_EXISTS:
        return ERROR_EXISTS;
    case STATUS_BUSY:
        return ERROR_BUSY;
    case STATUS_BAD_ARG:
        return ERROR_BAD_ARGUMENT;
    case STATUS_UNSUPPORTED:
        return ERROR_UNSUPPORTED;
    default:
        return ERROR_FAULT;
    }
}

void capability_forget(selector own)
{
    enum status status = space_remove(ROOT_OBJ, own, 1);
    (void)status;
}

void capability_remove(selector own)
{
    enum status status = destroy(own);
    (void)status;
    capability_forget(own);
}
