/* SPDX-License-Identifier: ISC */
/*
 * The state of a monitor, and the life of its guest: started, reset, ended.
 */
#pragma once

#include "base/include/component.h"
#include "vmm/board/machine.h"
#include "vmm/cpu/vcpu.h"
#include "vmm/host/block.h"
#include "vmm/host/console.h"
#include "vmm/host/crew.h"
#include "vmm/host/firmware.h"
#include "vmm/host/memory.h"
#include "vmm/host/roms.h"
#include "vmm/host/screen.h"
#include "vmm/test/churn.h"

_Static_assert(DESCRIPTION_VCPUS <= MACHINE_CPUS, "a machine has as many");

struct monitor {
    struct vm_description description;
    struct pd_info info;
    struct host_roms roms;
    struct host_memory memory;
    struct host_firmware firmware;
    struct vm vm;
    struct vcpu_state *state[MACHINE_CPUS];
    struct machine machine;
    struct vcpu vcpu[MACHINE_CPUS];
    struct crew crew;
    struct churn churn;
    struct console console;
    struct host_disks disks;
    struct host_screen screen;
    uint64_t started; /* virtual ns */
    unsigned fast_resets;
};

/* Opens the VM, attaches the memory, creates the vCPUs. False: a line was logged. */
MUST_CHECK bool monitor_open_vm(struct monitor *monitor);

/* As after power-up or reset: the first vCPU at the firmware, the others waiting. Without firmware the first MiB is
 * cleared, tables and guest are written, and the first vCPU is at the guest's entry. False: a line was logged. */
MUST_CHECK bool monitor_boot(struct monitor *monitor);

/* Handles a request of the machine: logs it, and resets the machine for a reset. True: boot the guest
 * again. */
MUST_CHECK bool monitor_answer(struct monitor *monitor);

/* Lines with the number of the guest's exits, to the log. */
void monitor_log_exits(void *monitor);
