/* SPDX-License-Identifier: ISC */
/*
 * The rights that the component was given to run a VM.
 */
#pragma once

#include "base/include/check.h"
#include "base/include/component.h"

#include <stdbool.h>

/* Checks core's information about the machine and this component (NULL: there is none). False: a VM cannot run
 * here, a line was logged. */
MUST_CHECK bool host_check_grants(const struct pd_info *info, const char *name);
