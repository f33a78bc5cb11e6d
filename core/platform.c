/* SPDX-License-Identifier: ISC */
/* The PLATFORM and INFO services. */
#include "core/core.h"

#include "base/include/session/platform.h"
#include "core/acpi.h"

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

enum error platform_request(struct pd *pd, unsigned handle, const struct request *request,
                            struct reply *reply)
{
    (void)pd, (void)handle, (void)reply;
    return request->operation <= PLATFORM_RESTART ? power(request->operation) : ERROR_BAD_OPERATION;
}

enum error info_request(struct pd *pd, unsigned handle, const struct request *request, struct reply *reply)
{
    uint64_t free_pages, pages, idle = 0, now = 0;
    (void)pd, (void)handle;
    if (request->operation != INFO_READ)
        return ERROR_BAD_OPERATION;
    enum status status = platform_control(ROOT_PLATFORM, PLATFORM_FREE_PAGES, 0, &free_pages, &pages);
    status = status ? status : platform_control(ROOT_PLATFORM, PLATFORM_IDLE_TIME, 0, &idle, &now);
    *reply =
        (struct reply){.word = {free_memory.free, memory_total, free_pages, pages, idle, now}, .words = 6};
    return kernel_error(status);
}
