/* SPDX-License-Identifier: ISC */
/*
 * The few string functions that freestanding code may use. The compiler calls the first four on its own.
 */
#pragma once

#include <stddef.h>

void *memcpy(void *restrict target, const void *restrict source, size_t bytes);
void *memmove(void *target, const void *source, size_t bytes);
void *memset(void *target, int value, size_t bytes);
int memcmp(const void *left, const void *right, size_t bytes) __attribute__((pure));
void *memchr(const void *area, int value, size_t bytes) __attribute__((pure));
size_t strlen(const char *string) __attribute__((pure));
size_t strnlen(const char *string, size_t limit) __attribute__((pure));
int strcmp(const char *left, const char *right) __attribute__((pure));
int strncmp(const char *left, const char *right, size_t limit) __attribute__((pure));
