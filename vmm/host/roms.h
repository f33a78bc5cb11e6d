/* SPDX-License-Identifier: ISC */
/*
 * The contents of ROMs: the machine's description, and the images of its guest.
 */
#pragma once

#include "base/include/dataspace.h"
#include "vmm/config/description.h"
#include "vmm/firmware/entry.h"
#include "vmm/host/memory.h"
#include "vmm/test/builtin.h"

struct host_roms {
    const struct builtin_guest *builtin; /* NULL: the kernel is a ROM */
    struct rom kernel, initrd, module[DESCRIPTION_MODULES];
};

/* False, for all: a line was logged. */
MUST_CHECK bool host_read_description(struct vm_description *vm);
MUST_CHECK bool host_open_roms(struct host_roms *roms, const struct vm_description *vm);

/* Writes the guest to its memory, and returns how it begins. */
MUST_CHECK bool host_load_guest(const struct host_roms *roms, const struct vm_description *vm,
                                const struct host_memory *memory, uint64_t rsdp, struct guest_entry *entry);
