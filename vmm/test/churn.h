/* SPDX-License-Identifier: ISC */
/*
 * A test of memory that goes away under running vCPUs: guest RAM is attached in pieces, and every so often
 * one of them is detached, read twice, and attached again. Whoever accesses it meanwhile exits, waits for the
 * chips' lock, which is held here, and goes on; if the piece changes in between, some processor still had its
 * translations.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/vm/vm.h"
#include "vmm/board/machine.h"
#include "vmm/bus/bus.h"

struct churn {
    const char *name; /* of the VM */
    const struct vm *vm;
    const struct dataspace *dataspace;
    /* Guest-physical addresses, in a register of each processor, that the monitor's threads write without the
     * lock: what is on their cache lines is not looked at. */
    const uint64_t *written[MACHINE_CPUS];
    unsigned writers;
    const uint8_t *memory; /* guest-physical CHURN_BASE and up, as the monitor has it mapped */
    uint64_t bytes;
    uint64_t piece; /* bytes; the last one may be shorter */
    uint64_t rights;
    uint64_t next;             /* offset of the next piece */
    uint64_t period, deadline; /* virtual ns */
    uint64_t times, changed;
};

/* Where pieces begin, in guest-physical memory and in the dataspace. */
#define CHURN_BASE 0x1000000u

/* Attaches `churn->bytes` from CHURN_BASE on in pieces; dataspace, vm, memory, bytes and rights are set. */
MUST_CHECK enum error churn_attach(struct churn *churn);

/* Has it begin: every `period` ns. False: the bus has no room for the clock. */
MUST_CHECK bool churn_start(struct churn *churn, struct bus *bus, const char *name, uint64_t period);

/* A line on how often, if it has been started. */
void churn_log(const struct churn *churn);
