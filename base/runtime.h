/* SPDX-License-Identifier: ISC */
/*
 * The interface between the runtime's parts: the places where the kernel enters (start.S) and the functions
 * that they call.
 */
#pragma once

#include <stdint.h>

void thread_begin(void);
void portal_begin(void);

void component_begin(void) __attribute__((noreturn));
void component_request(uint64_t id, uint64_t words) __attribute__((noreturn));

/* Events are handled by event_handle(), from now on by the entry EC, which CAP_SELF calls. */
void event_use_entry(void);
void event_handle(uint64_t bits);
