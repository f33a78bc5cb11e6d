/* SPDX-License-Identifier: ISC */
/*
 * The test of the kernel, booted in core's place: every call, every status it refuses with, and what the
 * objects do. It prints a line for each test, then "ktest: N passed, N failed" and "ktest: done".
 */
#include "tests/kernel/tests.h"

#define EXIT_PORT 0xf4 /* QEMU's isa-debug-exit, where the machine has it */
#define EXIT_CODE 0x10

void test_main(void)
{
    uint64_t passed, failed;

    harness_begin();
    say("ktest: TSC %u kHz, %u of %u kernel pages free", BOOT->tsc_hz / 1000, free_pages(),
        account_free(ROOT_ACCOUNT));
    test_refusals();
    test_spaces();
    test_accounts();
    test_many();
    test_ipc();
    test_chains();
    test_ceiling();
    test_notifications();
    test_interrupts();
    test_faults();
    test_vcpus();
    test_nonsense();
    test_hostile();
    test_lifetimes();
    test_smp();
    test_iommu();
    test_soak();
    totals(&passed, &failed);
    say_coverage();
    say("ktest: %u passed, %u failed", passed, failed);
    say("ktest: done");
    out8(EXIT_PORT, EXIT_CODE);
    for (;;)
        pass(milliseconds(1000));
}
