/* SPDX-License-Identifier: ISC */
/*
 * Which refused requests of a component have been logged. Each is logged once, and again when it is refused for
 * another reason; not when the component asks again, or is started again and asks. After DENIALS different
 * ones no more are logged.
 */
#pragma once

#include <stdint.h>

#include "base/include/session/error.h"

#define DENIALS 16u

/* All zero: nothing was logged yet. */
struct denials {
    uint64_t told[DENIALS]; /* hashes of request and reason */
    unsigned count;         /* DENIALS + 1: the log says that this was the last */
};

enum denial {
    DENIAL_NEW,  /* to be logged */
    DENIAL_LAST, /* to be logged, with the note that no more will be */
    DENIAL_OLD,
};

enum denial denial_told(struct denials *denials, const char *service, const char *label,
                        const char *arguments, enum error reason) __attribute__((warn_unused_result));
