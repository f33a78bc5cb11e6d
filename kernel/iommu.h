/* SPDX-License-Identifier: ISC */
/*
 * IOMMUs: the memory that devices reach by DMA, and the interrupts that they may send. One table of operations
 * hides the difference between AMD's and Intel's. All units of a machine read the same tables and get the same
 * commands, so it does not matter which of them a device is behind. From boot on every device is refused
 * everything; a device object (a PCI function) opens the memory and interrupts that are assigned to it. The
 * kernel's lock is held for all of this.
 */
#pragma once

#include "kernel/iommu_tables.h"
#include "kernel/object.h"
#include "kernel/pagetable.h"

struct space;

/* A PCI function or an IOAPIC: a sender of DMA and interrupts under one ID. */
struct device {
    struct object object;
    uint16_t id;                    /* bus, device, function: 8, 5, 3 bits */
    struct space *space;            /* DMA space; referenced; NULL: no DMA */
    struct device *next_of_space;   /* others that are assigned to it */
    bool listed;                    /* alive: the only one of its ID */
    struct device *next, *previous; /* all that are */
    void *interrupts;               /* AMD: its table */
};

struct iommu_fault {
    uint16_t device;
    uint64_t address;
};

#define DOMAINS 128u /* tags of DMA spaces that devices are assigned to; 0 is no space's */

struct iommu_operations {
    const char *name;
    /* Find the features that all units have, set up their tables so that everything is refused, and turn them
     * on. Not NULL: the reason why none of them is on. */
    const char *(*start)(const struct iommu_tables *tables);
    uint64_t (*page_bits)(unsigned rights);
    /* Allocate the tables' part for the object; assign() follows. `account` NULL: an IOAPIC. False: no memory.
     */
    bool (*device_create)(struct device *device, struct account *account) must_check;
    /* Neither DMA nor interrupts, for good; it is assigned to nothing. */
    void (*device_remove)(const struct device *device);
    /* Enter device->space into the tables, and wait until no unit uses the old entry. */
    void (*assign)(const struct device *device);
    /* Wait until no unit uses translations of the domain that have been removed. */
    void (*flush)(uint16_t domain);
    /* Let the device raise the vector at the APIC, as an edge or a level, or no longer (apic_id NULL). */
    void (*route)(const struct device *device, uint8_t vector, const uint32_t *apic_id, bool level);
    /* The address and data that it has to write for this; NULL: the same as without an IOMMU. */
    void (*message)(uint8_t vector, uint64_t *address, uint64_t *data);
    /* Take a fault that a unit has recorded; false: there is none. *lost is set where there were more than it
     * has room for. */
    bool (*fault)(struct iommu_fault *fault, bool *lost);
};

extern const struct iommu_operations iommu_amd, iommu_intel;
extern const struct iommu_operations *iommu; /* NULL: none is on */

/* Set by start(). */
extern struct pagetable_form iommu_form; /* of DMA spaces' page tables */
extern unsigned iommu_domains;           /* tags; at most DOMAINS */

/* Turn on the units that the firmware's tables list. */
void iommu_init(const struct iommu_tables *tables);

/* STATUS_OK, UNSUPPORTED (no IOMMU), BAD_ARG (no unit covers it, or it is an IOAPIC's), BUSY (it has
 * an object), NO_MEMORY.
 */
enum status device_create(struct account *account, uint64_t id, struct device **result) must_check;
/* No DMA and no interrupts from now on. */
extern const struct object_operations device_operations;

/* NULL: nothing. STATUS_OK or BUSY: there are too many spaces with devices. The device's former space is out
 * of use when the call returns. */
enum status device_assign(struct device *device, struct space *space) must_check;

/* The DMA space ends: no device uses it from now on. */
void iommu_retire(const struct space *space);
/* Returns when all units use the DMA space's page tables as they are now. */
void iommu_settle(const struct space *space);

/* The one that an IOAPIC sends its pins' interrupts as; NULL: no IOMMU is on. */
struct device *iommu_ioapic(uint8_t ioapic);

/* Take a fault; false: there is none. *lost: there were more than could be kept. */
bool iommu_fault_take(struct iommu_fault *fault, bool *lost);

/* Wait until a unit has written; if that takes a second, the machine is broken. */
void iommu_wait(volatile const uint32_t *word, uint32_t mask, uint32_t value);
