/* SPDX-License-Identifier: ISC */
/* The boot information and core's UTCB are variables of the test's. */
#pragma once

#include_next "abi/boot.h"

extern struct boot_info model_boot;
extern uint64_t model_utcb[512];

#undef BOOT_INFO_ADDRESS
#define BOOT_INFO_ADDRESS (&model_boot)
#undef ROOT_UTCB_ADDRESS
#define ROOT_UTCB_ADDRESS ((uintptr_t)model_utcb + sizeof(model_utcb))
