/* SPDX-License-Identifier: ISC */
/* Numbers in labels and arguments of sessions. */
#pragma once

#include "base/include/check.h"

#include <stdbool.h>

/* *value: decimal, or hexadecimal after "0x", to the string's end and at most 0xffff. False: it is none. */
MUST_CHECK bool number_read(const char *text, unsigned *value);
