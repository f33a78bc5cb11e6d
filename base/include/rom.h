/* SPDX-License-Identifier: ISC */
/* A ROM that changes: base/include/session/rom.h. */
#pragma once

#include "base/include/session/rom.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * Copies the content out of a session's memory of `size` bytes (at least a page) to a text of the same size.
 * False: there is nothing newer than *version, or it is being written; then the server signals again.
 */
bool rom_take(const void *memory, size_t size, uint64_t *version, void *text, size_t *bytes);
/* The other direction. Readers see the whole new text, cut where the memory ends, or the one before. */
void rom_put(void *memory, size_t size, const void *text, size_t bytes);
