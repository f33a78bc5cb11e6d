/* SPDX-License-Identifier: ISC */
/*
 * A virtual machine as its monitor sees it: base/include/session/vm.h as functions.
 */
#pragma once

#include "abi/vcpu.h"
#include "base/include/dataspace.h"

struct vm {
    uint64_t session;
};

/* ERROR_UNSUPPORTED: no SVM or VT-x with nested paging. */
MUST_CHECK enum error vm_open(const char *label, struct vm *vm);
/* Its vCPUs and guest-physical space go; dataspaces stay. */
MUST_CHECK enum error vm_close(struct vm *vm);
/* A vCPU of a CPU at a free selector; *state is its page. */
MUST_CHECK enum error vm_vcpu_create(const struct vm *vm, selector free, unsigned cpu,
                                     struct vcpu_state **state);
/* All in bytes, multiples of 4096. rights: MEM_READ, MEM_WRITE, MEM_EXECUTE. */
MUST_CHECK enum error vm_attach(const struct vm *vm, const struct dataspace *dataspace, uint64_t offset,
                                uint64_t bytes, uint64_t guest_physical, uint64_t rights);
/* The attachment that begins at this guest-physical address. */
MUST_CHECK enum error vm_detach(const struct vm *vm, uint64_t guest_physical);
