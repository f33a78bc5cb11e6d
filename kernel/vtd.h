/* SPDX-License-Identifier: ISC */
/*
 * The structures that Intel's IOMMUs read and write in memory, bit by bit: Intel Virtualization Technology for
 * Directed I/O (D51397), chapters 6 and 9. Only encoding, so it is tested on the build machine.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Entries of page tables (9.8). */
#define VTD_READ  (1ul << 0)
#define VTD_WRITE (1ul << 1)
#define VTD_SNOOP (1ul << 11) /* of leaves: DMA sees the processors' caches whatever the device asks for */

/* Entries of 128 bits: of the root and context tables (9.1, 9.3), of the interrupt table (9.10), descriptors.
 */
struct vtd_entry {
    uint64_t low, high;
};

#define VTD_PRESENT 1ul

static inline struct vtd_entry vtd_root(uint64_t contexts)
{
    return (struct vtd_entry){contexts | VTD_PRESENT, 0};
}

static inline struct vtd_entry vtd_context(uint64_t root, unsigned levels, uint16_t domain)
{
    return (struct vtd_entry){root | VTD_PRESENT, (levels - 2u) | (uint64_t)domain << 8};
}

/* Fixed delivery, physical destination, from this device only. */
static inline struct vtd_entry vtd_interrupt(uint16_t device, uint8_t vector, uint32_t apic_id, bool level)
{
    return (struct vtd_entry){VTD_PRESENT | (level ? 1ul << 4 : 0) | (uint64_t)vector << 16 |
                                  (uint64_t)(apic_id & 0xff) << 40,
                              device | 1ul << 18};
}

/* The message that names an entry of the interrupt table (5.1.5); the data are 0. */
static inline uint64_t vtd_message(uint8_t index)
{
    return 0xfee00000u | (uint64_t)index << 5 | 1u << 4;
}

/* Descriptors of the invalidation queue (6.5.2). */
static inline struct vtd_entry vtd_invalidate_contexts(void)
{
    return (struct vtd_entry){1u | 1u << 4, 0};
}

static inline struct vtd_entry vtd_invalidate_context(uint16_t device, uint16_t domain)
{
    return (struct vtd_entry){1u | 3u << 4 | (uint64_t)domain << 16 | (uint64_t)device << 32, 0};
}

/* The unit finishes DMA reads and writes that began before, too. */
#define VTD_DRAIN (3u << 6)

static inline struct vtd_entry vtd_invalidate_pages(void)
{
    return (struct vtd_entry){2u | 1u << 4 | VTD_DRAIN, 0};
}

static inline struct vtd_entry vtd_invalidate_domain(uint16_t domain)
{
    return (struct vtd_entry){2u | 2u << 4 | VTD_DRAIN | (uint64_t)domain << 16, 0};
}

static inline struct vtd_entry vtd_invalidate_interrupts(void)
{
    return (struct vtd_entry){4u, 0};
}

static inline struct vtd_entry vtd_invalidate_interrupt(uint8_t index)
{
    return (struct vtd_entry){4u | 1u << 4 | (uint64_t)index << 32, 0};
}

static inline struct vtd_entry vtd_wait(uint64_t address, uint32_t value)
{
    return (struct vtd_entry){5u | 1u << 5 | (uint64_t)value << 32, address};
}

/* A fault's record (11.4.14): the second half of it; interrupts have no address of their own. */
#define VTD_FAULT              (1ul << 63)
#define VTD_FAULT_REASON(high) ((unsigned)((high) >> 32) & 0xff)
#define VTD_REASON_INTERRUPT   0x20u /* from here on */
