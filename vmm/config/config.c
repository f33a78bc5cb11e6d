/* SPDX-License-Identifier: ISC */
/*
 * From XML to struct vm_description. Everything is checked before anything is used, and what is refused is
 * named with its line; the strings are copied out, so the text may go afterwards.
 */
#include "vmm/config/config.h"

#include "vmm/firmware/e820.h"

#include <string.h>

#define NODES      48
#define ATTRIBUTES 128

static const char *const vm_attributes[] = {"name!",    "memory!", "kernel", "initrd", "cmdline",  "guest",
                                            "terminal", "vcpus",   "exits",  "churn",  "firmware", "boot",
                                            "menu",     "debug",   "vram",   NULL};
static const char *const module_attributes[] = {"rom!", "cmdline", NULL};
static const struct xml_schema module_schema = {.name = "module", .attributes = module_attributes};
static const char *const file_attributes[] = {"name!", "rom", "number", NULL};
static const struct xml_schema file_schema = {.name = "file", .attributes = file_attributes};
static const char *const disk_attributes[] = {"controller!", "label", "type", "port", "device", NULL};
static const struct xml_schema disk_schema = {.name = "disk", .attributes = disk_attributes};
static const struct xml_child_rule vm_children[] = {{&module_schema, 0, DESCRIPTION_MODULES},
                                                    {&file_schema, 0, DESCRIPTION_FILES},
                                                    {&disk_schema, 0, DESCRIPTION_DISKS},
                                                    {NULL, 0, 0}};
static const struct xml_schema vm_schema = {
    .name = "vm", .attributes = vm_attributes, .children = vm_children};
static const struct xml_child_rule config_children[] = {{&vm_schema, 1, 1}, {NULL, 0, 0}};
static const struct xml_schema config_schema = {.name = "config", .children = config_children};

/* False: too long. A missing attribute is "". */
static bool copy(const struct xml_node *node, const char *name, char *to, size_t size,
                 struct xml_error *error)
{
    const char *value = xml_get_string_or(node, name, "");
    size_t length = strlen(value);

    if (length >= size)
        return xml_fail(error, node->line, "<%>: attribute % is too long: \"%\"", node->name, name, value);
    memcpy(to, value, length + 1);
    return true;
}

/* A plain number is in MiB. */
static bool read_memory(struct vm_description *config, const struct xml_node *vm, struct xml_error *error)
{
    static const struct xml_range bytes = {.min = E820_MIN_RAM, .max = E820_MAX_RAM, .size = true};
    static const struct xml_range mebibytes = {.min = E820_MIN_RAM >> 20, .max = E820_MAX_RAM >> 20};
    const char *text = xml_get_string_or(vm, "memory", "");
    size_t length = strlen(text);
    bool plain = length == 0 || (text[length - 1] >= '0' && text[length - 1] <= '9');

    if (!xml_get_unsigned(vm, "memory", plain ? &mebibytes : &bytes, &config->memory, error))
        return false;
    if (plain)
        config->memory <<= 20;
    config->memory &= ~0xfffull;
    return true;
}

static bool read_vram(struct vm_description *config, const struct xml_node *vm, struct xml_error *error)
{
    static const struct xml_range mebibytes = {.min = 1, .max = 256};

    if (!xml_get_unsigned_or(vm, "vram", &mebibytes, 0, &config->vram, error))
        return false;
    if (config->vram & (config->vram - 1))
        return xml_fail(error, vm->line, "<vm>: vram: expected a power of two, found %",
                        xml_get_string_or(vm, "vram", ""));
    config->vram <<= 20;
    return true;
}

static bool read_modules(struct vm_description *config, const struct xml_node *vm, struct xml_error *error)
{
    for (const struct xml_node *node = xml_child(vm, "module"); node; node = xml_next(node, "module")) {
        struct vm_module *module = &config->module[config->modules++];

        if (!copy(node, "rom", module->rom, sizeof(module->rom), error) ||
            !copy(node, "cmdline", module->cmdline, sizeof(module->cmdline), error))
            return false;
        if (!module->rom[0])
            return xml_fail(error, node->line, "<module>: expected the name of a ROM, found rom=\"\"");
    }
    return true;
}

