/* SPDX-License-Identifier: ISC */
/*
 * The word of INIT and STARTUP; see startup.h. Each change is one exchange that begins anew when another came
 * in between; each that fails means that another succeeded.
 */
#include "vmm/cpu/startup.h"

#define VECTOR 0xffu

static bool replace(uint32_t *word, uint32_t *old, uint32_t new)
{
    return __atomic_compare_exchange_n(word, old, new, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

void startup_send_init(uint32_t *word)
{
    uint32_t old = __atomic_load_n(word, __ATOMIC_RELAXED);

    while (!replace(word, &old, (old & STARTUP_WAITS) | STARTUP_INIT))
        ;
}

bool startup_send_vector(uint32_t *word, uint8_t vector)
{
    uint32_t old = __atomic_load_n(word, __ATOMIC_RELAXED);

    do {
        if (!(old & (STARTUP_WAITS | STARTUP_INIT)) || old & STARTUP_BEGIN)
            return false;
    } while (!replace(word, &old, old | STARTUP_BEGIN | vector));
    return true;
}

enum startup_step startup_take(uint32_t *word, uint8_t *vector)
{
    uint32_t old = __atomic_load_n(word, __ATOMIC_RELAXED);

    for (;;) {
        if (old & STARTUP_INIT) {
            if (replace(word, &old, (old & ~STARTUP_INIT) | STARTUP_WAITS))
                return STARTUP_RESET;
        } else if ((old & STARTUP_WAITS) && (old & STARTUP_BEGIN)) {
            *vector = (uint8_t)(old & VECTOR);
            if (replace(word, &old, 0))
                return STARTUP_START;
        } else {
            return STARTUP_NOTHING;
        }
    }
}
