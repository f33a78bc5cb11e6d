/* SPDX-License-Identifier: ISC */
/*
 * The memory of the machine's screen, which the guest can have mapped.
 */
#pragma once

#include "lib/vm/vm.h"
#include "vmm/board/screen.h"
#include "vmm/config/description.h"

struct host_screen {
    struct machine_screen machine; /* memory NULL: there is none */
    struct dataspace dataspace;
    const struct vm *vm;
    const char *name; /* of the VM */
    unsigned told;    /* lines on what cannot be mapped */
};

/* `vm` is open before the machine runs. False: a line was logged. */
MUST_CHECK bool host_screen_open(struct host_screen *screen, const struct vm_description *description,
                                 const struct vm *vm);
