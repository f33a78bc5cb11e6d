/* SPDX-License-Identifier: ISC */
/*
 * Interrupts of the IOAPICs' pins as objects: bound to bits of a notification. A level interrupt is masked
 * when it is delivered and stays so until it is acknowledged.
 */
#pragma once

#include "kernel/object.h"

struct nt;

struct interrupt {
    struct object object;
    uint16_t gsi;
    uint8_t vector; /* 0: none */
    bool level;
    struct nt *nt; /* referenced */
    uint64_t bits;
};

/* STATUS_OK, BAD_ARG (no such pin), BUSY (an object for it exists or no vector is left), NO_MEMORY. */
enum status interrupt_create(struct account *account, uint32_t gsi_flags,
                             struct interrupt **result) must_check;
void interrupt_destroy(struct interrupt *interrupt);
void interrupt_free(struct interrupt *interrupt);
void interrupt_bind(struct interrupt *interrupt, struct nt *nt, uint64_t bits);
void interrupt_acknowledge(struct interrupt *interrupt);

/* An interrupt has arrived at the CPU. */
void interrupt_deliver(unsigned vector);
