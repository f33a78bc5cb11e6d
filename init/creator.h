/* SPDX-License-Identifier: ISC */
/*
 * The creator's operations of core (enum child_operation in base/include/session/pd.h) as functions. `child`
 * is a handle of init's table at core, or the path of one further below. All write over the UTCB.
 */
#pragma once

#include "base/include/caps.h"
#include "base/include/session/error.h"

#include <stddef.h>

struct creator_request {
    uint64_t rom;    /* handle of the dataspace with the ELF file */
    uint64_t ram;    /* bytes */
    uint64_t kernel; /* pages */
    unsigned priority;
    uint64_t cpus;       /* that it may use, a bit each */
    unsigned children;   /* components below it */
    uint64_t fault_bits; /* of CAP_NT */
    selector news;       /* free selector for the capability that signals NT_PARENT_NEWS to the child */
    const char *label;
};

/* *needed and *there are set for ERROR_NO_RAM and ERROR_NO_KMEM; reason (`size` bytes) for ERROR_BAD_ELF. */
MUST_CHECK enum error creator_create(const struct creator_request *request, uint64_t *child, uint64_t *needed,
                                     uint64_t *there, char *reason, size_t size);
MUST_CHECK enum error creator_start(uint64_t child, uint64_t portal_id);
/* Returns when nothing is left of it. */
MUST_CHECK enum error creator_destroy(uint64_t child);
MUST_CHECK enum error creator_fault(uint64_t child, uint64_t *fault, uint64_t *instruction,
                                    uint64_t *address);
/* bytes: given to the child, or taken where negative. */
MUST_CHECK enum error creator_quota(uint64_t child, int64_t bytes);
/* An own dataspace. ERROR_MORE: creator_clear() until it is OK; bytes is a multiple of 4096. */
MUST_CHECK enum error creator_alloc(uint64_t bytes, uint64_t *handle);
MUST_CHECK enum error creator_clear(uint64_t handle);
MUST_CHECK enum error creator_share(uint64_t child, uint64_t dataspace, uint64_t rights, uint64_t *handle);
/* Handles to an own dataspace in the tables of others. */
MUST_CHECK enum error creator_shares(uint64_t dataspace, uint64_t *count);
MUST_CHECK enum error creator_connect(uint64_t child, selector free, uint64_t other, uint64_t bits);
/* A removal that fails is not reported: the capability has gone already. */
void creator_disconnect(uint64_t child, selector used);
/* Signals through one of the own capabilities. The receiver may be gone; then the signal is lost. */
void creator_signal(selector nt);
/* The own parent forgets this child and all below it. */
void creator_gone(uint64_t child);
