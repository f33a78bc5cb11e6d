/* SPDX-License-Identifier: ISC */
/*
 * The executor's opcode tables. See operation.h for what a row means.
 */
#ifndef LIB_X86_OPERATION_TABLE_H
#define LIB_X86_OPERATION_TABLE_H

#include "lib/x86/operation.h"

extern const struct operation x86_operations_one[256];
extern const struct operation x86_operations_0f[256];

/* The row of an instruction of map 0F 38 without VEX, or NULL. */
const struct operation *x86_map38_operation(const struct x86_insn *insn);

/* The row of an instruction with a VEX prefix, or NULL. */
const struct operation *x86_bmi_operation(const struct x86_insn *insn);

#endif
