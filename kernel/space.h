/* SPDX-License-Identifier: ISC */
/*
 * Spaces: OBJ (capabilities), HST (a PD's memory), GST (a VM's), DMA (memory that devices see), PIO (ports), MSR
 * (registers that a guest reaches without an exit), and the sources MEM (physical memory), PORTS and MSRS. All
 * have copying from one to another and removal in common, both restartable. The kernel's lock is held for
 * all of it.
 */
#pragma once

#include "kernel/object.h"

struct cap;
struct device;
struct vcpu;

struct space {
    struct object object;
    uint8_t kind; /* enum space_kind */
    union {
        struct {
            struct cap **table; /* page of pointers to leaves */
            uint64_t leaves;    /* no leaf is at this index or behind */
            uint64_t clear;     /* progress of cap_clear */
        } obj;
        struct {
            uint64_t *root;         /* page table of level 4; NULL when destroyed */
            uint64_t physical;      /* its address for CR3 or nCR3 */
            struct vcpu *vcpus;     /* GST: those that run on it */
            uint64_t generation;    /* GST: grows with every removal, so that vCPUs know to flush */
            uint64_t cpus;          /* bit a number: the CPUs that ECs or vCPUs of it were made for */
            struct device *devices; /* DMA: that are assigned to it */
            uint16_t domain;        /* DMA: its tag, while some are; 0: none */
        } memory;
        struct {
            uint8_t *bitmap[2]; /* set bit: refused */
            uint32_t low, high; /* bytes of the bitmap with clear bits lie within */
            uint64_t cpus;      /* bit a number: those that ECs of its PD were made for */
        } pio;
        uint8_t *msrs; /* MSR: two pages, in the form of the processor (virt->msr_permit); set: refused */
    };
};

/* NULL: the account is empty. */
struct space *space_create(struct account *account, enum space_kind kind) must_check;

/* Give back the space's contents; false: call again. */
extern const struct object_operations space_operations;

/* Copy `count` units; *done says how many were. STATUS_OK with *done < count: call again for the rest. */
enum status space_copy(const struct space *source, uint64_t from, struct space *target, uint64_t to,
                       uint64_t count, unsigned rights, uint64_t *done) must_check;
enum status space_remove(struct space *space, uint64_t base, uint64_t count, uint64_t *done) must_check;

/* Make the processors stop using what was taken out of an HST or GST space, and free its tables. */
struct removal;
void space_settle(struct space *space, struct removal *removal);

/* Units between two looks at pending interrupts. */
#define SPACE_BATCH 120u
