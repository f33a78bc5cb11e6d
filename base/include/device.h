/* SPDX-License-Identifier: ISC */
/*
 * A PCI function as its driver sees it: base/include/session/device.h as functions.
 */
#pragma once

#include "base/include/dataspace.h"

#include <stdbool.h>

struct device {
    uint64_t session;
    uint32_t id;         /* bus, device, function in 8, 5, 3 bits */
    uint32_t vendor;     /* vendor | device << 16 */
    uint32_t class_code; /* base class, subclass, interface */
};

/* label: its place "00:04.0" or its class "010802". ERROR_UNSUPPORTED: no IOMMU. */
MUST_CHECK enum error device_open(const char *label, struct device *device);
/* From now on it can neither do DMA nor send interrupts; its registers are detached. */
MUST_CHECK enum error device_close(struct device *device);
MUST_CHECK enum error device_read(const struct device *device, unsigned offset, uint32_t *value);
/* The registers of a BAR, attached. */
MUST_CHECK enum error device_bar(const struct device *device, unsigned number, volatile void **registers,
                                 uint64_t *bytes);
/* A message that sets bits of CAP_NT; address and data are for a table of MSI-X. */
struct device_message {
    uint64_t address;
    uint32_t data;
};
MUST_CHECK enum error device_interrupt(const struct device *device, selector free, uint64_t bits,
                                       struct device_message *message);
MUST_CHECK enum error device_dma(const struct device *device, bool on);
/* A dataspace of this component becomes memory of the device; multiples of 4096. rights: MEM_READ, MEM_WRITE.
 */
MUST_CHECK enum error device_map(const struct device *device, const struct dataspace *dataspace,
                                 uint64_t io_address, uint64_t rights);
MUST_CHECK enum error device_unmap(const struct device *device, uint64_t io_address);
