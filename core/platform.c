/* SPDX-License-Identifier: ISC */
/* The PLATFORM and INFO services. */
#include "core/core.h"

#include "base/include/session/platform.h"
#include "core/acpi.h"

#define NOTHING PLATFORM_OPERATIONS

/* What the main thread is to do, which alone sends the log's last lines. A request sets it; then types and result are
 * the main thread's until it is NOTHING again. */
static enum platform_operation wanted = NOTHING;
static unsigned types;
static enum status result;

void platform_end(void)
{
    uint64_t first, second;
    enum platform_operation operation = __atomic_load_n(&wanted, __ATOMIC_ACQUIRE);
    if (operation == NOTHING)
        return;
    log_flush();
    result = platform_control(ROOT_PLATFORM, operation, types, &first, &second);
    __atomic_store_n(&wanted, NOTHING, __ATOMIC_RELEASE);
}

enum error platform_request(struct pd *pd, unsigned handle, const struct request *request,
                            struct reply *reply)
{
    static bool asked;
    bool off = request->operation == PLATFORM_OFF;
    (void)pd, (void)handle, (void)reply;
    if (request->operation > PLATFORM_RESTART)
        return ERROR_BAD_OPERATION;
    if (__atomic_load_n(&wanted, __ATOMIC_ACQUIRE) != NOTHING)
        return ERROR_MORE;
    if (asked) {
        asked = false;
        log_core("the machine stays on: status %u", result);
        return kernel_error(result);
    }
    if (off && !acpi_sleep_types(physical_map, BOOT_INFO->acpi_rsdp, &types)) {
        log_core("power off: no \\_S5 in the ACPI tables");
        return ERROR_UNSUPPORTED;
    }
    log_core(off ? "power off" : "reset");
    asked = true;
    __atomic_store_n(&wanted, off ? PLATFORM_POWER_OFF : PLATFORM_RESET, __ATOMIC_RELEASE);
    enum status status = nt_signal(CORE_LOG);
    (void)status; /* it looks at each turn */
    return ERROR_MORE;
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
