/* SPDX-License-Identifier: ISC */
/*
 * Core's DEVICE service as functions.
 */
#include "base/include/device.h"

#include "base/include/component.h"
#include "base/include/session.h"
#include "base/include/session/device.h"

enum error device_open(const char *label, struct device *device)
{
    struct session session;
    enum error error =
        session_open(&(struct session_request){.service = DEVICE_SERVICE, .label = label}, &session);
    if (error)
        return error == ERROR_PENDING ? ERROR_FAULT : error;
    *device = (struct device){.session = session.id};
    error = core_call(session_operation(session.id, DEVICE_INFO), 0, 0, 0, 0, 0);
    if (error)
        return error;
    device->id = (uint32_t)utcb()[1];
    device->vendor = (uint32_t)utcb()[2];
    device->class_code = (uint32_t)utcb()[3] >> 8;
    return ERROR_OK;
}

enum error device_close(struct device *device)
{
    uint64_t session = device->session;
    *device = (struct device){0};
    return session_close(session);
}

enum error device_read(const struct device *device, unsigned offset, uint32_t *value)
{
    enum error error = core_call(session_operation(device->session, DEVICE_READ), offset, 0, 0, 0, 0);
    *value = error ? 0 : (uint32_t)utcb()[1];
    return error;
}

enum error device_bar(const struct device *device, unsigned number, volatile void **registers,
                      uint64_t *bytes)
{
    void *attached = NULL;
    enum error error = core_call(session_operation(device->session, DEVICE_BAR), number, 0, 0, 0, 0);
    if (error)
        return error;
    *bytes = utcb()[2];
    error = dataspace_attach(utcb()[1], 0, MEM_READ | MEM_WRITE, &attached);
    *registers = attached;
    return error;
}

enum error device_interrupt(const struct device *device, selector free, uint64_t bits,
                            struct device_message *message)
{
    enum error error = core_call(session_operation(device->session, DEVICE_INTERRUPT), free, bits, 0, 0, 0);
    *message = error ? (struct device_message){0, 0}
                     : (struct device_message){.address = utcb()[2], .data = (uint32_t)utcb()[3]};
    return error;
}

enum error device_dma(const struct device *device, bool on)
{
    return core_call(session_operation(device->session, DEVICE_DMA), on, 0, 0, 0, 0);
}

enum error device_map(const struct device *device, const struct dataspace *dataspace, uint64_t io_address,
                      uint64_t rights)
{
    return core_attach(
        &(struct core_attachment){.attach = session_operation(device->session, DEVICE_MAP),
                                  .detach = session_operation(device->session, DEVICE_UNMAP),
                                  .words = {dataspace->handle, 0, dataspace->bytes, io_address, rights}});
}

enum error device_unmap(const struct device *device, uint64_t io_address)
{
    return core_call_whole(session_operation(device->session, DEVICE_UNMAP), io_address);
}
