/* SPDX-License-Identifier: ISC */
/* The tests of the kernel, a table a file. */
#pragma once

#include "tests/kernel/support/test.h"

void test_refusals(void); /* every call x every status it refuses with */
void test_spaces(void);   /* capabilities, memory, ports */
void test_accounts(void); /* quota, exhaustion, leaks */
void test_many(void);     /* of everything, one after another; a glutton */
void test_ipc(void);
void test_chains(void);        /* of callers and helpers; many deadlines */
void test_ceiling(void);       /* of a local EC: what preempts it */
void test_notifications(void); /* and deadlines, priorities, turns */
void test_interrupts(void);
void test_faults(void); /* and the FPU */
void test_vcpus(void);
void test_nonsense(void);  /* in a vCPU's state page */
void test_lifetimes(void); /* objects that die while others use them */
void test_hostile(void);
void test_smp(void);   /* more than one CPU */
void test_iommu(void); /* devices, their memory and their interrupts */
void test_soak(void);  /* all of it at random, for as long as the parameter says */
