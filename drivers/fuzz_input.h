/* SPDX-License-Identifier: ISC */
/* What the drivers' fuzzers have in common: the input, byte by byte, and memory that a device sees at FUZZ_IO. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FUZZ_IO 0x100000000ull

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length);

static const uint8_t *bytes;
static size_t left;

static void check(bool condition)
{
    if (!condition)
        __builtin_trap();
}

/* The next one; 0 at the end. */
static uint8_t take(void)
{
    uint8_t byte = left ? *bytes : 0;

    bytes += left != 0;
    left -= left != 0;
    return byte;
}

static uint8_t *memory_at(uint8_t *memory, size_t memory_bytes, uint64_t address, size_t size)
{
    check(size <= memory_bytes && address >= FUZZ_IO && address - FUZZ_IO <= memory_bytes - size);
    return memory + (address - FUZZ_IO);
}
