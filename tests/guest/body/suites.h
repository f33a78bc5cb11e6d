/* SPDX-License-Identifier: ISC */
/* The tables of tests, each ended by an entry without a name. */
#pragma once

#include "tests/guest/guest.h"

extern const struct test exception_tests[], mmio_tests[], interrupt_tests[];
extern const struct test string_tests[], code_tests[], end_tests[], apic_tests[], timer_tests[],
    register_tests[], debug_tests[], last_tests[], fatal_tests[];

/* Of body/legacy (not in 64-bit mode), body/paged (not in real mode) and body/long. */
#define SOMETIMES __attribute__((weak))
extern const struct test legacy_exception_tests[] SOMETIMES, fault_tests[] SOMETIMES, user_tests[] SOMETIMES,
    priority_tests[] SOMETIMES, nmi_tests[] SOMETIMES, resume_tests[] SOMETIMES;
