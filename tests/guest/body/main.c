/* SPDX-License-Identifier: ISC */
/* The tests in their order. */
#include "tests/guest/body/reset.h"
#include "tests/guest/body/suites.h"

static const struct test *const suites[] = {
    exception_tests, legacy_exception_tests,
    debug_tests,     register_tests,
    fault_tests,     user_tests,
    mmio_tests,      string_tests,
    code_tests,      end_tests,
    interrupt_tests, apic_tests,
    timer_tests,     nmi_tests,
    resume_tests,    priority_tests,
    last_tests,      fatal_tests,
};

void guest_main(void)
{
    if (!reset_continues())
        for (size_t i = 0; i < sizeof suites / sizeof suites[0]; i++)
            for (const struct test *test = suites[i]; test && test->name; test++)
                test_run(test);
    reset_tests();
    verdict();
}
