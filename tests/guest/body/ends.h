/* SPDX-License-Identifier: ISC */
/* Instructions that end where code ends; what follows is the mode's matter. */
#pragma once

#include "tests/guest/body/suites.h"

#define ENDS_ABSENT 0xfd000000u /* no device */
#define ENDS_MSR    0x10u       /* TSC */
#define ENDS_PORT   0x80u

struct end {
    const char *name;
    uint8_t length;
    uint8_t bytes[3];
};

void end_place(uint32_t address, const uint8_t *bytes, unsigned length);
/* Runs it in this mode, with EBX, ECX, EDX and ESI for its operands. */
bool end_runs(const struct end *end);
