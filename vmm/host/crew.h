/* SPDX-License-Identifier: ISC */
/*
 * The threads of a VM: one for each vCPU, on the CPUs that the component may use. The
 * main thread is that of vCPU 0, on CPU 0: it also advances the chips' clocks, serves the terminal and speaks
 * to the parent, which serves on CPU 0 only. The other threads have shared memory and notifications, and core, on
 * whose log they say what goes wrong with their vCPU.
 *
 * Each has two notifications: one that ends the run of its vCPU (vCPU 0: CAP_NT), one to sleep on while it
 * waits for the chips' lock or for the others to stop.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/include/caps.h"
#include "vmm/cpu/vcpu.h"

#define BIT_WAKE 2ull /* of CAP_NT: check vCPU 0's attention */

/* Selectors of vCPU i. */
#define CREW_CAPS     (CAP_FREE + 8)
#define CREW_VCPU(i)  (CREW_CAPS + 4ull * (i))
#define CREW_RUN(i)   (CREW_CAPS + 4ull * (i) + 1) /* i > 0; 0: the signaller of BIT_WAKE */
#define CREW_SLEEP(i) (CREW_CAPS + 4ull * (i) + 2)

struct crew;

struct crew_member {
    struct crew *crew;
    struct vcpu *vcpu;
    unsigned thread; /* number */
};

struct crew {
    struct machine *machine;
    unsigned count;
    uint64_t hosts;  /* bit a CPU */
    uint32_t round;  /* atomic: raised by one to let all run */
    uint32_t parked; /* atomic: threads that have stopped in this round */
    struct crew_member member[MACHINE_CPUS];
};

/* hosts: bit a CPU that may be used beside CPU 0. `vcpu` is an array of `count`. */
void crew_init(struct crew *crew, struct vcpu *vcpu, unsigned count, uint64_t hosts);

/* The CPU of a vCPU's thread: 0, and then one after the other. */
static inline unsigned crew_host(const struct crew *crew, unsigned cpu)
{
    unsigned host = 0;

    for (; cpu; cpu--)
        do
            host = (host + 1) % CPUS_MAX;
        while (!(crew->hosts >> host & 1));
    return host;
}

/* Ends the run of a vCPU. */
static inline uint64_t crew_notification(unsigned cpu)
{
    return cpu == 0 ? CAP_NT : CREW_RUN(cpu);
}

/* The machine's functions to lock and to wake. */
void crew_wire(struct crew *crew, struct machine_config *config);

/* Notifications and threads; the vCPUs must be ready. False: a line was logged. */
__attribute__((warn_unused_result)) bool crew_create(struct crew *crew, struct machine *machine,
                                                     unsigned priority);

/* Runs all vCPUs until the machine wants something, or one cannot go on; then none runs any more. */
enum vcpu_stop crew_run(struct crew *crew);
