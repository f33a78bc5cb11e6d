/* SPDX-License-Identifier: ISC */
/* The root task: the first boot module, with the capabilities of everything. */
#pragma once

struct boot_info;

/* Make its PD, spaces, EC and SC, and map the module's segments where they lie. The caller has mapped
 * physical memory one to one. Panics with a line that says what is wrong with the module. */
void root_create(const struct boot_info *info);
