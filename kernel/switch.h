/* SPDX-License-Identifier: ISC */
/* The CPU's state for the EC that it leaves the kernel to: address space, ports, base of FS, FPU. */
#pragma once

#include <stdint.h>

struct cpu;
struct ec;
struct space;

/* Make `ec` the one that `resume` leaves to. */
void ec_switch(struct ec *ec);

/* The ports of a space have changed: the CPU's TSS shows what its current EC has now. */
void ec_ports_changed(struct cpu *cpu, const struct space *space);

/* Set the EC's base of FS; at once if it is current here, else when it is next switched to. */
void ec_set_fs_base(struct ec *ec, uint64_t base);
