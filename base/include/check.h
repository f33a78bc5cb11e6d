/* SPDX-License-Identifier: ISC */
/*
 * For functions whose result must not be ignored.
 */
#pragma once

#define MUST_CHECK __attribute__((warn_unused_result))
