/* SPDX-License-Identifier: ISC */
/*
 * The views of the screen's memory; see screen.h. One that cannot be mapped stays as it is: its accesses exit.
 */
#include "vmm/board/machine.h"

static struct vga_mapping wanted(const struct machine *machine, unsigned view)
{
    const struct vga *vga = &machine->vga;

    if (view == 0)
        return vga_text_mapping(vga);
    if (!bus_answers_whole(&machine->bus, BUS_MMIO, &vga->pci.region[0]))
        return (struct vga_mapping){0};
    return vga_linear_mapping(vga);
}

void screen_apply(struct machine *machine)
{
    const struct machine_screen *screen = machine->screen;

    for (unsigned i = 0; i < SCREEN_VIEWS && screen; i++) {
        struct machine_view *view = &machine->view[i];
        struct vga_mapping now = wanted(machine, i);

        if (now.at == view->wanted.at && now.length == view->wanted.length)
            continue;
        if (view->mapped && !screen->map(screen->context, &view->wanted, false))
            machine_request(machine, MACHINE_FAILED, "screen");
        view->wanted = now;
        view->mapped = now.length > 0 && screen->map(screen->context, &now, true);
    }
}
