/* SPDX-License-Identifier: ISC */
/*
 * Core's services: opening a session and what LOG, PLATFORM and INFO do.
 */
#include "core/core.h"

#include "base/include/component.h"
#include "base/include/session/device.h"
#include "base/include/session/io_port.h"
#include "base/include/session/irq.h"
#include "base/include/session/log.h"
#include "base/include/session/platform.h"
#include "base/include/session/rom.h"
#include "base/include/session/vm.h"
#include "core/acpi.h"

#include <string.h>

static const struct {
    const char *service;
    enum handle_kind kind;
} services[] = {
    {ROM_SERVICE, HANDLE_ROM},         {LOG_SERVICE, HANDLE_LOG},       {IRQ_SERVICE, HANDLE_IRQ},
    {IO_PORT_SERVICE, HANDLE_IO_PORT}, {VM_SERVICE, HANDLE_VM},         {PLATFORM_SERVICE, HANDLE_PLATFORM},
    {INFO_SERVICE, HANDLE_INFO},       {DEVICE_SERVICE, HANDLE_DEVICE},
};

static enum error rom_open(struct handle *handle, const char *name)
{
    const struct boot_module *module = module_find(name);
    if (!module)
        return ERROR_NOT_FOUND;
    handle->rights = MEM_READ;
    handle->memory.bytes = module->length;
    handle->memory.run[0] = (struct run){module->base / PAGE, (module->length + PAGE - 1) / PAGE};
    return ERROR_OK;
}

static enum error service_open(struct pd *pd, const struct open_request *request, unsigned index)
{
    struct handle *handle = &pd->handle[index];
    switch (handle->kind) {
    case HANDLE_ROM:
        return rom_open(handle, request->label);
    case HANDLE_LOG:
        memcpy(handle->label, request->label, strnlen(request->label, LOG_LABEL - 1));
        return ERROR_OK;
    case HANDLE_IRQ:
        return irq_open(pd, request, index);
    case HANDLE_IO_PORT:
        return io_port_open(pd, request, index);
    case HANDLE_VM:
        return vm_create(pd, index);
    case HANDLE_DEVICE:
        return device_open(pd, request, index);
    default:
        return ERROR_OK;
    }
}

enum error session_create(struct pd *pd, const struct open_request *request, struct reply *reply)
{
    unsigned index, i = 0;
    while (i < sizeof(services) / sizeof(*services) && strcmp(services[i].service, request->service) != 0)
        i++;
    if (i == sizeof(services) / sizeof(*services))
        return ERROR_NOT_FOUND;
    enum error error = handle_new(pd, services[i].kind, &index);
    if (error)
        return error;
    error = service_open(pd, request, index);
    if (error) {
        handle_close(pd, index);
        return error;
    }
    bool rom = services[i].kind == HANDLE_ROM;
    *reply = (struct reply){.word = {index, rom ? index : 0, rom ? pd->handle[index].memory.bytes : 0},
                            .words = 3};
    return ERROR_OK;
}

static enum error log_write(struct pd *pd, uint64_t handle, struct message *message)
{
    char text[2 * LOG_LINE];
    const struct handle *session = handle_get(pd, handle, HANDLE_LOG);
    if (!session)
        return ERROR_NOT_FOUND;
    size_t length = message_get_bytes(message, text, sizeof(text));
    if (message->bad)
        return ERROR_BAD_ARGUMENT;
    log_text(pd->label, session->label, text, length, &pd->log_rate);
    return ERROR_OK;
}

/* Comes back only when the machine stays on. */
static enum error power(uint64_t operation)
{
    uint64_t first, second;
    unsigned types = 0;
    bool off = operation == PLATFORM_OFF;
    if (off && !acpi_sleep_types(physical_map, BOOT_INFO->acpi_rsdp, &types)) {
        log_core("power off: no \\_S5 in the ACPI tables");
        return ERROR_UNSUPPORTED;
    }
    log_core(off ? "power off" : "reset");
    log_flush();
    enum status status =
        platform_control(ROOT_PLATFORM, off ? PLATFORM_POWER_OFF : PLATFORM_RESET, types, &first, &second);
    log_core("the machine stays on: status %u", status);
    return kernel_error(status);
}

static enum error info_read(struct reply *reply)
{
    uint64_t free_pages, pages, idle = 0, now = 0;
    enum status status = platform_control(ROOT_PLATFORM, PLATFORM_FREE_PAGES, 0, &free_pages, &pages);
    if (status == STATUS_OK)
        status = platform_control(ROOT_PLATFORM, PLATFORM_IDLE_TIME, 0, &idle, &now);
    *reply =
        (struct reply){.word = {free_memory.free, memory_total, free_pages, pages, idle, now}, .words = 6};
    return kernel_error(status);
}

enum error service_request(struct pd *pd, uint64_t operation, uint64_t handle, struct message *message,
                           struct reply *reply)
{
    switch (operation) {
    case LOG_WRITE:
        return log_write(pd, handle, message);
    case PLATFORM_OFF:
    case PLATFORM_RESTART:
        return handle_get(pd, handle, HANDLE_PLATFORM) ? power(operation) : ERROR_NOT_FOUND;
    case INFO_READ:
        return handle_get(pd, handle, HANDLE_INFO) ? info_read(reply) : ERROR_NOT_FOUND;
    default:
        return ERROR_BAD_OPERATION;
    }
}
