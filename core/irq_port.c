/* SPDX-License-Identifier: ISC */
/*
 * The IRQ and IO_PORT services: an interrupt or a range of ports, for one client at a time.
 */
#include "core/core.h"

#define COM1 0x3f8u /* core's own */
#define PCI  0xcf8u /* the same: whoever had it could move devices' registers */

/* Decimal, or hexadecimal after "0x", to the string's end and at most 0xffff. */
static bool number_read(const char *text, unsigned *value)
{
    unsigned base = 10;
    *value = 0;
    if (text[0] == '0' && text[1] == 'x') {
        base = 16;
        text += 2;
    }
    if (!*text)
        return false;
    for (; *text; text++) {
        unsigned digit = *text >= '0' && *text <= '9'   ? (unsigned)(*text - '0')
                         : *text >= 'a' && *text <= 'f' ? (unsigned)(*text - 'a') + 10
                                                        : 16;
        if (digit >= base)
            return false;
        *value = *value * base + digit;
        if (*value > 0xffff)
            return false;
    }
    return true;
}

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
    if (status == STATUS_OK)
        status = nt_narrow(pd_selector(pd, SEL_NT), own + 1, request->bits);
    if (status == STATUS_OK)
        status = interrupt_bind(own, own + 1);
    enum error error = kernel_error(status);
    if (!error)
        error = pd_install(pd, own, request->at, PERM_INTERRUPT_ACK);
    if (!error)
        pd->handle[handle].object.client = request->at;
    return error;
}

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
    if (status == STATUS_OK)
        status = space_copy(ROOT_PORTS, base, pio, base, count, MEM_READ | MEM_WRITE);
    if (status == STATUS_OK) {
        pd->handle[handle].ports.base = base;
        pd->handle[handle].ports.count = count;
    }
    return kernel_error(status);
}

void io_port_close(struct pd *pd, const struct handle *handle)
{
    if (!handle->ports.count)
        return;
    enum status status = space_remove(pd_selector(pd, SEL_PIO), handle->ports.base, handle->ports.count);
    (void)status;
}
