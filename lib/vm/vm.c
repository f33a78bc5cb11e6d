/* SPDX-License-Identifier: ISC */
/*
 * The VM service of core as functions.
 */
#include "lib/vm/vm.h"

#include "base/include/component.h"
#include "base/include/session.h"
#include "base/include/session/vm.h"

enum error vm_open(const char *label, struct vm *vm)
{
    struct session session;
    enum error error =
        session_open(&(struct session_request){.service = VM_SERVICE, .label = label}, &session);
    if (error)
        return error;
    vm->session = session.id;
    return ERROR_OK;
}

enum error vm_close(struct vm *vm)
{
    return session_close(vm->session);
}

enum error vm_vcpu_create(const struct vm *vm, selector free, unsigned cpu, struct vcpu_state **state)
{
    enum error error = core_call(session_operation(vm->session, VM_VCPU), free, cpu, 0, 0, 0);
    *state = error ? NULL : (struct vcpu_state *)utcb()[1]; /* NOLINT: an address */
    return error;
}

enum error vm_attach(const struct vm *vm, const struct dataspace *dataspace, uint64_t offset, uint64_t bytes,
                     uint64_t guest_physical, uint64_t rights)
{
    return core_attach(
        &(struct core_attachment){.attach = session_operation(vm->session, VM_ATTACH),
                                  .detach = session_operation(vm->session, VM_DETACH),
                                  .words = {dataspace->handle, offset, bytes, guest_physical, rights}});
}

enum error vm_detach(const struct vm *vm, uint64_t guest_physical)
{
    return core_call_whole(session_operation(vm->session, VM_DETACH), guest_physical);
}
