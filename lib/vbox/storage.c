/* SPDX-License-Identifier: ISC */
/*
 * Storage controllers and what is attached to them. A drive without a medium is fine, a disk that cannot be reached is
 * not: the guest would not find its system, and say something else.
 */
#include "lib/vbox/read.h"

#include <string.h>

/* In the order of enum vbox_controller_type. */
static const struct {
    const char *name;
    uint32_t ports, most; /* by default */
    uint32_t devices;     /* on a port */
} types[] = {
    {"AHCI", 30, 30, 1}, {"PIIX3", 2, 2, 2},  {"PIIX4", 2, 2, 2},       {"ICH6", 2, 2, 2},
    {"I82078", 1, 1, 2}, {"NVMe", 1, 255, 1}, {"another", 16, 255, 16},
};

static const char *const kinds[] = {"HardDisk", "DVD", "Floppy", NULL};

static uint32_t find_medium(const struct vbox_machine *machine, const char *uuid)
{
    for (uint32_t i = 0; i < machine->media; i++)
        if (strcmp(machine->medium[i].uuid, uuid) == 0)
            return i;
    return VBOX_NONE;
}

/* What the image is. */
static bool check_medium(const struct vbox_reader *reader, const struct xml_node *image,
                         const struct vbox_device *device)
{
    const struct vbox_medium *medium;

    if (device->medium == VBOX_NONE) {
        vbox_tell(reader, image->line,
                  "<Image>: % is not in the media registry: it is found by its UUID only", device->uuid);
        return true;
    }
    medium = &reader->machine->medium[device->medium];
    if (medium->kind != device->kind)
        return xml_fail(reader->error, image->line, "<Image>: expected a % image, found that of a %",
                        kinds[device->kind], kinds[medium->kind]);
    if (device->kind == VBOX_HARD_DISK && strcmp(medium->format, "VDI") != 0 &&
        strcmp(medium->format, "RAW") != 0 && strcmp(medium->format, "raw") != 0)
        return xml_fail(reader->error, medium->line,
                        "<HardDisk>: expected the format VDI or RAW, found \"%\"", medium->format);
    return true;
}

static bool read_image(const struct vbox_reader *reader, const struct xml_node *node,
                       struct vbox_device *device)
{
    const struct xml_node *image = xml_child(node, "Image");

    device->medium = VBOX_NONE;
    if (image) {
        if (!vbox_uuid(reader, image, "uuid", true, device->uuid))
            return false;
        device->medium = find_medium(reader->machine, device->uuid);
        return check_medium(reader, image, device);
    }
    if (device->kind == VBOX_HARD_DISK)
        return xml_fail(reader->error, node->line,
                        "<AttachedDevice>: a hard disk: expected <Image>, found none");
    if (xml_child(node, "HostDrive"))
        vbox_tell(reader, node->line, "<AttachedDevice>: drives of the host are not offered: it is empty");
    return true;
}

static bool read_place(const struct vbox_reader *reader, const struct xml_node *node,
                       struct vbox_device *device)
{
    const struct vbox_machine *machine = reader->machine;
    const struct vbox_controller *controller = &machine->controller[device->controller];
    uint32_t devices = types[controller->type].devices;

    if (!xml_attribute(node, "port") || !xml_attribute(node, "device"))
        return xml_fail(reader->error, node->line,
                        "<AttachedDevice>: expected port and device, found not both");
    if (!vbox_number(reader, node, "port", 0, UINT32_MAX, 0, &device->port) ||
        !vbox_number(reader, node, "device", 0, UINT32_MAX, 0, &device->device))
        return false;
    if (device->port >= controller->ports || device->device >= devices)
        return xml_fail(
            reader->error, node->line, "<AttachedDevice>: the controller \"%\" has no port % with a device %",
            controller->name, xml_get_string_or(node, "port", ""), xml_get_string_or(node, "device", ""));
    for (size_t i = 0; i < machine->devices; i++)
        if (machine->device[i].controller == device->controller && machine->device[i].port == device->port &&
            machine->device[i].device == device->device)
            return xml_fail(reader->error, node->line, "<AttachedDevice>: the place is taken already");
    return true;
}

