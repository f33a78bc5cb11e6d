/* SPDX-License-Identifier: ISC */
/*
 * Whether a VM can run here; see grants.h.
 */
#include "vmm/host/grants.h"

#include "abi/boot.h"
#include "base/include/log.h"

/* For BOOT_LACKS. */
static const char *const missing[8] = {
    [BOOT_LACKS_ALL] = "the processor has neither SVM nor VT-x",
    [BOOT_LACKS_FIRMWARE] = "the firmware has switched SVM or VT-x off",
    [BOOT_LACKS_NPT] = "the processor has SVM without nested paging",
    [BOOT_LACKS_EPT] = "the processor has VT-x without EPT",
    [BOOT_LACKS_UNRESTRICTED] = "the processor has VT-x without unrestricted guest",
    [BOOT_LACKS_CONTROL] = "the processor's VT-x lacks what the kernel's log names",
};

bool host_check_grants(const struct pd_info *info, const char *name)
{
    if (!info || info->tsc_hz == 0) {
        log_line("vm %s: the TSC's frequency is not known", name);
        return false;
    }
    if (info->features & BOOT_FEATURE_VM)
        return true;
    log_line("vm %s: cannot run here: %s", name,
             missing[BOOT_LACKS(info->features)] ?: "virtual machines are missing");
    return false;
}
