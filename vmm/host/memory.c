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
    memory->name = name;
    memory->ram.low_size = memory->map.low_size;
    memory->ram.high_size = memory->map.high_size;
    return alloc_part(name, bytes, memory->map.low_size, &memory->low, &memory->ram.low) &&
           alloc_part(name, bytes, memory->map.high_size, &memory->high, &memory->ram.high);
}

enum error host_memory_attach(struct host_memory *memory, const struct vm *vm, uint64_t upto)
{
    uint64_t rom = memory->rom.bytes, from = rom ? RAM_HIGH : RAM_ROM;
    enum error status = vm_attach(vm, &memory->low, 0, RAM_VGA, 0, HOST_MEMORY_RIGHTS);

    memory->vm = vm;
    if (status == ERROR_OK)
        status = vm_attach(vm, &memory->low, from, upto - from, from, HOST_MEMORY_RIGHTS);
    if (status == ERROR_OK && rom)
        status = vm_attach(vm, &memory->rom, 0, rom, RAM_ABOVE_4G - rom, MEM_READ | MEM_EXECUTE);
    if (status == ERROR_OK && memory->map.high_size)
        status = vm_attach(vm, &memory->high, 0, memory->map.high_size, RAM_ABOVE_4G, HOST_MEMORY_RIGHTS);
    return status;
}

static enum error attach_segment(const struct host_memory *memory, uint64_t gpa, uint64_t bytes,
                                 enum machine_memory what)
{
    switch (what) {
    case MEMORY_RAM:
        return vm_attach(memory->vm, &memory->low, gpa, bytes, gpa, HOST_MEMORY_RIGHTS);
    case MEMORY_RAM_READ_ONLY:
        return vm_attach(memory->vm, &memory->low, gpa, bytes, gpa, MEM_READ | MEM_EXECUTE);
    case MEMORY_ROM:
        return vm_attach(memory->vm, &memory->rom, memory->rom.bytes - (RAM_HIGH - gpa), bytes, gpa,
                         MEM_READ | MEM_EXECUTE);
    default:
        return ERROR_OK;
    }
}

/* Core has no call that attaches over something. Who meets the moment in between waits for the chips' lock, which is
 * held here. */
bool host_memory_map(struct host_memory *memory, uint64_t gpa, uint64_t bytes, enum machine_memory what)
{
    bool *attached = &memory->attached[(gpa - RAM_ROM) / RAM_SEGMENT % RAM_SEGMENTS];
    enum error status = *attached ? vm_detach(memory->vm, gpa) : ERROR_OK;

    if (status == ERROR_OK) {
        status = attach_segment(memory, gpa, bytes, what);
        *attached = status == ERROR_OK && what != MEMORY_NOTHING;
    }
    if (status != ERROR_OK)
        log_line("vm %s: memory at %lx cannot be changed for the guest: %s", memory->name, (unsigned long)gpa,
                 error_text(status));
    return status == ERROR_OK;
}
