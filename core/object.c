/* SPDX-License-Identifier: ISC */
/* Kernel objects to which a component has a capability: how its notifications and portals are made, and how
 * any such object ends. */
#include "core/core.h"

enum error object_create(struct pd *pd, enum handle_kind kind, selector at, uint64_t id, struct reply *reply)
{
    unsigned index;
    selector account = pd_selector(pd, SEL_ACCOUNT);
    if (!selector_usable(at) && !(kind == HANDLE_PORTAL && at == CAP_SELF))
        return ERROR_BAD_ARGUMENT;
    if (kind == HANDLE_PORTAL && !pd->portal_entry)
        return ERROR_NOT_FOUND;
    enum error error = handle_new(pd, kind, &index);
    if (error)
        return error;
    selector own = handle_selector(pd, index);
    if (kind == HANDLE_NT)
        error = kernel_error(create_nt(own, account));
    else
        error = kernel_error(create_pt(own, account, pd_selector(pd, SEL_ENTRY), pd->portal_entry, id));
    error = error ? error
                  : pd_install(pd, own, at, kind == HANDLE_NT ? PERM_NT_WAIT | PERM_NT_SIGNAL : PERM_PT_CALL);
    if (error) {
        (void)handle_close(pd, index);
        return error;
    }
    pd->handle[index].object.client = at;
    *reply = (struct reply){.word = {index}, .words = 1};
    return ERROR_OK;
}

enum error object_close(struct pd *pd, unsigned handle)
{
    capability_remove(handle_selector(pd, handle));
    capability_forget(handle_selector(pd, handle) + 1);
    pd_uninstall(pd, pd->handle[handle].object.client);
    return ERROR_OK;
}
