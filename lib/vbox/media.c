/* SPDX-License-Identifier: ISC */
/*
 * The media registry: images by UUID. Hard disks nest: what is written to a parent's child is in the child's image.
 */
#include "lib/vbox/read.h"

#include <string.h>

static bool read_medium(const struct vbox_reader *reader, const struct xml_node *node,
                        enum vbox_medium_kind kind, uint32_t parent)
{
    static const char *const types[] = {"Normal",      "Immutable", "Writethrough", "Shareable", "Readonly",
                                        "MultiAttach", NULL};
    struct vbox_machine *machine = reader->machine;
    struct vbox_medium *medium = &machine->medium[machine->media];

    if (machine->media == VBOX_MEDIA)
        return xml_fail(reader->error, node->line, "<%>: expected at most 32 media, found more", node->name);
    if (!vbox_uuid(reader, node, "uuid", true, medium->uuid) ||
        !vbox_text(reader, node, "location", medium->location, sizeof(medium->location)) ||
        !vbox_text(reader, node, "format", medium->format, sizeof(medium->format)))
        return false;
    for (size_t i = 0; i < machine->media; i++)
        if (strcmp(machine->medium[i].uuid, medium->uuid) == 0)
            return xml_fail(reader->error, node->line, "<%>: the UUID % is there twice", node->name,
                            medium->uuid);
    if (!medium->location[0])
        return xml_fail(reader->error, node->line, "<%>: expected a location, found none", node->name);
    medium->kind = kind;
    medium->type = vbox_choice(reader, node, "type", types, VBOX_NORMAL, VBOX_NORMAL);
    medium->parent = parent;
    medium->line = node->line;
    machine->media++;
    return true;
}

/* A tree of hard disks, without recursion: down, along, and up again. */
static bool read_disks(const struct vbox_reader *reader, const struct xml_node *disks)
{
    const struct xml_node *node = xml_child(disks, "HardDisk");
    uint32_t parent = VBOX_NONE;

    while (node) {
        const struct xml_node *child, *next;
        uint32_t self = (uint32_t)reader->machine->media;

        if (!read_medium(reader, node, VBOX_HARD_DISK, parent))
            return false;
        child = xml_child(node, "HardDisk");
        if (child) {
            parent = self;
            node = child;
            continue;
        }
        while (!(next = xml_next(node, "HardDisk")) && node->parent != disks) {
            node = node->parent;
            parent = reader->machine->medium[parent].parent;
        }
        node = next;
    }
    return true;
}

static bool read_images(const struct vbox_reader *reader, const struct xml_node *images,
                        enum vbox_medium_kind kind)
{
    for (const struct xml_node *node = images ? xml_child(images, "Image") : NULL; node;
         node = xml_next(node, "Image"))
        if (!read_medium(reader, node, kind, VBOX_NONE))
            return false;
    return true;
}

bool vbox_read_media(const struct vbox_reader *reader, const struct xml_node *registry)
{
    const struct xml_node *disks;

    if (!registry)
        return true;
    disks = xml_child(registry, "HardDisks");
    return (!disks || read_disks(reader, disks)) &&
           read_images(reader, xml_child(registry, "DVDImages"), VBOX_DVD) &&
           read_images(reader, xml_child(registry, "FloppyImages"), VBOX_FLOPPY);
}
