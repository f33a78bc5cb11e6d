/* SPDX-License-Identifier: ISC */
/* What the machine has free and how idle it is: core's service INFO. */
#pragma once

#include "base/include/session/error.h"

#include <stdint.h>

struct free_info {
    uint64_t core_free, core_pages; /* pages of 4 KiB */
    uint64_t kernel_free, kernel_pages;
    uint64_t idle_ticks, tsc; /* since boot */
};

MUST_CHECK enum error free_info(struct free_info *info);
