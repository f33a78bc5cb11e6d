/* SPDX-License-Identifier: ISC */
/* Exceptions of instructions that 64-bit mode has not. */
#include "tests/guest/body/suites.h"

static void bound(void)
{
    static const struct {
        int32_t low, high;
    } range = {-2, 5};

    TRAP(".byte 0x3e\n bound %%eax, %0", : : "m"(range), "a"(5) : "memory");
    (void)expect_trap("BOUND at the limit", NO_TRAP, 0);
    TRAP("bound %%eax, %0", : : "m"(range), "a"(6) : "memory");
    (void)expect_trap("BOUND beyond", VECTOR_BR, 0);
    TRAP("bound %%eax, %0", : : "m"(range), "a"(-3) : "memory");
    (void)expect_trap("BOUND below", VECTOR_BR, 0);
}

static void overflow(void)
{
    TRAP("movb $0x7f, %%al\n addb $1, %%al\n into", : : : "eax", "memory", "cc");
    (void)expect_trap_at("INTO with OF", VECTOR_OF, 0, 5);
    TRAP("movb $0x6f, %%al\n addb $1, %%al\n into", : : : "eax", "memory", "cc");
    (void)expect_trap("INTO without OF", NO_TRAP, 0);
}

const struct test legacy_exception_tests[] = {
    {"exception.bound", bound},
    {"exception.into", overflow},
    {NULL, NULL},
};
