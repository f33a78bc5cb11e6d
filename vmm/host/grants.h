/* SPDX-License-Identifier: ISC */
/*
 * What the component was given to run a VM with.
 */
#pragma once

#include "base/include/check.h"
#include "base/include/component.h"

#include <stdbool.h>

/* By what core says of the machine and of us (NULL: it said nothing). False: a VM cannot run here, a line was
 * logged. */
MUST_CHECK bool host_check_grants(const struct pd_info *info, const char *name);
