/* SPDX-License-Identifier: ISC */
/* The ways to a reset; see reset.c. */
#pragma once

#include "tests/guest/guest.h"

/* At the start: true if a test of ours has led here. What was counted before is then counted again. */
bool reset_continues(void);
/* Goes on with the ways that were not tried yet; returns when all were. */
void reset_tests(void);
