/* SPDX-License-Identifier: ISC */
/*
 * The interfaces that every guest is offered.
 */
#include "vmm/cpu/interface.h"

#include "vmm/kvm/kvm.h"

static const struct guest_interface *const interfaces[] = {&kvm_interface};

#define INTERFACES (sizeof(interfaces) / sizeof(*interfaces))

const struct guest_interface *interface_of_leaf(uint32_t leaf)
{
    for (size_t i = 0; i < INTERFACES; i++)
        if (leaf - interfaces[i]->leaf < interfaces[i]->leaves)
            return interfaces[i];
    return NULL;
}

static bool has_msr(const struct guest_interface *interface, uint32_t msr)
{
    for (const struct interface_msrs *range = interface->msr; range->count; range++)
        if (msr - range->first < range->count)
            return true;
    return false;
}

const struct guest_interface *interface_of_msr(uint32_t msr)
{
    for (size_t i = 0; i < INTERFACES; i++)
        if (has_msr(interfaces[i], msr))
            return interfaces[i];
    return NULL;
}
