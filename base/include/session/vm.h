/* SPDX-License-Identifier: ISC */
/*
 * VM: one virtual machine: a guest-physical address space and its vCPUs. Label free, no arguments. Page
 * tables and vCPUs are charged to the client's kernel pages. Guest-physical addresses, offsets and lengths
 * are multiples of 4096; large pages come of themselves where dataspace and guest-physical address are
 * aligned alike.
 */
#pragma once

#define VM_SERVICE "VM"

enum vm_operation {
    VM_VCPU,   /* free selector, CPU -> address of the state page (abi/vcpu.h), handle */
    VM_ATTACH, /* dataspace handle, offset, bytes, guest-physical address, MEM_* rights;
                  ERROR_MORE as of PD_ATTACH */
    VM_DETACH, /* guest-physical address that VM_ATTACH got: the whole of that attachment;
                  ERROR_MORE: not done yet, call again */
};
