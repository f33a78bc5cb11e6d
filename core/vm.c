/* SPDX-License-Identifier: ISC */
/*
 * The VM service: guest-physical spaces and vCPUs. A monitor's own dataspaces and kernel
 * pages bound what it can do here.
 */
#include "core/core.h"

#include "base/include/session/vm.h"

enum error vm_open(struct pd *pd, const struct open_request *request, unsigned handle)
{
    (void)request;
    if (!(BOOT_INFO->features & BOOT_FEATURE_VM))
        return ERROR_UNSUPPORTED;
    return kernel_error(
        create_space(handle_selector(pd, handle), pd_selector(pd, SEL_ACCOUNT), SPACE_GST, 0));
}

/* A vCPU a step. */
enum error vm_close(struct pd *pd, unsigned handle)
{
    for (unsigned i = 1; i < HANDLES; i++)
        if (pd->handle[i].kind == HANDLE_VCPU && pd->handle[i].object.vm == handle) {
            (void)handle_close(pd, i);
            return ERROR_MORE;
        }
    attachments_end(pd, handle);
    return ERROR_OK;
}

static enum error vcpu_create(struct pd *pd, unsigned vm, selector at, uint64_t cpu, struct reply *reply)
{
    unsigned index;
    uint64_t page = 0;
    if (!selector_usable(at) || !pd_has_cpu(pd, cpu))
        return ERROR_BAD_ARGUMENT;
    enum error error = handle_new(pd, HANDLE_VCPU, &index);
    if (error)
        return error;
    selector own = handle_selector(pd, index);
    error = attachment_reserve(pd, index, 1, &page);
    error = error ? error
                  : kernel_error(create_vcpu(own, pd_selector(pd, SEL_ACCOUNT), pd_selector(pd, SEL_PD),
                                             handle_selector(pd, vm), page * PAGE | cpu));
    error = error ? error : pd_install(pd, own, at, PERM_VCPU_RUN);
    if (error) {
        (void)handle_close(pd, index);
        return error;
    }
    pd->handle[index].object.client = at;
    pd->handle[index].object.vm = vm;
    *reply = (struct reply){.word = {page * PAGE, index}, .words = 2};
    return ERROR_OK;
}

enum error vcpu_close(struct pd *pd, unsigned handle)
{
    enum error error = attachments_drop(pd, handle); /* the state page's place */
    return error ? error : object_close(pd, handle);
}

enum error vm_request(struct pd *pd, unsigned vm, const struct request *request, struct reply *reply)
{
    const uint64_t *words = request->word;
    switch (request->operation) {
    case VM_VCPU:
        return vcpu_create(pd, vm, words[0], words[1], reply);
    case VM_ATTACH:
        return attachment_enter(pd, vm, words);
    case VM_DETACH:
        return words[0] % PAGE ? ERROR_BAD_ARGUMENT : attachment_remove(pd, vm, words[0] / PAGE);
    default:
        return ERROR_BAD_OPERATION;
    }
}
