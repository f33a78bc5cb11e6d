/* SPDX-License-Identifier: ISC */
/*
 * What stands at F000:FFF0 where there is no firmware: a guest that jumps there, or to FFFF:0, in real mode
 * (Linux with reboot=b) gets the reset that it wants.
 */
#pragma once

#include "vmm/firmware/e820.h"

/* False: that is not RAM. */
__attribute__((warn_unused_result)) bool reset_vector_write(const struct guest_ram *ram);
