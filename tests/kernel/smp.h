/* SPDX-License-Identifier: ISC */
/* What the tests of several CPUs share: a thread on the other CPU, and the words that it and the test look
 * at. */
#pragma once

#include "tests/kernel/tests.h"

#define OTHER     THREAD_CPU(1)
#define PRIORITY  20u
#define ROUNDS    5000u
#define LIVES     300u /* of what dies; the parameter `lives` says otherwise */
#define GUEST_RAM 400u /* index of ram_map: pages of the guest, and those that come and go */
#define PATIENCE  milliseconds(10000)

extern volatile uint64_t shared[8];
extern volatile uint64_t beat; /* grows as long as the thread runs */
extern volatile enum status result;
extern selector ping, pong;
extern uint64_t lives;

/* Whether the word has the value before long. */
bool wait_until(volatile const uint64_t *word, uint64_t value);
/* The thread on the other CPU runs; it does not. */
void beats(void);
void stands(void);
void spins(uint64_t argument);

void smp_memory(void);
void smp_guest(void);
