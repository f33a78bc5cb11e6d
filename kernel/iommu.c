/* SPDX-License-Identifier: ISC */
/* Devices and their DMA spaces, whatever the vendor of the IOMMU. See iommu.h. */
#include "kernel/iommu.h"

#include "kernel/account.h"
#include "kernel/arch.h"
#include "kernel/cpu.h"
#include "kernel/ioapic.h"
#include "kernel/print.h"
#include "kernel/space.h"

const struct iommu_operations *iommu;
struct pagetable_form iommu_form;
unsigned iommu_domains;

static const uint8_t *covered; /* bit an ID */
static struct device *devices;
static struct space *domains[DOMAINS]; /* by tag; not referenced, their devices do that */

static unsigned ioapics;
static struct {
    uint8_t ioapic;
    struct device device;
} ioapic[IOMMU_IOAPICS];

void iommu_wait(volatile const uint32_t *word, uint32_t mask, uint32_t value)
{
    uint64_t end = rdtsc() + cpu_features.tsc_hz;

    while ((*word & mask) != value) {
        if (rdtsc() > end)
            panic("an IOMMU does not answer: expected 0x%x, found 0x%x", value, *word & mask);
        pause();
    }
}

struct device *iommu_ioapic(uint8_t id)
{
    for (unsigned i = 0; iommu && i < ioapics; i++)
        if (ioapic[i].ioapic == id)
            return &ioapic[i].device;
    return NULL;
}

static bool ioapics_known(const struct iommu_tables *tables)
{
    for (uint32_t gsi = 0; gsi < ioapic_gsis(); gsi++) {
        unsigned i = 0;

        while (i < tables->ioapics && tables->ioapic[i].ioapic != ioapic_id(gsi))
            i++;
        if (i == tables->ioapics)
            return false;
    }
    return true;
}

/* A reason why it cannot be. */
static const char *start(const struct iommu_operations *operations, const struct iommu_tables *tables)
{
    if (tables->truncated)
        return "the firmware lists more than is supported, or several segments";
    if (!tables->units)
        return "the firmware lists no unit";
    if (!ioapics_known(tables))
        return "the firmware does not say as what the IOAPICs send their interrupts";
    return operations->start(tables);
}

void iommu_init(const struct iommu_tables *tables)
{
    const struct iommu_operations *operations = tables->vendor == IOMMU_AMD ? &iommu_amd : &iommu_intel;
    const char *reason;

    if (tables->vendor == IOMMU_NONE) {
        print("no IOMMU: nothing keeps devices from any memory");
        return;
    }
    reason = start(operations, tables);
    if (reason) {
        print("%s is not used: %s", operations->name, reason);
        return;
    }
    iommu = operations;
    covered = tables->covered;
    for (; ioapics < tables->ioapics; ioapics++) {
        struct device *device = &ioapic[ioapics].device;

        *device = (struct device){.object.references = 1, .id = tables->ioapic[ioapics].device};
        ioapic[ioapics].ioapic = tables->ioapic[ioapics].ioapic;
        if (!iommu->device_create(device, NULL))
            panic("too little kernel memory for the interrupts of IOAPIC %u", ioapic[ioapics].ioapic);
        iommu->assign(device);
    }
    print("%s, %u unit%s: devices are refused DMA and interrupts", iommu->name, tables->units,
          tables->units == 1 ? "" : "s");
}

static bool is_ioapic(uint64_t id)
{
    for (unsigned i = 0; i < ioapics; i++)
        if (ioapic[i].device.id == id)
            return true;
    return false;
}

enum status device_create(struct account *account, uint64_t id, struct device **result)
{
    struct device *device;

    if (!iommu)
        return STATUS_UNSUPPORTED;
    if (id >= IOMMU_DEVICES || !(covered[id / 8] & 1u << id % 8) || is_ioapic(id))
        return STATUS_BAD_ARG;
    for (device = devices; device; device = device->next)
        if (device->id == id)
            return STATUS_BUSY;
    device = object_create(account, OBJECT_DEVICE, sizeof(*device));
    if (!device)
        return STATUS_NO_MEMORY;
    device->id = (uint16_t)id;
    if (!iommu->device_create(device, account)) {
        object_discard(&device->object);
        return STATUS_NO_MEMORY;
    }
    iommu->assign(device);
    device->listed = true;
    device->next = devices;
    if (devices)
        devices->previous = device;
    devices = device;
    *result = device;
    return STATUS_OK;
}

/* The space has a tag as long as devices are assigned to it. */
static bool domain_take(struct space *space)
{
    for (unsigned i = 1; i < iommu_domains && !space->memory.domain; i++) {
        if (!domains[i]) {
            domains[i] = space;
            space->memory.domain = (uint16_t)i;
        }
    }
    return space->memory.domain;
}

static void unassign(struct device *device)
{
    struct space *space = device->space;
    struct device **place = &space->memory.devices;

    while (*place != device)
        place = &(*place)->next_of_space;
    *place = device->next_of_space;
    device->space = NULL;
    iommu->assign(device);
    if (!space->memory.devices) { /* all that the tag stood for is flushed: it may be another's at once */
        domains[space->memory.domain] = NULL;
        space->memory.domain = 0;
    }
    object_release(&space->object);
}

enum status device_assign(struct device *device, struct space *space)
{
    if (device->space == space)
        return STATUS_OK;
    if (space && !space->memory.domain && !domain_take(space))
        return STATUS_BUSY;
    if (device->space)
        unassign(device);
    if (!space)
        return STATUS_OK;
    object_reference(&space->object);
    device->space = space;
    device->next_of_space = space->memory.devices;
    space->memory.devices = device;
    iommu->assign(device);
    return STATUS_OK;
}

static bool device_destroy(struct object *object)
{
    struct device *device = (struct device *)object;

    if (!device->listed)
        return true;
    device->listed = false;
    if (device->next)
        device->next->previous = device->previous;
    if (device->previous)
        device->previous->next = device->next;
    else
        devices = device->next;
    if (device->space)
        unassign(device);
    iommu->device_remove(device);
    return true;
}

static bool device_free(struct object *object)
{
    struct device *device = (struct device *)object;

    (void)device_destroy(object); /* always whole */
    if (device->interrupts)
        slab_free(device->interrupts);
    slab_free(device);
    return true;
}

const struct object_operations device_operations = {.destroy = device_destroy, .free = device_free};

void iommu_retire(const struct space *space)
{
    while (space->memory.devices)
        unassign(space->memory.devices);
}

void iommu_settle(const struct space *space)
{
    if (space->memory.domain)
        iommu->flush(space->memory.domain);
}

bool iommu_fault_take(struct iommu_fault *fault, bool *lost)
{
    return iommu && iommu->fault(fault, lost);
}
