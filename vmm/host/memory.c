/* SPDX-License-Identifier: ISC */
/*
 * Allocating and attaching guest memory; see memory.h.
 */
#include "vmm/host/memory.h"

#include "base/include/dataspace.h"
#include "base/include/log.h"

#define MIB (1ull << 20)

static bool alloc_part(const char *name, uint64_t all, uint64_t bytes, struct dataspace *dataspace,
                       uint8_t **mapped)
{
    void *address;
    enum error status;

    if (bytes == 0)
        return true;
    status = memory_alloc(bytes, dataspace, &address);
    if (status == ERROR_OK) {
        *mapped = address;
        return true;
    }
    log_line("vm %s: memory: needs %lu MiB, cannot get them: %s", name, (unsigned long)(all / MIB),
             error_text(status));
    return false;
}

bool host_memory_alloc(struct host_memory *memory, const char *name, uint64_t bytes)
{
    if (!e820_layout(bytes, &memory->map)) {
        log_line("vm %s: memory: expected %u MiB or more, found %lu MiB", name,
                 (unsigned)(E820_MIN_RAM / MIB), (unsigned long)(bytes / MIB));
        return false;
    }
    memory->ram.low_size = memory->map.low_size;
    memory->ram.high_size = memory->map.high_size;
    return alloc_part(name, bytes, memory->map.low_size, &memory->low, &memory->ram.low) &&
           alloc_part(name, bytes, memory->map.high_size, &memory->high, &memory->ram.high);
}

enum error host_memory_attach(const struct host_memory *memory, const struct vm *vm, uint64_t upto)
{
    enum error status = vm_attach(vm, &memory->low, 0, RAM_VGA, 0, HOST_MEMORY_RIGHTS);

    if (status == ERROR_OK)
        status = vm_attach(vm, &memory->low, RAM_ROM, upto - RAM_ROM, RAM_ROM, HOST_MEMORY_RIGHTS);
    if (status == ERROR_OK && memory->map.high_size)
        status = vm_attach(vm, &memory->high, 0, memory->map.high_size, RAM_ABOVE_4G, HOST_MEMORY_RIGHTS);
    return status;
}
