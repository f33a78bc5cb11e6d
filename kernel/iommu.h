/* SPDX-License-Identifier: ISC */
/*
 * IOMMUs: what devices reach by DMA, and which interrupts they may send. AMD's and Intel's stand behind one
 * table of operations. All units of a machine read the same tables and are told the same, so it need not be
 * known which of them a device stands behind. From boot on every device is refused everything; a device
 * object (a PCI function) opens what is assigned to it. The kernel's lock is held for all of this.
 */
#pragma once

#include "kernel/iommu_tables.h"
#include "kernel/object.h"
#include "kernel/pagetable.h"

struct space;

/* A PCI function, or an IOAPIC: whoever sends DMA and interrupts under one ID. */
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

#define DOMAINS 128u /* tags of DMA spaces that devices are assigned to; 0 is nobody's */

struct iommu_operations {
    const char *name;
    /* Find out what all units can do, set up their tables so that everything is refused, and turn them on. A
     * reason if that cannot be; then none of them is on. */
    const char *(*start)(const struct iommu_tables *tables);
    uint64_t (*page_bits)(unsigned rights);
    /* What the tables need beside the object; assign() follows. `account` NULL: an IOAPIC. False: no memory.
     */
    bool (*device_create)(struct device *device, struct account *account) must_check;
    /* Neither DMA nor interrupts, for good; it is assigned to nothing. */
    void (*device_remove)(const struct device *device);
    /* Put what device->space says into the tables, and wait until no unit uses what was there. */
    void (*assign)(const struct device *device);
    /* Wait until no unit uses translations of the domain that have been removed. */
    void (*flush)(uint16_t domain);
    /* Let the device raise the vector at the APIC, as an edge or a level, or no longer (apic_id NULL). */
    void (*route)(const struct device *device, uint8_t vector, const uint32_t *apic_id, bool level);
    /* What it has to write where for this; NULL: the same as without an IOMMU. */
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

/* Turn on what the firmware's tables list. */
void iommu_init(const struct iommu_tables *tables);

/* STATUS_OK, UNSUPPORTED (no IOMMU), BAD_ARG (no unit stands before it, or it is an IOAPIC's), BUSY (it has
 * an object), NO_MEMORY.
 */
enum status device_create(struct account *account, uint64_t id, struct device **result) must_check;
/* No DMA and no interrupts from now on. */
extern const struct object_operations device_operations;

/* NULL: nothing. STATUS_OK or BUSY: there are too many spaces with devices. What the device had before is out
 * of use when the call returns. */
enum status device_assign(struct device *device, struct space *space) must_check;

/* The DMA space comes to its end: no device uses it any more. */
void iommu_retire(const struct space *space);
/* What was changed in the DMA space's page tables holds. */
void iommu_settle(const struct space *space);

/* The one that an IOAPIC sends its pins' interrupts as; NULL: no IOMMU is on. */
struct device *iommu_ioapic(uint8_t ioapic);

/* Take a fault; false: there is none. *lost: there were more than could be kept. */
bool iommu_fault_take(struct iommu_fault *fault, bool *lost);

/* Wait for what a unit writes; a machine is broken where that takes a second. */
void iommu_wait(volatile const uint32_t *word, uint32_t mask, uint32_t value);
