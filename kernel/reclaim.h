/* SPDX-License-Identifier: ISC */
/*
 * The end of kernel objects. Destroying one marks it dead and gives its large parts back; an object that
 * belongs to a CPU ends there. Without references the husk is freed after a grace period: every CPU has come to
 * the point before it leaves the kernel, where it holds no pointer but to its current EC, and has seen all
 * requests made before.
 */
#pragma once

#include "kernel/object.h"

struct cpu;

/* End the object's life. False: part of the work is done, here or by another CPU, and has to be continued by
 * calling again, with interrupts let in between. */
bool object_destroy(struct object *object) must_check;

/* The same for objects that belong to a CPU (EC, SC, vCPU) and for interrupts: one step here, or a request to its
 * CPU. */
void object_end(struct object *object);

/* Do a bounded part of the freeing that waits, of which there is some; called as long as HAZARD_FREE is set.
 * Takes the kernel's lock. */
void reclaim_some(void);

/* Whether a CPU has objects or pages to free, now or after a grace period that is under way. */
bool reclaim_waits(const struct cpu *cpu);

/* This CPU takes over all requests that were made until now, and then holds no pointers: HAZARD_GRACE. */
void grace_begin_answer(struct cpu *cpu);
void grace_answer(struct cpu *cpu);
