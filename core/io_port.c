/* SPDX-License-Identifier: ISC */
/* The IO_PORT service: a range of ports, for one client at a time. */
#include "core/core.h"
#include "core/number.h"

#define COM1 0x3f8u /* core's own */
#define PCI  0xcf8u /* the same: whoever had it could move devices' registers */

static bool ports_taken(unsigned base, unsigned count)
{
    if ((base < COM1 + 8 && COM1 < base + count) || (base < PCI + 8 && PCI < base + count))
        return true;
    for (unsigned i = 1; i < PDS; i++)
        for (unsigned j = 1; pds[i] && j < HANDLES; j++) {
            const struct handle *other = &pds[i]->handle[j];
            if (other->kind == HANDLE_IO_PORT && base < other->ports.base + other->ports.count &&
                other->ports.base < base + count)
                return true;
        }
    return false;
}

enum error io_port_open(struct pd *pd, const struct open_request *request, unsigned handle)
{
    unsigned base, count;
    selector pio = pd_selector(pd, SEL_PIO);
    uint64_t info, bits;
    if (!number_read(request->label, &base) || !number_read(request->arguments, &count) || !count ||
        count > PIO_PORTS - base)
        return ERROR_BAD_ARGUMENT;
    if (ports_taken(base, count))
        return ERROR_BUSY;
    enum status status = cap_info(ROOT_OBJ, pio, &info, &bits);
    if (status != STATUS_OK || (info & 0xff) != OBJECT_SPACE)
        status = create_space(pio, pd_selector(pd, SEL_ACCOUNT), SPACE_PIO, pd_selector(pd, SEL_PD));
    if (status == STATUS_OK) {
        pd->handle[handle].ports.base = base;
        pd->handle[handle].ports.count = count;
        status = space_copy(ROOT_PORTS, base, pio, base, count, MEM_READ | MEM_WRITE);
    }
    return kernel_error(status);
}

enum error io_port_close(struct pd *pd, unsigned index)
{
    const struct handle *handle = &pd->handle[index];
    if (!handle->ports.count)
        return ERROR_OK;
    enum status status = space_remove(pd_selector(pd, SEL_PIO), handle->ports.base, handle->ports.count);
    (void)status; /* the space goes before its ports where the PD ends */
    return ERROR_OK;
}