static bool read_files(struct vm_description *config, const struct xml_node *vm, struct xml_error *error)
{
    static const struct xml_range any = {.max = UINT64_MAX};

    for (const struct xml_node *node = xml_child(vm, "file"); node; node = xml_next(node, "file")) {
        struct vm_file *file = &config->file[config->files];
        bool rom = xml_get_string_or(node, "rom", "")[0], number = xml_get_string_or(node, "number", "")[0];

        if (!copy(node, "name", file->name, sizeof(file->name), error) ||
            !copy(node, "rom", file->rom, sizeof(file->rom), error) ||
            !xml_get_unsigned_or(node, "number", &any, 0, &file->number, error))
            return false;
        if (!file->name[0] || rom == number)
            return xml_fail(error, node->line, "<file>: expected a name and either rom or number");
        for (size_t i = 0; i < config->files; i++)
            if (strcmp(config->file[i].name, file->name) == 0)
                return xml_fail(error, node->line, "<file>: the name % is there twice", file->name);
        config->files++;
    }
    return true;
}

static bool check_disk(const struct vm_description *config, const struct vm_disk *disk,
                       const struct xml_node *node, struct xml_error *error)
{
    if (!disk->label[0] && disk->type != VM_DVD)
        return xml_fail(error, node->line, "<disk>: expected the label of a Block session, found none");
    for (const struct vm_disk *other = config->disk; other < disk; other++) {
        if (other->port == disk->port && other->device == disk->device)
            return xml_fail(error, node->line, "<disk>: expected a place of its own, found % there",
                            other->label[0] ? other->label : "a DVD drive");
        if (disk->label[0] && strcmp(other->label, disk->label) == 0)
            return xml_fail(error, node->line, "<disk>: expected a label of its own, found % twice",
                            disk->label);
    }
    return true;
}

static bool read_disks(struct vm_description *config, const struct xml_node *vm, struct xml_error *error)
{
    static const struct xml_range place = {.min = 0, .max = 1};
    static const char *const types[] = {"disk", "dvd", NULL}, *const controllers[] = {"ide", NULL};

    for (const struct xml_node *node = xml_child(vm, "disk"); node; node = xml_next(node, "disk")) {
        struct vm_disk *disk = &config->disk[config->disks++];
        unsigned type, controller;

        if (!copy(node, "label", disk->label, sizeof(disk->label), error) ||
            !xml_get_choice_or(node, "controller", controllers, 0, &controller, error) ||
            !xml_get_choice_or(node, "type", types, 0, &type, error) ||
            !xml_get_unsigned_or(node, "port", &place, 0, &disk->port, error) ||
            !xml_get_unsigned_or(node, "device", &place, 0, &disk->device, error))
            return false;
        disk->type = (enum vm_disk_type)type;
        if (!check_disk(config, disk, node, error))
            return false;
    }
    return true;
}

static size_t word_length(const char *word)
{
    size_t length = 0;

    while (word[length] && word[length] != ' ')
        length++;
    return length;
}

/* Words in the order in which they are tried. */
static bool read_boot(struct vm_description *config, const struct xml_node *vm, struct xml_error *error)
{
    static const char *const words[CMOS_BOOT_DEVICES] = {"", "floppy", "disk", "dvd", "network"};
    const char *text = xml_get_string_or(vm, "boot", "disk dvd"), *word = text;
    unsigned count = 0;

    while (*word) {
        size_t length = word_length(word);
        unsigned device = CMOS_BOOT_FLOPPY;

        while (device < CMOS_BOOT_DEVICES &&
               (strlen(words[device]) != length || memcmp(words[device], word, length) != 0))
            device++;
        if (device == CMOS_BOOT_DEVICES || count == CMOS_BOOT_ORDER)
            return xml_fail(error, vm->line,
                            "<vm>: boot: expected up to three of floppy, disk, dvd, network, "
                            "found \"%\"",
                            text);
        config->boot[count++] = device;
        word += length;
        word += *word == ' ';
    }
    return true;
}

