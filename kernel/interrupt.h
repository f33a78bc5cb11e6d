/* SPDX-License-Identifier: ISC */
/*
 * Interrupts as objects, of the IOAPICs' pins and those that devices send as messages (MSI): bound to bits of
 * a notification. A level interrupt is masked when it is delivered, until it is acknowledged. Each
 * interrupt has a vector that no other has on any CPU.
 */
#pragma once

#include "kernel/lock.h"
#include "kernel/object.h"

struct device;
struct nt;

struct interrupt {
    struct object object;
    uint16_t gsi;   /* NO_PIN: a message */
    uint8_t vector; /* 0: none */
    uint8_t cpu;    /* that takes it */
    bool level;
    struct device *device; /* that sends it; referenced. NULL: no IOMMU is on */
    struct lock lock;      /* of nt and bits: they are read when the interrupt comes */
    struct nt *nt;         /* referenced */
    uint64_t bits;
};

extern const struct object_operations interrupt_operations;

/* device: the sender of a message; NULL for pins, and where no IOMMU is on. STATUS_OK, BAD_ARG (no such pin, no
 * device), BAD_CPU, BUSY (an object for it exists or no vector is left), NO_MEMORY. */
enum status interrupt_create(struct account *account, uint32_t gsi_flags, struct device *device,
                             struct interrupt **result) must_check;

/* The address and data that a device has to write (AMD APM vol. 2, 16.11); 0 and 0 for a pin. */
void interrupt_message(const struct interrupt *interrupt, uint64_t *address, uint64_t *data);
void interrupt_bind(struct interrupt *interrupt, struct nt *nt, uint64_t bits);
void interrupt_acknowledge(struct interrupt *interrupt);

/* An interrupt has arrived at the CPU. */
void interrupt_deliver(unsigned vector);
