/* SPDX-License-Identifier: ISC */
/*
 * Dataspaces and ROMs for a component.
 */
#include "base/include/dataspace.h"

#include "base/include/component.h"
#include "base/include/log.h"
#include "base/include/session.h"
#include "base/include/session/pd.h"
#include "base/include/session/rom.h"

enum error dataspace_alloc(uint64_t bytes, struct dataspace *dataspace)
{
    enum error error = core_call(PD_DATASPACE_ALLOC, bytes, 0, 0, 0, 0);
    if (error == ERROR_NO_RAM)
        log_line("memory: needs %lu KiB, has %lu KiB", utcb()[1] / 1024, utcb()[2] / 1024);
    if (error != ERROR_OK && error != ERROR_MORE)
        return error;
    *dataspace = (struct dataspace){.handle = utcb()[1], .bytes = (bytes + 0xfff) & ~0xfffull};
    while (error == ERROR_MORE)
        error = core_call(PD_DATASPACE_CLEAR, dataspace->handle, 0, 0, 0, 0);
    return error;
}

enum error dataspace_free(struct dataspace *dataspace)
{
    uint64_t handle = dataspace->handle;
    *dataspace = (struct dataspace){0};
    return core_call_whole(PD_DATASPACE_FREE, handle);
}

enum error dataspace_attach(uint64_t handle, uint64_t address, uint64_t rights, void **attached)
{
    enum error error;
    bool begun = false;
    *attached = NULL;
    while ((error = core_call(PD_ATTACH, handle, 0, 0, address, rights)) == ERROR_MORE) {
        address = utcb()[1];
        begun = true;
    }
    if (error == ERROR_OK) {
        *attached = (void *)utcb()[1]; /* NOLINT: an address */
    } else if (begun) {
        enum error detached = dataspace_detach((void *)address); /* NOLINT: an address */
        (void)detached;                                          /* it goes with the dataspace */
    }
    return error;
}

enum error dataspace_detach(void *attached)
{
    return core_call_whole(PD_DETACH, (uintptr_t)attached);
}

enum error memory_alloc(uint64_t bytes, struct dataspace *dataspace, void **attached)
{
    enum error error = dataspace_alloc(bytes, dataspace);
    if (error)
        return error;
    error = dataspace_attach(dataspace->handle, 0, MEM_READ | MEM_WRITE, attached);
    if (error) {
        enum error freed = dataspace_free(dataspace);
        (void)freed;
    }
    return error;
}

enum error rom_open(const char *name, struct rom *rom)
{
    struct session session;
    void *data = NULL;
    enum error error =
        session_open(&(struct session_request){.service = ROM_SERVICE, .label = name}, &session);
    if (error)
        return error == ERROR_PENDING ? ERROR_FAULT : error;
    if (session.bytes)
        error = dataspace_attach(session.dataspace, 0, MEM_READ, &data);
    *rom = (struct rom){data, session.bytes, session.id, session.dataspace};
    return error;
}

enum error rom_close(struct rom *rom)
{
    if (rom->data) {
        enum error error = dataspace_detach((void *)(uintptr_t)rom->data);
        if (error)
            return error;
    }
    uint64_t session = rom->session;
    *rom = (struct rom){0};
    return session_close(session);
}
