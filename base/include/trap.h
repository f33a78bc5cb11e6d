/* SPDX-License-Identifier: ISC */
/*
 * The way into the kernel. Tests on the build machine replace this header by one that leads to a model of the
 * kernel.
 */
#pragma once

#include "abi/syscall.h"
#include "base/include/check.h"

#include <stdint.h>

/* Any call; both values are written whatever the status. */
MUST_CHECK static inline enum status system_call(enum call call, uint64_t a, uint64_t b, uint64_t c,
                                                 uint64_t d, uint64_t e, uint64_t f, uint64_t *first,
                                                 uint64_t *second)
{
    uint64_t rax = (uint64_t)call;
    register uint64_t r10 __asm__("r10") = d;
    register uint64_t r8 __asm__("r8") = e;
    register uint64_t r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "+a"(rax), "+D"(a), "+S"(b), "+d"(c), "+r"(r10), "+r"(r8), "+r"(r9)
                     :
                     : "rcx", "r11", "memory");
    *first = a;
    *second = b;
    return (enum status)rax;
}
