/* SPDX-License-Identifier: ISC */
/* Notifications: a word of 64 bits that signals set and a wait takes. One EC waits at a time. */
#pragma once

#include "kernel/object.h"

struct ec;

struct nt {
    struct object object;
    uint64_t word;
    struct ec *waiter; /* cleared when it wakes; not referenced */
};

struct nt *nt_create(struct account *account) must_check;
void nt_destroy(struct nt *nt);
void nt_free(struct nt *nt);

/* Set bits; wakes who waits. */
void nt_signal(struct nt *nt, uint64_t bits);
