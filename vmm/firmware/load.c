/* SPDX-License-Identifier: ISC */
/*
 * One kernel, and the loader that takes it; see load.h.
 */
#include "vmm/firmware/load.h"

#include "vmm/firmware/linux.h"

static bool refuse(char message[MESSAGE_BYTES], const char *text)
{
    message_text(&(struct message_line){.text = message, .capacity = MESSAGE_BYTES}, text);
    return false;
}

static bool load_linux(const struct guest_ram *ram, const struct load_config *config,
                       struct guest_entry *entry, char message[MESSAGE_BYTES])
{
    const struct linux_config linux_config = {.kernel = config->kernel,
                                              .kernel_size = config->kernel_size,
                                              .initrd = config->initrd,
                                              .initrd_size = config->initrd_size,
                                              .command_line = config->command_line,
                                              .map = config->map,
                                              .rsdp = config->rsdp};

    if (config->modules)
        return refuse(message, "module: a Linux kernel takes none, but an initrd");
    return linux_load(ram, &linux_config, entry, message);
}

static bool load_multiboot(const struct guest_ram *ram, const struct load_config *config,
                           struct guest_entry *entry, char message[MESSAGE_BYTES])
{
    const struct multiboot_config multiboot = {.image = config->kernel,
                                               .size = config->kernel_size,
                                               .command_line = config->command_line,
                                               .map = config->map,
                                               .module = config->module,
                                               .modules = config->modules};

    if (config->initrd_size)
        return refuse(message, "initrd: a Multiboot kernel takes none, but <module>s");
    return multiboot_load(ram, &multiboot, entry, message);
}

bool load_kernel(const struct guest_ram *ram, const struct load_config *config, struct guest_entry *entry,
                 char message[MESSAGE_BYTES])
{
    if (multiboot_is(config->kernel, config->kernel_size))
        return load_multiboot(ram, config, entry, message);
    return load_linux(ram, config, entry, message);
}
