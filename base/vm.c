/* SPDX-License-Identifier: ISC */
/*
 * The VM, PLATFORM and INFO services of core as functions, and what it tells each component of itself.
 */
#include "base/include/vm.h"

#include "base/include/component.h"
#include "base/include/session.h"
#include "base/include/session/platform.h"
#include "base/include/session/vm.h"

enum error pd_info(struct pd_info *info)
{
    enum error error = core_call(PD_INFO, 0, 0, 0, 0, 0);
    if (error)
        return error;
    const uint64_t *words = utcb();
    *info = (struct pd_info){words[1], words[2], words[3], words[4], words[5],
                             words[6], words[7], words[8], words[9], words[10]};
    return ERROR_OK;
}

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

/* Opens a service of core for one operation and closes it again. */
static enum error service_call(const char *service, uint64_t operation, uint64_t *words, unsigned count)
{
    struct session session;
    enum error error = session_open(&(struct session_request){.service = service}, &session);
    if (error)
        return error;
    error = core_call(session_operation(session.id, operation), 0, 0, 0, 0, 0);
    for (unsigned i = 0; i < count; i++)
        words[i] = utcb()[i + 1];
    enum error closed = session_close(session.id);
    return error ? error : closed;
}

enum error platform_off(void)
{
    return service_call(PLATFORM_SERVICE, PLATFORM_OFF, NULL, 0);
}

enum error free_info(struct free_info *info)
{
    uint64_t words[6];
    enum error error = service_call(INFO_SERVICE, INFO_READ, words, 6);
    if (!error)
        *info = (struct free_info){words[0], words[1], words[2], words[3], words[4], words[5]};
    return error;
}
