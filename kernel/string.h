/* SPDX-License-Identifier: ISC */
/* The few memory functions that the kernel and the compiler's own calls need. */
#pragma once

#include <stddef.h>

void *memset(void *memory, int byte, size_t size);
void *memcpy(void *restrict target, const void *restrict source, size_t size);
int memcmp(const void *a, const void *b, size_t size);
