/* SPDX-License-Identifier: ISC */
/*
 * A component's requests to core, through CAP_CORE: the memory, threads and portals of its own protection
 * domain, and those of its children, if it may have any. Word 0 of the reply is an enum error.
 *
 * Handles are indices, from 1, of the component's own table at core; they name dataspaces, children and
 * sessions with core. Everything is charged to the component: RAM in bytes (whole pages), kernel memory in
 * pages.
 */
#pragma once

#include <stdint.h>

/*
 * A request's first word: the operation, and the session with core that it is for (its handle); 0: the
 * component's own protection domain.
 */
#define OPERATION_BITS 16u
static inline uint64_t session_operation(uint64_t session, uint64_t operation)
{
    return session << OPERATION_BITS | operation;
}

enum pd_operation {
    /* -> TSC Hz, wall clock in seconds since 1970, TSC value at that time, boot features (abi/boot.h), CPUs
     *    that it may use beside CPU 0 (a bit each), free and used RAM bytes, free and used kernel
     * pages, highest priority of its threads, TSC ticks that they have run, without turns that are not over */
    PD_INFO = 1,
    PD_DATASPACE_ALLOC, /* bytes -> handle. ERROR_MORE: to be cleared first, by the next operation */
    PD_DATASPACE_CLEAR, /* handle; ERROR_MORE: not done yet, call again */
    /* handle: detached everywhere in this component; memory freed when the owner frees it, and then out of
     * all others' reach. ERROR_MORE: not done yet, call again; the handle is of no other use from the first
     * call on. */
    PD_DATASPACE_FREE,
    PD_DATASPACE_INFO, /* handle -> bytes, rights */
    /* handle, offset, bytes (0: to the end), address (0: any), MEM_* rights -> address. ERROR_MORE: partly
     * done, make the same request with the address that came. Where it fails after that, what has been
     * attached stays until it is detached. */
    PD_ATTACH,
    PD_DETACH, /* address that PD_ATTACH gave; ERROR_MORE: not done yet, call again */
    PD_THREAD, /* entry, two words for its stack, priority, stack bytes, CPU -> thread number */
    PD_ENTRY,  /* entry, stack bytes: makes the local EC (once) on which the component's portals are served */
    PD_PORTAL, /* free selector, id: a portal to the own entry EC -> handle */
    PD_NOTIFICATION, /* free selector: another notification (wait, signal) -> handle */
    PD_CLOSE,        /* handle of a notification, portal or vCPU: destroys it and removes its capability */
    PD_DROP,         /* selector from CAP_FREE on: removes the capability */
};

/*
 * Of a child's creator, which its own creator has given a number of children. child: its handle, or 0 for the
 * caller itself where that makes sense. A descendant is named by its path: the handle of the caller's child in
 * the lowest CHILD_BITS, above it the handle of that one's child in its own table, and so on.
 */
#define CHILD_BITS 12u
#define CHILD_MASK ((1ull << CHILD_BITS) - 1)

enum child_operation {
    /* ROM handle, RAM bytes, kernel pages, highest priority, bits of the own CAP_NT to be signalled when a
     * thread of the child dies of a fault, free selector for a capability that signals NT_PARENT_NEWS to the
     * child, CPUs that it may use beside CPU 0 (a bit each, of the caller's), how many components there may be below
     * it, label -> child. RAM, kernel pages and components come out of the caller's; RAM and kernel pages cover
     * the program's image and stacks. */
    CHILD_CREATE = 0x20,
    CHILD_START,      /* child, id of its CAP_PARENT, a portal on the caller's entry EC. ERROR_MORE: its
                       * program is not all in place yet, call again */
    CHILD_DESTROY,    /* child: everything of it goes back to the caller. ERROR_MORE: call again; the child is
                       * dead,    and the handle of no other use, from the first call on */
    CHILD_FAULT,      /* child -> fault as CALL_PD_FAULT gives it (PD_FAULT_VALID clear: none), IP, address */
    CHILD_INFO,       /* child -> free and used RAM bytes, free and used kernel pages, TSC ticks that its
                       * threads have run, without turns that are not over */
    CHILD_QUOTA,      /* child, bytes: RAM quota given to the child, or, where negative, taken from it; those
                       * between it and the caller have as much as before */
    CHILD_SHARE,      /* child, handle of an own dataspace, rights -> handle in the child's table */
    CHILD_SHARES,     /* handle of an own dataspace -> number of handles to it in other tables */
    CHILD_CONNECT,    /* child, free selector in it, other child (0: caller), bits: capability to signal the
                       * other's    CAP_NT with these bits */
    CHILD_DISCONNECT, /* child, selector: removes the capability */
    /* child, selector -> the first selector from there on that is in use in the child's OBJ space, type and
     * permissions as CALL_CAP_INFO gives them, bits of a notification. ERROR_MORE: the word is where to go
     * on; ERROR_NOT_FOUND: there are no more. */
    CHILD_CAPABILITIES,
};
