/* SPDX-License-Identifier: ISC */
/*
 * Reading ROMs; see roms.h. They stay open as long as the VM lives: a guest that resets is loaded again.
 */
#include "vmm/host/roms.h"

#include "base/include/log.h"
#include "vmm/config/config.h"
#include "vmm/cpu/vcpu.h"
#include "vmm/firmware/load.h"

#include <string.h>

_Static_assert(DESCRIPTION_MODULES <= MULTIBOOT_MODULES_MAX, "all can be loaded");

bool host_read_description(struct vm_description *vm)
{
    static char text[CONFIG_TEXT_MAX];
    struct xml_error error;
    struct rom rom;
    enum error status = rom_open("config", &rom);
    size_t bytes;

    if (status != ERROR_OK) {
        log_line("config: no ROM \"config\": %s", error_text(status));
        return false;
    }
    bytes = rom.bytes;
    if (bytes > sizeof(text)) {
        log_line("config: expected at most %u bytes, found %zu", CONFIG_TEXT_MAX, bytes);
        return false;
    }
    if (bytes)
        memcpy(text, rom.data, bytes);
    if (rom_close(&rom) != ERROR_OK)
        log_line("config: the ROM was not closed");
    if (config_read(vm, text, bytes, &error))
        return true;
    log_line("config: line %u: %s", error.line, error.reason);
    return false;
}

static bool open_rom(const struct vm_description *vm, const char *what, const char *name, struct rom *rom)
{
    enum error status;

    if (!name[0])
        return true;
    status = rom_open(name, rom);
    if (status == ERROR_OK && rom->bytes)
        return true;
    log_line("vm %s: %s=\"%s\": %s", vm->name, what, name,
             status == ERROR_OK ? "the ROM is empty" : error_text(status));
    return false;
}

bool host_open_roms(struct host_roms *roms, const struct vm_description *vm)
{
    for (size_t i = 0; i < vm->modules; i++)
        if (!open_rom(vm, "module rom", vm->module[i].rom, &roms->module[i]))
            return false;
    if (!vm->guest[0])
        return open_rom(vm, "kernel", vm->kernel, &roms->kernel) &&
               open_rom(vm, "initrd", vm->initrd, &roms->initrd);
    roms->builtin = builtin_find(vm->guest);
    if (!roms->builtin)
        log_line("vm %s: guest=\"%s\": expected " BUILTIN_NAMES, vm->name, vm->guest);
    return roms->builtin != NULL;
}

static bool load_builtin(const struct builtin_guest *guest, const struct guest_ram *ram,
                         struct guest_entry *entry)
{
    *entry = guest->real_mode ? vcpu_entry_real(guest->base) : vcpu_entry_protected(guest->base);
    return guest_ram_write(ram, guest->base, guest->image, (size_t)(guest->end - guest->image));
}

bool host_load_guest(const struct host_roms *roms, const struct vm_description *vm,
                     const struct host_memory *memory, uint64_t rsdp, struct guest_entry *entry)
{
    char message[MESSAGE_BYTES];
    struct multiboot_module module[DESCRIPTION_MODULES];
    const struct load_config config = {.kernel = roms->kernel.data,
                                       .kernel_size = roms->kernel.bytes,
                                       .initrd = roms->initrd.data,
                                       .initrd_size = roms->initrd.bytes,
                                       .command_line = vm->cmdline,
                                       .module = module,
                                       .modules = vm->modules,
                                       .map = &memory->map,
                                       .rsdp = rsdp};

    if (roms->builtin)
        return load_builtin(roms->builtin, &memory->ram, entry);
    for (size_t i = 0; i < vm->modules; i++)
        module[i] = (struct multiboot_module){.data = roms->module[i].data,
                                              .size = roms->module[i].bytes,
                                              .command_line = vm->module[i].cmdline};
    if (load_kernel(&memory->ram, &config, entry, message))
        return true;
    log_line("vm %s: %s", vm->name, message);
    return false;
}
