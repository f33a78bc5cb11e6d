/* SPDX-License-Identifier: ISC */
/*
 * The parts of the machine, each once.
 */
#pragma once

#include "vmm/board/machine.h"

#include <stddef.h>

struct part {
    const struct device_class *class;
    size_t at;     /* in struct machine */
    size_t stride; /* to the next processor's; 0: the machine has one */
};

/* In the order of their reset: receivers of lines and messages come first. Ends with class NULL. */
extern const struct part machine_parts[];

static inline void *part_device(const struct part *part, struct machine *machine, unsigned instance)
{
    return (uint8_t *)machine + part->at + instance * part->stride;
}

static inline unsigned part_instances(const struct part *part, const struct machine *machine)
{
    return part->stride ? machine->cpus : 1;
}

/* Attaches all parts that have regions or clocks of their own. False: one does not fit. */
MUST_CHECK bool machine_attach(struct machine *machine);

/* The board's additions to a local APIC: see struct machine_cpu. */
extern const struct device_class processor_class;
