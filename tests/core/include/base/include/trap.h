/* SPDX-License-Identifier: ISC */
/* The way into the model of the kernel: tests/core/kernel.h. */
#pragma once

#include "abi/syscall.h"
#include "base/include/check.h"

MUST_CHECK enum status system_call(enum call call, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
                                   uint64_t f, uint64_t *first, uint64_t *second);
