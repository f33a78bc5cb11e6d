/* SPDX-License-Identifier: ISC */
/*
 * Firmware for the guest: its ROM and option ROMs out of the monitor's, and what the guest finds below 1 MiB.
 */
#pragma once

#include "base/include/dataspace.h"
#include "vmm/board/firmware.h"
#include "vmm/config/description.h"
#include "vmm/host/lines.h"
#include "vmm/host/memory.h"

struct host_firmware {
    struct machine_firmware machine; /* for the board, once it is opened */
    struct firmware_file file[DESCRIPTION_FILES];
    struct rom rom[DESCRIPTION_FILES];
    struct lines debug; /* of the debug port */
};

/* Opens what the description names; the memory gets the ROM. `memory` and `vm` must outlive the firmware; the VM is
 * used when the guest's view changes. False: a line was logged. */
MUST_CHECK bool host_firmware_open(struct host_firmware *firmware, const struct vm_description *description,
                                   struct host_memory *memory);

/* debug_port.transmit; context: a struct lines. */
void host_firmware_debug(void *lines, uint8_t byte);
