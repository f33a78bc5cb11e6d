/* SPDX-License-Identifier: ISC */
/*
 * PLATFORM: power off and reset of the whole machine. INFO: what is free, for tests of leaks and idleness.
 */
#pragma once

#define PLATFORM_SERVICE "PLATFORM"
#define INFO_SERVICE     "INFO"

enum platform_service_operation {
    PLATFORM_OFF, /* ERROR_MORE: call again. Another result comes only if the machine cannot */
    PLATFORM_RESTART,
};

enum info_operation {
    /* -> core's free pages, its pages in all, the kernel's free pages, its pages in all,
     * TSC ticks that the CPU has been idle since boot, TSC now */
    INFO_READ,
};
