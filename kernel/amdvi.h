/* SPDX-License-Identifier: ISC */
/*
 * The structures that AMD's IOMMUs read and write in memory, bit by bit: AMD I/O Virtualization Technology
 * Specification (48882), chapter 2. Only encoding, so it is tested on the build machine.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Entries of page tables (2.2.3), and the bits of a device's entry that mean the same. */
#define AMDVI_PRESENT     (1ul << 0)
#define AMDVI_LEVEL_SHIFT 9
#define AMDVI_COHERENT    (1ul << 60)
#define AMDVI_READ        (1ul << 61)
#define AMDVI_WRITE       (1ul << 62)

/* The device table (2.2.2): 256 bits a device. */
struct amdvi_device {
    uint64_t word[4];
};

#define DTE_VALID            (1ul << 0)
#define DTE_TRANSLATION      (1ul << 1)
#define DTE_INTERRUPT_VALID  (1ul << 0)
#define DTE_INTERRUPTS_SHIFT 1           /* log2 of the table's entries */
#define DTE_INTERRUPTS_REMAP (2ul << 60) /* 0: all are refused */

#define AMDVI_LEVELS          4u
#define AMDVI_INTERRUPTS_LOG2 8u /* of an interrupt table: one entry for each vector */

/* `root`: of empty page tables. Translation is on, so the device is refused all memory. */
static inline struct amdvi_device amdvi_device_refused(uint64_t root)
{
    return (struct amdvi_device){
        {DTE_VALID | DTE_TRANSLATION | (uint64_t)AMDVI_LEVELS << AMDVI_LEVEL_SHIFT | root, 0,
         DTE_INTERRUPT_VALID, 0}};
}

static inline uint64_t amdvi_device_translation(uint64_t root)
{
    return DTE_VALID | DTE_TRANSLATION | (uint64_t)AMDVI_LEVELS << AMDVI_LEVEL_SHIFT | root | AMDVI_READ |
           AMDVI_WRITE;
}

static inline uint64_t amdvi_device_interrupts(uint64_t table)
{
    return DTE_INTERRUPT_VALID | (uint64_t)AMDVI_INTERRUPTS_LOG2 << DTE_INTERRUPTS_SHIFT | table |
           DTE_INTERRUPTS_REMAP;
}

/* An entry of an interrupt table (2.2.5.2): fixed delivery, physical destination. */
static inline uint32_t amdvi_interrupt(uint8_t vector, uint32_t apic_id)
{
    return 1u | (apic_id & 0xff) << 8 | (uint32_t)vector << 16;
}

/* Commands (2.4): 128 bits, the code in bits 60 to 63. */
struct amdvi_command {
    uint64_t word[2];
};

#define AMDVI_ALL_PAGES 0x7ffffffffffff000ul
#define AMDVI_SIZE      1ul /* the address says how many pages */
#define AMDVI_TABLES    2ul /* also cached table entries */

static inline struct amdvi_command amdvi_completion_wait(uint64_t address, uint64_t value)
{
    return (struct amdvi_command){{1ul << 60 | address | 1, value}};
}

static inline struct amdvi_command amdvi_invalidate_device(uint16_t device)
{
    return (struct amdvi_command){{2ul << 60 | device, 0}};
}

static inline struct amdvi_command amdvi_invalidate_domain(uint16_t domain)
{
    return (struct amdvi_command){
        {3ul << 60 | (uint64_t)domain << 32, AMDVI_ALL_PAGES | AMDVI_SIZE | AMDVI_TABLES}};
}

static inline struct amdvi_command amdvi_invalidate_interrupts(uint16_t device)
{
    return (struct amdvi_command){{5ul << 60 | device, 0}};
}

static inline struct amdvi_command amdvi_invalidate_all(void)
{
    return (struct amdvi_command){{8ul << 60, 0}};
}

/* Events (2.5): the code in bits 60 to 63; 0: there is none. */
static inline bool amdvi_event(const volatile uint64_t *event, uint16_t *device, uint64_t *address)
{
    *device = (uint16_t)event[0];
    *address = event[1];
    return event[0] >> 60;
}
