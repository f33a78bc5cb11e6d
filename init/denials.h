/* SPDX-License-Identifier: ISC */
/*
 * What has been said about a component's refused requests. Each is said once, and again when it is refused
 * for another reason; that the component asks again, or is started again and asks, is no news. After so many
 * different ones nothing more is said.
 */
#pragma once

#include <stdint.h>

#include "base/include/session/error.h"

#define DENIALS 16u

/* All zero: nothing was said yet. */
struct denials {
    uint64_t told[DENIALS]; /* hashes of request and reason */
    unsigned count;         /* DENIALS + 1: it has been said that this was the last */
};

enum denial {
    DENIAL_NEW,  /* to be said */
    DENIAL_LAST, /* to be said: more will not be */
    DENIAL_OLD,
};

enum denial denial_told(struct denials *denials, const char *service, const char *label,
                        const char *arguments, enum error reason) __attribute__((warn_unused_result));
