/* SPDX-License-Identifier: ISC */
/* A bucket that leaks: see rate.h. A byte is tsc_hz parts, of which RATE_SECOND leak with each tick: no
 * division. */
#include "core/rate.h"

bool rate_take(struct rate *rate, uint64_t now, uint64_t tsc_hz, size_t bytes, uint64_t *dropped)
{
    uint64_t passed = now - rate->since, paid, room = rate->dropped ? RATE_AGAIN : bytes;

    *dropped = 0;
    if (rate->since > now || __builtin_mul_overflow(passed, RATE_SECOND, &paid))
        paid = UINT64_MAX;
    rate->since = now;
    rate->spent = paid < rate->spent ? rate->spent - paid : 0;
    if (rate->spent > (RATE_BURST - room) * tsc_hz) {
        rate->dropped++;
        return false;
    }
    rate->spent += bytes * tsc_hz;
    *dropped = rate->dropped;
    rate->dropped = 0;
    return true;
}
