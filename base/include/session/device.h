/* SPDX-License-Identifier: ISC */
/*
 * DEVICE: one PCI function, for one client at a time. Label: its place, "00:04.0", or its class, "010802"
 * (base class, subclass, interface): then the first one that is free. The function reaches only memory that the
 * client enters with DEVICE_MAP, and sends only the interrupts of DEVICE_INTERRUPT. Without an IOMMU there is
 * no session (ERROR_UNSUPPORTED), nor for a function whose registers have no place of their own; core's log
 * says so. When the session ends, the function's DMA is off before any of its memory is used again. The
 * function itself is not reset: the client brings it to rest before it lets it do DMA.
 */
#pragma once

#define DEVICE_SERVICE "DEVICE"

enum device_operation {
    DEVICE_INFO, /* -> ID (bus, device, function in 8, 5, 3 bits), vendor | device << 16, class << 8 */
    DEVICE_READ, /* offset -> four bytes of configuration space, at a multiple of four */
    DEVICE_BAR,  /* number -> dataspace of the registers (uncached), bytes. Only whole pages of memory
                  */
    /* free selector, signal bits -> handle, address, data. The capability (acknowledge) goes to the
     * selector. MSI-X, if the function has that, is on, and the client writes address and data into an
     * entry of the table in its BAR. Else MSI is set up and on. ERROR_LIMIT: more than the function has, or
     * than 32. */
    DEVICE_INTERRUPT,
    DEVICE_DMA,   /* 1: the function may do DMA, 0: it may not (bus master) */
    DEVICE_MAP,   /* dataspace, offset, bytes, I/O address, MEM_READ or with MEM_WRITE; multiples of
                     4096. ERROR_MORE as of PD_ATTACH */
    DEVICE_UNMAP, /* I/O address that DEVICE_MAP got: the whole of that. Out of use when it returns
                     ERROR_OK; ERROR_MORE: not done yet, call again */
};
