/* SPDX-License-Identifier: ISC */
/* The tests of several processors in their order. */
#include "tests/guest/smp/smp.h"

#if GUEST_MODE == MODE_LONG

void guest_main(void)
{
    static const struct test *const suites[] = {start_tests, ipi_tests, nmi_tests, storm_tests};

    smp_prepare();
    if (!resets_continue())
        for (size_t i = 0; i < sizeof suites / sizeof suites[0]; i++)
            for (const struct test *test = suites[i]; test->name; test++)
                test_run(test);
    resets_make();
    verdict();
}

#endif
