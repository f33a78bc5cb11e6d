/* SPDX-License-Identifier: ISC */
/* The IRQ service: an interrupt, for one client at a time. */
#include "core/core.h"
#include "core/number.h"

enum error irq_open(struct pd *pd, const struct open_request *request, unsigned handle)
{
    unsigned number;
    selector own = handle_selector(pd, handle);
    if (!number_read(request->label, &number) || !selector_usable(request->at) || !request->bits)
        return ERROR_BAD_ARGUMENT;
    if (number >= BOOT_INFO->gsis && number >= 16)
        return ERROR_NOT_FOUND;
    uint64_t gsi = number < 16 ? BOOT_INFO->isa_gsi[number] : number | INTERRUPT_LEVEL | INTERRUPT_LOW;
    enum status status = create_interrupt(own, pd_selector(pd, SEL_ACCOUNT), ROOT_PLATFORM, gsi);
    status = status ? status : nt_narrow(pd_selector(pd, SEL_NT), own + 1, request->bits);
    status = status ? status : interrupt_bind(own, own + 1);
    enum error error = kernel_error(status);
    error = error ? error : pd_install(pd, own, request->at, PERM_INTERRUPT_ACK);
    if (!error)
        pd->handle[handle].object.client = request->at;
    return error;
}