static bool read_firmware(struct vm_description *config, const struct xml_node *vm, struct xml_error *error)
{
    return copy(vm, "firmware", config->firmware, sizeof(config->firmware), error) &&
           read_boot(config, vm, error) && xml_get_bool_or(vm, "menu", false, &config->boot_menu, error) &&
           xml_get_bool_or(vm, "debug", false, &config->debug, error) && read_files(config, vm, error);
}

static bool check_boot(const struct vm_description *config, const struct xml_node *vm,
                       struct xml_error *error)
{
    if (config->firmware[0]) {
        if (config->guest[0] || config->kernel[0] || config->initrd[0] || config->cmdline[0] ||
            config->modules)
            return xml_fail(error, vm->line,
                            "<vm>: expected either firmware or what is started without it, found both");
        return true;
    }
    if (config->files)
        return xml_fail(error, vm->line, "<vm>: expected firmware, which reads <file>s, found none");
    if (config->guest[0] && (config->kernel[0] || config->initrd[0] || config->cmdline[0]))
        return xml_fail(error, vm->line,
                        "<vm>: expected either guest or kernel with initrd and cmdline, found both");
    if (config->modules && (config->guest[0] || config->initrd[0]))
        return xml_fail(error, vm->line, "<vm>: expected <module> with a Multiboot kernel, found % too",
                        config->guest[0] ? "guest" : "initrd");
    if (!config->guest[0] && !config->kernel[0])
        return xml_fail(error, vm->line, "<vm>: expected attribute firmware, kernel or guest, found neither");
    return true;
}

static bool read_vm(struct vm_description *config, const struct xml_node *vm, struct xml_error *error)
{
    static const struct xml_range vcpus = {.min = 1, .max = DESCRIPTION_VCPUS};
    static const struct xml_range churn = {.min = 1, .max = 60000};

    if (!copy(vm, "name", config->name, sizeof config->name, error) ||
        !copy(vm, "kernel", config->kernel, sizeof config->kernel, error) ||
        !copy(vm, "initrd", config->initrd, sizeof config->initrd, error) ||
        !copy(vm, "cmdline", config->cmdline, sizeof config->cmdline, error) ||
        !copy(vm, "guest", config->guest, sizeof config->guest, error) ||
        !copy(vm, "terminal", config->terminal, sizeof config->terminal, error) ||
        !copy(vm, "exits", config->exits, sizeof config->exits, error))
        return false;
    if (!config->terminal[0])
        memcpy(config->terminal, CONFIG_TERMINAL, sizeof CONFIG_TERMINAL);
    if (!config->name[0])
        return xml_fail(error, vm->line, "<vm>: expected a name, found name=\"\"");
    return read_memory(config, vm, error) && read_vram(config, vm, error) &&
           read_modules(config, vm, error) && read_firmware(config, vm, error) &&
           read_disks(config, vm, error) &&
           xml_get_unsigned_or(vm, "vcpus", &vcpus, 1, &config->vcpus, error) &&
           xml_get_unsigned_or(vm, "churn", &churn, 0, &config->churn, error) &&
           check_boot(config, vm, error);
}

bool config_read(struct vm_description *config, char *text, size_t size, struct xml_error *error)
{
    struct xml_node nodes[NODES];
    struct xml_attribute attributes[ATTRIBUTES];
    struct xml_document document = {
        .nodes = nodes, .attributes = attributes, .node_limit = NODES, .attribute_limit = ATTRIBUTES};

    memset(config, 0, sizeof *config);
    if (!xml_parse(&document, text, size, error) || !xml_check(document.root, &config_schema, error))
        return false;
    return read_vm(config, xml_child(document.root, "vm"), error);
}