/* A controller takes disks and DVDs, or floppies. */
static bool check_kind(const struct vbox_reader *reader, const struct xml_node *node,
                       const struct vbox_controller *controller, enum vbox_medium_kind kind)
{
    bool floppies = controller->type == VBOX_I82078;

    if (controller->type == VBOX_OTHER_CONTROLLER) {
        if (kind == VBOX_HARD_DISK)
            return xml_fail(
                reader->error, node->line,
                "<AttachedDevice>: a hard disk of the controller \"%\", whose type is not offered",
                controller->name);
        return true;
    }
    if (floppies == (kind == VBOX_FLOPPY) && !(controller->type == VBOX_NVME && kind == VBOX_DVD))
        return true;
    return xml_fail(reader->error, node->line, "<AttachedDevice>: the controller \"%\" takes no %",
                    controller->name, kinds[kind]);
}

static bool read_device(const struct vbox_reader *reader, const struct xml_node *node, uint32_t controller)
{
    struct vbox_machine *machine = reader->machine;
    struct vbox_device *device = &machine->device[machine->devices];
    bool passes;

    if (machine->devices == VBOX_DEVICES)
        return xml_fail(reader->error, node->line, "<AttachedDevice>: expected at most 32, found more");
    *device = (struct vbox_device){.controller = controller, .line = node->line};
    if (!xml_get_choice_or(node, "type", kinds, VBOX_HARD_DISK, &device->kind, reader->error) ||
        !check_kind(reader, node, &machine->controller[controller], device->kind) ||
        !read_place(reader, node, device) || !read_image(reader, node, device) ||
        !vbox_bool(reader, node, "nonrotational", false, &device->non_rotational) ||
        !vbox_bool(reader, node, "discard", false, &device->discard) ||
        !vbox_bool(reader, node, "passthrough", false, &passes))
        return false;
    if (passes)
        vbox_tell(reader, node->line, "<AttachedDevice>: passthrough is not offered: commands are emulated");
    machine->devices++;
    return true;
}

/* Settings of before 1.11 have a name and no type. */
static unsigned type_of(const struct vbox_reader *reader, const struct xml_node *node)
{
    static const char *const words[] = {"AHCI", "PIIX3", "PIIX4", "ICH6", "I82078", "NVMe", NULL};
    const char *name = xml_get_string_or(node, "name", "");
    unsigned fallback = strncmp(name, "SATA", 4) == 0     ? VBOX_AHCI
                        : strncmp(name, "Floppy", 6) == 0 ? VBOX_I82078
                                                          : VBOX_PIIX4_IDE;

    return vbox_choice(reader, node, "type", words, fallback, VBOX_OTHER_CONTROLLER);
}

static bool read_controller(const struct vbox_reader *reader, const struct xml_node *node)
{
    struct vbox_machine *machine = reader->machine;
    struct vbox_controller *controller = &machine->controller[machine->controllers];
    uint32_t index = (uint32_t)machine->controllers;

    if (machine->controllers == VBOX_CONTROLLERS)
        return xml_fail(reader->error, node->line, "<StorageController>: expected at most 8, found more");
    if (!vbox_text(reader, node, "name", controller->name, sizeof(controller->name)))
        return false;
    controller->type = type_of(reader, node);
    controller->line = node->line;
    if (!vbox_number(reader, node, "PortCount", 1, types[controller->type].most,
                     types[controller->type].ports, &controller->ports))
        return false;
    machine->controllers++;
    for (const struct xml_node *device = xml_child(node, "AttachedDevice"); device;
         device = xml_next(device, "AttachedDevice"))
        if (!read_device(reader, device, index))
            return false;
    return true;
}

bool vbox_read_storage(const struct vbox_reader *reader, const struct xml_node *controllers)
{
    for (const struct xml_node *node = controllers ? xml_child(controllers, "StorageController") : NULL; node;
         node = xml_next(node, "StorageController"))
        if (!read_controller(reader, node))
            return false;
    return true;
}
