/* SPDX-License-Identifier: ISC */
/*
 * Opening firmware; see firmware.h. The ROMs stay open as long as the VM lives. The firmware's own is copied: the
 * guest executes it, and a boot module does not end with a page.
 */
#include "vmm/host/firmware.h"

#include "base/include/log.h"

#include <string.h>

#define ROM_UNIT (64u << 10)

static bool open_rom(const char *name, const char *what, const char *label, struct rom *rom)
{
    enum error status = rom_open(label, rom);

    if (status == ERROR_OK && rom->bytes && rom->bytes <= UINT32_MAX)
        return true;
    log_line("vm %s: %s=\"%s\": %s", name, what, label,
             status != ERROR_OK ? error_text(status)
             : rom->bytes       ? "the ROM is too large"
                                : "the ROM is empty");
    return false;
}

static bool copy_rom(struct host_firmware *firmware, const struct vm_description *description,
                     struct host_memory *memory)
{
    struct rom rom;
    void *copy;
    enum error status;

    if (!open_rom(description->name, "firmware", description->firmware, &rom))
        return false;
    if (rom.bytes % ROM_UNIT || rom.bytes > FIRMWARE_ROM_MAX) {
        log_line("vm %s: firmware=\"%s\": expected a multiple of 64 KiB up to %u MiB, found %zu bytes",
                 description->name, description->firmware, FIRMWARE_ROM_MAX >> 20, rom.bytes);
        return false;
    }
    status = memory_alloc(rom.bytes, &memory->rom, &copy);
    if (status != ERROR_OK) {
        log_line("vm %s: firmware=\"%s\": no memory for it: %s", description->name, description->firmware,
                 error_text(status));
        return false;
    }
    memcpy(copy, rom.data, rom.bytes);
    firmware->machine.rom = copy;
    firmware->machine.rom_size = (uint32_t)rom.bytes;
    if (rom_close(&rom) != ERROR_OK)
        log_line("vm %s: firmware=\"%s\": the ROM was not closed", description->name, description->firmware);
    return true;
}

static bool map(void *context, uint64_t gpa, uint64_t bytes, enum machine_memory what)
{
    return host_memory_map(context, gpa, bytes, what);
}

bool host_firmware_open(struct host_firmware *firmware, const struct vm_description *description,
                        struct host_memory *memory)
{
    lines_init(&firmware->debug, description->name, "debug: ");
    if (!description->firmware[0])
        return true;
    for (size_t i = 0; i < description->files; i++) {
        const struct vm_file *file = &description->file[i];
        struct rom *rom = &firmware->rom[i];

        if (file->rom[0] && !open_rom(description->name, "file rom", file->rom, rom))
            return false;
        firmware->file[i] = (struct firmware_file){.name = file->name,
                                                   .data = file->rom[0] ? rom->data : NULL,
                                                   .size = file->rom[0] ? (uint32_t)rom->bytes : 0,
                                                   .number = file->number};
    }
    firmware->machine.file = firmware->file;
    firmware->machine.files = (unsigned)description->files;
    firmware->machine.boot_menu = description->boot_menu;
    for (unsigned i = 0; i < CMOS_BOOT_ORDER; i++)
        firmware->machine.boot[i] = description->boot[i];
    firmware->machine.map = map;
    firmware->machine.context = memory;
    return copy_rom(firmware, description, memory);
}

void host_firmware_debug(void *lines, uint8_t byte)
{
    lines_put(lines, byte);
}
