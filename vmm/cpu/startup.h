/* SPDX-License-Identifier: ISC */
/*
 * INIT and STARTUP on their way to a processor (Intel SDM vol. 3, 9.4.4 and 11.4.7.3): one atomic word for
 * each. Others put in what they send; the processor's own thread takes it out and resets or starts the
 * processor.
 *
 * A STARTUP counts only for a processor that waits for one, or will when it has seen the INIT that was sent
 * before; the first counts. An INIT makes what was sent before it void.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define STARTUP_WAITS 0x100u /* the processor does nothing until a STARTUP comes */
#define STARTUP_INIT  0x200u /* an INIT has come */
#define STARTUP_BEGIN 0x400u /* a STARTUP has come; its vector in bits 0 to 7 */
#define STARTUP_BITS  0x7ffu /* all of them, and the vector */

enum startup_step {
    STARTUP_NOTHING,
    STARTUP_RESET, /* do an INIT; then take again */
    STARTUP_START, /* begin at the vector */
};

void startup_send_init(uint32_t *word);

/* False: it came to nothing. */
bool startup_send_vector(uint32_t *word, uint8_t vector);

/* By the processor's own thread. *vector: of STARTUP_START. */
enum startup_step startup_take(uint32_t *word, uint8_t *vector);

static inline bool startup_waits(const uint32_t *word)
{
    return __atomic_load_n(word, __ATOMIC_RELAXED) & STARTUP_WAITS;
}
