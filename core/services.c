/* SPDX-License-Identifier: ISC */
/*
 * The kinds of handle, a row each. Kinds with a name are sessions; a component gets one through its parent's
 * routes.
 */
#include "core/core.h"

#include "base/include/session/device.h"
#include "base/include/session/io_port.h"
#include "base/include/session/irq.h"
#include "base/include/session/log.h"
#include "base/include/session/platform.h"
#include "base/include/session/rom.h"
#include "base/include/session/vm.h"

#include <string.h>

static enum error rom_open(struct pd *pd, const struct open_request *request, unsigned index)
{
    struct handle *handle = &pd->handle[index];
    const struct boot_module *module = module_find(request->label);
    if (!module)
        return ERROR_NOT_FOUND;
    handle->rights = MEM_READ;
    handle->memory.bytes = module->length;
    handle->memory.run[0] = (struct run){module->base / PAGE, (module->length + PAGE - 1) / PAGE};
    return ERROR_OK;
}

/* clang-format off */
const struct service services[HANDLE_KINDS] = {
    [HANDLE_RAM] = {.close = dataspace_close},
    [HANDLE_ROM] = {ROM_SERVICE, rom_open, NULL, dataspace_close},
    [HANDLE_SHARE] = {.close = dataspace_close},
    [HANDLE_CHILD] = {.close = child_close},
    [HANDLE_LOG] = {LOG_SERVICE, log_open, log_request, NULL},
    [HANDLE_IRQ] = {IRQ_SERVICE, irq_open, NULL, object_close},
    [HANDLE_IO_PORT] = {IO_PORT_SERVICE, io_port_open, NULL, io_port_close},
    [HANDLE_VM] = {VM_SERVICE, vm_open, vm_request, vm_close},
    [HANDLE_VCPU] = {.close = vcpu_close},
    [HANDLE_NT] = {.close = object_close},
    [HANDLE_PORTAL] = {.close = object_close},
    [HANDLE_PLATFORM] = {PLATFORM_SERVICE, NULL, platform_request, NULL},
    [HANDLE_INFO] = {INFO_SERVICE, NULL, info_request, NULL},
    [HANDLE_DEVICE] = {DEVICE_SERVICE, device_open, device_request, device_close},
    [HANDLE_BAR] = {.close = dataspace_close},
    [HANDLE_MESSAGE] = {.close = object_close},
};
/* clang-format on */

enum error service_open(struct pd *pd, const struct open_request *request, struct reply *reply)
{
    unsigned kind = 0, index;
    while (kind < HANDLE_KINDS &&
           (!services[kind].name || strcmp(services[kind].name, request->service) != 0))
        kind++;
    if (kind == HANDLE_KINDS)
        return ERROR_NOT_FOUND;
    enum error error = handle_new(pd, kind, &index);
    if (!error && services[kind].open) {
        error = services[kind].open(pd, request, index);
        if (error)
            (void)handle_close(pd, index);
    }
    if (error)
        return error;
    bool rom = kind == HANDLE_ROM;
    *reply = (struct reply){.word = {index, rom ? index : 0, rom ? pd->handle[index].memory.bytes : 0},
                            .words = 3};
    return ERROR_OK;
}

enum error service_close(struct pd *pd, uint64_t handle)
{
    return services[handle_kind(pd, handle)].name ? handle_close(pd, (unsigned)handle) : ERROR_NOT_FOUND;
}
