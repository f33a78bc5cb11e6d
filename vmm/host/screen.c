/* SPDX-License-Identifier: ISC */
/*
 * The screen's memory; see screen.h.
 */
#include "vmm/host/screen.h"

#include "base/include/log.h"

#define TOLD_MOST 8u /* lines, as the guest can cause them */

/* A guest may put its frame buffer where core attaches nothing: accesses exit there. */
static bool map(void *context, const struct vga_mapping *mapping, bool there)
{
    struct host_screen *screen = context;
    enum error status = there ? vm_attach(screen->vm, &screen->dataspace, mapping->offset, mapping->length,
                                          mapping->at, MEM_READ | MEM_WRITE)
                              : vm_detach(screen->vm, mapping->at);

    if (status != ERROR_OK && screen->told++ < TOLD_MOST)
        log_line("vm %s: screen memory at %lx cannot be %s: %s", screen->name, (unsigned long)mapping->at,
                 there ? "attached" : "detached", error_text(status));
    return status == ERROR_OK;
}

bool host_screen_open(struct host_screen *screen, const struct vm_description *description,
                      const struct vm *vm)
{
    void *memory;
    enum error status;

    if (description->vram == 0)
        return true;
    status = memory_alloc(description->vram + VGA_TEXT_SIZE, &screen->dataspace, &memory);
    if (status != ERROR_OK) {
        log_line("vm %s: vram: needs %lu MiB, cannot get them: %s", description->name,
                 (unsigned long)(description->vram >> 20), error_text(status));
        return false;
    }
    screen->vm = vm;
    screen->name = description->name;
    screen->machine = (struct machine_screen){
        .memory = memory, .vram = (uint32_t)description->vram, .map = map, .context = screen};
    return true;
}
