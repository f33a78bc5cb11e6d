/* SPDX-License-Identifier: ISC */
/*
 * A component's start: four selectors and the layout of its address space. Core sets both up, so both are
 * constants.
 */
#pragma once

#include "base/include/syscall.h"

#define CAP_PARENT ((selector)1) /* portal to the parent: base/include/session/parent.h */
#define CAP_NT     ((selector)2) /* the component's own notification: wait, signal all bits */
#define CAP_CORE   ((selector)3) /* portal to core: base/include/session/pd.h and the services' headers */
/* The same from other CPUs than the main thread's. */
#define CAP_CORE_OTHER(cpu) ((selector)OBJ_SELECTORS - CPUS_MAX + (cpu))
#define CAP_END             CAP_CORE_OTHER(0) /* the component's selectors are below */
#define CAP_SELF            ((selector)4) /* portal to the component's own entry EC, once component_serve() made it */
#define CAP_FREE            ((selector)16) /* from here on, to CAP_END, selectors are the component's to use */

#define NT_PARENT_NEWS (1ull << 63) /* bit of CAP_NT: ask the parent (PARENT_POLL, PARENT_NEXT_REQUEST) */

#define PORTAL_ID_SELF UINT64_MAX /* id of CAP_SELF; a child's portal has an id below */

/* Addresses. Dataspaces attached "anywhere" go from ATTACH_BASE to ATTACH_LIMIT. */
#define IMAGE_BASE   0x400000ull
#define ATTACH_BASE  0x100000000000ull
#define ATTACH_LIMIT 0x700000000000ull

/*
 * Every thread has a slot of 1 MiB: from its low end a guard, the stack, and the UTCB in the last page. So a
 * thread finds its UTCB by its stack pointer. Slot 0 is the main thread's, slot 1 the entry EC's. On top of the stack
 * core puts two words for base/start.S, the number of the thread's CPU, and the selector of its portal to core.
 */
#define THREAD_BASE      0x7ff000000000ull
#define THREAD_SLOT      0x100000ull
#define THREADS          32u
#define CPUS_MAX         64u /* of the machine: CREATE_EC has six bits for the number */
#define THREAD_STACK_MAX 0x80000ull
