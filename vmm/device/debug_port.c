/* SPDX-License-Identifier: ISC */
/* The debug console; see debug_port.h. */
#include "vmm/device/debug_port.h"

#define READ_BACK 0xe9u

static void byte_access(void *device, struct bus_access *access)
{
    struct debug_port *port = device;

    if (access->write)
        port->transmit(port->context, (uint8_t)access->value);
    else
        access->value = READ_BACK;
}

enum bus_status debug_port_attach(struct debug_port *port, struct bus *bus)
{
    static const uint16_t ports[] = {0x402, 0xe9};
    enum bus_status status = BUS_OK;

    for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]) && port->transmit && status == BUS_OK; i++)
        status = bus_attach(
            bus, BUS_PORT,
            &(struct bus_region){
                .name = "debug port", .base = ports[i], .length = 1, .handler = byte_access, .device = port});
    return status;
}
