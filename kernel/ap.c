/* SPDX-License-Identifier: ISC */
/*
 * Starting the other processors, one after the other: each comes out of reset in real mode at a page below 1
 * MiB, goes by the boot's page tables to the kernel's half (ap.S), sets itself up like the first one, and
 * waits idle for ECs.
 */
#include "abi/boot.h"
#include "kernel/arch.h"
#include "kernel/cpu.h"
#include "kernel/lapic.h"
#include "kernel/layout.h"
#include "kernel/memory.h"
#include "kernel/platform.h"
#include "kernel/print.h"
#include "kernel/sched.h"
#include "kernel/smp.h"
#include "kernel/vcpu.h"
#include <string.h>

#define START_WAIT_HZ 5 /* a fifth of a second */

extern const char ap_trampoline[], ap_trampoline_end[];
void ap_start(void);

/* For ap.S: the tables and the stack of the processor that is being started. */
uint64_t ap_root, ap_stack;

static struct cpu *starting;
static bool started; /* atomic: says the processor */

void ap_start(void)
{
    struct cpu *cpu = starting;

    cpu->cr3 = memory_kernel_root();
    cpu_init(cpu, (void *)ap_stack);
    lapic_init();
    virt_init();
    __atomic_store_n(&started, true, __ATOMIC_RELEASE);
    stack_restart(schedule);
}

static bool start(unsigned number, uint32_t apic_id, uint64_t page)
{
    struct cpu *cpu = memory_map_cpu(number);
    uint64_t end = rdtsc() + cpu_features.tsc_hz / START_WAIT_HZ;

    if (!cpu)
        panic("too little kernel memory for CPU %u", number);
    cpu->number = number;
    starting = cpu;
    started = false;
    ap_stack = (uint64_t)cpu + CPU_AREA;
    ap_root = memory_kernel_root();
    lapic_start_processor(apic_id, (uint32_t)(page / PAGE_SIZE));
    while (!__atomic_load_n(&started, __ATOMIC_ACQUIRE)) {
        if (rdtsc() >= end)
            return false;
        pause();
    }
    return true;
}

void smp_start(const struct boot_info *info)
{
    uint64_t page = platform.processors > 1 ? memory_low_page(info) : 0;

    if (platform.processors > 1 && !page) {
        print("no page below 640 KiB to start other processors at: one CPU is used");
        return;
    }
    for (unsigned i = 0; i < platform.processors && cpu_count < CPUS; i++) {
        if (platform.apic_ids[i] == lapic_id())
            continue;
        memcpy((void *)page, ap_trampoline, (size_t)(ap_trampoline_end - ap_trampoline));
        if (!start(cpu_count, platform.apic_ids[i], page)) {
            lapic_stop_processor(
                platform.apic_ids[i]); /* it must not come later and find the page another's */
            print("the processor with APIC ID %u does not start: %u CPUs are used", platform.apic_ids[i],
                  cpu_count);
            return;
        }
        cpu_count++;
    }
}
